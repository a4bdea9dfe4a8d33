"""A stretch of training: the arrays that some steps work on, and the state and records that come of them.

What is the same whichever engine makes the steps: nothing of a state is written into, a stretch that ended at a number
that is not finite is made again up to its last good step, and records are means of the kernels' sums.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.engines.compiled import tables as t
from downslope.engines.compiled.kernels import update_kernel
from downslope.engines.compiled.plan import Plan, aligned
from downslope.engines.guard import alert_of, check_watch, dead_window, memory_of
from downslope.engines.judge import ALARM, MEMORY, SIGNALS
from downslope.engines.metrics import scores, stopped
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
from downslope.engines.scalars import ScalarTable, scalar_table
from downslope.engines.update import FloatArray, check_slots
from downslope.errors import InputError, NonFiniteError
from downslope.rules import Optimizer

__all__ = ["Make", "Stretch", "Work", "check_parameters", "check_state", "in_stretches", "place", "places", "scores_of"]

MOST_STEPS = 1 << 16  # in one stretch
MOST_ALERTS = 64  # likewise
ALERTS, HALTED, GOOD = t.REPORT.index("alerts"), t.REPORT.index("halted"), MEMORY.index("good")
WATCHED = [t.SIZES.index(name) for name in ("watched", "halt", "traced")]
HELD_OUT = [EpochRecord._fields.index(name) for name in ("validation_loss", "validation_score")]


class Stretch(NamedTuple):
    """What some steps led to: the state, a record for each epoch they completed, and what was not finite, if any.

    Beside them what the guard noticed, and the alarm that ended them, whose step is not among those made.
    """

    state: State
    records: NDArray[np.float64]
    failed: int
    alerts: Sequence[Alert] = ()
    alarm: Alert | None = None


Make: TypeAlias = Callable[[State, ScalarTable, Control], Stretch]
"""Make a step for each row of the table, or as many as are made before a stop is asked for."""


def in_stretches(
    make: Make,
    rule: Optimizer,
    state: State,
    steps: int,
    control: Control,
    keep: Keep,
    watch: Watch | None,
    *,
    count: int,
    seconds: float,
) -> None:
    """Make `steps` updates as `Engine.advance` tells, keeping after stretches of about so many seconds.

    `count` is how many steps the first one has. A stretch that failed, or that an alarm ended, is made again up to the
    step before, which comes out with the same bits: so no step has to save what it overwrites.
    """
    if watch is not None:
        check_watch(watch, steps)
    while steps > 0 and not control.ending:
        count = max(1, min(count, steps, MOST_STEPS))
        started = time.perf_counter()
        table = scalar_table(rule, state.step + 1, count, state.slots_since)
        made = 0
        if len(table.values):
            first = state.epoch
            stretch = make(state, table, control)
            made = stretch.state.step - state.step
            if watch is not None and stretch.alarm is not None:
                watch.alarm = stretch.alarm
                if made:
                    stretch = make(state, table.first(made), Control())
                    watch.alerts.extend(one for one in stretch.alerts if one is not stretch.alarm)
                    control.cells[1] = stretch.state.step
                    keep(stretch.state, first, stretch.records)
                return
            failure = _failure(stretch, state, table, rule) if stretch.failed else None
            while stretch.failed:  # once, unless the products of a foreign library differ from one time to the next
                made = stretch.state.step - state.step
                stretch = make(state, table.first(made), Control()) if made else Stretch(state, stretch.records[:0], 0)
            state = stretch.state
            control.cells[1] = state.step
            if watch is not None:
                watch.alerts.extend(stretch.alerts)
            keep(state, first, stretch.records)
            if failure is not None:
                raise failure
        if table.error is not None and made == len(table.values):
            raise table.error
        steps -= made
        took = max(time.perf_counter() - started, 1e-6)
        count = int(min(4 * count, count * seconds / took)) + 1


class Work:
    """What a stretch of steps reads and writes: copies of what a state holds, and room for the rest.

    Attributes
    ----------
    parameters, before, gradient : array
        The flat vectors; `before` is for the parameters before the last update, or with a watch for that update.
    addresses : int64 array
        Where the slots lie, which are copies too.
    scalars : array, shape (steps, scalars)
        What the rule's formula takes at each step.
    records, report, numbers : array
        What the steps tell (see `tables`): a row for each epoch, how far they came, and what a step is described by.
    limits, memory, signals, alerts : float64 array
        For the guard: its limits with what stands behind them (see `take_step`), what it remembers, and room for what
        it tells: a row a step if that is traced, else one, and the alerts.
    sizes : int64 array
        The plan's, with what belongs to the rule and to the guard.
    """

    def __init__(
        self,
        plan: Plan,
        problem: Problem,
        rule: Optimizer,
        state: State,
        table: ScalarTable,
        watch: Watch | None = None,
        first: int = 0,
    ) -> None:
        self._plan, self._problem, self._state, self._table = plan, problem, state, table
        self.parameters = _copy(state.parameters)
        count = self.parameters.size
        self.before, self.gradient = (aligned(size, plan.dtype) for size in (count + t.PIECE, count))
        self._slots = {name: _copy(state.slots[name]) for name in rule.slots_in_use()}
        self.addresses = np.array([place(slot) for slot in self._slots.values()] or [0], dtype=np.int64)
        with np.errstate(all="ignore"):  # 1e300 is infinite in float32
            self.scalars = np.ascontiguousarray(table.values, dtype=plan.dtype)
        self.records = np.zeros((-(-(state.batch + self.steps) // problem.steps_per_epoch), plan.width))
        if state.batch:
            self.records[0] = plan.record_of(state.totals)
        self.report = np.zeros(len(t.REPORT), dtype=np.int64)
        self.numbers = np.zeros(len(t.NUMBERS) + 1 + plan.tallies)
        self.sizes = plan.sizes(rule, update_kernel(rule, plan.dtype, state.step + 1).address)
        self.rates = np.ascontiguousarray(table.learning_rate, dtype=np.float64)
        self.limits = self.memory = self.alerts = np.empty(0)
        self.signals, self._watch = np.zeros((1, t.ROW)), watch
        if watch is not None:
            self.before[:count] = state.last_update
            self.limits = np.append(watch.limits, (watch.clip, dead_window(problem)))
            self.memory = memory_of(problem, state)
            self.alerts = np.empty((MOST_ALERTS, t.ALERT))
            if watch.trace is not None:
                self.signals = watch.trace[state.step - first :]
            self.sizes[WATCHED] = MOST_ALERTS, watch.halt, watch.trace is not None

    @property
    def steps(self) -> int:
        """How many steps there are scalars for."""
        return len(self._table.values)

    @property
    def last_alert(self) -> bool:
        """Whether the next alert might find no room after it."""
        return self._watch is not None and bool(self.report[ALERTS] + 1 == MOST_ALERTS)

    def row_for(self, made: int, step: int, loss: float) -> int:
        """Return where the signals of a step lie, with what they need beforehand."""
        row = self._row(made)
        row[[SIGNALS.index(name) for name in ("step", "loss", "learning_rate")]] = step, loss, self.rates[made]
        return place(row)

    def halted_by(self, made: int) -> bool:
        """Keep the alert of a step, if there is one, and return whether it ends the work."""
        row = self._row(made)
        if self._watch is None or not row[t.CODES]:
            return False
        self.alerts[self.report[ALERTS]] = *row, self.memory[GOOD]
        self.report[ALERTS] += 1
        self.report[HALTED] = halted = self._watch.halt and bool(int(row[t.CODES]) & ALARM)
        return halted

    def _row(self, made: int) -> NDArray[np.float64]:
        traced = self._watch is not None and self._watch.trace is not None
        row: NDArray[np.float64] = self.signals[made if traced else 0]
        return row

    def done(self) -> Stretch:
        """Return what `records` and `report` say the steps led to."""
        plan, state = self._plan, self._state
        made, done, batch, failed, told, halted = (int(number) for number in self.report)
        before = self.before[: self.parameters.size]
        with np.errstate(all="ignore"):
            last_update = self.parameters - before if made else state.last_update
            if self._watch is not None:
                last_update = before  # which then holds it
        under_way = done + (batch > 0)
        rates = self._rates()[:under_way]
        records = _records(plan, self._problem, self.records[:under_way], rates)
        if state.batch and state.totals.before is not None:
            records[0, HELD_OUT] = state.totals.before
        totals = Totals()
        if batch:
            sums, parts = self.records[done], plan.split(self.records[done])
            penalty, gradient_norm, update_ratio, largest_weight = (float(x) for x in sums[:4])
            totals = Totals(
                loss=float(parts.loss),
                tally=parts.tally[0] if plan.classification else parts.tally.copy(),
                penalty=penalty,
                gradient_norm=gradient_norm,
                update_ratio=update_ratio,
                largest_weight=largest_weight,
                learning_rate=float(rates[done]),
                before=None
                if self._problem.validation is None
                else Scores(*(float(x) for x in records[done, HELD_OUT])),
            )
        after = State(
            self.parameters,
            self._slots,
            last_update,
            step=state.step + made,
            epoch=state.epoch + done,
            batch=batch,
            slots_since=state.slots_since,
            learning_rate=float(self._table.learning_rate[made - 1]) if made else state.learning_rate,
            totals=totals,
            guard=state.guard if self._watch is None else self.memory,
        )
        alerts = [alert_of(row, row[t.ROW]) for row in self.alerts[:told]]
        return Stretch(after, records[:done], failed, alerts, alerts[-1] if halted else None)

    def _rates(self) -> NDArray[np.float64]:
        """Return the rate in force when each epoch began: that of the update before; before the first, its own."""
        state, rates = self._state, self._table.learning_rate
        began = np.maximum(np.arange(len(self.records)) * self._problem.steps_per_epoch - state.batch, 0)
        before = state.learning_rate if state.step else float(rates[0])
        in_force = np.where(began > 0, rates[np.minimum(began, len(rates)) - 1], before)
        if state.batch:
            in_force[0] = state.totals.learning_rate
        return in_force


def check_state(plan: Plan, rule: Optimizer, state: State) -> None:
    """Raise InputError where machine code would read other arrays than the state has."""
    check_slots(rule, state.slots)
    check_parameters(plan, "parameters", state.parameters)
    for name in rule.slots_in_use():
        check_parameters(plan, f"slot ({name})", state.slots[name])


def check_parameters(plan: Plan, name: str, array: FloatArray) -> None:
    """Raise InputError unless an array is a vector of the parameters' number and type."""
    if array.dtype != plan.dtype or array.shape != (plan.parameters,):
        raise InputError(
            f"{name} must be {plan.parameters} numbers of the data's type, {plan.dtype}. "
            f"Received: {array.dtype} of shape {array.shape}"
        )


