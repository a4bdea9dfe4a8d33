"""The panels of a comparison: medians with bands, names at the lines, and a row for each optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.figures.curves import LOWEST_R2, SCORES
from downslope.figures.page import Box, Page, apart, tick_texts
from downslope.figures.scales import (
    limits_of,
    linear_axis,
    log_axis,
    log_ticks,
    spans_more_than,
    steps_between,
)
from downslope.figures.style import SMALL, Style, number, percent, shortened

if TYPE_CHECKING:
    import polars
    from matplotlib.axes import Axes

__all__ = ["HEADER", "ROW", "Line", "draw_bands", "draw_names", "draw_rows", "ended_at"]

HEADER, ROW = 0.1, 0.25  # above the first row; each row
NAME_HEIGHT = 0.135
COLUMNS = (("median", 0.72), ("score", 0.72), ("reached", 1.36), ("exploded", 0.66))
NAMES, STRIP_GAP = 1.76, 0.16
MOST_LARGE_DOTS = 64
GOLDEN = (math.sqrt(5) - 1) / 2
HIGHEST = 1.5  # times the highest first loss: what lies beyond is cut
NARROW = 0.1  # of the highest first loss: where explosions leave less than that, the axis goes from 0 to the cut
TWICE = 2.0  # the first loss: a final loss above it is an explosion
LOWEST = 1e-8  # times the highest loss: on a log scale what lies below, as 0, stands at the edge


class Line(NamedTuple):
    """How one optimizer is drawn.

    Attributes
    ----------
    label : str
        What it is called in the tables.
    name : str
        What is written of it.
    rank : int
        Its place by median loss, from 0.
    colour : int or None
        Its place among the colours; None for grey.
    number : int or None
        What its name begins with, where names would look alike.
    """

    label: str
    name: str
    rank: int
    colour: int | None
    number: int | None = None

    def paint(self, style: Style) -> str:
        """Return its colour."""
        return style.rule if self.colour is None else style.class_colour(self.colour)


class _Curve(NamedTuple):
    epochs: NDArray[np.int64]
    median: NDArray[np.float64]
    inner: tuple[NDArray[np.float64], NDArray[np.float64]]
    outer: tuple[NDArray[np.float64], NDArray[np.float64]]


def draw_bands(
    page: Page,
    box: Box,
    baseline: float,
    lines: Sequence[Line],
    curves: polars.DataFrame,
    quantity: str,
    first: float = math.inf,
    *,
    last: int = 0,
    ended: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:
    """Draw medians and bands under a heading; return where each line ends, in shares of the panel's height.

    `first` is the highest loss before any update: the panel shows little beyond it. The axis goes to epoch `last`, or
    to the end of the longest curve where that is later. Each label in `ended` has its line end at that epoch at the
    latest, and with a cross.
    """
    style = page.style
    found = {line.label: _curve(curves, line.label, ended.get(line.label, math.inf)) for line in lines}
    drawn = {label: curve for label, curve in found.items() if curve is not None}
    axes = page.axes(box, "epoch", "")
    notes = _vertical_axis(axes, quantity, list(drawn.values()), first)
    longest = max((int(curve.epochs[-1]) for curve in drawn.values()), default=1)
    last = max(last, longest) or 1
    axes.set_xlim(0, last)
    ticks = [tick for tick in steps_between(0, last) if tick == int(tick)]
    tick_texts(axes.xaxis, ticks, [f"{tick:,.0f}" for tick in ticks])
    heading = "Loss" if quantity == "loss" else SCORES[quantity]
    page.heading(box.left, baseline, heading, [(note, style.muted) for note in notes])
    ends: dict[str, float] = {}
    for line in sorted(lines, key=lambda one: (one.colour is not None, -one.rank)):  # the best on top
        curve = drawn.get(line.label)
        if curve is not None:
            _draw_curve(axes, curve, line, style, early=curve.epochs[-1] < longest or line.label in ended)
            end = float(np.clip(curve.median[-1], *axes.get_ylim()))
            if math.isfinite(end):
                place = axes.transAxes.inverted().transform(axes.transData.transform((0, end)))[1]
                ends[line.label] = float(np.clip(place, 0, 1))
    return ends


def ended_at(losses: polars.DataFrame, labels: Sequence[str], first: float) -> dict[str, float]:
    """Return by which epoch the lines of optimizers that lost most of their runs must have ended.

    That is the first one from which on the median loss is above twice the highest first one, `first`: what comes after
    is part of the explosion. Infinity where there is none, as where a number was not finite before.
    """
    found = {}
    for label in labels:
        mine = losses.filter(losses["label"] == label)
        sound = np.flatnonzero(mine["median"].to_numpy() <= TWICE * first)
        after = int(sound[-1]) + 1 if len(sound) else 0
        found[label] = float(mine["epoch"][after]) if after < len(mine) else math.inf
    return found


def _curve(curves: polars.DataFrame, label: str, until: float) -> _Curve | None:
    """Return an optimizer's curve as far as at least half of its runs go, and to an epoch; None where it is empty."""
    mine = curves.filter(curves["label"] == label)
    if not len(mine):
        return None
    half = 0.5 * float(mine["runs"].max() or 0)  # type: ignore[arg-type]  # a number
    values = mine.filter((mine["runs"] >= half) & (mine["epoch"] <= until))
    columns = {name: values[name].to_numpy().astype(np.float64) for name in ("p5", "p25", "median", "p75", "p95")}
    if not np.isfinite(columns["median"]).any():
        return None
    return _Curve(
        values["epoch"].to_numpy(),
        columns["median"],
        (columns["p25"], columns["p75"]),
        (columns["p5"], columns["p95"]),
    )


