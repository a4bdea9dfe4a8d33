"""One setting: the median over seeds as a curve, with a band from quartile to quartile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.figures.map_axes import axis_label, placed_axis, upright_ticks
from downslope.figures.map_cells import LOWEST_R2, Cells, Places, Shades
from downslope.figures.map_page import (
    LEFT,
    RIGHT,
    WIDTH,
    Sheet,
    header,
    header_height,
    key_entries,
    key_lines,
)  # fmt: skip
from downslope.figures.map_panels import Layer, compound, draw_key, exploded_ground, ring, textured
from downslope.figures.page import Box, Page
from downslope.figures.scales import limits_of, linear_axis, log_axis
from downslope.figures.style import TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curve_page"]

HEIGHT = 2.9
MOST_DOTS = 60


def draw_curve_page(drawn: Sheet, title: str | None, subtitle: str | None) -> Page:
    """Draw the page of a sweep over one setting."""
    baseline, style = header_height(subtitle), drawn.style
    box = Box(LEFT, baseline + 0.12, RIGHT - LEFT, HEIGHT)
    key_top = box.bottom + 0.46
    entries = [
        ("column", "grey from above: share of the seeds that exploded") if kind == "partly" else (kind, text)
        for kind, text in key_entries(drawn, with_spread=False)
        if kind != "unfinished"  # there is no dot
    ]
    page = Page(WIDTH, key_top + 0.2 * key_lines(entries, box.width) + 0.14, style)
    header(page, drawn, title, subtitle)
    notes = [f"{told}, band from lower to upper quartile" for told in drawn.of_seeds]
    places, cells = drawn.places[0], drawn.cells
    panel = page.axes(box, axis_label(drawn.axes[0], places, box.width), "")
    placed_axis(panel.xaxis, places, box.width)
    notes += _vertical_axis(panel, cells, drawn.quantity)
    page.heading(LEFT, baseline, drawn.heading, [(" · ".join(notes), style.muted)] if notes else [])
    _columns(panel, box, places, cells, drawn)
    _line(panel, places, cells, drawn)
    if drawn.best is not None:
        ring(panel, float(places.centres[drawn.best[0]]), float(cells.median[drawn.best]))
    elif not cells.finished.any():
        panel.text(0.5, 0.5, "nothing finished yet", transform=panel.transAxes, fontsize=TEXT, color=style.muted,
                   ha="center", va="center")  # fmt: skip
    draw_key(page, Box(LEFT, key_top, box.width, 0.2), entries, Layer(cells.median, None, _plain(drawn)))
    return page


def _plain(drawn: Sheet) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([drawn.style.background])


def _vertical_axis(panel: Axes, cells: Cells, quantity: str) -> list[str]:
    """Set scale, limits and ticks; return what a reader must know about them."""
    shown = np.concatenate([cells.median, cells.low, cells.high])
    shades = Shades.of(cells.median, quantity, shrink=0.1)
    if shades is None:
        panel.set(ylim=(0, 1), yticks=[])
        return []
    inside = shown[np.isfinite(shown)]
    beyond = shades.below + shades.above
    if beyond:
        inside = inside[(inside >= shades.low) & (inside <= shades.high)]
    if shades.log and inside.min() > 0:
        log_axis(panel, inside)
        upright_ticks(panel, HEIGHT)
        return ["log scale", *_beyond(beyond)]
    low, high = limits_of(inside, 0.08)
    if quantity.endswith("r2"):
        low = max(low, LOWEST_R2)
    linear_axis(panel.yaxis, low, high)
    return _beyond(beyond)


def _beyond(count: int) -> list[str]:
    return [f"{count:,} beyond the scale"] if count else []


def _columns(panel: Axes, box: Box, places: Places, cells: Cells, drawn: Sheet) -> None:
    """Mark exploded cells by grey, hatched columns, partly exploded ones by columns as long as their share."""
    from matplotlib.patches import PathPatch

    style = drawn.style
    for mask, texture in ((cells.all_exploded, True), (cells.partly, False)):
        outlines = []
        for cell in np.flatnonzero(mask):
            left, right = places.share_of([places.edges[cell], places.edges[cell + 1]])
            bottom = 1.0 - float(cells.lost[cell])
            outlines.append([(left, bottom), (right, bottom), (right, 1.0), (left, 1.0)])
        if outlines:
            ground = exploded_ground(style) if texture else style.rule
            panel.add_patch(PathPatch(compound(outlines), facecolor=ground, edgecolor="none", linewidth=0,
                                      transform=panel.transAxes, zorder=1))  # fmt: skip
        if texture:
            textured(panel, box, outlines, style.muted, relative=True)


def _line(panel: Axes, places: Places, cells: Cells, drawn: Sheet) -> None:
    """Draw the median and the band; a line goes over cells that are not finished, not over exploded ones."""
    style = drawn.style
    for piece in _pieces(cells):
        x = places.centres[piece]
        panel.fill_between(x, cells.low[piece], cells.high[piece], color=style.class_colour(0), alpha=0.25, linewidth=0)
        dots = "o" if len(places.values) <= MOST_DOTS or len(piece) == 1 else ""
        panel.plot(x, cells.median[piece], f"{dots}-", color=style.class_colour(0), markersize=3.0, linewidth=1.4,
                   zorder=3)  # fmt: skip
        if len(piece) == 1:
            panel.plot([x[0], x[0]], [cells.low[piece[0]], cells.high[piece[0]]], color=style.class_colour(0),
                       linewidth=3.0, alpha=0.3)  # fmt: skip


def _pieces(cells: Cells) -> list[NDArray[np.int64]]:
    """Return the runs of cells with a value that no finished cell without one interrupts."""
    finished = np.flatnonzero(cells.finished)
    breaks = np.flatnonzero(~cells.valued[finished])
    pieces = np.split(finished, breaks)
    return [piece[cells.valued[piece]] for piece in pieces if cells.valued[piece].any()]
