"""The reference engine: plain NumPy, written to be read. Every other engine is compared with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from downslope.engines.metrics import norm, score, stopped, tally
from downslope.engines.problem import EpochRecord, Part, Problem, Scores, State, Totals
from downslope.engines.update import FloatArray, apply_update
from downslope.rules import Optimizer

__all__ = ["Reference"]


class Reference:
    """Trains by plain NumPy, one step after another.

    The same problem, rule and state give the same bits on one machine, in one go or in pieces. Matrix products and
    `exp` are NumPy's, whose last bits may differ between processors, and with the number of threads it multiplies on.
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
        network, loss = problem.network, problem.loss
        with np.errstate(all="ignore"):
            outputs, _ = network.forward(parameters, part.inputs)
            total = float(loss.forward(outputs, part.targets).sum(dtype=np.float64))
            penalty = network.penalty(parameters)
        return Scores(total / len(part.inputs) + penalty, score(loss, tally(loss, outputs, part.targets), part))

    def _step(self, problem: Problem, rule: Optimizer, state: State, part: Part, epoch: int) -> State:
        """Return the state after one update, or raise NonFiniteError and leave the old one as it was."""
        network, loss, step, sums = problem.network, problem.loss, state.step + 1, state.totals
        # Overflow is looked for in the numbers themselves, so NumPy need not warn of it too.
        with np.errstate(all="ignore"):
            outputs, trace = network.forward(state.parameters, part.inputs, dropout=(problem.seed, step))
            total = float(loss.forward(outputs, part.targets).sum(dtype=np.float64))
            penalty = network.penalty(state.parameters)
            if not math.isfinite(total + penalty):
                raise stopped("loss", epoch, step, rule)

            gradient = np.empty_like(state.parameters)
            network.backward(state.parameters, trace, loss.backward(outputs, part.targets), gradient)
            network.add_penalty_gradient(state.parameters, gradient)
            gradient_norm = norm(gradient)
            if not math.isfinite(gradient_norm):
                raise stopped("gradient", epoch, step, rule)

            parameters, slots = apply_update(rule, step, state.parameters, gradient, state.slots)
            if not math.isfinite(norm(parameters)):
                raise stopped("weight", epoch, step, rule)
            for name, slot in slots.items():
                if not math.isfinite(norm(slot)):  # an infinite average would hold its weight still for ever
                    raise stopped(f"slot ({name})", epoch, step, rule)
            update, weight_norm = parameters - state.parameters, norm(state.parameters)
            totals = Totals(
                loss=sums.loss + total,
                tally=sums.tally + tally(loss, outputs, part.targets),
                penalty=sums.penalty + penalty,
                gradient_norm=sums.gradient_norm + gradient_norm,
                update_ratio=sums.update_ratio + (norm(update) / weight_norm if weight_norm else math.inf),
                before=sums.before,
            )
        return State(parameters, slots, update, step, totals)


def _rows(part: Part, rows: slice | NDArray[np.int64]) -> Part:
    return Part(part.inputs[rows], part.targets[rows])


def _record(problem: Problem, totals: Totals, rate: float) -> EpochRecord:
    """Return the epoch's row: means over its rows (loss, score) and over its steps (the rest)."""
    steps = problem.steps_per_epoch
    penalty = totals.penalty / steps
    before = totals.before or Scores(math.nan, math.nan)
    return EpochRecord(
        loss=totals.loss / problem.rows + penalty,
        score=score(problem.loss, np.asarray(totals.tally), problem.training),
        learning_rate=rate,
        penalty=penalty,
        gradient_norm=totals.gradient_norm / steps,
        update_ratio=totals.update_ratio / steps,
        validation_loss=before.loss,
        validation_score=before.score,
    )
