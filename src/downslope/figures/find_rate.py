"""A range test of learning rates: the loss against the rate, what it suggests, and where training explodes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.figures.drawing import PICTURES, drawing, save
from downslope.figures.page import Box, Page, tick_texts
from downslope.figures.scales import (
    limits_of,
    linear_axis,
    log_axis,
    log_ticks,
    spans_more_than,
    steps_between,
    tick_numbers,
)
from downslope.figures.style import (
    HEADING,
    SMALL,
    TEXT,
    TITLE,
    Style,
    number,
    readable,
    shortened,
    styled,
    text_width,
)
from downslope.files import place
from downslope.rules.text import code_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from downslope.training.rate_test import RateTest

__all__ = ["find_rate_picture"]

WIDTH, HEIGHT, LEFT, RIGHT = 8.0, 4.4, 0.66, 7.72
SETTINGS, LINE, MOST_LINES = 0.75, 0.16, 3  # inches from the upper edge; from line to line
ROW, WHISKER, STRIP, FOOT = 0.19, 0.12, 0.26, 0.5  # heights: words; a range below them; the trials; below the plot
LANES = {False: 0.36, True: 0.64}  # of the strip from above: where the dots are, and the crosses
BELOW_HEADING = 0.13
GAP, SAMPLE = 0.09, 0.2  # between parts of a legend; a piece of line in it
ABOVE, BELOW = 0.6, 0.12  # of the smoothed loss's fall: how far the axis goes beyond it
NARROWEST = 1.001  # the largest rate over the smallest


def find_rate_picture(
    test: RateTest,
    path: str | os.PathLike[str] | None = None,
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
    others: Sequence[RateTest] = (),
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
        In place of the data's name.
    others : sequence of RateTest
        Of the same with other seeds: thin lines span all their suggestions and thresholds, and those of `test`.

    Returns
    -------
    matplotlib.figure.Figure
        8 by 4.4 inches, made without pyplot.

    Raises
    ------
    InputError
        If `test` or one of `others` is none, the style or the ending is unknown, or the file cannot be written.
    """
    from downslope.training.rate_test import RateTest

    if not isinstance(test, RateTest):
        raise checks.refuse("test", "what find_rate returns", test)
    if not isinstance(others, Sequence) or not all(isinstance(other, RateTest) for other in others):
        raise checks.refuse("others", "a list of what find_rate returns", others)
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
        lines = _settings(test, width)
        for at, line in enumerate(lines):
            page.text(LEFT, SETTINGS + LINE * at, line, SMALL, colour=colours.muted)
        _draw(page, [test, *others], SETTINGS + LINE * (len(lines) - 1) + 0.31)
        if file is not None:
            save(page.figure, file)
    return page.figure


def _results(test: RateTest) -> str:
    """Return what was found in a line."""
    told = "No suggestion" if test.suggestion is None else f"Suggestion {number(test.suggestion, 2)}"
    if test.lower_bound:
        told += ", a lower bound: the loss was still falling at the end"
    if test.threshold is not None and test.held is not None:
        found = f"holds at {number(test.held, 3)}, explodes from {number(test.threshold, 3)} on"
    elif test.threshold is not None:
        found = f"explodes already at {number(test.threshold, 3)}, the smallest rate tried: smaller ones must be tested"
    elif test.held is not None:
        found = f"no explosion up to {number(test.held, 3)}"
    else:
        return told
    return f"{told}  ·  {found}"


def _settings(test: RateTest, width: float) -> list[str]:
    """Return the optimizer and what was tested, on as many lines as they need."""
    lines = [code_text(test.optimizer, rate=False, caption=True)]
    for part in test.details.split("  ·  "):
        longer = f"{lines[-1]}  ·  {part}"
        if text_width(longer, SMALL) <= width or len(lines) == MOST_LINES:
            lines[-1] = longer
        else:
            lines.append(part)
    return [shortened(line, width, SMALL) for line in lines]


class _Scale(NamedTuple):
    """The axis of rates: its ends."""

    low: float
    high: float

    def inches(self, rate: float) -> float:
        """Return how far from the page's left edge a rate is."""
        return LEFT + (RIGHT - LEFT) * math.log(rate / self.low) / math.log(self.high / self.low)


class _Mark(NamedTuple):
    """A rate that was found, in inches from the left: itself, and the ends of the range over seeds."""

    text: str
    at: float
    ends: tuple[float, float]
    colour: str
    dashed: bool
    left: bool  # whether its words are on its left