def place(array: NDArray[Any]) -> int:
    """Return where an array's numbers lie."""
    return array.ctypes.data


def places(*arrays: NDArray[Any]) -> list[int]:
    """Return where the numbers of several arrays lie."""
    return [array.ctypes.data for array in arrays]


def scores_of(plan: Plan, problem: Problem, part: Part, out: NDArray[np.float64]) -> Scores:
    """Return loss and score from the penalty and the sums over a part's rows of loss and tallies."""
    found = float(scores(problem.loss, _tally(plan, out[2:]), part))
    return Scores(float(out[1]) / len(part.inputs) + float(out[0]), found)


def _copy(values: FloatArray) -> FloatArray:
    taken = aligned(values.size, values.dtype)
    taken[:] = values
    return taken


def _tally(plan: Plan, tallied: NDArray[np.float64]) -> NDArray[np.float64]:
    return tallied[..., 0] if plan.classification else tallied


def _records(
    plan: Plan, problem: Problem, sums: NDArray[np.float64], rates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return rows of `EpochRecord` from the kernels' sums: means over rows (loss, score) and over steps (the rest)."""
    steps, parts = problem.steps_per_epoch, plan.split(sums)
    penalty, gradient_norm, update_ratio, largest_weight, held_out_penalty = sums[:, : len(t.HEAD)].T
    held_out_loss = held_out_score = np.full(len(sums), math.nan)
    if problem.validation is not None:
        held_out_loss = parts.held_out_loss / len(problem.validation.inputs) + held_out_penalty
        held_out_score = scores(problem.loss, _tally(plan, parts.held_out_tally), problem.validation)
    columns = {
        "loss": parts.loss / problem.rows + penalty / steps,
        "score": scores(problem.loss, _tally(plan, parts.tally), problem.training),
        "learning_rate": rates,
        "penalty": penalty / steps,
        "gradient_norm": gradient_norm / steps,
        "update_ratio": update_ratio / steps,
        "largest_weight": largest_weight,
        "validation_loss": held_out_loss,
        "validation_score": held_out_score,
    }
    return np.column_stack([columns[name] for name in EpochRecord._fields])


def _failure(stretch: Stretch, state: State, table: ScalarTable, rule: Optimizer) -> NonFiniteError:
    """Return the error for what was not finite in the step after the stretch, and the rate it is owed to."""
    made = stretch.state.step - state.step
    what = {t.LOSS_FAILED: "loss", t.GRADIENT_FAILED: "gradient", t.WEIGHT_FAILED: "weight"}.get(stretch.failed)
    what = what or f"slot ({rule.slots_in_use()[stretch.failed - t.SLOT_FAILED]})"
    rate = float(table.learning_rate[made]) if stretch.failed == t.WEIGHT_FAILED else stretch.state.learning_rate
    return stopped(what, stretch.state.epoch, stretch.state.step + 1, rate)
