"""The map: a quantity over the settings of a sweep, its spread over seeds, and where training explodes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.errors import InputError
from downslope.figures.drawing import PICTURES, drawing, save
from downslope.figures.map_cells import Cells, MapAxis, Places, Shades, shown
from downslope.figures.map_curve import draw_curve_page
from downslope.figures.map_page import (
    LEFT,
    RIGHT,
    WIDTH,
    Sheet,
    header,
    header_height,
    key_entries,
    key_lines,
    median_colours,
    notes_of,
    width_colours,
)  # fmt: skip
from downslope.figures.map_panels import Layer, draw_bar, draw_cells, draw_key, ring
from downslope.figures.page import Box, Page
from downslope.figures.style import SMALL, shortened, styled, text_width
from downslope.files import place

if TYPE_CHECKING:
    import polars
    from matplotlib.figure import Figure

__all__ = ["MapAxis", "map_picture"]

GAP = 0.34  # between panels
BAR_TOP, MAP_TOP = 0.12, 0.46  # below a heading's baseline
MOST_PANELS, PANELS_A_ROW = 6, 3


def map_picture(
    axes: Sequence[MapAxis],
    cells: polars.DataFrame,
    path: str | os.PathLike[str] | None = None,
    *,
    quantity: str = "loss",
    seeds: int = 1,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
    subtitle: str | None = None,
    planned: int | None = None,
) -> Figure:
    """Draw how a quantity depends on the settings of a sweep.

    One setting gives a curve of medians with a band from the lower to the upper quartile over seeds. Two give a map
    of medians, bright where better, and beside it the interquartile range over seeds. More give maps over the first
    two for values of the third, with any others held at the best cell's values.

    A cell all of whose runs exploded is grey and hatched; where some did, a corner is, as large as their share. A
    cell without a finished run has the colour of the nearest finished one under fine lines. The best median is ringed
    and named in words. A loss is shown by its logarithm where it spans more than five times; a few cells far worse
    than all others lie beyond the pointed end of the colour bar.

    Parameters
    ----------
    axes : sequence of MapAxis
        The settings: the first runs across, the second up.
    cells : polars.DataFrame
        One row for each cell with a finished run, as from `SweepResult.cells()`: a column for each setting, `runs`,
        `exploded`, `failed`, and `<quantity>_median`, `<quantity>_low` and `<quantity>_high` (null where no run gave a
        value).
    path : str or path, optional
        Where to write it, by its ending: .png (1600 pixels wide), .svg or .pdf. The file is whole or not there.
    quantity : str
        "loss", "accuracy", "r2", "validation_loss", …
    seeds : int
        Runs planned for each cell.
    style : "light" or "dark"
        Colours on white or on near black.
    title, subtitle : str, optional
        In place of what is drawn over what; and a line below with what else a reader must know.
    planned : int, optional
        How many runs the sweep has in all; left out, cells times seeds.

    Returns
    -------
    matplotlib.figure.Figure
        8 inches wide, made without pyplot.

    Raises
    ------
    InputError
        If an argument is not legal, `cells` lacks a column, or the file cannot be written.
    """
    checks.whole("seeds", seeds, at_least=1)
    if planned is not None:
        checks.whole("planned", planned)
    for name, text in (("title", title), ("subtitle", subtitle)):
        if text is not None:
            checks.text(name, text)
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    if not axes or not all(isinstance(axis, MapAxis) and axis.values for axis in axes):
        raise checks.refuse("axes", "one MapAxis or more, each with a value", axes)
    if not hasattr(cells, "columns"):
        raise checks.refuse("cells", "a data frame as from SweepResult.cells()", cells)
    known = [column.removesuffix("_median") for column in cells.columns if column.endswith("_median")]
    checks.one_of("quantity", quantity, known)
    if len({axis.name for axis in axes}) < len(axes):
        raise InputError(f"axes must have different names. Received: {', '.join(axis.name for axis in axes)}")

    places = tuple(Places.of(axis) for axis in axes)
    found = Cells.of(axes, places, cells, quantity)
    whole = found.runs.size * seeds if planned is None else planned
    drawn = Sheet(tuple(axes), places, found, quantity, seeds, whole, colours)
    with drawing():
        draw = {1: draw_curve_page, 2: _draw_map}.get(len(axes), _draw_multiples)
        page = draw(drawn, title, subtitle)
        if file is not None:
            save(page.figure, file)
    return page.figure


def _draw_map(drawn: Sheet, title: str | None, subtitle: str | None) -> Page:
    cells, style = drawn.cells, drawn.style
    spread = cells.spread
    sides = 2 if drawn.seeds > 1 else 1
    width = (RIGHT - LEFT - GAP * (sides - 1)) / sides
    height = width if sides == 2 else 3.7
    baseline = header_height(subtitle)
    key_top = baseline + MAP_TOP + height + 0.46
    median = Layer(cells.median, Shades.of(cells.median, drawn.quantity), median_colours(drawn.quantity))
    layers = [median]
    if sides == 2:
        layers.append(Layer(spread, Shades.of_spread(spread), width_colours(style)))
    entries = key_entries(drawn)
    page = Page(WIDTH, key_top + 0.2 * key_lines(entries, RIGHT - LEFT) + 0.14, style)
    header(page, drawn, title, subtitle)
    for side, layer in enumerate(layers):
        box = Box(LEFT + side * (width + GAP), baseline + MAP_TOP, width, height)
        heading, notes = drawn.heading, [*drawn.of_seeds, "brighter is better"]
        if side == 1:
            heading, notes = "Spread over seeds", [f"interquartile range, in {drawn.name}"]
        page.heading(box.left, baseline, heading, notes_of(drawn, layer.shades, *notes))
        draw_bar(page, Box(box.left, baseline + BAR_TOP, box.width, 0.1), layer)
        panel = draw_cells(
            page, box, (drawn.axes[0], drawn.axes[1]), (drawn.places[0], drawn.places[1]), cells, layer,
            seeds=drawn.seeds if side else 1, labels=(True, side == 0),
        )  # fmt: skip
        if drawn.best is not None and layer.shades is not None:
            across, up = (places.along(one, 0.5) for places, one in zip(drawn.places, drawn.best, strict=True))
            ring(panel, across, up)
    draw_key(page, Box(LEFT, key_top, RIGHT - LEFT, 0.2), entries, median)
    return page


def _draw_multiples(drawn: Sheet, title: str | None, subtitle: str | None) -> Page:
    style, best = drawn.style, drawn.best
    held = best or tuple(0 for _ in drawn.axes)
    cells = drawn.cells.at(..., *held[3:]) if len(held) > 3 else drawn.cells
    third = drawn.places[2]
    chosen = _chosen(len(third.values), held[2] if best else None)
    columns = 2 if len(chosen) == 4 else min(PANELS_A_ROW, len(chosen))
    rows = -(-len(chosen) // columns)
    width = (RIGHT - LEFT - GAP / 2 * (columns - 1)) / columns
    height, step = (min(width, 3.4) if rows == 1 else 2.25), 0.26
    baseline = header_height(subtitle)
    top = baseline + MAP_TOP + 0.16
    key_top = top + rows * (height + step) - step + 0.46
    part = cells.at(slice(None), slice(None), chosen)
    layer = Layer(part.median, Shades.of(part.median, drawn.quantity), median_colours(drawn.quantity))
    entries = key_entries(drawn, part, with_spread=False)
    page = Page(WIDTH, key_top + 0.2 * key_lines(entries, RIGHT - LEFT) + 0.14, style)
    header(page, drawn, title, subtitle)
    notes = [*drawn.of_seeds, "brighter is better"]
    if len(chosen) < len(third.values):
        notes.append(f"{len(chosen)} of {len(third.values)} values of {shortened(drawn.axes[2].words, 1.2, SMALL)}")
    for axis, places, one in list(zip(drawn.axes, drawn.places, held, strict=True))[3:]:
        notes.append(f"{shortened(axis.words, 1.2, SMALL)} {shown(places.values[one], 3)}, the best's")
    page.heading(LEFT, baseline, drawn.heading, notes_of(drawn, layer.shades, *notes))
    draw_bar(page, Box(LEFT, baseline + BAR_TOP, RIGHT - LEFT, 0.1), layer)
    for panel_at, value in enumerate(chosen):
        row, column = divmod(panel_at, columns)
        box = Box(LEFT + column * (width + GAP / 2), top + row * (height + step), width, height)
        named = shown(third.values[value], 3) + (f" {drawn.axes[2].unit}" if drawn.axes[2].unit else "")
        room = width - text_width(f" {named}", SMALL)
        page.text(box.left, box.top - 0.06, f"{shortened(drawn.axes[2].words, room, SMALL)} {named}", SMALL)
        plane = Layer(layer.values[:, :, panel_at], layer.shades, layer.colours)
        last = panel_at + columns >= len(chosen)
        panel = draw_cells(
            page, box, (drawn.axes[0], drawn.axes[1]), (drawn.places[0], drawn.places[1]),
            part.at(slice(None), slice(None), panel_at), plane, seeds=1, labels=(last, column == 0),
        )  # fmt: skip
        if best is not None and best[2] == value:
            across, up = (places.along(one, 0.5) for places, one in zip(drawn.places[:2], best[:2], strict=True))
            ring(panel, across, up)
    draw_key(page, Box(LEFT, key_top, RIGHT - LEFT, 0.2), entries, layer)
    return page


def _chosen(count: int, best: int | None) -> NDArray[np.int64]:
    """Return at most six places of `count`, evenly spread, with the best's among them."""
    if count <= MOST_PANELS:
        return np.arange(count)
    chosen = np.linspace(0, count - 1, MOST_PANELS).round().astype(np.int64)
    if best is not None and best not in chosen:
        chosen[np.abs(chosen - best).argmin()] = best
    return chosen
