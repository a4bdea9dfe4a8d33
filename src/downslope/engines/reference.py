"""The reference engine: plain NumPy, written to be read. Every other engine is compared with it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.engines.guard import Look, check_watch
from downslope.engines.judge import ALARM
from downslope.engines.metrics import norm, score, stopped, tally
from downslope.engines.problem import (
    Alert,
    Control,
    EpochRecord,
    Keep,
    Part,
    Problem,
    Scores,
    State,
    Totals,
    Watch,
)
from downslope.engines.update import FloatArray, apply_update
from downslope.errors import NonFiniteError
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
        steps: int,
        control: Control,
        keep: Keep,
        watch: Watch | None = None,
    ) -> None:
        """Make `steps` updates, keeping every one; see `Engine.advance`."""
        if watch is not None:
            check_watch(watch, steps)
        order, first = problem.order(state.epoch) if state.batch else None, state.step + 1
        for _ in range(steps):
            if control.ending:
                return
            epoch = state.epoch
            if state.batch == 0:
                order = problem.order(epoch)
                state = replace(state, totals=self._begin(problem, rule, state))
            rows = slice(state.batch * problem.batch_size, (state.batch + 1) * problem.batch_size)
            part = _rows(problem.training, rows if order is None else order[rows])
            rate = float(rule.at(state.step + 1).learning_rate)
            look = None if watch is None else Look(problem, state, watch, first, rate)
            after, alert = self._step(problem, rule, state, part, rate, look)
            if watch is not None and alert is not None and alert.codes:
                if watch.halt and alert.codes & ALARM:
                    watch.alarm = alert
                    return
                watch.alerts.append(alert)
            state = after
            control.cells[1] = state.step
            if state.batch < problem.steps_per_epoch:
                keep(state, epoch, ())
            else:
                record = _record(problem, state.totals)
                state = replace(state, epoch=epoch + 1, batch=0, totals=Totals())
                keep(state, epoch, (record,))

    def measure(self, problem: Problem, parameters: FloatArray, part: Part) -> Scores:
        """Return loss and score of `parameters` on a part, without dropout."""
        network, loss = problem.network, problem.loss
        with np.errstate(all="ignore"):
            outputs, _ = network.forward(parameters, part.inputs)
            total = float(loss.forward(outputs, part.targets).sum(dtype=np.float64))
            penalty = network.penalty(parameters)
        return Scores(total / len(part.inputs) + penalty, score(loss, tally(loss, outputs, part.targets), part))

    def describe(self) -> dict[str, Any]:
        """Return the name and the library that multiplies matrices."""
        from downslope.engines.compiled.blas_library import library

        return {"name": self.name, "blas": library()._asdict()}

    def _begin(self, problem: Problem, rule: Optimizer, state: State) -> Totals:
        """Return what holds when an epoch begins: the rate in force, and the validation scores."""
        rate = state.learning_rate if state.step else float(rule.at(1).learning_rate)
        held_out = problem.validation
        before = None if held_out is None else self.measure(problem, state.parameters, held_out)
        return Totals(learning_rate=rate, before=before)

    def _step(
        self, problem: Problem, rule: Optimizer, state: State, part: Part, rate: float, look: Look | None
    ) -> tuple[State, Alert | None]:
        """Return the state after one update, and what the guard says to it.

        Raises NonFiniteError and leaves the old state as it was.
        """
        network, loss, step, sums = problem.network, problem.loss, state.step + 1, state.totals

        def owed(what: str, to: float) -> NonFiniteError:
            return stopped(what, state.epoch, step, to)

        # Overflow is looked for in the numbers themselves, so NumPy need not warn of it too.
        with np.errstate(all="ignore"):
            outputs, trace = network.forward(state.parameters, part.inputs, dropout=(problem.seed, step))
            total = float(loss.forward(outputs, part.targets).sum(dtype=np.float64))
            penalty = network.penalty(state.parameters)
            if not math.isfinite(total + penalty):
                raise owed("loss", state.learning_rate)

            gradient = np.empty_like(state.parameters)
            network.backward(state.parameters, trace, loss.backward(outputs, part.targets), gradient)
            if look is not None:
                look.units(gradient)
            network.add_penalty_gradient(state.parameters, gradient)
            gradient_norm = norm(gradient)
            if not math.isfinite(gradient_norm):
                raise owed("gradient", state.learning_rate)
            if look is not None:
                gradient = look.clip(gradient, gradient_norm)

            age = step - state.slots_since
            parameters, slots = apply_update(rule, step, state.parameters, gradient, state.slots, age)
            if not math.isfinite(norm(parameters)):
                raise owed("weight", rate)
            for name, slot in slots.items():
                if not math.isfinite(norm(slot)):  # an infinite average would hold its weight still for ever
                    raise owed(f"slot ({name})", state.learning_rate)
            update, weight_norm = parameters - state.parameters, norm(state.parameters)
            totals = replace(
                sums,
                loss=sums.loss + total,
                tally=sums.tally + tally(loss, outputs, part.targets),
                penalty=sums.penalty + penalty,
                gradient_norm=sums.gradient_norm + gradient_norm,
                update_ratio=sums.update_ratio + (norm(update) / weight_norm if weight_norm else math.inf),
                largest_weight=max(sums.largest_weight, float(np.abs(parameters).max())),
            )
            alert = None
            if look is not None:
                alert = look.judged(total / len(part.inputs) + penalty, parameters, gradient, update)
        after = State(
            parameters,
            slots,
            update,
            step=step,
            epoch=state.epoch,
            batch=state.batch + 1,
            slots_since=state.slots_since,
            learning_rate=rate,
            totals=totals,
            guard=state.guard if look is None else look.memory,
        )
        return after, alert


def _rows(part: Part, rows: slice | NDArray[np.int64]) -> Part:
    return Part(part.inputs[rows], part.targets[rows])


def _record(problem: Problem, totals: Totals) -> EpochRecord:
    """Return the epoch's row: means over its rows (loss, score) and over its steps (the rest)."""
    steps = problem.steps_per_epoch
    penalty = totals.penalty / steps
    before = totals.before or Scores(math.nan, math.nan)
    return EpochRecord(
        loss=totals.loss / problem.rows + penalty,
        score=score(problem.loss, np.asarray(totals.tally), problem.training),
        learning_rate=totals.learning_rate,
        penalty=penalty,
        gradient_norm=totals.gradient_norm / steps,
        update_ratio=totals.update_ratio / steps,
        largest_weight=totals.largest_weight,
        validation_loss=before.loss,
        validation_score=before.score,
    )
