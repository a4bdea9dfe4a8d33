"""Pictures of descents on a function of one or two variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from downslope import checks
from downslope.engines.descent import Descent
from downslope.figures.curves import thinned
from downslope.figures.descent_panels import (
    draw_gap_axes,
    draw_gaps,
    draw_ground_key,
    draw_path,
    draw_slide,
    draw_step_key,
    draw_table,
    step_axis,
    table_height,
)  # fmt: skip
from downslope.figures.descent_words import (
    PathLike,
    arrival,
    checked_descents,
    checked_labels,
    told_apart,
)  # fmt: skip
from downslope.figures.drawing import PICTURES, drawing, save
from downslope.figures.landscape import Label, draw_contours, draw_curve, place_labels
from downslope.figures.page import Box, Page, apart
from downslope.figures.scales import linear_axis
from downslope.figures.style import HEADING, SMALL, TEXT, TITLE, Style, number, shortened, styled, text_width
from downslope.files import place
from downslope.landscapes import Landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["descent_picture", "landscape_picture", "rates_picture"]

WIDTH, LEFT, RIGHT = 8.0, 0.66, 7.74
TOP = 1.02  # where panels' headings stand
MAP = Box(LEFT, TOP + 0.12, 4.1, 3.7)
GAPS = Box(5.36, MAP.top, RIGHT - 5.36, MAP.height)
ONE, SEVERAL = 3.3, 1.75  # the height of a curve alone on its page, and among others
LINE = 0.18  # inches from one name to the next
CEILING = 1.25  # of the highest start above the minimum: the frame of values against steps ends there


def descent_picture(
    descents: Descent | Sequence[Descent],
    path: PathLike | None = None,
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
    labels: Sequence[str] | None = None,
) -> Figure:
    """Draw one descent, or several, on their landscape.

    In one dimension, each descent has a panel of its own with the function's curve: a ball a step, from green through
    orange to red and ever darker, the lowest point starred. In two, all lie on one map, deeper where lower; beside it
    the value above the minimum against steps, by factors, and below it a line for each: settings, last value above
    the minimum, and the step from which on it stays within 0.001 of the first gap to the minimum.

    Parameters
    ----------
    descents : Descent or sequence of Descent
        1 to 12, on one landscape, as from `descend`.
    path : str or path, optional
        Where to write it: .png (1,600 pixels wide), .svg or .pdf. The file is whole or not there.
    style : "light" or "dark"
        Colours on white or on near black.
    title : str, optional
        In place of the landscape's.
    labels : sequence of str, optional
        What each descent is called, in place of its optimizer's name and settings.

    Returns
    -------
    matplotlib.figure.Figure
        8 inches wide, made without pyplot.

    Raises
    ------
    InputError
        If the descents are on several landscapes, an argument is not legal, or the file cannot be written.
    """
    found = checked_descents(descents)
    if labels is not None:
        checked_labels(labels, found)
    if title is not None:
        checks.text("title", title)
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    draw = _draw_slides if found[0].landscape.dimensions == 1 else _draw_map
    with drawing():
        page = draw(found, colours, title, None if labels is None else list(labels))
        if file is not None:
            save(page.figure, file)
    return page.figure


def landscape_picture(
    landscape: Landscape,
    path: PathLike | None = None,
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
) -> Figure:
    """Draw a function alone: its curve or its contours, with its minima.

    Parameters are those of `descent_picture`. Raises InputError if an argument is not legal, or the file cannot be
    written.
    """
    if not isinstance(landscape, Landscape):
        raise checks.refuse("landscape", "a landscape such as landscape('rosenbrock')", landscape)
    if title is not None:
        checks.text("title", title)
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    with drawing():
        if landscape.dimensions == 1:
            box = Box(LEFT, 0.8, RIGHT - LEFT, ONE)
            page = Page(WIDTH, box.bottom + 0.5, colours)
            axes = draw_curve(page, box, landscape)
            labels, crowd = _minima_of(landscape)
            place_labels(page, axes, box, labels, crowd)
        else:
            box = Box(LEFT, 0.8, RIGHT - LEFT, 4.6)
            page = Page(WIDTH, box.bottom + 0.75, colours)
            draw_contours(page, box, landscape)
            draw_ground_key(page, LEFT, box.bottom + 0.58, landscape, start=False)
        _header(page, landscape, title)
        if file is not None:
            save(page.figure, file)
    return page.figure


def rates_picture(
    descents: Descent | Sequence[Descent],
    path: PathLike | None = None,
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
    labels: Sequence[str] | None = None,
) -> Figure:
    """Draw the value against steps, a line for each descent, its name at the line's end.

    The frame ends a quarter above the highest start; a line that leaves it is named at the top. Parameters, result and
    errors are those of `descent_picture`.
    """
    found = checked_descents(descents)
    common, named = told_apart(found) if labels is None else ("", checked_labels(labels, found))
    if title is not None:
        checks.text("title", title)
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    with drawing():
        page = _draw_values(found, colours, title, named, common)
        if file is not None:
            save(page.figure, file)
    return page.figure


def _header(page: Page, landscape: Landscape, title: str | None) -> None:
    width = RIGHT - LEFT
    page.text(LEFT, 0.36, shortened(title or landscape.title, width / 1.15, TITLE), TITLE, weight="bold")
    page.text(LEFT, 0.58, shortened(landscape.formula, width, TEXT), TEXT, colour=page.style.muted)


def _minima_of(landscape: Landscape) -> tuple[list[Label], object]:
    """Return the words at the minima of a curve, and what they must not cover."""
    labels = [
        Label(float(np.ravel(x)[0]), float(np.ravel(landscape.value(x))[0]), "lowest point") for x in landscape.minima
    ]
    labels += [
        Label(float(np.ravel(x)[0]), float(np.ravel(landscape.value(x))[0]), "local minimum")
        for x in landscape.local_minima
    ]
    (low, high), *_ = landscape.limits
    x = np.linspace(low, high, 800)
    return labels, np.column_stack([x, landscape.value(x[:, np.newaxis])])


def _draw_slides(descents: Sequence[Descent], style: Style, title: str | None, labels: list[str] | None) -> Page:
    """Draw a panel for each descent, with common axes: below one another, from four on in two columns."""
    landscape, alone = descents[0].landscape, len(descents) == 1
    columns = 1 if len(descents) <= 3 else 2
    rows = -(-len(descents) // columns)
    gap, between = 0.44, 0.62
    width = (RIGHT - LEFT - gap * (columns - 1)) / columns
    height, top = ONE if alone else SEVERAL, TOP + 0.26
    page = Page(WIDTH, top + rows * (height + between) - between + 0.52, style)
    _header(page, landscape, title)
    draw_step_key(page, RIGHT, 0.58, descents)
    names = checked_labels(labels, descents)
    for index, (descent, name) in enumerate(zip(descents, names, strict=True)):
        row, column = divmod(index, columns)
        box = Box(LEFT + column * (width + gap), top + row * (height + between), width, height)
        told = shortened(arrival(descent), width, SMALL)
        page.heading(box.left, box.top - 0.25, shortened(name, width / 1.16, HEADING))
        page.text(box.left, box.top - 0.09, told[:1].upper() + told[1:], SMALL, colour=style.muted)
        axes = draw_curve(page, box, landscape, labels=(index + columns >= len(descents), column == 0))
        draw_slide(page, axes, box, descent)
    return page


def _draw_map(descents: Sequence[Descent], style: Style, title: str | None, labels: list[str] | None) -> Page:
    """Draw all descents on one map, the gaps beside it, the table below."""
    landscape, alone = descents[0].landscape, len(descents) == 1
    table = Box(LEFT, MAP.bottom + 0.92, RIGHT - LEFT, table_height(descents))
    page = Page(WIDTH, table.bottom + 0.16, style)
    _header(page, landscape, title)
    axes, log = draw_contours(page, MAP, landscape)
    page.heading(MAP.left, TOP, "Paths", [(f"darker is lower{', levels by factors' if log else ''}", style.muted)])
    for index, descent in enumerate(descents):
        draw_path(axes, descent, style, None if alone else index)
    side, floor = draw_gap_axes(page, GAPS, TOP, descents)
    draw_gaps(side, floor, descents, style)
    draw_ground_key(page, LEFT, MAP.bottom + 0.56, landscape)
    if alone:
        draw_step_key(page, RIGHT, MAP.bottom + 0.56, descents)
    draw_table(page, table, descents, labels)
    return page


def _draw_values(descents: Sequence[Descent], style: Style, title: str | None, names: list[str], common: str) -> Page:
    """Draw values against steps, names at the lines' ends."""
    landscape = descents[0].landscape
    named = [f"{name} · exploded" if one.exploded else name for one, name in zip(descents, names, strict=True)]
    names = [shortened(name, 2.6, TEXT) for name in named]
    room = max(text_width(name, TEXT) for name in names) + 0.32
    box = Box(LEFT, 0.86, RIGHT - LEFT - room, max(3.0, LINE * len(names)))
    page = Page(WIDTH, box.bottom + 0.56, style)
    _header(page, landscape, title)
    low = landscape.minimum
    told = f"dashed: the minimum, value {number(low)}"
    page.text(box.right, box.top - 0.09, told, SMALL, colour=style.muted, align="right")
    heading = shortened(f"value, {common}" if common else "value", box.width - text_width(told, SMALL) - 0.2, SMALL)
    page.text(LEFT, box.top - 0.09, heading, SMALL, colour=style.muted)
    span = max(float(one.values[0]) for one in descents) - low or 1.0
    axes = page.axes(box, "step", "")
    bottom, top = low - 0.04 * span, low + CEILING * span
    linear_axis(axes.yaxis, bottom, top, most=6)
    step_axis(axes, max(one.steps for one in descents), most=6)
    axes.axhline(low, color=style.muted, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
    ends = []
    for index, (descent, name) in enumerate(zip(descents, names, strict=True)):
        colour, marker = style.class_colour(index), style.class_marker(index)
        values = np.minimum(descent.values, low + 1e3 * span)
        places = np.arange(len(values)) if len(values) <= 500 else thinned(values)
        axes.plot(places, values[places], color=colour, linewidth=1.5, zorder=3)
        height = float(np.clip((values[-1] - bottom) / (top - bottom), 0, 1))
        last = len(values) - 1
        if values[-1] > top:  # where it leaves for good
            last = int(np.flatnonzero(values <= top)[-1])
            low_end, high_end = float(values[last]), float(values[last + 1])
            across = last + (top - low_end) / (high_end - low_end)
            axes.plot([across], [top], marker, color=colour, markersize=4.8, clip_on=False, zorder=4)
        else:
            axes.plot([last], values[-1:], marker, color=colour, markersize=4.8, clip_on=False, zorder=4)
        ends.append((box.bottom - height * box.height, index, name, colour, marker))
    ends.sort()
    baselines = apart([end[0] + 0.035 for end in ends], LINE, box.top + 0.035, box.bottom + 0.035)
    side = page.bare_axes(Box(box.right, box.top, room, box.height))
    side.set(xlim=(0, room), ylim=(box.bottom, box.top))
    for baseline, (end, _, name, colour, marker) in zip(baselines, ends, strict=True):
        if end > box.top:
            side.plot([0.06, 0.15], [end, baseline - 0.035], color=style.rule, linewidth=0.6, clip_on=False)
        side.plot([0.21], [baseline - 0.035], marker, color=colour, markersize=4.2, clip_on=False)
        page.text(box.right + 0.28, baseline, name, TEXT)
    return page