def _draw_curve(axes: Axes, curve: _Curve, line: Line, style: Style, *, early: bool) -> None:
    colour, front = line.paint(style), line.colour is not None
    bottom, top = axes.get_ylim()
    least = bottom if axes.get_yscale() == "log" else -math.inf  # where 0 is drawn
    if front:
        for (low, high), strength in ((curve.outer, 0.11), (curve.inner, 0.24)):
            ends = np.maximum(low, least), np.maximum(high, least)
            axes.fill_between(curve.epochs, *ends, color=colour, alpha=strength, linewidth=0)
    median = np.maximum(curve.median, least)
    axes.plot(curve.epochs, median, color=colour, linewidth=1.3 if front else 0.7, solid_capstyle="butt")
    if early or len(curve.epochs) == 1:
        place = np.clip(median[-1:], bottom, top)
        axes.plot(
            curve.epochs[-1:], place, "x" if early else "o", color=colour, markersize=4.5, clip_on=False, zorder=4
        )


def _vertical_axis(axes: Axes, quantity: str, curves: Sequence[_Curve], first: float) -> list[str]:
    """Set scale, limits and ticks so that medians and middle halves are seen; return what a reader must know."""
    if not curves:
        linear_axis(axes.yaxis, 0.0, 1.0)
        return ["undefined"]
    inner = np.concatenate([part for one in curves for part in (one.median, *one.inner)])
    inner = inner[np.isfinite(inner)]
    if quantity == "accuracy":
        lowest = float(min(inner.min(), *(np.nanmin(one.outer[0]) for one in curves)))
        bottom = next(edge for edge in (0.9, 0.5, 0.0) if edge <= max(lowest, 0.0))
        linear_axis(axes.yaxis, bottom - 0.03 * (1 - bottom), 1 + 0.03 * (1 - bottom))
        return []
    if quantity == "r2":
        linear_axis(axes.yaxis, min(max(limits_of(inner)[0], LOWEST_R2), 0.0), 1.03)
        return [f"cut at {number(LOWEST_R2)}"] if inner.min() < LOWEST_R2 else []
    shown = inner[inner <= HIGHEST * first]
    shown = shown if len(shown) else np.array([0.0, first])
    little = shown.max() < inner.max() or all(len(one.epochs) == 1 for one in curves)  # as where everything exploded
    if little and float(shown.max() - shown.min()) < NARROW * first < math.inf:
        shown = np.append(shown, [0.0, HIGHEST * first])
    cut = [f"cut at {number(float(shown.max()), 2)}"] if shown.max() < inner.max() else []
    positive = shown[shown > LOWEST * shown.max()]
    log = spans_more_than(positive, 1.0)
    if log:
        log_axis(axes, positive)
        cut += [f"below {number(float(positive.min()), 2)} at the edge"] if len(positive) < len(shown) else []
        _log_ticks(axes.yaxis, *axes.get_ylim())
    else:
        low, high = limits_of(shown)
        linear_axis(axes.yaxis, 0.0 if low < 0.4 * high and shown.min() >= 0 else low, high)
    top = axes.get_ylim()[1]
    if not cut and any(float(np.nanmax(one.outer[1])) > top for one in curves):
        cut = ["light bands go on above"]
    return ["log scale"] * log + cut


