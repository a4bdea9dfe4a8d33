"""What the judge's patterns are learnt from: the measures of the steps at new learning rates, of many runs.

A pattern's measures are computed in `judge` where it judges. Here they are computed once more, for all steps of a run
at once, from the signals and from what the judge remembered before and after each step. Patterns are switched off
meanwhile, so that what is learnt does not depend on those in use: until a run's first alarm both remember the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from corpus import Case, round_of
from numpy.typing import NDArray
from recording import Recording, is_caused, record

from downslope.engines import judge as judging
from downslope.engines.guard import default_limits

__all__ = ["LEAST", "Measured", "Sample", "measure", "measured", "sample_of"]

LEAST = np.array([0.1, 0.1, 0.1, 0.1, 0.02, 1.5, 1.2, 0.1, 0.03, default_limits()[judging.NEW_RATE]])
"""The lowest threshold of each measure: below it steps are as usual."""

LASTING = [judging.MEASURES.index(name) for name in ("unrest", "leap")]  # above it for long; alone no sign
MOST = 1e9  # what larger measures, infinite ones too, count as

Array = NDArray[np.float64]


class Measured(NamedTuple):
    """What is kept of a run.

    Attributes
    ----------
    turn : int
        Its round in the corpus.
    sought : bool
        Whether an alarm is wanted: a jump or a ramp exploded it.
    told : bool
        Whether it is told anyway: a number was not finite before the loss was tenfold.
    healthy_steps : int
        At how many steps an alarm would be false.
    steps : array of int32, shape (rows,)
        The steps kept: the rate is new, two measures are above `LEAST`, and an alarm would be wanted or false.
    wanted : array of bool, shape (rows,)
        Whether it would be wanted.
    measures : array of float32, shape (rows, measures)
        In the order of `judge.MEASURES`.
    """

    turn: int
    sought: bool
    told: bool
    healthy_steps: int
    steps: NDArray[np.int32]
    wanted: NDArray[np.bool_]
    measures: NDArray[np.float32]


class Sample(NamedTuple):
    """The rows of many runs, one run after the other, each in the order of its steps.

    Attributes
    ----------
    values : array of float32, shape (measures, rows)
    run, step : array of int64, shape (rows,)
    wanted : array of bool, shape (rows,)
    turns : array of int64, shape (runs,)
    explosions, told, healthy_steps : int
        How many alarms are wanted, how many of them come without a pattern, and at how many steps they are false.
    """

    values: NDArray[np.float32]
    run: NDArray[np.int64]
    step: NDArray[np.int64]
    wanted: NDArray[np.bool_]
    turns: NDArray[np.int64]
    explosions: int
    told: int
    healthy_steps: int


def measured(case: Case) -> Measured:
    """Train a case to its end and return what is kept of it."""
    run = record(case)
    what, (at, values) = run.label, measure(run)
    steps = at + 1
    sought = is_caused(case, what)
    tenfold = what.tenfold or 0
    told = sought and run.failed is not None and run.failed < tenfold
    wanted = np.logical_and((steps > case.change) & (steps < tenfold), sought and not told)
    above = values > LEAST
    signs = above.sum(axis=1) - above[:, LASTING].sum(axis=1)
    kept = (wanted | (steps <= what.healthy_steps)) & (above.sum(axis=1) >= 2) & (signs >= 1)
    return Measured(
        turn=round_of(case),
        sought=sought,
        told=told,
        healthy_steps=what.healthy_steps,
        steps=steps[kept].astype(np.int32),
        wanted=wanted[kept],
        measures=values[kept].astype(np.float32),
    )


def sample_of(runs: Iterable[Measured]) -> Sample:
    """Put the rows of runs together."""
    kept = list(runs)
    lengths = [len(one.steps) for one in kept]
    return Sample(
        values=np.ascontiguousarray(np.concatenate([one.measures for one in kept]).T),
        run=np.repeat(np.arange(len(kept)), lengths),
        step=np.concatenate([one.steps for one in kept]).astype(np.int64),
        wanted=np.concatenate([one.wanted for one in kept]),
        turns=np.array([one.turn for one in kept]),
        explosions=sum(one.sought for one in kept),
        told=sum(one.told for one in kept),
        healthy_steps=sum(one.healthy_steps for one in kept),
    )


def measure(run: Recording) -> tuple[NDArray[np.int64], Array]:
    """Return the rows of a run at which patterns count, and their measures.

    Returns
    -------
    rows : array, shape (n,)
        Steps less one.
    measures : array, shape (n, measures)
        As the judge computes them; those that are no number, which are above nothing, are the lowest there is.
    """
    j, limits, signals = judging, default_limits(), np.ascontiguousarray(run.signals)
    limits[j.PATTERN] = math.inf
    after = np.zeros((len(signals), len(j.MEMORY)))
    _remembering()(signals, np.zeros(len(j.MEMORY)), limits, after)
    before = np.vstack([np.zeros(len(j.MEMORY)), after[:-1]])
    with np.errstate(all="ignore"):
        total = signals[:, [j.LOSS, j.GRADIENT_NORM, j.UPDATE_NORM, j.WEIGHT_NORM, j.LARGEST_WEIGHT]].sum(axis=1)
    is_new = signals[:, j.LEARNING_RATE] > limits[j.NEW_RATE] * before[:, j.PROVEN_RATE]
    rows = np.flatnonzero(np.isfinite(total) & is_new & (before[:, j.SEEN] >= j.FIRST_STEPS))
    s, was, now = signals[rows].T, before[rows].T, after[rows].T

    update, weights = s[j.UPDATE_NORM], s[j.WEIGHT_NORM]
    has_slopes = np.isfinite(s[j.SLOPE_BEFORE]) & np.isfinite(s[j.SLOPE_AFTER])
    floor = limits[j.FLOOR] * was[j.START]
    base = np.maximum(np.maximum(was[j.LEVEL], floor), j.LEAST)
    with np.errstate(all="ignore"):
        curvature = _over(now[j.SLOPE], now[j.SQUARE])
        rise = 0.5 * curvature * update * update
        squared = was[j.LAST_UPDATE] * was[j.LAST_UPDATE]
        last = 0.5 * (s[j.SLOPE_AFTER] - s[j.SLOPE_BEFORE]) / squared * update * update
        by_name = {
            "slope": np.where(has_slopes, s[j.SLOPE_AFTER], 0.0) / base,
            "bend": np.abs(rise) / base,
            "net": (s[j.SLOPE_NOW] + rise) / base,
            "promise": -s[j.SLOPE_NOW] / np.maximum(s[j.LOSS], base),
            "ratio": _over(update, weights),
            "update": _over(update, was[j.UPDATE]),
            "recent": np.where(was[j.LOWEST_LEVEL] > 0.0, now[j.RECENT] / np.maximum(was[j.LOWEST_LEVEL], floor), 0.0),
            "sharp": np.where(has_slopes & (was[j.LAST_UPDATE] > 0.0), last, 0.0) / base,
            "unrest": np.sqrt(was[j.LEVEL_SPREAD]) / base,
            "leap": _over(s[j.LEARNING_RATE], was[j.PROVEN_RATE], otherwise=1.0),
        }
    values = np.column_stack([by_name[name] for name in j.MEASURES])
    return rows, np.clip(np.nan_to_num(values, nan=-MOST, posinf=MOST, neginf=-MOST), -MOST, MOST)


def _over(values: Array, by: Array, otherwise: float = 0.0) -> Array:
    return np.where(by > 0.0, values / by, otherwise)


@cache
def _remembering() -> Callable[[Array, Array, Array, Array], None]:
    """Return what judges all steps and keeps the memory after each, compiled."""
    import numba

    compiled = numba.njit(judging.judge)

    @numba.njit  # type: ignore[untyped-decorator]
    def remember(signals: Any, memory: Any, limits: Any, rows: Any) -> None:
        for i in range(signals.shape[0]):
            compiled(signals[i], memory, limits)
            rows[i] = memory

    return remember  # type: ignore[no-any-return]
