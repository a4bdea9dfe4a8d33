"""A map's axes and colour bars: their labels, and as many ticks as have room."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.figures.map_cells import MapAxis, Places, Shades, shown
from downslope.figures.page import tick_texts
from downslope.figures.scales import log_ticks, steps_between, tick_numbers
from downslope.figures.style import SMALL, TEXT, number, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axis_label", "bar_ticks", "placed_axis", "upright_ticks"]

GAP = 0.09  # between two tick labels, in inches


def axis_label(axis: MapAxis, places: Places, inches: float) -> str:
    """Return an axis's name with its unit; where the cells are not drawn to scale, it says so."""
    notes = [note for note in (axis.unit, "evenly spaced" if places.uneven else None) if note]
    end = f" ({', '.join(notes)})" if notes else ""
    return shortened(axis.words, inches - text_width(end, TEXT), TEXT) + end


def placed_axis(axis: Any, places: Places, inches: float) -> None:
    """Give an axis its scale, its limits and ticks that have room: the values themselves where few and short."""
    side = axis.axis_name
    axis.axes.set(**{f"{side}scale": "log" if places.scale == "log" else "linear"})
    axis.axes.set(**{f"{side}lim": (places.edges[0], places.edges[-1])})
    tall = side == "y"
    for ticks, texts in _candidates(places):
        if _fits(places.share_of(ticks), texts, inches, tall=tall):
            tick_texts(axis, ticks, texts)
            return
    tick_texts(axis, [places.centres[0]], [shown(places.values[0], 3)])


def _candidates(places: Places) -> Iterable[tuple[list[float], list[str]]]:
    values = places.values
    own = [shown(value, 3) for value in values]
    exact = places.scale == "even" or all(_reads_as(text, value) for text, value in zip(own, values, strict=True))
    if len(values) <= 4 or (len(values) <= 12 and exact) or places.scale == "even":
        longer = own if len(set(own)) == len(own) else [shown(value, 6) for value in values]
        for every in (1, 2, 3, 4, 6, 8, 16, 32, 64):
            if every < len(values) or every == 1:
                yield list(places.centres[::every]), longer[::every]
            if places.scale != "even":
                break
    low, high = float(places.centres[0]), float(places.centres[-1])  # no tick beyond the values, as momentum 1
    if places.scale == "log":
        low, high = low * (1 - 1e-9), high * (1 + 1e-9)
        yield from _log_candidates(low, high)
    else:
        for most in (5, 4, 3, 2, 1):
            ticks = steps_between(low, high, most)
            yield ticks, tick_numbers(ticks)


def _log_candidates(low: float, high: float) -> Iterable[tuple[list[float], list[str]]]:
    decades = [10.0**power for power in range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)]
    for factors in ((1, 2, 5), (1, 3)):
        ticks = [factor * decade for decade in decades for factor in factors if low <= factor * decade <= high]
        yield ticks, [number(tick, 3) for tick in ticks]
    for most in (12, 6, 4, 3, 2):
        ticks = log_ticks(low, high, most)
        yield ticks, [number(tick, 3) for tick in ticks]


def _reads_as(text: str, value: float) -> bool:
    return float(text.replace("−", "-").replace(",", "")) == value


def upright_ticks(axes: Axes, inches: float) -> None:
    """Give a logarithmic y axis as many ticks as have room."""
    low, high = axes.get_ylim()
    for ticks, texts in _log_candidates(low, high):
        if len(texts) <= 7 and _fits(
            [math.log(tick / low) / math.log(high / low) for tick in ticks], texts, inches, tall=True
        ):
            tick_texts(axes.yaxis, ticks, texts)
            return


def _fits(shares: Sequence[float], texts: Sequence[str], inches: float, *, tall: bool) -> bool:
    """Whether there is something to read, and no two neighbours touch."""
    if not texts:
        return False
    needed = [0.08 if tall else text_width(text, SMALL) for text in texts]
    return all(
        (shares[place] - shares[place - 1]) * inches >= (needed[place] + needed[place - 1]) / 2 + GAP
        for place in range(1, len(texts))
    )


def bar_ticks(axis: Any, shades: Shades, inches: float) -> None:
    """Give a colour bar that runs from 0 to 1 its ticks."""
    for ticks, texts in _bar_candidates(shades):
        shares = [float(one) for one in shades(np.asarray(ticks))]
        if _fits(shares, texts, inches, tall=False):
            tick_texts(axis, shares, texts)
            return


def _bar_candidates(shades: Shades) -> Iterable[tuple[list[float], list[str]]]:
    if shades.log:
        yield from _log_candidates(shades.low, shades.high)
    for most in (5, 4, 3, 2, 1):
        ticks = steps_between(shades.low, shades.high, most)
        yield ticks, tick_numbers(ticks)
    ends = [shades.low, shades.high]
    yield ends, [number(end, 3) for end in ends]