def _log_ticks(axis: Any, low: float, high: float) -> None:
    """Set ticks at 1, 2 and 5 times powers of ten where these are few, else at powers of ten."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]
    if len(ticks) > 6:
        ticks = log_ticks(low, high, most=5)
    tick_texts(axis, ticks, [number(tick, 3) for tick in ticks])


def draw_names(page: Page, box: Box, lines: Sequence[Line], ends: Mapping[str, float], width: float) -> None:
    """Write the coloured lines' names beside the panel, each as near to its line's end as the others let it."""
    chosen = [line for line in lines if line.colour is not None and line.label in ends]
    chosen.sort(key=lambda line: -ends[line.label])
    wanted = [box.top + (1 - ends[line.label]) * box.height for line in chosen]
    axes = page.bare_axes(Box(box.right, box.top, 0.2, box.height))
    axes.set(xlim=(0, 0.2), ylim=(box.bottom, box.top))
    for line, end, name in zip(chosen, wanted, apart(wanted, NAME_HEIGHT, box.top, box.bottom), strict=True):
        axes.plot([0.03, 0.09, 0.16], [end, name, name], color=line.paint(page.style), linewidth=1.3, clip_on=False)
        page.text(box.right + 0.2, name + 0.035, shortened(line.name, width - 0.2, SMALL), SMALL)


def draw_rows(
    page: Page,
    box: Box,
    baseline: float,
    lines: Sequence[Line],
    table: polars.DataFrame,
    runs: polars.DataFrame,
    score: str,
) -> None:
    """Draw a row for each optimizer: its name, its runs' final losses, its numbers."""
    style, known = page.style, {row["label"]: row for row in table.iter_rows(named=True)}
    good = runs.filter((runs["outcome"] == "finished") & runs["loss"].is_finite())
    rights = list(box.right - np.cumsum([0.0, *(width for _, width in reversed(COLUMNS[1:]))]))[::-1]
    strip = Box(box.left + NAMES, box.top, 0.0, box.height)
    strip = strip._replace(width=rights[0] - COLUMNS[0][1] - STRIP_GAP - strip.left + 0.1)
    axes, log = _strip(page, strip, good["loss"].to_numpy(), len(lines))
    least = axes.get_xlim()[0]
    notes = [("log scale", style.muted)] if log else []
    if log and len(good) and good["loss"].min() < least:  # type: ignore[operator]  # a number
        notes.append((f"below {number(least, 2)} at the edge", style.muted))
    page.heading(box.left, baseline, "Final loss", notes)
    level = known[lines[0].label]["reach"]
    reached = "—" if level is None else f"epochs to loss ≤ {number(level, 3)}"
    heads = ("median", SCORES[score].lower() if score == "accuracy" else SCORES[score], reached, "exploded")
    for right, head in zip(rights, heads, strict=True):
        if head != "—":
            page.text(right, baseline, head, SMALL, colour=style.muted, align="right")
    for at, line in enumerate(lines):
        row, middle = known[line.label], box.top + ROW * (at + 0.5)
        name = shortened(line.name, NAMES - 0.3, SMALL)
        page.text(box.left + 0.15, middle + 0.035, name, SMALL)
        dots = good.filter(good["label"] == line.label)["loss"].to_numpy()
        _dots(axes, np.maximum(dots, least), at, line, style)
        _swatch(page, box.left, middle, line)
        for right, text in zip(rights, _numbers(row, score), strict=True):
            page.text(right, middle + 0.035, text, SMALL, align="right")


