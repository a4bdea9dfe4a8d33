"""The guard beside the judge: what it remembers between two steps, and what a step is like, by plain NumPy.

A memory is one vector of float64: the numbers the judge remembers (`judge.MEMORY`), then those of `OWN`, then for each
hidden unit the last step at which its bias had a gradient. A unit's bias gradient is the sum of what reaches the unit
over the rows of a batch: where that is exactly 0 for very long, nothing reaches it, and neither weights nor bias learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.engines.judge import (
    ALARM,
    CLIPPED,
    DEAD,
    LIMITS,
    MEMORY,
    OSCILLATION,
    PLATEAU,
    SIGNALS,
    WATCH,
    judge,
)
from downslope.engines.metrics import norm
from downslope.engines.problem import Alert, Problem, State, Watch
from downslope.engines.update import FloatArray
from downslope.errors import InputError
from downslope.network import Dense, Network

__all__ = [
    "CODES",
    "OWN",
    "UNITS",
    "Look",
    "alert_of",
    "check_watch",
    "clipped_steps",
    "dead_window",
    "default_limits",
    "good_step",
    "hidden_biases",
    "memory_of",
    "names_of",
    "shorten",
]

# "step": the last step watched; "slope": the last update times its own gradient; then what clipping goes by.
OWN = ("step", "slope", "norms_mean", "norms_seen", "clipped_steps", "last_clipped")
GOOD, CANDIDATE, UNITS = MEMORY.index("good"), MEMORY.index("candidate"), len(MEMORY) + len(OWN)
STEP, SLOPE, NORMS_MEAN, NORMS_SEEN, CLIPPED_STEPS, LAST_CLIPPED = range(len(MEMORY), UNITS)

LEAST_DEAD = 100.0  # steps without a gradient after which a unit counts as dead, where an epoch has not more
NORMS_FIRST, NORMS_WINDOW = 20.0, 100.0  # clipping begins after so many steps, and goes by the mean of so many
EPISODE = 100.0  # steps without clipping that end an episode

CODES = {
    WATCH: "watch",
    ALARM: "alarm",
    PLATEAU: "plateau",
    OSCILLATION: "oscillation",
    DEAD: "dead",
    CLIPPED: "clip",
}


def default_limits() -> NDArray[np.float64]:
    """Return the judge's thresholds, in the order of `judge.LIMITS`."""
    return np.array([limit.default for limit in LIMITS])


def names_of(codes: int) -> tuple[str, ...]:
    """Return the names of what was noticed: "watch", "alarm", "plateau", "oscillation", "dead", "clip"."""
    return tuple(name for code, name in CODES.items() if codes & code)


def good_step(state: State) -> int | None:
    """Return the last step after whose update all was well; None where nothing was watched, or not of late."""
    memory = state.guard
    return None if memory is None or memory[STEP] != state.step else int(memory[GOOD])


def clipped_steps(state: State) -> int:
    """Return how many gradients were shortened since the guard's memory began."""
    return 0 if state.guard is None else int(state.guard[CLIPPED_STEPS])


def hidden_biases(network: Network) -> list[slice]:
    """Return where the biases of the hidden units lie in the flat vector: of all dense layers but the last."""
    slices = network.parameter_slices()
    dense = [position for position, layer in enumerate(network.layers) if isinstance(layer, Dense)]
    return [slices[f"{position}.biases"][0] for position in dense[:-1]]


def dead_window(problem: Problem) -> float:
    """Return after how many steps without a gradient a unit counts as dead."""
    return max(LEAST_DEAD, float(problem.steps_per_epoch))


def memory_of(problem: Problem, state: State) -> NDArray[np.float64]:
    """Return a copy of the guard's memory to go on from; a fresh one where there is none, or one of another layout.

    Where steps were made that nobody watched, the last update's own slope is not known, and the state there is as good
    as any: a way back leads no further than to where watching began again.
    """
    units = sum(biases.stop - biases.start for biases in hidden_biases(problem.network))
    if state.guard is not None and len(state.guard) == UNITS + units:
        memory = state.guard.copy()
        if memory[STEP] != state.step:
            memory[SLOPE], memory[GOOD], memory[CANDIDATE] = np.nan, state.step, -1.0
        return memory
    memory = np.zeros(UNITS + units)
    memory[[GOOD, STEP]] = memory[UNITS:] = state.step
    memory[SLOPE], memory[LAST_CLIPPED] = np.nan, -np.inf
    return memory


