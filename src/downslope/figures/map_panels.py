"""A map's parts: its panel of cells, textures and ring; its colour bar; the key below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.figures.map_axes import axis_label, bar_ticks, placed_axis
from downslope.figures.map_cells import Cells, MapAxis, Places, Shades, filled
from downslope.figures.page import Box, Page, tick_texts
from downslope.figures.style import SMALL, TEXT, Style, number, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.path import Path

__all__ = ["Layer", "compound", "draw_bar", "draw_cells", "draw_key", "exploded_ground", "ring", "textured"]

STRIPES, HATCHES = 0.045, 0.07  # between the lines of a texture, in inches
BAR = 0.09
WHITE, BLACK = "#ffffff", "#14171b"


@dataclass(frozen=True)
class Layer:
    """What a panel shows by colour: values (NaN where there is none), their scale and colours."""

    values: NDArray[np.float64]
    shades: Shades | None
    colours: Colormap


def draw_bar(page: Page, box: Box, layer: Layer) -> None:
    """Draw a horizontal colour bar with its ticks below; an end beyond which cells lie is pointed."""
    shades, style = layer.shades, page.style
    if shades is None:
        return
    axes = page.axes(Box(box.left, box.top, box.width, BAR), "", "", frame=True)
    tick_texts(axes.yaxis, [], [])
    axes.grid(visible=False)
    share = np.full((1, 1), 0.5) if shades.flat else np.linspace(0, 1, 256)[np.newaxis]
    axes.imshow(layer.colours(share), extent=(0, 1, 0, 1), aspect="auto", interpolation="nearest")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    if shades.flat:
        tick_texts(axes.xaxis, [0.5], [number(shades.high)])
        return
    for many, start, tip, end in ((shades.below, 0.0, -1, 0.0), (shades.above, 1.0, 1, 1.0)):
        if many:
            from matplotlib.patches import Polygon

            point = start + tip * 0.11 / box.width
            corner = [(start, 0), (start, 1), (point, 0.5)]
            axes.add_patch(
                Polygon(corner, facecolor=layer.colours(end), edgecolor=style.rule, linewidth=0.6, clip_on=False)
            )
    bar_ticks(axes.xaxis, shades, box.width)


def draw_cells(
    page: Page, box: Box, axes: tuple[MapAxis, MapAxis], places: tuple[Places, Places], cells: Cells, layer: Layer,
    *, seeds: int, labels: tuple[bool, bool] = (True, True),
) -> Axes:  # fmt: skip
    """Draw a plane of cells; `cells` and the layer's values are indexed by (first setting, second setting).

    The first setting runs across, the second up. Cells without a finished run take the look of the nearest one that
    has, under fine lines; exploded cells are grey and hatched, and partly exploded ones in a corner as large as the
    share of their runs that exploded. `seeds` is how many runs of a cell can still bring it a value: the planned ones
    for a spread, which needs two; 1 for a median. `labels` says which axes, across and up, are named.
    """
    names = [
        axis_label(axis, place, inches) if wanted else ""
        for axis, place, inches, wanted in zip(axes, places, (box.width, box.height), labels, strict=True)
    ]
    panel = page.axes(box, *names, frame=True)
    for axis, place, inches in ((panel.xaxis, places[0], box.width), (panel.yaxis, places[1], box.height)):
        placed_axis(axis, place, inches)
    if not labels[1]:
        panel.tick_params(axis="y", labelleft=False)
    if not labels[0]:
        panel.tick_params(axis="x", labelbottom=False)
    from matplotlib.patches import PathPatch

    style = page.style
    value = np.isfinite(layer.values)
    if not (value if seeds > 1 else cells.finished).any() and not (cells.finished.all() and cells.all_exploded.all()):
        told = "no cell has two finished runs yet" if cells.finished.any() else "nothing finished yet"
        panel.text(0.5, 0.5, told, transform=panel.transAxes, fontsize=TEXT, color=style.muted, ha="center",
                   va="center")  # fmt: skip
        return panel
    # A cell that is not finished is taken for what the nearest finished one is, with the nearest value there is. One
    # with fewer runs than planned can have a median and no spread yet.
    waiting = ~cells.finished | (cells.valued & ~value & (cells.runs < seeds))
    exploded = filled(cells.all_exploded, cells.finished)
    failed = filled(cells.without_value, cells.finished)
    blank = cells.valued & ~value & ~waiting
    values = np.where(blank, np.nan, filled(layer.values, value))
    colours = _colours(layer, values, exploded | failed, style)
    panel.pcolormesh(places[0].edges, places[1].edges, colours.swapaxes(0, 1), rasterized=True, zorder=1)
    textured(panel, box, _outlines(places, exploded), style.muted)
    corners = [_corner(places, cell, float(cells.lost[cell])) for cell in _indices(cells.partly)]
    if corners:
        panel.add_patch(PathPatch(compound(corners), facecolor=style.rule, edgecolor="none", linewidth=0, zorder=2))
    for cell in _indices(cells.without_value):
        across, up = (place.along(one, 0.5) for place, one in zip(places, cell, strict=True))
        panel.plot([across], [up], "x", color=style.ink, markersize=3.5, markeredgewidth=0.8, zorder=3)
    textured(panel, box, _outlines(places, waiting), style.background, level=True)
    return panel


def _colours(layer: Layer, values: NDArray[Any], grey: NDArray[np.bool_], style: Style) -> NDArray[np.float64]:
    """Return a colour for every cell: its value's, grey where told, the page's where there is none."""
    from matplotlib.colors import to_rgb

    page = np.broadcast_to(np.array(to_rgb(style.background)), (*values.shape, 3))
    coloured = page
    if layer.shades is not None:
        shares = layer.shades(values)
        plain = np.asarray(layer.colours(np.nan_to_num(shares)))[..., :3]
        coloured = np.where(np.isfinite(shares)[..., np.newaxis], plain, page)
    return np.where(grey[..., np.newaxis], np.array(to_rgb(exploded_ground(style))), coloured)


def exploded_ground(style: Style) -> str:
    """Return the grey under the texture of exploded cells."""
    from matplotlib.colors import to_hex, to_rgb

    mixed = 0.55 * np.array(to_rgb(style.zero)) + 0.45 * np.array(to_rgb(style.rule))
    return to_hex((float(mixed[0]), float(mixed[1]), float(mixed[2])))


def _indices(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    return [(int(across), int(up)) for across, up in zip(*np.nonzero(mask), strict=True)]


Outline = list[tuple[float, float]]


def _outlines(places: tuple[Places, Places], mask: NDArray[np.bool_]) -> list[Outline]:
    """Return rectangles that cover the cells of a mask, neighbours in a column joined."""
    outlines = []
    x, y = places[0].edges, places[1].edges
    for across in range(mask.shape[0]):
        steps = np.diff(np.concatenate([[0], mask[across].astype(np.int8), [0]]))
        for low, high in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
            left, right, bottom, top = x[across], x[across + 1], y[low], y[high]
            outlines.append([(left, bottom), (right, bottom), (right, top), (left, top)])
    return outlines


def _corner(places: tuple[Places, Places], cell: tuple[int, int], share: float) -> Outline:
    """Return the upper right corner of a cell that covers this share of it."""
    leg = (2 * share) ** 0.5 if share <= 0.5 else 2 - (2 * (1 - share)) ** 0.5
    corner: list[tuple[float, float]] = [(1.0, 1.0)]
    if leg <= 1:
        corner += [(1 - leg, 1.0), (1.0, 1 - leg)]
    else:
        corner += [(0.0, 1.0), (0.0, 2 - leg), (2 - leg, 0.0), (1.0, 0.0)]
    first, second = places
    return [(first.along(cell[0], across), second.along(cell[1], up)) for across, up in corner]


def compound(outlines: Sequence[Outline]) -> Path:
    """Return one path of several closed outlines."""
    from matplotlib.path import Path

    return Path.make_compound_path(*(Path([*outline, outline[0]], closed=True) for outline in outlines))


def textured(
    panel: Axes, box: Box, outlines: Sequence[Outline], colour: str, *, level: bool = False, relative: bool = False
) -> None:
    """Draw lines, level or rising, inside outlines; they go on from one outline to the next.

    Outlines are in the panel's data, or relative to it, from 0 to 1.
    """
    if not outlines:
        return
    from matplotlib.collections import LineCollection
    from matplotlib.patches import PathPatch

    patch = PathPatch(compound(outlines), facecolor="none", edgecolor="none", linewidth=0)
    if relative:
        patch.set_transform(panel.transAxes)
    panel.add_patch(patch)
    width, height = box.width, box.height
    if level:
        heights = np.arange(STRIPES / 2, height, STRIPES) / height
        lines = [[(0.0, up), (1.0, up)] for up in heights]
    else:
        starts = np.arange(-height, width, HATCHES)
        lines = [[(start / width, 0.0), ((start + height) / width, 1.0)] for start in starts]
    drawn = LineCollection(
        lines, transform=panel.transAxes, colors=colour, linewidths=0.5 if level else 0.6, zorder=2.5
    )
    panel.add_collection(drawn, autolim=False)
    drawn.set_clip_path(patch)


def ring(panel: Axes, across: float, up: float, size: float = 9.0) -> None:
    """Mark a place by a white ring with a dark edge on both sides: it shows on every colour."""
    for width, colour in ((3.0, BLACK), (1.5, WHITE)):
        panel.plot([across], [up], "o", markersize=size, markerfacecolor="none", markeredgecolor=colour,
                   markeredgewidth=width, clip_on=False, zorder=5)  # fmt: skip


def draw_key(page: Page, box: Box, entries: Sequence[tuple[str, str]], layer: Layer) -> float:
    """Explain the marks in a flow of swatches and words; return the height it takes."""
    style = page.style
    left, line, step = box.left, box.top, 0.2
    size, gap = 0.13, 0.22
    for kind, told in entries:
        text = shortened(told, box.width - size - 0.06, SMALL)
        needed = size + 0.06 + text_width(text, SMALL)
        if left > box.left and left + needed > box.right:
            left, line = box.left, line + step
        _swatch(page, Box(left, line, size, size), kind, layer)
        page.text(left + size + 0.06, line + 0.105, text, SMALL, colour=style.muted)
        left += needed + gap
    return line + step - box.top


def _swatch(page: Page, box: Box, kind: str, layer: Layer) -> None:
    from matplotlib.patches import Polygon, Rectangle

    style = page.style
    panel = page.bare_axes(box)
    panel.set(xlim=(0, 1), ylim=(0, 1))
    whole: Outline = [(0, 0), (1, 0), (1, 1), (0, 1)]
    colour = layer.colours(0.6)
    ground = {"exploded": exploded_ground(style), "failed": exploded_ground(style)}
    ground |= {"blank": style.background, "column": style.background}
    if kind != "best":
        face = ground.get(kind, colour)
        panel.add_patch(Rectangle((0, 0), 1, 1, facecolor=face, edgecolor=style.rule, linewidth=0.5, clip_on=False))
    if kind == "exploded":
        textured(panel, box, [whole], style.muted)
    elif kind == "partly":
        panel.add_patch(Polygon([(1, 1), (0, 1), (1, 0)], facecolor=style.rule, linewidth=0))
    elif kind == "column":
        panel.add_patch(Rectangle((0, 0.5), 1, 0.5, facecolor=style.rule, linewidth=0))
    elif kind == "unfinished":
        textured(panel, box, [whole], style.background, level=True)
    elif kind == "failed":
        panel.plot([0.5], [0.5], "x", color=style.ink, markersize=3.5, markeredgewidth=0.8)
    elif kind == "best":
        ring(panel, 0.5, 0.5, 6.5)
