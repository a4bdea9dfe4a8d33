"""Limits and ticks of an axis, chosen here so that few, short numbers stand at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.figures.page import tick_texts
from downslope.figures.style import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "LEAST",
    "limits_of",
    "linear_axis",
    "log_axis",
    "log_ticks",
    "spans_more_than",
    "steps_between",
    "straighter_as_log",
    "tick_numbers",
]

LEAST = 1e-9  # data may differ little from one another, as times do; their axes can say so
LARGEST = 1e300  # beyond it a range of float64 overflows


def spans_more_than(values: NDArray[Any], decades: float) -> bool:
    """Whether all finite values are positive and the largest is more than 10^decades times the smallest."""
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() <= 0:
        return False
    return bool(math.log10(finite.max()) - math.log10(finite.min()) > decades)


def straighter_as_log(values: NDArray[Any]) -> bool:
    """Whether the logarithms of positive values lie closer to a straight line than the values themselves.

    So a line, a cosine or a cycle keeps its own shape, and a decay by factors becomes a line.
    """
    place = np.arange(len(values), dtype=np.float64)

    def straightness(heights: NDArray[Any]) -> float:
        spread = heights.std() * place.std()
        return float(((heights - heights.mean()) * (place - place.mean())).mean() / spread) ** 2 if spread > 0 else 0.0

    as_log = straightness(np.log(values))
    return as_log > 0.5 and as_log > straightness(values)


def limits_of(values: NDArray[Any], margin: float = 0.05, least: float = 2e-3) -> tuple[float, float]:
    """Return limits around the finite values, with a margin as a share of their range; never empty.

    The range is at least `least` times the largest magnitude, so that labels of nearly equal numbers stay short, and
    0.002 times it where all are equal.
    """
    finite = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    least = (least if high > low else 2e-3) * max(abs(low), abs(high)) or 1.0
    room = max(least - (high - low), 0.0) / 2 + margin * max(high - low, least)
    return low - room, high + room


def steps_between(low: float, high: float, most: int = 4) -> list[float]:
    """Return at most `most` + 1 round numbers (1, 2, 2.5 or 5 times a power of ten apart) in [low, high]."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [step * place for place in range(first, last + 1)]


def tick_numbers(ticks: Sequence[float]) -> list[str]:
    """Return the ticks with the same number of decimals each, as many as tell them apart.

    Large and small ones get a common power of ten: 1.005e5, 1.006e5.
    """
    largest = max((abs(tick) for tick in ticks), default=0.0)
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    if -3 <= power < 5:
        power = 0
    scaled = [tick / 10.0**power for tick in ticks]
    apart = min((b - a for a, b in pairwise(scaled)), default=max(map(abs, scaled), default=0.0)) or 1.0
    decimals = next((places for places in range(12) if abs(round(apart, places) - apart) < 1e-3 * apart), 12)
    suffix = f"e{power}" if power else ""
    return ["0" if tick == 0 else f"{tick:,.{decimals}f}{suffix}".replace("-", "−") for tick in scaled]


def linear_axis(axis: Any, low: float, high: float, most: int = 4) -> None:
    """Give an axis these limits and round ticks."""
    axis.axes.set(**{f"{axis.axis_name}lim": (low, high)})
    base = 0.0
    if max(abs(low), abs(high)) > 1e3 * (high - low):  # long numbers that differ little: ticks tell the difference
        unit = 10.0 ** math.ceil(math.log10(high - low))
        base = round((low + high) / 2 / unit) * unit
        axis.set_label_text(f"{axis.get_label_text()} − {base:,.12g}".replace("− -", "+ "))
    ticks = steps_between(low - base, high - base, most)
    tick_texts(axis, [base + tick for tick in ticks], tick_numbers(ticks))


def log_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return powers of ten in [low, high], every nth if there are many; 1, 2 and 5 times them if there is only one."""
    decades = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    if len(decades) >= 2:
        every = -(-len(decades) // most)
        return [10.0**power for power in decades if power % every == 0]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [tick for power in powers for tick in (10.0**power, 2 * 10.0**power, 5 * 10.0**power) if low <= tick <= high]


def log_axis(axes: Axes, values: NDArray[Any]) -> None:
    """Make the y axis logarithmic around the positive finite values, with a margin."""
    positive = values[np.isfinite(values) & (values > 0)]
    low, high = math.log10(positive.min()), math.log10(positive.max())
    room = 0.06 * (high - low)
    low, high = 10.0 ** max(low - room, -300.0), 10.0 ** min(high + room, 300.0)
    axes.set_yscale("log", nonpositive="mask")
    axes.set_ylim(low, high)
    ticks = log_ticks(low, high)
    tick_texts(axes.yaxis, ticks, [number(tick, 3) for tick in ticks])
