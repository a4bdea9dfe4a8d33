"""A printed run inside the spread of many: bands over epochs, our run, the book's rows, and where each row falls."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.figures.drawing import PICTURES, drawing, save
from downslope.figures.page import Box, Page, tick_texts
from downslope.figures.scales import limits_of, linear_axis, log_axis, spans_more_than
from downslope.figures.style import SMALL, TEXT, TITLE, Style, number, shortened, styled, text_width
from downslope.files import place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Among", "SpreadSheet", "spread_page"]

WIDTH, HEIGHT = 8.0, 7.2
LEFT, RIGHT, GAP = 0.66, 7.74, 0.60
COLUMN = (RIGHT - LEFT - GAP) / 2
PANEL_HEIGHT, STRIP_HEIGHT = 1.42, 1.0
KEY, ROWS, STRIP = 1.03, (1.42, 3.33), 5.42  # baselines of the key and of the headings
QUANTITIES = {"loss": "Loss", "accuracy": "Accuracy"}
MARKERS = ("o", "D")
EPOCH_TICKS = (0, 100, 500, 1000, 2500, 5000, 10_000)


@dataclass(frozen=True, eq=False)
class Among:
    """Many runs of one kind.

    Attributes
    ----------
    words : str
        What they are: "256 runs, other seeds".
    short : str
        The same for a narrow place: "other seeds".
    epochs : array, shape (n,)
    bands : dict of arrays, shape (5, n)
        The percentiles 5, 25, 50, 75 and 95 over the runs, of "loss" and "accuracy".
    places : dict of arrays, shape (k,)
        The percentile, 0 to 100, at which each printed value falls, of both.
    """

    words: str
    short: str
    epochs: NDArray[np.int64]
    bands: Mapping[str, NDArray[np.float64]]
    places: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class SpreadSheet:
    """What is drawn: one printed run, ours, and two kinds of many.

    Attributes
    ----------
    title : str
    notes : tuple of str
        Two lines under the title.
    epochs : array, shape (k,)
        The printed ones.
    book : dict of arrays, shape (k,)
        The printed "loss" and "accuracy".
    our_epochs : array, shape (m,)
    ours : dict of arrays, shape (m,)
        Our run of the same settings.
    among : tuple of two Among
    """

    title: str
    notes: tuple[str, str]
    epochs: NDArray[np.int64]
    book: Mapping[str, NDArray[np.float64]]
    our_epochs: NDArray[np.int64]
    ours: Mapping[str, NDArray[np.float64]]
    among: tuple[Among, Among]


def spread_page(
    sheet: SpreadSheet,
    path: str | os.PathLike[str] | None = None,
    *,
    style: Literal["light", "dark"] = "light",
) -> Figure:
    """Draw loss and accuracy against epochs, once among each kind of runs, and below where each printed row falls.

    Epochs stand on a square-root scale, as most printed rows are early ones. Both kinds share their vertical axes. In
    the strips a printed value at 0 lies below all runs, one at 100 above all.

    Parameters
    ----------
    sheet : SpreadSheet
        `downslope.book.spread_pictures` makes it for the chapter's runs.
    path : str or path, optional
        Where to write it, by its ending: .png (1600 pixels wide), .svg or .pdf. The file is whole or not there.
    style : "light" or "dark"
        Colours on white or on near black.

    Returns
    -------
    matplotlib.figure.Figure
        8 by 7.2 inches, made without pyplot.

    Raises
    ------
    InputError
        If the style or the ending is unknown, or the file cannot be written.
    """
    if not isinstance(sheet, SpreadSheet):
        raise checks.refuse("sheet", "a SpreadSheet", sheet)
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    with drawing():
        page = Page(WIDTH, HEIGHT, colours)
        width = RIGHT - LEFT
        page.text(LEFT, 0.36, shortened(sheet.title, width / 1.15, TITLE), TITLE, weight="bold")
        page.text(LEFT, 0.58, shortened(sheet.notes[0], width, TEXT), TEXT)
        page.text(LEFT, 0.76, shortened(sheet.notes[1], width, TEXT), TEXT)
        _key(page, sheet)
        for column, (quantity, heading) in enumerate(QUANTITIES.items()):
            left = LEFT + column * (COLUMN + GAP)
            for row, among in enumerate(sheet.among):
                page.heading(left, ROWS[row], heading, [(among.words, colours.class_ink(row))])
                box = Box(left, ROWS[row] + 0.1, COLUMN, PANEL_HEIGHT)
                axes = page.axes(box, "epoch, on a square-root scale" if row else "", "")
                axes.tick_params(axis="y", pad=5.0)  # clear of the dot at epoch 0
                _scale(axes, sheet, quantity)
                _draw(axes, sheet, among, quantity, _colour(colours, row), colours)
            _strip(page, sheet, quantity, left)
        if file is not None:
            save(page.figure, file)
    return page.figure


def _colour(style: Style, row: int) -> str:
    return style.class_colour(row)


def _key(page: Page, sheet: SpreadSheet) -> None:
    """Say in one line what bands, lines and dots are."""
    style, left, middle = page.style, LEFT, KEY - 0.035
    axes = page.bare_axes(Box(0, 0, WIDTH, HEIGHT))
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    for kind, text in (
        ("wide", "9 of 10 runs"),
        ("narrow", "the middle half"),
        ("median", "median"),
        ("ours", "our run of the chapter"),
        ("book", "the book's printed rows"),
    ):
        span = [left, left + 0.24]
        if kind in {"wide", "narrow"}:
            for row in (0, 1):
                edges = (middle - 0.05 + 0.05 * row, middle + 0.05 * row)
                alpha = WIDE if kind == "wide" else NARROW
                axes.fill_between(span, *edges, color=_colour(style, row), alpha=alpha, linewidth=0)
        elif kind == "median":
            for row in (0, 1):
                at = middle - 0.025 + 0.05 * row
                axes.plot(span, [at, at], color=_colour(style, row), linewidth=1.4)
        elif kind == "ours":
            axes.plot(span, [middle, middle], color=style.ink, linewidth=0.9)
        else:
            axes.plot([left + 0.12], [middle], **_dot(style))
        page.text(left + 0.31, KEY, text, SMALL, colour=style.muted)
        left += 0.31 + text_width(text, SMALL) + 0.26


WIDE, NARROW = 0.22, 0.38  # how opaque the bands are; the narrow one lies over the wide one


def _dot(style: Style) -> dict[str, Any]:
    return {
        "marker": "o", "linestyle": "", "markersize": 4.2, "color": style.ink,
        "markeredgecolor": style.background, "markeredgewidth": 0.7, "zorder": 5,
    }  # fmt: skip


def _scale(axes: Axes, sheet: SpreadSheet, quantity: str) -> None:
    """Give the panels of a quantity the same axes."""
    last = float(max(sheet.epochs.max(), sheet.our_epochs.max()))
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0.0)), np.square))
    axes.set_xlim(0, last)
    epochs = [epoch for epoch in EPOCH_TICKS if epoch <= last]
    tick_texts(axes.xaxis, epochs, [f"{epoch:,}" for epoch in epochs])
    drawn = [sheet.book[quantity], sheet.ours[quantity], *(one.bands[quantity].ravel() for one in sheet.among)]
    values = np.concatenate(drawn)
    if quantity == "loss" and spans_more_than(values, 1.0):
        log_axis(axes, values)
        low, high = axes.get_ylim()
        ticks = [10.0**power * factor for power in range(-6, 7) for factor in (1, 2, 5)]
        shown = [tick for tick in ticks if low <= tick <= high]
        tick_texts(axes.yaxis, shown, [number(tick, 2) for tick in shown])
    else:
        linear_axis(axes.yaxis, *limits_of(values, 0.07))


def _draw(axes: Axes, sheet: SpreadSheet, among: Among, quantity: str, colour: str, style: Style) -> None:
    bands = np.where(np.isfinite(among.bands[quantity]), among.bands[quantity], np.nan)
    axes.fill_between(among.epochs, bands[0], bands[4], color=colour, alpha=WIDE, linewidth=0)
    axes.fill_between(among.epochs, bands[1], bands[3], color=colour, alpha=NARROW, linewidth=0)
    axes.plot(among.epochs, bands[2], color=colour, linewidth=1.4, zorder=3)
    axes.plot(sheet.our_epochs, sheet.ours[quantity], color=style.ink, linewidth=0.9, zorder=4)
    axes.plot(sheet.epochs, sheet.book[quantity], clip_on=False, **_dot(style))


def _strip(page: Page, sheet: SpreadSheet, quantity: str, left: float) -> None:
    """Draw the percentile of each printed value among both kinds, the rows side by side."""
    style, count = page.style, len(sheet.epochs)
    notes = [(f"{'●◆'[row]} {among.short}", style.class_ink(row)) for row, among in enumerate(sheet.among)]
    page.heading(left, STRIP, f"The book's {quantity}", notes)
    box = Box(left, STRIP + 0.13, COLUMN, STRIP_HEIGHT)
    axes = page.axes(box, "epoch of the printed row (shaded: 5 to 95)", "percentile")
    axes.axhspan(5, 95, color=style.grid, alpha=0.6, linewidth=0, zorder=0)
    axes.set(xlim=(-0.7, count - 0.3), ylim=(-6, 106))
    tick_texts(axes.yaxis, [0, 50, 100], ["0", "50", "100"])
    tick_texts(axes.xaxis, range(count), [f"{epoch:,}" for epoch in sheet.epochs])
    axes.tick_params(axis="x", labelrotation=90)
    for row, among in enumerate(sheet.among):
        axes.plot(
            np.arange(count) + 0.22 * (2 * row - 1), among.places[quantity], MARKERS[row], color=_colour(style, row),
            markersize=4.0 - 0.4 * row, clip_on=False, markeredgewidth=0, zorder=3,
        )  # fmt: skip
