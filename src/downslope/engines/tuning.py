"""The learning rate at which an optimizer goes down a landscape fastest, found by a sweep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from downslope import checks
from downslope.engines.descent import Descent, arrived_within, descents, first_point
from downslope.errors import InputError
from downslope.landscapes import Landscape
from downslope.rules import Optimizer, Setting

__all__ = ["Tuning", "tuned"]

# Learning rates that are tried unless told otherwise; beside how many of the best of them finer ones are tried, and
# into how many parts the gaps there are divided.
LOWEST, HIGHEST, A_DECADE, PLACES, FINER = 1e-4, 100.0, 8, 3, 8
POINTS_AT_A_TIME = 8_000_000  # of all descents that make their steps together: what bounds the memory


@dataclass(frozen=True, eq=False)
class Tuning:
    """What `tuned` tried and chose.

    The best is the best of the rates that were tried: between them a better one may lie, above all on a landscape with
    many valleys, where a small change of the rate leads elsewhere. It is the one whose descent comes within `tolerance`
    of the global minimum in the fewest steps and stays there to the end, for the last tenth of the steps at least;
    between rates that need equally many, the one that ends lower. Where no rate gets there, it is the one that ends
    lowest. How low a descent ends is the highest value of its last tenth, so that one which jumps about is not chosen
    for a lucky last step. One that explodes is never chosen.

    Attributes
    ----------
    learning_rate : float
        The chosen one.
    rates : float64 array, shape (r,)
        All that were tried, rising: those asked for, or those of the grid and finer ones beside its three best.
    final_values : float64 array, shape (r,)
        The last value of each; where it exploded, infinity.
    reached : tuple of int or None
        The step from which on each stayed within the tolerance.
    exploded : bool array, shape (r,)
        Which of them exploded.
    tolerance : float
        One thousandth of the height of the start above the global minimum.
    """

    learning_rate: float
    rates: NDArray[np.float64]
    final_values: NDArray[np.float64]
    reached: tuple[int | None, ...]
    exploded: NDArray[np.bool_]
    tolerance: float


def tuned(
    landscape: Landscape,
    optimizer: Optimizer,
    *,
    start: ArrayLike | None = None,
    steps: int = 200,
    rates: Iterable[float] | None = None,
) -> tuple[Optimizer, Tuning]:
    """Return the optimizer with the learning rate, of those tried, at which it gets down a landscape best.

    `Tuning` says what best means: the fewest steps to the minimum, or else the lowest end. Where the learning rate is
    a schedule with a `base`, the base is tuned.

    Parameters
    ----------
    landscape, optimizer, start, steps
        As for `descend`.
    rates : iterable of float, optional
        The learning rates to try. Left out: 8 a decade from 0.0001 to 100, then up to 14 more between the
        neighbours of each of the three best of them that are not neighbours themselves.

    Returns
    -------
    optimizer : Optimizer
        With the best learning rate.
    tuning : Tuning
        All rates that were tried, and how each of them ended.

    Raises
    ------
    InputError
        If a rate is not legal or there is none, if the learning rate is a schedule without a base, or if every rate
        explodes; and as for `descend`.
    RuleError
        If the rule's own code fails.
    """
    first, asked = first_point(landscape, optimizer, start, steps)
    tolerance = arrived_within(landscape, first)
    legal = optimizer.settings["learning_rate"]
    if rates is not None:
        given = _given(rates, legal)
        tried = _at_rates(landscape, optimizer, given, first, asked, tolerance)
    else:
        decades = round(math.log10(HIGHEST / LOWEST))
        grid = [LOWEST * 10 ** (k / A_DECADE) for k in range(decades * A_DECADE + 1)]
        tried = _at_rates(landscape, optimizer, [float(f"{rate:.4g}") for rate in grid], first, asked, tolerance)
        if not tried:
            raise InputError(
                f"rates must be given for a rule with no legal learning rate from {LOWEST:g} to {HIGHEST:g}"
            )
        steps_beside = [10 ** (k / FINER / A_DECADE) for k in range(1 - FINER, FINER)]
        beside = {float(f"{best * step:.4g}") for best in _apart(_ranked(tried), list(tried)) for step in steps_beside}
        more = sorted(rate for rate in beside if LOWEST <= rate <= HIGHEST and rate not in tried)
        tried |= _at_rates(landscape, optimizer, more, first, asked, tolerance)
    chosen = _ranked(tried)[0]
    tried = dict(sorted(tried.items()))
    return optimizer.with_rate(chosen), Tuning(
        learning_rate=chosen,
        rates=np.array(list(tried)),
        final_values=np.array([one.final_value for one in tried.values()]),
        reached=tuple(one.reached for one in tried.values()),
        exploded=np.array([one.exploded for one in tried.values()]),
        tolerance=tolerance,
    )


def _given(rates: Iterable[float], record: Setting) -> list[float]:
    """Return the learning rates that were asked for, rising, or raise InputError."""
    listed = list(rates) if isinstance(rates, Iterable) else [rates]
    if not isinstance(rates, Iterable) or any(callable(rate) for rate in listed):
        raise checks.refuse("rates", "a sequence of learning rates", rates)
    if not listed:
        raise InputError("rates must hold at least one learning rate. Received: none")
    return sorted({float(record.check(rate)) for rate in listed})


class _Tried(NamedTuple):
    """What is kept of the descent at one rate; `order` is less where it is better."""

    final_value: float
    reached: int | None
    exploded: bool
    order: tuple[float, float]


def _at_rates(
    landscape: Landscape,
    optimizer: Optimizer,
    rates: Sequence[float],
    start: NDArray[np.float64],
    steps: int,
    tolerance: float,
) -> dict[float, _Tried]:
    """Return what came of the descent at each of the rates that are legal."""
    legal = [rate for rate in rates if rate in optimizer.settings["learning_rate"].interval]
    together = max(1, POINTS_AT_A_TIME // (steps + 1))
    tried: dict[float, _Tried] = {}
    for at in range(0, len(legal), together):
        some = legal[at : at + together]
        paths = descents(landscape, [optimizer.with_rate(rate) for rate in some], start=start, steps=steps)
        tried |= {rate: _judged(path, tolerance) for rate, path in zip(some, paths, strict=True)}
    return tried


def _judged(path: Descent, tolerance: float) -> _Tried:
    reached, last = path.reached(tolerance), path.steps - path.steps // 10
    in_time = math.inf if reached is None or reached > last else reached
    order = (in_time, float(path.values[last:].max()))
    return _Tried(math.inf if path.exploded else path.final_value, reached, path.exploded, order)


def _ranked(tried: dict[float, _Tried]) -> list[float]:
    """Return the rates that last, the one that `Tuning` calls the best first, or raise InputError."""
    lasting = [rate for rate, one in tried.items() if not one.exploded]
    if not lasting:
        told = f"from {min(tried):g} to {max(tried):g}" if len(tried) > 1 else f"{min(tried):g}"
        raise InputError(f"learning_rate must be one at which the descent does not explode. Received: {told}")
    return sorted(lasting, key=lambda rate: tried[rate].order)


def _apart(ranked: Sequence[float], grid: Sequence[float]) -> list[float]:
    """Return the first of the ranked rates that are not neighbours on the grid: at most `PLACES`."""
    chosen: list[int] = []
    for place in map(grid.index, ranked):
        if len(chosen) < PLACES and all(abs(place - other) > 1 for other in chosen):
            chosen.append(place)
    return [grid[place] for place in chosen]
