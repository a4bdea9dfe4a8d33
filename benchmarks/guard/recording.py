"""What each step of a run was like: the guard's own signals, as the compiled engine gives them, one row a step."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from corpus import Case
from labels import EXPLOSION, Label, label
from numpy.typing import NDArray

from downslope.engines.choice import ENGINES
from downslope.engines.guard import default_limits
from downslope.engines.judge import SIGNALS
from downslope.engines.problem import Control, Problem, State, Watch
from downslope.errors import NonFiniteError

__all__ = ["Recording", "chance_of", "is_caused", "record"]

LOSS = SIGNALS.index("loss")


class Recording(NamedTuple):
    """A run from start to end, whatever became of it.

    Attributes
    ----------
    signals : array, shape (steps, signals)
        Of each step, in the order of `judge.SIGNALS`.
    codes : array, shape (steps,)
        What the guard told at each.
    failed : int or None
        The step at which a number was not finite.
    label : Label
        What came of it.
    """

    signals: NDArray[np.float64]
    codes: NDArray[np.int64]
    failed: int | None
    label: Label


def record(case: Case) -> Recording:
    """Train a case to its end with a guard that only watches."""
    made = case.setup()
    trace = np.full((case.steps, len(SIGNALS) + 1), math.nan)
    watch = Watch(default_limits(), trace=trace)
    state, failed = State.start(made.parameters, case.rule), None
    try:
        ENGINES["compiled"]().advance(made.problem, case.rule, state, case.steps, Control(), lambda *_: None, watch)
    except NonFiniteError as error:
        failed = error.step
        assert failed is not None
        trace = trace[: failed - 1]
    problem = made.problem
    capped = problem.loss.kind == "classification"
    mini = problem.batch_size < problem.rows
    what = label(trace[:, LOSS], failed, case.change, mini, chance_of(problem), capped)
    return Recording(trace[:, :-1], trace[:, -1].astype(np.int64), failed, what)


def is_caused(case: Case, what: Label) -> bool:
    """Whether a run exploded by its jump or ramp: what an alarm in time is wanted for."""
    return what.kind == EXPLOSION and case.family in ("jump", "ramp") and what.change == case.change


def chance_of(problem: Problem) -> float:
    """Return the loss of a network that knows nothing: equal probabilities, or the targets' mean."""
    if problem.loss.kind == "classification":
        return math.log(problem.network.outputs)
    return float(np.var(np.asarray(problem.training.targets, dtype=np.float64), axis=0).mean())
