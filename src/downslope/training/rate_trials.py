"""Constant learning rates tried on a copy of a run, and the rate at which training explodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.engines.choice import ENGINES
from downslope.engines.guard import default_limits
from downslope.engines.judge import SIGNALS
from downslope.engines.problem import Control, Problem, State, Watch
from downslope.errors import InputError, NonFiniteError
from downslope.rules import Optimizer
from downslope.schedules import Schedule

if TYPE_CHECKING:
    from downslope.training.run import Run

__all__ = ["CLOSE", "Copy", "Stretch", "Trial", "trials"]

CLOSE = 1.05  # how far apart the rates around the threshold are at the end
TINY = float(np.finfo(np.float64).tiny)
LOSS = SIGNALS.index("loss")


class Stretch(NamedTuple):
    """Steps that were made: the loss of each one's batch before it, the state after them, whether a number failed."""

    losses: NDArray[np.float64]
    state: State
    failed: bool


class Trial(NamedTuple):
    """What training at one constant rate led to.

    Attributes
    ----------
    rate : float
        The learning rate.
    exploded : bool
        Whether training exploded, as `find_rate` defines it.
    loss, peak : float
        The mean loss over the last tenth of its steps, and the largest such mean over as many steps in a row; infinite
        where a number was not finite.
    steps : int
        The updates made.
    """

    rate: float
    exploded: bool
    loss: float
    peak: float
    steps: int


class Copy:
    """What a run stands at, to be trained without the run: the same problem and state, an engine of its own.

    Attributes
    ----------
    level : float
        The loss on the training rows at the start, penalty included, without dropout.
    constant : float
        The loss of the best outputs that are the same for all rows.
    """

    def __init__(self, run: Run) -> None:
        self.problem: Problem = replace(run.problem, validation=None)  # nobody looks at it
        self.state: State = replace(run.state, guard=None)
        self.rule: Optimizer = run.optimizer
        self._engine = ENGINES[run.engine]()
        self.level = self._engine.measure(self.problem, self.state.parameters, self.problem.training).loss
        if not np.isfinite(self.level):
            raise InputError(f"the run must have a finite loss to be tested. Received: a loss of {self.level}")
        self.constant = constant_loss(self.problem)

    def train(self, rate: float | Schedule, steps: int, control: Control, state: State | None = None) -> Stretch:
        """Make steps from `state`, or from the start; a schedule counts k from the start."""
        shifted = rate.shifted(self.state.step) if isinstance(rate, Schedule) else rate
        rule = self.rule.replace(learning_rate=shifted)
        begin = end = self.state if state is None else state
        watch = Watch(default_limits(), trace=np.full((steps, len(SIGNALS) + 1), np.nan))
        failed = False

        def keep(reached: State, _first: int, _records: Any) -> None:
            nonlocal end
            end = reached

        try:
            self._engine.advance(self.problem, rule, begin, steps, control, keep, watch)
        except NonFiniteError:
            failed = True
        assert watch.trace is not None
        return Stretch(watch.trace[: end.step - begin.step, LOSS].copy(), end, failed)

    def trial(self, rate: float, steps: int, control: Control) -> Trial | None:
        """Train at one rate from the start; None where `control` ended it.

        With losses averaged over a tenth of the steps, it exploded if a loss, gradient, weight or slot was not finite;
        if the highest of these means was at least ten times `level` and ten times `constant`; or if the last is at
        least twice `level` and half of `constant`. So a brief spike is none, and the loss of a trained run, small
        beside `constant`, may grow a lot.
        """
        losses, _, failed = self.train(rate, steps, control)
        if not failed and len(losses) < steps:
            return None
        if failed:
            return Trial(rate, True, np.inf, np.inf, len(losses))
        width = max(1, steps // 10)
        means = np.convolve(losses, np.full(width, 1.0 / width), mode="valid")
        last, peak = float(means[-1]), float(means.max())
        grown = peak >= 10.0 * max(self.level, self.constant) or last >= max(2.0 * self.level, self.constant / 2.0)
        return Trial(rate, grown, last, peak, steps)


def constant_loss(problem: Problem) -> float:
    """Return the mean loss of the best outputs that are the same for all rows: means or medians, or class shares."""
    targets, width = problem.training.targets, problem.network.outputs
    if problem.loss.kind == "classification":
        shares = np.bincount(np.asarray(targets, dtype=np.int64).ravel(), minlength=max(width, 2)) / len(targets)
        logits = np.log(np.maximum(shares, 1e-9))
        candidates = [logits if width > 1 else logits[1:] - logits[:1]]
    else:
        candidates = [np.mean(targets, axis=0), np.median(targets, axis=0)]
    rows = (np.broadcast_to(np.atleast_1d(outputs), (len(targets), width)) for outputs in candidates)
    kind = problem.training.inputs.dtype
    return min(float(problem.loss.forward(outputs.astype(kind), targets).mean(dtype=np.float64)) for outputs in rows)


def trials(attempt: Callable[[float], Trial | None], begin: float, low: float, high: float) -> Iterator[Trial]:
    """Yield trials until the smallest rate that explodes is known to a factor of `CLOSE`.

    From `begin` by factors of 2 up to the first that explodes, at most to `high`, or down to the first that holds, at
    least to `low`; then between the two, by halves of their ratio. Smaller rates than one that holds are taken to hold.
    """
    held = exploded = None
    rate = begin
    while held is None or exploded is None:
        trial = attempt(rate)
        if trial is None:
            return
        yield trial
        if trial.exploded:
            exploded = rate
        else:
            held = rate
        end = low if trial.exploded else high
        if rate == end:
            return
        if held is None or exploded is None:
            rate = max(rate / 2, low) if trial.exploded else min(2 * rate, high)
    while exploded > CLOSE * held:
        product = held * exploded
        usual = TINY < product < np.inf  # else the roots are taken first, which rounds twice
        rate = float(np.sqrt(product) if usual else np.sqrt(held) * np.sqrt(exploded))
        trial = attempt(rate)
        if trial is None:
            return
        yield trial
        held, exploded = (held, rate) if trial.exploded else (rate, exploded)