def _draw(page: Page, tests: Sequence[RateTest], baseline: float) -> None:
    """Draw the legend at the baseline, and below it words of the marks, the trials and the curve."""
    test, style = tests[0], page.style
    scale = _scale(tests)
    marks = _marks(tests, scale, style)
    key = _key(test, style)
    key_at = _free(test, scale, sum(text_width(text, SMALL) + GAP for text, _ in key)) if key else None
    top = baseline + BELOW_HEADING + (ROW if key and key_at is None else 0.0)  # the key has a line of its own
    rows = [top + (ROW + WHISKER * (len(tests) > 1)) * at for at in range(_rows_of(marks) + 1)]
    strip = Box(LEFT, rows[-1], RIGHT - LEFT, STRIP if key else 0.0)
    box = Box(LEFT, strip.bottom, strip.width, HEIGHT - FOOT - strip.bottom)
    sheet = page.bare_axes(Box(0, 0, WIDTH, HEIGHT))  # for what is not in the plot alone, in inches
    sheet.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0), zorder=-1)
    axes = page.axes(box, "learning rate", "")
    _rates_axis(axes, scale)
    notes = _curves(axes, test, style)
    if test.threshold is not None:
        last = max([*test.rates[-1:].tolist(), *(trial.rate for trial in test.trials)])
        axes.axvspan(test.threshold, last, color=style.positive, alpha=0.09, linewidth=0)
    _legend(page, sheet, baseline, test, notes)
    # Of two marks in two rows, the lower one's words are not where the upper one's line comes down.
    upper = marks if len(rows) < 3 or not marks[0].left else marks[::-1]
    for at, mark in enumerate(upper):
        _draw_mark(page, sheet, mark, rows[min(at, len(rows) - 2)], strip, box)
    if not key:
        return
    left, line = (key_at, strip.top + strip.height / 2 + 0.035) if key_at is not None else (LEFT, top - ROW + 0.09)
    for text, colour in key:
        page.text(left, line, text, SMALL, colour=colour)
        left += text_width(text, SMALL) + GAP
    for trial in test.trials:
        sheet.plot(
            [scale.inches(trial.rate)], [strip.top + LANES[trial.exploded] * strip.height],
            "x" if trial.exploded else "o", color=style.positive if trial.exploded else style.muted,
            markersize=3.6, markeredgewidth=1.1 if trial.exploded else 0.0,
        )  # fmt: skip


def _scale(tests: Sequence[RateTest]) -> _Scale:
    """Return an axis over all rates that were tried or found."""
    test = tests[0]
    rates = [*test.rates[:1].tolist(), *test.rates[-1:].tolist(), *(trial.rate for trial in test.trials)]
    for one in tests:
        rates += [rate for rate in (one.suggestion, one.threshold) if rate is not None]
    low, high = (min(rates), max(rates)) if rates else (0.1, 1.0)
    if high < NARROWEST * low:
        low, high = low / NARROWEST, high * NARROWEST
    room = (high / low) ** 0.02
    first = (test.suggestion, test.threshold)
    return _Scale(low / room if low in first else low, high * room)  # a mark at the edge would be taken for the edge


def _marks(tests: Sequence[RateTest], scale: _Scale, style: Style) -> list[_Mark]:
    """Return what was found: the suggestion and the threshold, as far as there are any."""
    test = tests[0]
    words = "suggestion ≥" if test.lower_bound else "suggestion"
    explodes = "explodes already at" if test.held is None else "explodes from"
    marks = []
    for says, name, digits, colour in (
        (words, "suggestion", 2, style.class_colour(0)),
        (explodes, "threshold", 3, style.positive),
    ):
        rate = getattr(test, name)
        if rate is None:
            continue
        every = [found for one in tests if (found := getattr(one, name)) is not None]
        text = f"{says} {number(rate, digits)}"
        if len(tests) > 1:
            text += f" ({number(min(every), digits)} to {number(max(every), digits)} over {len(tests)} seeds)"
        at, wide, dashed = scale.inches(rate), text_width(text, TEXT) + 0.1, name == "threshold"
        left = at + wide > RIGHT if dashed else at - wide > LEFT
        marks.append(_Mark(text, at, (scale.inches(min(every)), scale.inches(max(every))), colour, dashed, left))
    return marks


def _rows_of(marks: Sequence[_Mark]) -> int:
    """Return on how many lines the words of the marks are: on one if they are apart there."""
    if len(marks) < 2:
        return len(marks)
    one, other = marks
    return 1 if one.left and not other.left and one.ends[1] + 0.1 < other.ends[0] else 2


def _draw_mark(page: Page, sheet: Axes, mark: _Mark, top: float, strip: Box, box: Box) -> None:
    """Draw a line from its words down, but not through the trials, and the range over seeds across it."""
    heights = [top, strip.top, math.nan if strip.height else strip.top, box.top, box.bottom]
    pattern = (0, (4, 2)) if mark.dashed else "-"
    sheet.plot([mark.at] * 5, heights, color=mark.colour, linewidth=1.3, linestyle=pattern)
    if mark.ends[0] < mark.ends[1]:
        height = top + ROW + WHISKER / 2 - 0.03
        sheet.plot(mark.ends, [height] * 2, "|-", color=mark.colour, linewidth=0.8, markersize=4.5, markeredgewidth=0.8)
    page.text(
        mark.at - 0.06 if mark.left else mark.at + 0.06, top + 0.1, mark.text, TEXT,
        colour=readable(mark.colour, page.style.background), align="right" if mark.left else "left",
    )  # fmt: skip