def _strip(page: Page, box: Box, losses: NDArray[np.float64], rows: int) -> tuple[Axes, bool]:
    """Return the axes on which the rows' dots stand."""
    axes = page.axes(box, "", "")
    axes.set_ylim(rows, 0)
    axes.grid(visible=False)
    axes.grid(visible=True, axis="x", color=page.style.grid, linewidth=0.6)
    tick_texts(axes.yaxis, [], [])
    positive = losses[losses > LOWEST * losses.max(initial=0.0)]
    log = spans_more_than(positive, 1.0)
    if not len(losses):
        axes.set_xlim(0, 1)
        tick_texts(axes.xaxis, [], [])
    elif log:
        low, high = math.log10(positive.min()), math.log10(positive.max())
        room = 0.04 * (high - low)
        edges = 10.0 ** (low - room), 10.0 ** (high + room)
        axes.set_xscale("log")
        axes.set_xlim(*edges)
        _log_ticks(axes.xaxis, *edges)
    else:
        low, high = limits_of(losses)
        linear_axis(axes.xaxis, 0.0 if losses.min() >= 0 and low < 0.3 * high else low, high, most=4)
    return axes, log


def _dots(axes: Axes, losses: NDArray[np.float64], row: int, line: Line, style: Style) -> None:
    """Draw one optimizer's runs, scattered over the height of its row in an even order, and their median."""
    if not len(losses):
        return
    many = len(losses) > MOST_LARGE_DOTS
    heights = row + 0.5 + 0.56 * ((np.arange(len(losses)) * GOLDEN + 0.5) % 1 - 0.5)
    axes.scatter(
        losses, heights, s=5.0 if many else 11.0, color=line.paint(style), alpha=0.4 if many else 0.65, linewidths=0,
        rasterized=len(losses) > 2000, zorder=3, clip_on=False,
    )  # fmt: skip
    middle = float(np.median(losses))
    axes.plot([middle, middle], [row + 0.14, row + 0.86], color=style.ink, linewidth=1.4, zorder=4, clip_on=False)


def _swatch(page: Page, left: float, middle: float, line: Line) -> None:
    axes = page.bare_axes(Box(left, middle - 0.05, 0.1, 0.1))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axhspan(0.3, 0.7, color=line.paint(page.style), linewidth=0)


def _numbers(row: Mapping[str, Any], score: str) -> list[str]:
    """Return what stands in an optimizer's row: medians, epochs to reach the loss, the share that exploded."""
    median, middle = row["loss_median"], row[f"{score}_median"]
    told = ["—" if median is None else number(median, 3), "—" if middle is None else _score(middle)]
    share, exploded = row["reached_share"], row["exploded_share"]
    if row["reach"] is None or share is None:
        told.append("")
    elif row["reached_median"] is None:
        told.append(f"{percent(share)} of runs" if share else "never")
    else:
        part = "" if share == 1 else f" ({percent(share)})"
        told.append(f"{row['reached_median']:,}{part}")
    told.append("—" if exploded is None else percent(exploded) if exploded else "0")
    return [text.replace("-", "−") for text in told]


def _score(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else number(value, 3)