def check_watch(watch: Watch, steps: int) -> None:
    """Raise InputError where an engine would read or write beyond a watch's arrays."""
    if watch.limits.dtype != np.float64 or watch.limits.shape != (len(LIMITS),):
        raise InputError(
            f"limits must be {len(LIMITS)} numbers in float64. "
            f"Received: {watch.limits.dtype} of shape {watch.limits.shape}"
        )
    if not watch.clip >= 0.0:
        raise InputError(f"clip must be at least 0. Received: clip={watch.clip!r}")
    trace, width = watch.trace, len(SIGNALS) + 1
    if trace is None:
        return
    if trace.dtype != np.float64 or trace.ndim != 2 or trace.shape[1] != width or len(trace) < steps:
        raise InputError(
            f"trace must be at least {steps} rows of {width} numbers in float64. "
            f"Received: {trace.dtype} of shape {trace.shape}"
        )
    if not trace.flags.c_contiguous or not trace.flags.writeable:
        raise InputError("trace must be contiguous and writable. Received: an array that is not")


def alert_of(row: Any, good: float) -> Alert:
    """Return the alert of a row of signals with the codes behind them."""
    signals = tuple(float(number) for number in row[: len(SIGNALS)])
    return Alert(int(signals[0]), int(row[len(SIGNALS)]), int(good), signals)


def shorten(size: Any, step: Any, factor: Any, memory: Any) -> Any:
    """Return by how much a gradient of norm `size` is multiplied, and the code that is told; written for all engines.

    A norm above `factor` times the running mean of the norms, each as it was after shortening, becomes that. The mean
    is taken over about the last hundred steps; in the first twenty no gradient is shortened.
    """
    scale, code, seen, mean = 1.0, 0, memory[NORMS_SEEN], memory[NORMS_MEAN]
    most = factor * mean
    if seen >= NORMS_FIRST and mean > 0.0 and size > most:
        scale, size = most / size, most
        if step - memory[LAST_CLIPPED] > EPISODE:
            code = CLIPPED
        memory[LAST_CLIPPED] = step
        memory[CLIPPED_STEPS] += 1.0
    seen += 1.0
    window = min(NORMS_WINDOW, seen)
    memory[NORMS_SEEN] = seen
    memory[NORMS_MEAN] = mean + (size - mean) / window
    return scale, code


class Look:
    """The guard's look at one step, by plain NumPy: `units`, `clip`, then `judged`, in the order of the step."""

    def __init__(self, problem: Problem, state: State, watch: Watch, first: int, learning_rate: float) -> None:
        self._problem, self._state, self._watch, self._first = problem, state, watch, first
        self._step, self._rate = state.step + 1, learning_rate
        self.memory = memory_of(problem, state)
        self._code = 0
        self._dead = self._norm = self._slope_after = np.nan
        self._scale = 1.0

    def units(self, gradient: FloatArray) -> None:
        """Take note of the hidden units that have a gradient, before penalties are added to it."""
        biases, last = hidden_biases(self._problem.network), self.memory[UNITS:]
        if biases:
            alive = np.concatenate([gradient[where] for where in biases]) != 0
            last[alive] = self._step
        self._dead = float(np.mean(self._step - last >= dead_window(self._problem))) if len(last) else 0.0

    def clip(self, gradient: FloatArray, gradient_norm: float) -> FloatArray:
        """Return the gradient, shortened where it is too long."""
        self._norm = gradient_norm
        self._slope_after = _slope(self._state.last_update, gradient)
        if self._watch.clip > 0.0:
            self._scale, self._code = shorten(gradient_norm, float(self._step), self._watch.clip, self.memory)
            if self._scale != 1.0:
                gradient = gradient * gradient.dtype.type(self._scale)
        return gradient

    def judged(self, loss: float, parameters: FloatArray, gradient: FloatArray, update: FloatArray) -> Alert:
        """Return the alert of the step, whose codes are 0 where nothing was noticed; the memory then knows of it."""
        memory, before = self.memory, self.memory[SLOPE]
        slope = _slope(update, gradient) / self._scale  # of the gradient as it was before it was shortened
        row = np.array([
            self._step, loss, self._norm, before, np.nan if np.isnan(before) else self._slope_after, slope,
            norm(update), norm(self._state.parameters), np.abs(parameters).max(), self._rate, self._dead, 0,
        ])  # fmt: skip
        memory[[STEP, SLOPE]] = self._step, slope
        row[-1] = self._code + judge(row, memory, self._watch.limits)
        if self._watch.trace is not None:
            self._watch.trace[self._step - self._first] = row
        return alert_of(row, memory[GOOD])


def _slope(update: FloatArray, gradient: FloatArray) -> float:
    """Return update · gradient, in float64."""
    return float(np.multiply(update, gradient, dtype=np.float64).sum())