def _key(test: RateTest, style: Style) -> list[tuple[str, str]]:
    """Return what tells the trials' marks, each part with its colour; nothing where there are none."""
    if not test.trials:
        return []
    key = [(f"{test.hold:,} updates at each rate:", style.muted)]
    if not all(trial.exploded for trial in test.trials):
        key.append(("● held", style.muted))
    if test.threshold is not None:
        key.append(("× exploded", readable(style.positive, style.background)))
    return key


def _free(test: RateTest, scale: _Scale, wide: float) -> float | None:
    """Return where beside the trials there is room so wide: before them, or else after them."""
    rates = [*(trial.rate for trial in test.trials), *([] if test.suggestion is None else [test.suggestion])]
    first, last = scale.inches(min(rates)) - 0.1, scale.inches(max(rates)) + 0.15
    if first - wide >= LEFT:
        return first - wide
    return last if last + wide <= RIGHT else None


def _legend(page: Page, sheet: Axes, baseline: float, test: RateTest, notes: Iterable[str]) -> None:
    """Write the curve's heading, what its lines are, and on the right what else must be known of it."""
    style, left = page.style, LEFT + text_width("Loss", HEADING) * 1.14 + 0.1
    page.heading(LEFT, baseline, "Loss")
    if not len(test.rates):
        return
    text = "one update at each rate:"
    page.text(left, baseline, text, SMALL, colour=style.muted)
    left += text_width(text, SMALL) + GAP
    for text, width, colour in (("smoothed", 1.7, style.ink), ("each step", 0.8, style.muted)):
        sheet.plot([left, left + SAMPLE], [baseline - 0.035] * 2, color=colour, linewidth=width)
        page.text(left + SAMPLE + 0.05, baseline, text, SMALL, colour=colour)
        left += SAMPLE + 0.05 + text_width(text, SMALL) + GAP
    page.text(RIGHT, baseline, "  ·  ".join(notes), SMALL, colour=style.muted, align="right")


def _rates_axis(axes: Axes, scale: _Scale) -> None:
    axes.set_xscale("log")
    axes.set_xlim(*scale)
    ticks = log_ticks(*scale, most=9)
    if len(ticks) > 1:
        tick_texts(axes.xaxis, ticks, [number(tick, 3) for tick in ticks])
    else:
        ticks = steps_between(*scale)
        tick_texts(axes.xaxis, ticks, tick_numbers(ticks))


def _curves(axes: Axes, test: RateTest, style: Style) -> list[str]:
    """Draw losses and their smoothed line; return what a reader must know about them."""
    rates, losses, smooth = test.rates, test.losses, test.smoothed
    if not len(rates):
        axes.set(ylim=(0, 1))
        tick_texts(axes.yaxis, [], [])
        why = "not finite at the first rate" if test.ended == "not finite" else "no rate was tried"
        axes.text(0.5, 0.5, why, transform=axes.transAxes, fontsize=TEXT,
                  color=style.muted, ha="center", va="center")  # fmt: skip
        return []
    lowest = int(smooth.argmin())
    least, most = float(smooth[lowest]), float(smooth[: lowest + 1].max())
    if not lowest:  # it only rose
        most = float(smooth.max())
    highest = max(float(losses.max()), float(smooth.max()))
    top = min(most + ABOVE * (most - least), highest + 0.04 * (highest - least))
    # Once the smoothed line has left for good, single steps would only be loose spikes.
    until = int(np.flatnonzero(smooth <= top)[-1]) + 2
    shown = np.concatenate([losses[:until], smooth[:until]])
    shown = shown[shown <= top]
    note = _vertical_axis(axes, shown, float(shown.min()) - BELOW * (most - least), top)
    axes.plot(rates[:until], losses[:until], color=style.muted, linewidth=0.8, alpha=0.75)
    axes.plot(rates, smooth, color=style.ink, linewidth=1.7)
    notes = [note] if note else []
    if test.lowest is not None:
        axes.plot([test.lowest], [least], "o", markersize=6.5, markerfacecolor="none",
                  markeredgecolor=style.ink, markeredgewidth=1.2, clip_on=False, zorder=4)  # fmt: skip
        notes.insert(0, f"○ lowest smoothed {number(least, 3)} at {number(test.lowest, 2)}")
    if losses.max() > 1.02 * top:
        notes.append(f"each step rises to {number(float(losses.max()), 2)}")
    return notes


def _vertical_axis(axes: Axes, shown: NDArray[np.float64], bottom: float, top: float) -> str:
    """Set scale, limits and ticks; return what a reader must know about them, or nothing."""
    if spans_more_than(shown, 2.0):
        log_axis(axes, shown)
        return "log scale"
    low, high = limits_of(np.array([bottom, top]), 0.0)
    linear_axis(axes.yaxis, 0.0 if low < 0.4 * high else low, high)
    return ""
