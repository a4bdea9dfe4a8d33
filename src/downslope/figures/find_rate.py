"""A range test of learning rates: the loss against the rate, what it suggests, and where training explodes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.figures.drawing import PICTURES, drawing, save
from downslope.figures.page import Box, Page, tick_texts
from downslope.figures.scales import limits_of, linear_axis, log_axis, log_ticks, spans_more_than
from downslope.figures.style import SMALL, TEXT, TITLE, Style, number, readable, shortened, styled, text_width
from downslope.files import place
from downslope.rules.text import code_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from downslope.training.rate_test import RateTest

__all__ = ["find_rate_picture"]

WIDTH, HEIGHT, LEFT, RIGHT = 8.0, 4.4, 0.66, 7.72
HEADING, LABELS, ROW, STRIP, PLOT = 1.06, 1.34, 0.19, 0.2, 1.74  # inches from the upper edge
ABOVE, BELOW = 0.6, 0.12  # of the smoothed loss's fall: how far the axis goes beyond it


def find_rate_picture(
    test: RateTest,
    path: str | os.PathLike[str] | None = None,
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
) -> Figure:
    """Draw a range test: loss and smoothed loss against the rate, the suggestion, and the rates that explode.

    Above the curve stand the constant rates that were tried: a dot for each that held, a cross for each that exploded.

    Parameters
    ----------
    test : RateTest
        Of `downslope.find_rate`.
    path : str or path, optional
        Where to write it: .png, .svg or .pdf. The file is whole or not there.
    style : "light" or "dark"
        Colours on white or on near black.
    title : str, optional
        In place of the data's name and the network.

    Returns
    -------
    matplotlib.figure.Figure
        8 by 4.4 inches, made without pyplot.

    Raises
    ------
    InputError
        If `test` is none, the style or the ending is unknown, or the file cannot be written.
    """
    from downslope.training.rate_test import RateTest

    if not isinstance(test, RateTest):
        raise checks.refuse("test", "what find_rate returns", test)
    if title is not None:
        checks.text("title", title)
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    with drawing():
        page = Page(WIDTH, HEIGHT, colours)
        width = RIGHT - LEFT
        page.text(
            LEFT, 0.36, shortened(title or f"Learning rates: {test.title}", width / 1.15, TITLE), TITLE, weight="bold"
        )
        page.text(LEFT, 0.58, _results(test), TEXT)
        page.text(LEFT, 0.75, shortened(_settings(test), width, SMALL), SMALL, colour=colours.muted)
        _draw(page, test)
        if file is not None:
            save(page.figure, file)
    return page.figure


def _results(test: RateTest) -> str:
    """Return what was found in a line."""
    told = "No suggestion" if test.suggestion is None else f"Suggestion {number(test.suggestion, 2)}"
    if test.threshold is not None:
        found = f"training explodes from {number(test.threshold, 3)} on"
        if test.held is not None:
            found += f", holds at {number(test.held, 3)}"
    elif test.held is not None:
        found = f"no explosion up to {number(test.held, 3)}"
    else:
        return told
    return f"{told}  ·  {found} ({test.hold:,} updates at one rate)"


def _settings(test: RateTest) -> str:
    return f"{code_text(test.optimizer, rate=False)}  ·  {test.details}"


def _draw(page: Page, test: RateTest) -> None:
    style = page.style
    box = Box(LEFT, PLOT, RIGHT - LEFT, HEIGHT - PLOT - 0.5)
    notes = [("smoothed", style.ink), ("each step", style.muted)] if len(test.rates) else []
    if test.held is not None:
        notes.append(("● held", style.muted))
    if test.threshold is not None:
        notes.append(("× exploded", readable(style.positive, style.background)))
    page.heading(LEFT, HEADING, "Loss", notes)
    axes = page.axes(box, "learning rate", "")
    low, high = _rates_axis(axes, test)
    if len(test.rates):
        note = _curves(axes, test, style)
    else:
        axes.set(ylim=(0, 1))
        tick_texts(axes.yaxis, [], [])
        why = "not finite at the first rate" if test.ended == "not finite" else "no rate was tried"
        axes.text(0.5, 0.5, why, transform=axes.transAxes, fontsize=TEXT,
                  color=style.muted, ha="center", va="center")  # fmt: skip
        note = ""
    if test.lowest is not None:
        least = f"○ lowest smoothed loss {number(float(test.smoothed.min()), 3)} at {number(test.lowest, 2)}"
        note = "  ·  ".join(part for part in (least, note) if part)
    if note:
        page.text(box.right, HEADING, note, SMALL, colour=style.muted, align="right")
    strip = page.bare_axes(Box(LEFT, PLOT - STRIP, box.width, STRIP))
    strip.set(xscale="log", xlim=(low, high), ylim=(0, 1))
    for exploded, marker, colour in ((False, "o", style.muted), (True, "x", style.positive)):
        rates = [trial.rate for trial in test.trials if trial.exploded == exploded]
        strip.plot(rates, [0.5] * len(rates), marker, color=colour, markersize=3.6, markeredgewidth=1.1, clip_on=False)
    marks = [
        ("suggestion", test.suggestion, style.class_colour(0), 1),
        ("explodes from", test.threshold, style.positive, 0),
    ]
    for words, rate, colour, row in marks:
        if rate is None or not low <= rate <= high:
            continue
        top = LABELS + ROW * row - 0.1
        share = float(np.log(rate / low) / np.log(high / low))
        whole = page.bare_axes(Box(LEFT, top, box.width, box.bottom - top))
        whole.set(xlim=(0, 1), ylim=(0, 1), zorder=0)
        whole.plot([share, share], [0, 1], color=colour, linewidth=1.3, linestyle="-" if row else (0, (4, 2)))
        text = f"{words} {number(rate, 2 if row else 3)}"
        at, wide = LEFT + share * box.width, text_width(text, TEXT) + 0.1
        left = at - wide > LEFT if row else at + wide > box.right
        page.text(
            at - 0.06 if left else at + 0.06, top + 0.1, text, TEXT, colour=readable(colour, style.background),
            align="right" if left else "left",
        )  # fmt: skip
    if test.threshold is not None and test.threshold < high:
        axes.axvspan(test.threshold, high, color=style.positive, alpha=0.09, linewidth=0)


def _rates_axis(axes: Axes, test: RateTest) -> tuple[float, float]:
    """Make the x axis logarithmic over all rates that were tried; return its ends."""
    rates = [*test.rates[[0, -1]].tolist()] if len(test.rates) else []
    rates += [trial.rate for trial in test.trials]
    rates += [] if test.suggestion is None else [test.suggestion]
    low, high = (min(rates), max(rates)) if rates else (0.1, 1.0)
    if high <= low * 1.01:
        low, high = low / 2, high * 2
    high *= (high / low) ** 0.02
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = log_ticks(low, high, most=9)
    tick_texts(axes.xaxis, ticks, [number(tick, 3) for tick in ticks])
    return low, high


def _curves(axes: Axes, test: RateTest, style: Style) -> str:
    """Draw losses and their smoothed line; return what a reader must know about the scale."""
    rates, losses, smooth = test.rates, test.losses, test.smoothed
    place = int(smooth.argmin())
    least, most = float(smooth[place]), float(smooth[: place + 1].max())
    if not place:  # it only rose
        most = float(smooth.max())
    everything = np.concatenate([losses, smooth])
    highest = float(everything.max())
    top = min(most + ABOVE * (most - least), highest + 0.04 * (highest - least))
    shown = everything[everything <= top]
    note = _vertical_axis(axes, shown, least - BELOW * (most - least), top)
    axes.plot(rates, losses, color=style.muted, linewidth=0.8, alpha=0.75)
    axes.plot(rates, smooth, color=style.ink, linewidth=1.7)
    if test.lowest is not None:
        axes.plot([test.lowest], [least], "o", markersize=6.5, markerfacecolor="none",
                  markeredgecolor=style.ink, markeredgewidth=1.2, clip_on=False, zorder=4)  # fmt: skip
    if losses.max() > 1.02 * top:
        note = ", ".join(part for part in (note, f"rises to {number(float(losses.max()), 2)}") if part)
    return note


def _vertical_axis(axes: Axes, shown: NDArray[np.float64], bottom: float, top: float) -> str:
    """Set scale, limits and ticks; return what a reader must know about them, or nothing."""
    if spans_more_than(shown, 2.0):
        log_axis(axes, shown)
        return "log scale"
    low, high = limits_of(np.array([bottom, top]), 0.0)
    linear_axis(axes.yaxis, 0.0 if low < 0.4 * high else low, high)
    return ""
