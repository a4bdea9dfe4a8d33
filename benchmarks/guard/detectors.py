"""The usual detectors of an explosion, and ours: from a run's recorded signals to the steps at which each one alarms.

Each tells an episode once: it may alarm again after 50 steps without its sign. Running means and spreads go over the
last 50 steps before the one in question, and nothing is told before there are 10 of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from recording import Recording

from downslope.engines.judge import ALARM, SIGNALS

__all__ = ["CURVES", "DETECTORS", "OURS", "Detector"]

Detector = Callable[[Recording], NDArray[np.int64]]
OURS = "downslope"
WINDOW, FIRST, EPISODE = 50, 10, 50
(LOSS, GRADIENT, BEFORE, AFTER, UPDATE, WEIGHTS) = (
    SIGNALS.index(name)
    for name in ("loss", "gradient_norm", "slope_before", "slope_after", "update_norm", "weight_norm")
)


def _ours(run: Recording) -> NDArray[np.int64]:
    return _with_failure(run, np.flatnonzero(run.codes & ALARM) + 1)


def _non_finite(run: Recording) -> NDArray[np.int64]:
    return _with_failure(run, np.empty(0, dtype=np.int64))


def _mean(run: Recording, times: float = 2.0) -> NDArray[np.int64]:
    losses = run.signals[:, LOSS]
    return _episodes(run, losses > times * _past(losses)[0])


def _sigma(run: Recording, spreads: float = 6.0) -> NDArray[np.int64]:
    losses = run.signals[:, LOSS]
    mean, spread = _past(losses)
    return _episodes(run, losses > mean + spreads * spread)


def _score(run: Recording, spreads: float = 2.5) -> NDArray[np.int64]:
    norms = run.signals[:, GRADIENT]
    mean, spread = _past(norms)
    return _episodes(run, norms > mean + spreads * spread)


def _ratio(run: Recording, least: float = 0.3) -> NDArray[np.int64]:
    return _episodes(run, run.signals[:, UPDATE] > least * run.signals[:, WEIGHTS])


def _slope_and_ratio(run: Recording, least: float = 0.1) -> NDArray[np.int64]:
    signals = run.signals
    with np.errstate(all="ignore"):
        slope_ratio = 1.0 - signals[:, AFTER] / signals[:, BEFORE]
        # The slope tells of the update before: its size is the one meant.
        ratio = np.concatenate([[0.0], (signals[:, UPDATE] / signals[:, WEIGHTS])[:-1]])
    return _episodes(run, (slope_ratio > 2.0) & (ratio > least))


DETECTORS: Mapping[str, Detector] = {
    OURS: _ours,
    "loss not finite": _non_finite,
    "loss > 2 × its mean": _mean,
    "loss: six sigma": _sigma,
    "gradient norm: z > 2.5": _score,
    "update / weights > 0.3": _ratio,
    "r > 2 and update / weights > 0.1": _slope_and_ratio,
}
"""What is compared, by name."""

Threshold = Callable[[Recording, float], NDArray[np.int64]]
CURVES: Mapping[str, tuple[Threshold, tuple[float, ...]]] = {
    "loss > c × its mean": (_mean, (1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)),
    "loss: z > c": (_sigma, (2.0, 4.0, 6.0, 10.0, 20.0, 50.0, 200.0)),
    "gradient norm: z > c": (_score, (1.5, 2.5, 5.0, 10.0, 20.0, 50.0, 200.0)),
    "update / weights > c": (_ratio, (0.02, 0.05, 0.1, 0.2, 0.3, 0.6, 1.5)),
    "r > 2 and update / weights > c": (_slope_and_ratio, (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.5)),
}
"""The usual detectors with their threshold c, and the values of it that the trade-off is drawn for."""


def _past(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the values before each one; infinite where there are too few."""
    mean = np.full(len(values), np.inf)
    spread = np.zeros(len(values))
    if len(values) <= FIRST:
        return mean, spread
    with np.errstate(all="ignore"):
        for end in range(FIRST, min(WINDOW, len(values))):
            mean[end], spread[end] = values[:end].mean(), values[:end].std()
        if len(values) > WINDOW:
            windows = np.lib.stride_tricks.sliding_window_view(values[:-1], WINDOW)
            mean[WINDOW:], spread[WINDOW:] = windows.mean(axis=1), windows.std(axis=1)
    return mean, spread


def _episodes(run: Recording, signs: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first step of each episode of signs."""
    steps = np.flatnonzero(signs) + 1
    if len(steps):
        steps = steps[np.concatenate([[True], np.diff(steps) > EPISODE])]
    return _with_failure(run, steps)


def _with_failure(run: Recording, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the steps and that of the number that was not finite, which every detector sees, if only in the loss."""
    return steps if run.failed is None else np.append(steps, run.failed)
