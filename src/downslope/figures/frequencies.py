"""How often statements hold: a line for each, with a dot and an interval for each kind of runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from downslope import checks
from downslope.figures.drawing import PICTURES, drawing, save
from downslope.figures.page import Box, Page, tick_texts
from downslope.figures.style import SMALL, TEXT, TITLE, percent, shortened, styled, text_width
from downslope.files import place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Statement", "frequencies_page"]

WIDTH, LEFT, RIGHT = 8.0, 0.4, 7.74
PLOT, NUMBERS = 4.42, 0.5  # where the axes begin, and how wide the numbers right of them are
TOP, HEADING, ROW, AFTER = 1.02, 0.3, 0.325, 0.14
MARKERS = ("o", "D")
SIGNS = "●◆"


class Statement(NamedTuple):
    """Something that is so in some runs.

    Attributes
    ----------
    says : str
        In a few words.
    definition : str
        When it is so.
    shares : tuple of (share, low, high)
        For each kind of runs, between 0 and 1, with the ends of an interval.
    """

    says: str
    definition: str
    shares: tuple[tuple[float, float, float], ...]


def frequencies_page(
    title: str,
    subtitle: str,
    groups: Mapping[str, Sequence[Statement]],
    kinds: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    style: Literal["light", "dark"] = "light",
) -> Figure:
    """Draw statements below one another, in groups, with the share of runs of each kind in which they hold.

    Parameters
    ----------
    title, subtitle : str
    groups : dict of sequences of Statement
        By heading.
    kinds : sequence of one or two str
        What the kinds of runs are called.
    path : str or path, optional
        Where to write it, by its ending: .png (1600 pixels wide), .svg or .pdf. The file is whole or not there.
    style : "light" or "dark"
        Colours on white or on near black.

    Returns
    -------
    matplotlib.figure.Figure
        8 inches wide, as high as it takes, made without pyplot.

    Raises
    ------
    InputError
        If the style or the ending is unknown, or the file cannot be written.
    """
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    if not groups or not all(groups.values()):
        raise checks.refuse("groups", "headings with at least one statement each", groups)
    height = TOP + sum(HEADING + ROW * len(rows) + AFTER for rows in groups.values()) + 0.32
    with drawing():
        page = Page(WIDTH, height, colours)
        page.text(LEFT, 0.36, shortened(title, (RIGHT - LEFT) / 1.15, TITLE), TITLE, weight="bold")
        page.text(LEFT, 0.58, shortened(subtitle, RIGHT - LEFT, TEXT), TEXT)
        left = LEFT
        for kind, name in enumerate(kinds):
            page.text(left, 0.8, entry := f"{SIGNS[kind]} {name}", TEXT, colour=colours.class_ink(kind))
            left += text_width(entry, TEXT) + 0.25
        top = TOP
        for number, (heading, rows) in enumerate(groups.items()):
            page.heading(LEFT, top + 0.18, heading)
            last = number == len(groups) - 1
            box = Box(PLOT, top + HEADING, RIGHT - NUMBERS - PLOT, ROW * len(rows))
            axes = page.axes(box, "share of the runs" if last else "", "")
            _draw(page, axes, box, rows)
            top = box.bottom + AFTER
        if file is not None:
            save(page.figure, file)
    return page.figure


def _draw(page: Page, axes: Axes, box: Box, rows: Sequence[Statement]) -> None:
    style, count = page.style, len(rows)
    axes.set(xlim=(-0.02, 1.02), ylim=(count, 0))
    tick_texts(axes.xaxis, [0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    tick_texts(axes.yaxis, [], [])
    axes.grid(visible=True, axis="x", color=style.grid, linewidth=0.6)
    for line, row in enumerate(rows):
        if line % 2 == 0:
            axes.axhspan(line, line + 1, color=style.grid, alpha=0.45, linewidth=0, zorder=0)
        at = box.top + ROW * line
        page.text(LEFT, at + 0.14, shortened(row.says, PLOT - LEFT - 0.15, TEXT), TEXT)
        page.text(LEFT, at + 0.265, shortened(row.definition, PLOT - LEFT - 0.15, SMALL), SMALL, colour=style.muted)
        for kind, (share, low, high) in enumerate(row.shares):
            y, colour = line + 0.32 + 0.36 * kind, style.class_colour(kind)
            axes.plot([low, high], [y, y], color=colour, linewidth=1.6, alpha=0.6, zorder=2)
            axes.plot([share], [y], MARKERS[kind], color=colour, markersize=4.4, markeredgecolor=style.background,
                      markeredgewidth=0.6, clip_on=False, zorder=3)  # fmt: skip
            page.text(
                RIGHT, at + 0.14 + 0.125 * kind, percent(share), SMALL, colour=style.class_ink(kind), align="right"
            )
