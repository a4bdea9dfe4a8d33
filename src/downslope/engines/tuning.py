"""The learning rate at which an optimizer goes down a landscape fastest, found by a sweep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from downslope import checks
from downslope.engines.descent import Descent, arrived_within, descents, first_point
from downslope.errors import InputError
from downslope.landscapes import Landscape
from downslope.rules import Optimizer, Setting

__all__ = ["Tuning", "tuned"]

# Learning rates that are tried unless told otherwise, and into how many parts the gap beside the best is divided.
LOWEST, HIGHEST, A_DECADE, FINER = 1e-4, 100.0, 8, 8


@dataclass(frozen=True, eq=False)
class Tuning:
    """What `tuned` tried and chose.

    The best learning rate is the one whose descent comes within `tolerance` of the global minimum in the fewest steps
    and stays there to the end, for the last tenth of the steps at least; between rates that need equally many, the one
    that ends lower. Where no rate gets there, it is the one that ends lowest. How low a descent ends is the highest
    value of its last tenth, so that one which jumps about is not chosen for a lucky last step. One that explodes is
    never chosen.

    Attributes
    ----------
    learning_rate : float
        The chosen one.
    rates : float64 array, shape (r,)
        All that were tried, rising: those asked for, or those of the grid and finer ones beside the best of it.
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
    """Return the optimizer with the learning rate at which it gets down a landscape best.

    `Tuning` says what best means. Where the learning rate is a schedule with a `base`, the base is tuned.

    Parameters
    ----------
    landscape, optimizer, start, steps
        As for `descend`.
    rates : iterable of float, optional
        The learning rates to try. Left out: 8 a decade from 0.0001 to 100, then up to 14 more between the
        neighbours of the best of them.

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
        paths = _at_rates(landscape, optimizer, given, first, asked)
    else:
        decades = round(math.log10(HIGHEST / LOWEST))
        grid = [LOWEST * 10 ** (k / A_DECADE) for k in range(decades * A_DECADE + 1)]
        paths = _at_rates(landscape, optimizer, [float(f"{rate:.4g}") for rate in grid], first, asked)
        if not paths:
            raise InputError(
                f"rates must be given for a rule with no legal learning rate from {LOWEST:g} to {HIGHEST:g}"
            )
        best = _best(paths, tolerance)
        beside = [float(f"{best * 10 ** (k / FINER / A_DECADE):.4g}") for k in range(1 - FINER, FINER)]
        beside = [rate for rate in beside if LOWEST <= rate <= HIGHEST]
        paths |= _at_rates(landscape, optimizer, [rate for rate in beside if rate not in paths], first, asked)
    chosen = _best(paths, tolerance)
    paths = dict(sorted(paths.items()))
    return optimizer.with_rate(chosen), Tuning(
        learning_rate=chosen,
        rates=np.array(list(paths)),
        final_values=np.array([math.inf if path.exploded else path.final_value for path in paths.values()]),
        reached=tuple(path.reached(tolerance) for path in paths.values()),
        exploded=np.array([path.exploded for path in paths.values()]),
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


def _at_rates(
    landscape: Landscape, optimizer: Optimizer, rates: Sequence[float], start: NDArray[np.float64], steps: int
) -> dict[float, Descent]:
    """Return the descent at each of the rates that are legal."""
    legal = [rate for rate in rates if rate in optimizer.settings["learning_rate"].interval]
    paths = descents(landscape, [optimizer.with_rate(rate) for rate in legal], start=start, steps=steps)
    return dict(zip(legal, paths, strict=True))


def _best(paths: dict[float, Descent], tolerance: float) -> float:
    """Return the rate that `Tuning` calls the best, or raise InputError."""
    lasting = {rate: path for rate, path in paths.items() if not path.exploded}
    if not lasting:
        tried = f"from {min(paths):g} to {max(paths):g}" if len(paths) > 1 else f"{min(paths):g}"
        raise InputError(f"learning_rate must be one at which the descent does not explode. Received: {tried}")

    def order(rate: float) -> tuple[float, float]:
        path = lasting[rate]
        last = path.steps - path.steps // 10
        reached = path.reached(tolerance)
        return math.inf if reached is None or reached > last else reached, float(path.values[last:].max())

    return min(lasting, key=order)
