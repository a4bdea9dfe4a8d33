"""The reference engine: plain NumPy, written to be read. Every other engine is compared with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from downslope.engines.metrics import agreement, all_finite, norm, score, stopped
from downslope.engines.problem import EpochRecord, Part, Problem, Scores, State, Totals
from downslope.engines.update import FloatArray, apply_update
from downslope.rules import Optimizer

__all__ = ["Reference"]


class Reference:
    """Trains by plain NumPy, one step after another.

    The same problem, rule and state give the same bits on one machine, in one go or in pieces. Matrix products and
    `exp` are NumPy's, whose last bits may differ between processors.
    """

    name = "reference"

    def advance(
        self,
        problem: Problem,
        rule: Optimizer,
        state: State,
        epochs: int,
        keep: Callable[[State, int, EpochRecord | None], bool],
    ) -> None:
        """Train until `epochs` epochs in all are done; see `Engine.advance`."""
        steps = problem.steps_per_epoch
        for epoch in range(state.step // steps, epochs):
            order = problem.order(epoch)
            for batch in range(state.step % steps, steps):
                if batch == 0 and problem.validation is not None:
                    before = self.measure(problem, state.parameters, problem.validation)
                    state = replace(state, totals=Totals(before=before))
                rows = slice(batch * problem.batch_size, (batch + 1) * problem.batch_size)
                part = _rows(problem.training, rows if order is None else order[rows])
                state = self._step(problem, rule, state, part, epoch)
                record = None
                if batch == steps - 1:
                    record = _record(problem, state.totals, rule.rate_after(epoch * steps))
                    state = replace(state, totals=Totals())
                if not keep(state, epoch, record):
                    return

    def measure(self, problem: Problem, parameters: FloatArray, part: Part) -> Scores:
        """Return loss and score of `parameters` on a part, without dropout."""
        with np.errstate(all="ignore"):
            outputs, _ = problem.network.forward(parameters, part.inputs)
            losses = problem.loss.forward(outputs, part.targets)
        loss = float(losses.sum(dtype=np.float64)) / len(part.inputs) + problem.network.penalty(parameters)
        return Scores(loss, score(problem.loss, agreement(problem.loss, outputs, part.targets), part))

    def _step(self, problem: Problem, rule: Optimizer, state: State, part: Part, epoch: int) -> State:
        """Return the state after one update, or raise NonFiniteError and leave the old one as it was."""
        network, loss, step = problem.network, problem.loss, state.step + 1
        with np.errstate(all="ignore"):
            outputs, trace = network.forward(state.parameters, part.inputs, dropout=(problem.seed, step))
            losses = loss.forward(outputs, part.targets)
            penalty = network.penalty(state.parameters)
            total = float(losses.sum(dtype=np.float64))
            if not math.isfinite(total) or not math.isfinite(penalty):
                raise stopped("loss", epoch, step, rule)

            gradient = np.empty_like(state.parameters)
            network.backward(state.parameters, trace, loss.backward(outputs, part.targets), gradient)
            network.add_penalty_gradient(state.parameters, gradient)
            if not all_finite(gradient):
                raise stopped("gradient", epoch, step, rule)

            parameters, slots = apply_update(rule, step, state.parameters, gradient, state.slots)
            if not all_finite(parameters):
                raise stopped("weight", epoch, step, rule)
            update = parameters - state.parameters

        weight_norm, sums = norm(state.parameters), state.totals
        totals = Totals(
            loss=sums.loss + total,
            correct=sums.correct + agreement(loss, outputs, part.targets),
            penalty=sums.penalty + penalty,
            gradient_norm=sums.gradient_norm + norm(gradient),
            update_ratio=sums.update_ratio + (norm(update) / weight_norm if weight_norm else math.inf),
            before=sums.before,
        )
        return State(parameters, slots, update, step, totals)


def _rows(part: Part, rows: object) -> Part:
    return Part(part.inputs[rows], part.targets[rows])  # type: ignore[index] # a slice or an array of row numbers


def _record(problem: Problem, totals: Totals, rate: float) -> EpochRecord:
    """Return the epoch's row: means over its rows (loss, score) and over its steps (the rest)."""
    steps = problem.steps_per_epoch
    penalty = totals.penalty / steps
    before = totals.before or Scores(math.nan, math.nan)
    return EpochRecord(
        loss=totals.loss / problem.rows + penalty,
        score=score(problem.loss, totals.correct, problem.training),
        learning_rate=rate,
        penalty=penalty,
        gradient_norm=totals.gradient_norm / steps,
        update_ratio=totals.update_ratio / steps,
        validation_loss=before.loss,
        validation_score=before.score,
    )
