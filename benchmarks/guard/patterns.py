"""How patterns are learnt from a sample of measured steps: rules of the form "these measures are above these numbers".

References
----------
Fürnkranz, *Separate-and-conquer rule learning*, Artificial Intelligence Review 13 (1999).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numba
import numpy as np
from measures import LEAST, Sample
from numpy.typing import NDArray

from downslope.engines.judge import MEASURES

__all__ = ["Counts", "Pattern", "count", "learn", "polish"]

LEARNING_PRICE, POLISHING_PRICE = 0.8, 0.4  # of a false alarm, in explosions told in time
LEAST_SHARE, LEAST_WORTH = 2e-3, 7e-4  # of the explosions that a pattern covers at least, and is worth when polished
LEAST_COVERED = 3  # and at least so many
MOST_PATTERNS, MOST_CONDITIONS, BEAM = 14, 3, 12
FEWEST_CONDITIONS = 2  # one measure alone is large too often
SIMPLER = 0.8  # explosions by which a pattern with one more condition must be worth more
PURITY = 3.0  # weight of false alarms while a pattern is still being narrowed
EPISODE = 50  # steps between two false alarms that count as two
FACTORS = np.geomspace(0.5, 2.0, 29)
SMOOTHING = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
SWEEPS = 3

Pattern = NDArray[np.float64]  # one threshold a measure, -inf where any will do
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Counts(NamedTuple):
    """What alarms at some rows come to: explosions told in time, and false alarms."""

    told: int
    false: int


def learn(sample: Sample) -> list[Pattern]:
    """Return patterns that together cover the explosions, best first, by separate-and-conquer."""
    # What counts once: an explosion, or a stretch of steps in which false alarms are one episode.
    _, runs = np.unique(sample.run[sample.wanted], return_inverse=True)
    stretches = sample.run[~sample.wanted] << 32 | sample.step[~sample.wanted] // EPISODE
    _, stretches = np.unique(stretches, return_inverse=True)
    group = np.empty(len(sample.run), dtype=np.int64)
    group[sample.wanted], group[~sample.wanted] = runs, stretches + runs.max() + 1
    explosions = int(runs.max()) + 1
    is_open = np.ones(int(group.max()) + 1, dtype=bool)
    least = max(LEAST_COVERED, round(LEAST_SHARE * sample.explosions))
    found: list[Pattern] = []
    while len(found) < MOST_PATTERNS:
        rows = np.flatnonzero(is_open[group])
        best = _best_pattern(sample.values, group, explosions, len(is_open), rows, least)
        if best is None:
            break
        is_open[group[_narrow(sample.values, rows, best)]] = False
        found.append(best)
        _note(f"{_words(best)}: {explosions - is_open[:explosions].sum()} of {explosions} covered")
    return found


class Candidate(NamedTuple):
    """A pattern under search: its promise when narrowed, its worth as it is, what it covers."""

    promise: float
    worth: float
    pattern: Pattern
    covered: int


def _best_pattern(
    values: NDArray[np.float32], group: Rows, explosions: int, groups: int, rows: Rows, least: int
) -> Pattern | None:
    """Return the pattern worth most on some rows, if any is worth its price."""
    beam = [(np.full(len(MEASURES), -np.inf), rows)]
    best: Candidate | None = None
    for _ in range(MOST_CONDITIONS):
        candidates: list[Candidate] = []
        for pattern, left in beam:
            for one in _narrowed(values, group, explosions, groups, pattern, left, least):
                candidates.append(one)
                used = _conditions(one.pattern)
                if used < FEWEST_CONDITIONS:
                    continue
                if one.worth > (0.0 if best is None else best.worth + SIMPLER * (used > _conditions(best.pattern))):
                    best = one
        candidates.sort(key=lambda one: -max(one.promise, 0.5 * one.worth))
        beam, known = [], set()
        for one in candidates:
            key = (*np.isfinite(one.pattern), one.covered)
            if key not in known and len(beam) < BEAM:
                known.add(key)
                beam.append((one.pattern, _narrow(values, rows, one.pattern)))
    return None if best is None else best.pattern


def _narrowed(
    values: NDArray[np.float32], group: Rows, explosions: int, groups: int, pattern: Pattern, rows: Rows, least: int
) -> Iterator[Candidate]:
    """Yield a pattern with one more condition: for each measure, the most promising threshold and the worthiest."""
    for measure, lowest in enumerate(np.maximum(LEAST, pattern)):
        highest = _highest(values[measure], group, groups, rows, lowest)
        wanted, false = highest[:explosions], highest[explosions:]
        wanted, false = np.sort(wanted[wanted > lowest])[::-1], np.sort(false[false > lowest])[::-1]
        if len(wanted) < least:
            continue
        covered = np.arange(1, len(wanted) + 1)
        alarms = np.searchsorted(-false, -wanted, side="right")  # false ones with a threshold just below each
        worth = covered - LEARNING_PRICE * alarms
        promise = (covered + 0.5) / (covered + PURITY * alarms + 1.0) * np.sqrt(covered)
        for at in sorted({int(np.argmax(order[least - 1 :])) + least - 1 for order in (worth, promise)}):
            below = false[alarms[at]] if alarms[at] < len(false) else lowest
            narrower = pattern.copy()
            narrower[measure] = np.sqrt(wanted[at] * below)  # halfway to the next false alarm
            yield Candidate(float(promise[at]), float(worth[at]), narrower, int(covered[at]))


@numba.njit  # type: ignore[untyped-decorator]
def _highest(values: Any, group: Any, groups: int, rows: Any, lowest: float) -> Any:
    """Return the highest value above `lowest` among the rows of each group; -inf for none."""
    found = np.full(groups, -np.inf)
    for i in rows:
        if values[i] > lowest and values[i] > found[group[i]]:
            found[group[i]] = values[i]
    return found


def polish(sample: Sample, patterns: list[Pattern]) -> list[Pattern]:
    """Return patterns whose thresholds are those that do best together, of two digits, without those of little use."""
    patterns = [pattern.copy() for pattern in patterns]
    half = len(SMOOTHING) // 2
    for sweep in range(SWEEPS):
        for i, pattern in enumerate(patterns):
            others = _any(sample, _without(patterns, i))
            for measure in np.flatnonzero(np.isfinite(pattern)):
                rest, values = pattern.copy(), sample.values[measure]
                rest[measure] = -np.inf
                free = _matched(sample.values, rest)
                worth = [_worth(sample, others | (free & (values > factor * pattern[measure]))) for factor in FACTORS]
                smooth = np.convolve(np.pad(worth, half, mode="edge"), SMOOTHING, mode="valid")
                pattern[measure] = max(LEAST[measure], pattern[measure] * FACTORS[np.argmax(smooth)])
        told, false = count(sample, patterns)
        _note(f"polished {sweep + 1} of {SWEEPS} times: {told:,} in time, {false:,} false alarms")
    patterns = [np.array([float(f"{threshold:.2g}") for threshold in pattern]) for pattern in patterns]
    _drop_conditions(sample, patterns)
    while patterns:
        whole = _worth(sample, _any(sample, patterns))
        gains = [whole - _worth(sample, _any(sample, _without(patterns, i))) for i in range(len(patterns))]
        if min(gains) >= LEAST_WORTH * sample.explosions:
            break
        patterns = _without(patterns, int(np.argmin(gains)))
    return patterns


def _drop_conditions(sample: Sample, patterns: list[Pattern]) -> None:
    """Take conditions out of patterns that are worth as much without them."""
    for i, pattern in enumerate(patterns):
        others = _any(sample, _without(patterns, i))
        for measure in np.flatnonzero(np.isfinite(pattern)):
            simpler = pattern.copy()
            simpler[measure] = -np.inf
            if _conditions(simpler) >= FEWEST_CONDITIONS:
                loss = _worth(sample, others | _matched(sample.values, pattern))
                loss -= _worth(sample, others | _matched(sample.values, simpler))
                if loss < SIMPLER:
                    pattern[measure] = -np.inf


def _without(patterns: list[Pattern], left_out: int) -> list[Pattern]:
    return [*patterns[:left_out], *patterns[left_out + 1 :]]


def count(sample: Sample, patterns: list[Pattern]) -> Counts:
    """Return what alarms by some patterns come to in a sample."""
    told, false = _count(_any(sample, patterns), sample.run, sample.step, sample.wanted)
    return Counts(sample.told + told, false)


def _worth(sample: Sample, alarms: Mask) -> float:
    told, false = _count(alarms, sample.run, sample.step, sample.wanted)
    return float(told - POLISHING_PRICE * false)


@numba.njit  # type: ignore[untyped-decorator]
def _count(matched: Any, run: Any, step: Any, wanted: Any) -> Any:
    """Return how many runs are matched where an alarm is wanted, and how many episodes where it is false."""
    told, false = 0, 0
    last_told, last_run, last_step = -1, -1, 0
    for i in range(len(matched)):
        if matched[i] and wanted[i]:
            told += run[i] != last_told
            last_told = run[i]
        elif matched[i]:
            false += run[i] != last_run or step[i] - last_step > EPISODE
            last_run, last_step = run[i], step[i]
    return told, false


def _matched(values: NDArray[np.float32], pattern: Pattern) -> Mask:
    """Return which rows are above all thresholds of a pattern."""
    matched = np.ones(values.shape[1], dtype=bool)
    for measure in np.flatnonzero(np.isfinite(pattern)):
        matched &= values[measure] > pattern[measure]
    return matched


def _narrow(values: NDArray[np.float32], rows: Rows, pattern: Pattern) -> Rows:
    """Return those of some rows that are above all thresholds of a pattern."""
    for measure in np.flatnonzero(np.isfinite(pattern)):
        rows = rows[values[measure, rows] > pattern[measure]]
    return rows


def _any(sample: Sample, patterns: list[Pattern]) -> Mask:
    matched = np.zeros(len(sample.run), dtype=bool)
    for pattern in patterns:
        matched |= _matched(sample.values, pattern)
    return matched


def _conditions(pattern: Pattern) -> int:
    return int(np.isfinite(pattern).sum())


def _words(pattern: Pattern) -> str:
    return " and ".join(f"{MEASURES[i]} > {pattern[i]:.3g}" for i in np.flatnonzero(np.isfinite(pattern)))


def _note(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
