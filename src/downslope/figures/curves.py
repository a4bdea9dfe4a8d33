"""Loss, score and learning rate against epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.figures.marks import ROWS, draw_marks, draw_undone, marks_of
from downslope.figures.page import Box, Page, tick_texts
from downslope.figures.panel import Detail, Panel
from downslope.figures.scales import limits_of, linear_axis, log_axis, spans_more_than, steps_between, straighter_as_log
from downslope.figures.style import SMALL, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from downslope.training import Run

__all__ = ["draw_curves", "thinned"]

MOST_POINTS = 2000
DETAIL = Detail(points=MOST_POINTS)
LOWEST_R2 = -1.0  # worse than this is only "very bad", and would press the rest of the curve flat
SCORES = {"accuracy": "Accuracy", "r2": "R²"}


def thinned(values: NDArray[Any], most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Return at most `most` places of a series, ascending: first, last, and the extremes of equal pieces between.

    Places that are not finite are kept only where a whole piece is not finite, so that a gap shows as a gap.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    pieces = np.array_split(np.arange(count), (most - 2) // 2)
    places = [0, count - 1]
    for piece in pieces:
        finite = piece[np.isfinite(values[piece])]
        if len(finite):
            places += [int(finite[values[finite].argmin()]), int(finite[values[finite].argmax()])]
        else:
            places.append(int(piece[0]))
    return np.unique(places)


def draw_curves(page: Page, run: Run, boxes: tuple[Box, Box, Box], baseline: float, detail: Detail = DETAIL) -> Panel:
    """Draw the three curves into their boxes, with headings at a common baseline.

    At another moment they are as long as its epochs; their axes stay those of the whole history. What was done to the
    run, and undone, is marked.
    """
    history, score, marks = run.history, run.history.score_name, marks_of(run)
    undone = np.array([rate for one in marks.undone for rate in (one.rate, one.after) if rate is not None])
    lowered = [_lowered(box, ROWS[marks.rows - 1] if marks.rows else 0.0) for box in boxes]
    validated = run.problem.validation is not None
    names = [("training", page.style.ink), ("validation", page.style.validation)] if validated else []
    grown: list[_Grown] = []
    for box, heading, name in zip(
        lowered, ("Loss", SCORES[score], "Learning rate"), ("loss", score, "learning_rate"), strict=True
    ):
        measured = name != "learning_rate"
        page.heading(box.left, baseline, heading, names if name == "loss" else [])
        axes = page.axes(box, "epoch", "")
        lines = [(np.asarray(getattr(history, name)), page.style.ink)]
        if validated and measured:
            lines.append((np.asarray(getattr(history, f"validation_{name}")), page.style.validation))
        if not len(history):
            _nothing_yet(page, axes)
            continue
        values = np.concatenate([line for line, _ in lines])
        note = _vertical_axis(axes, name, values) if measured else _rate_axis(axes, values, undone)
        _epoch_axis(axes, len(history))
        draw_marks(page, axes, box, marks)
        if not measured:
            draw_undone(page, axes, box, marks)
        low, high = axes.get_ylim()
        for line, colour in reversed(lines):
            places = thinned(line, detail.points)
            heights = _finite(line)
            (drawn,) = axes.plot(
                places, heights[places], color=colour, linewidth=1.1 if len(history) < MOST_POINTS else 0.8
            )
            last, inside = float(line[-1]), (line >= low) & (line <= high)
            (end,) = axes.plot([len(line) - 1], [last], "o", color=colour, markersize=3.2, clip_on=False, zorder=3)
            end.set_visible(bool(inside[-1]))
            grown.append(_Grown(drawn, end, places, heights, inside))
        lost = int(np.count_nonzero(~np.isfinite(values)))
        if lost:
            note = _join(note, f"{lost:,} not finite" if lost < len(values) else "undefined")
        if note:
            page.text(box.right, baseline, note, SMALL, colour=page.style.muted, align="right")

    def show(moment: Run) -> None:
        for each in grown:
            each.show(moment.epoch)

    return Panel([artist for each in grown for artist in (each.line, each.end)], show)


class _Grown(NamedTuple):
    """A curve that can be shown up to any epoch: the line, the dot at its end, the places drawn and all heights."""

    line: Line2D
    end: Line2D
    places: NDArray[np.int64]
    heights: NDArray[Any]
    inside: NDArray[np.bool_]

    def show(self, epochs: int) -> None:
        """Show the first so many epochs."""
        places = self.places[: np.searchsorted(self.places, epochs)]
        last = epochs - 1
        if epochs and places[-1] != last:
            places = np.append(places, last)
        self.line.set_data(places, self.heights[places])
        self.end.set_data([last], [self.heights[last]])
        self.end.set_visible(bool(epochs and self.inside[last]))


def _finite(line: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.where(np.isfinite(line), line, np.nan))


def _nothing_yet(page: Page, axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1))
    tick_texts(axes.xaxis, [0], ["0"])
    tick_texts(axes.yaxis, [], [])
    axes.text(0.5, 0.5, "before training", fontsize=SMALL, color=page.style.muted, ha="center", va="center")


def _epoch_axis(axes: Axes, epochs: int) -> None:
    if epochs == 1:
        axes.set_xlim(-0.5, 0.5)
        tick_texts(axes.xaxis, [0], ["0"])
        return
    axes.set_xlim(0, epochs)
    ticks = [tick for tick in steps_between(0, epochs) if tick == int(tick)]
    tick_texts(axes.xaxis, ticks, [f"{tick:,.0f}" for tick in ticks])


def _vertical_axis(axes: Axes, name: str, values: NDArray[Any]) -> str:
    """Set scale, limits and ticks; return what a reader must know about them, or nothing."""
    finite = values[np.isfinite(values)]
    if name == "accuracy":
        lowest = float(finite.min()) if len(finite) else 0.0
        bottom = next(edge for edge in (0.9, 0.5, 0.0) if edge <= max(lowest, 0.0))
        room = 0.03 * (1 - bottom)
        linear_axis(axes.yaxis, bottom - room, 1 + room)
    elif name == "r2":
        low = max(limits_of(finite)[0], LOWEST_R2) if len(finite) else 0.0
        high = 1.0 if not len(finite) or finite.max() > LOWEST_R2 else 0.0
        linear_axis(axes.yaxis, min(low, 0.0), high + 0.03)
        return f"cut at {number(LOWEST_R2)}" if (finite < LOWEST_R2).any() else ""
    elif spans_more_than(values, 2.0):
        log_axis(axes, values)
        return "log scale"
    else:
        low, high = limits_of(values)
        linear_axis(axes.yaxis, 0.0 if finite.min(initial=0.0) >= 0 and low < 0.4 * high else low, high)
    return ""


def _rate_axis(axes: Axes, rates: NDArray[Any], undone: NDArray[Any]) -> str:
    """Set scale, limits and ticks for the rates of the history and those undone, which may be decades away."""
    every = np.concatenate([rates, undone])
    lowest, highest, top = float(rates.min()), float(rates.max()), float(every.max())
    if top > 10 * highest > 0 or (spans_more_than(rates, 1.0) and straighter_as_log(rates)):
        positive = every[every > 0]
        span = top / float(positive.min())
        # A cross stands below the marks at the upper edge.
        log_axis(axes, np.append(positive, top * span**0.1) if len(undone) else every)
        if lowest == highest:
            apart = span**0.2
            decades = [tick for tick in axes.get_yticks() if apart * highest < tick < top / apart]
            ticks = [highest, *decades, top]
            tick_texts(axes.yaxis, ticks, [number(tick, 3) for tick in ticks])
        return "log scale"
    linear_axis(axes.yaxis, 0.0, 1.15 * top)
    if lowest == top:
        tick_texts(axes.yaxis, [0.0, top], ["0", number(top, 3)])
    return ""


def _lowered(box: Box, room: float) -> Box:
    """Return a box with room above it, which a second row of marks takes."""
    return box._replace(top=box.top + room, height=box.height - room)


def _join(*notes: str) -> str:
    return ", ".join(note for note in notes if note)
