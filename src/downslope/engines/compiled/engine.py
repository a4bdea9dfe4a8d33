"""The compiled engine: whole stretches of training inside machine code, with the same bits on every processor."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from downslope.engines.compiled import tables as t
from downslope.engines.compiled.kernels import kernel, update_kernel
from downslope.engines.compiled.plan import Plan, aligned, columns
from downslope.engines.metrics import scores, stopped
from downslope.engines.problem import Control, EpochRecord, Keep, Part, Problem, Scores, State, Totals
from downslope.engines.scalars import ScalarTable, scalar_table
from downslope.engines.update import FloatArray
from downslope.errors import InputError, NonFiniteError
from downslope.rules import Optimizer

__all__ = ["Compiled"]

CHUNK_SECONDS = 0.05  # about how long one call into machine code takes
MOST_STEPS = 1 << 16  # and how many steps it makes at most
FIRST_STEPS = 256  # the first one at most, which does not know yet how long a schedule takes
HELD_OUT = [EpochRecord._fields.index(name) for name in ("validation_loss", "validation_score")]
PLANS: WeakKeyDictionary[Problem, Plan] = WeakKeyDictionary()


class Compiled:
    """Trains inside machine code, many steps a call, without holding Python's lock.

    The same problem, rule and state give the same bits on every processor, in one go or in pieces, alone or beside
    others: strict arithmetic, sums in fixed lanes and trees, own elementary functions (DESIGN, section 2).
    """

    name = "compiled"

    def advance(
        self, problem: Problem, rule: Optimizer, state: State, steps: int, control: Control, keep: Keep
    ) -> None:
        """Make `steps` updates, keeping about every twentieth of a second; see `Engine.advance`."""
        plan = plan_of(problem)
        _check(plan, rule, state)
        count = max(1, min(FIRST_STEPS, int(CHUNK_SECONDS * 2e9 / (6 * plan.products + 1000))))
        while steps > 0 and not control.stopping:
            count = max(1, min(count, steps, MOST_STEPS))
            started = time.perf_counter()
            table = scalar_table(rule, state.step + 1, count, state.slots_since)
            made = 0
            if len(table.values):
                first = state.epoch
                stretch = _advance(plan, problem, rule, state, len(table.values), table, control)
                made = stretch.state.step - state.step
                failure = _failure(stretch, state, table, rule) if stretch.failed else None
                if failure is not None:
                    # What came before is made again: it was overwritten, and comes out with the same bits.
                    stretch = _advance(plan, problem, rule, state, made, table, Control())
                state = stretch.state
                control.cells[1] = state.step
                keep(state, first, stretch.records)
                if failure is not None:
                    raise failure
            if table.error is not None and made == len(table.values):
                raise table.error
            steps -= made
            seconds = max(time.perf_counter() - started, 1e-6)
            count = int(min(4 * count, count * CHUNK_SECONDS / seconds)) + 1

    def measure(self, problem: Problem, parameters: FloatArray, part: Part) -> Scores:
        """Return loss and score of `parameters` on a part, without dropout."""
        plan = plan_of(problem)
        _check_parameters(plan, "parameters", parameters)
        rows = plan.known(problem, part) or columns(part, plan.lanes)
        out = np.zeros(2 + plan.tallies)
        workspace = aligned(plan.workspace, plan.dtype)
        sizes = plan.sizes()
        parameters = np.ascontiguousarray(parameters)
        kernel("measure", plan.dtype).function(
            *_places(sizes, *plan.tables, parameters, rows.inputs), rows.stride, _place(rows.targets), rows.rows,
            *_places(workspace, out),
        )  # fmt: skip
        found = float(scores(problem.loss, _tally(plan, out[2:]), part))
        return Scores(float(out[1]) / rows.rows + float(out[0]), found)


class _Stretch(NamedTuple):
    """What some steps led to: the state, a record for each epoch they completed, and what was not finite, if any."""

    state: State
    records: NDArray[np.float64]
    failed: int


def plan_of(problem: Problem) -> Plan:
    """Return the problem's plan, made once."""
    plan = PLANS.get(problem)
    if plan is None:
        plan = PLANS[problem] = Plan(problem)
    return plan


def _check(plan: Plan, rule: Optimizer, state: State) -> None:
    """Raise InputError where machine code would read other arrays than the state has."""
    used = rule.slots_in_use()
    if set(state.slots) != set(used):
        listed = ", ".join(state.slots) or "none"
        raise InputError(f"slots must be those {rule!r} uses: {', '.join(used) or 'none'}. Received: {listed}")
    _check_parameters(plan, "parameters", state.parameters)
    for name in used:
        _check_parameters(plan, f"slot ({name})", state.slots[name])


def _check_parameters(plan: Plan, name: str, array: FloatArray) -> None:
    count = plan.sizes()[t.SIZES.index("parameters")]
    if array.dtype != plan.dtype or array.shape != (count,):
        raise InputError(
            f"{name} must be {count} numbers of the data's type, {plan.dtype}. "
            f"Received: {array.dtype} of shape {array.shape}"
        )


def _place(array: NDArray[Any]) -> int:
    return array.ctypes.data


def _places(*arrays: NDArray[Any]) -> list[int]:
    return [array.ctypes.data for array in arrays]


def _advance(
    plan: Plan, problem: Problem, rule: Optimizer, state: State, steps: int, table: ScalarTable, control: Control
) -> _Stretch:
    """Make so many steps in one call, from copies of what the state holds."""
    used, per_epoch = rule.slots_in_use(), problem.steps_per_epoch
    update = update_kernel(rule, plan.dtype, state.step + 1)
    parameters, before = state.parameters.copy(), state.parameters - state.last_update
    gradient = np.empty_like(parameters)
    slots = [state.slots[name].copy() for name in used]
    addresses = np.array([slot.ctypes.data for slot in slots] or [0], dtype=np.int64)
    with np.errstate(all="ignore"):  # 1e300 is infinite in float32
        scalars = np.ascontiguousarray(table.values, dtype=plan.dtype)
    epochs = -(-(state.batch + steps) // per_epoch)
    shuffled = problem.rows if problem.batch_size < problem.rows else 0
    order, bins = np.empty(shuffled, dtype=np.int64), np.empty(shuffled + 1, dtype=np.int64)
    drawn = np.empty(shuffled, dtype=np.uint64)
    records = np.zeros((epochs, plan.width))
    if state.batch:
        records[0] = plan.record_of(state.totals)
    held_out = plan.held_out or plan.training
    workspace = aligned(plan.workspace, plan.dtype)
    report, numbers = np.zeros(4, dtype=np.int64), np.zeros(5 + plan.tallies)
    sizes = plan.sizes(rule, update.address)
    kernel("train", plan.dtype).function(
        *_places(
            sizes, *plan.tables, parameters, before, gradient, addresses, scalars, plan.training.inputs,
            plan.training.targets, order, bins, drawn, held_out.inputs, held_out.targets, workspace, records,
            control.cells, report, numbers,
        ),
        steps, state.step + 1, state.epoch, state.batch,
    )  # fmt: skip
    made, done, batch, failed = (int(number) for number in report)
    with np.errstate(all="ignore"):
        last_update = parameters - before if made else state.last_update
    rates = table.learning_rate
    began = np.maximum(np.arange(epochs) * per_epoch - state.batch, 0)
    in_force = np.where(began > 0, rates[np.minimum(began, len(rates)) - 1], _rate_before(state, rates))
    if state.batch:
        in_force[0] = state.totals.learning_rate
    under_way = done + (batch > 0)
    numbers_of = _records(plan, problem, records[:under_way], in_force[:under_way])
    if state.batch and state.totals.before is not None:
        numbers_of[0, HELD_OUT] = state.totals.before
    totals = Totals()
    if batch:
        parts = plan.split(records[done])
        totals = Totals(
            loss=float(parts.loss),
            tally=parts.tally[0] if plan.classification else parts.tally.copy(),
            penalty=float(records[done, 0]),
            gradient_norm=float(records[done, 1]),
            update_ratio=float(records[done, 2]),
            largest_weight=float(records[done, 3]),
            learning_rate=float(in_force[done]),
            before=None if plan.held_out is None else Scores(*(float(x) for x in numbers_of[done, HELD_OUT])),
        )
    after = State(
        parameters,
        dict(zip(used, slots, strict=True)),
        last_update,
        step=state.step + made,
        epoch=state.epoch + done,
        batch=batch,
        slots_since=state.slots_since,
        learning_rate=float(rates[made - 1]) if made else state.learning_rate,
        totals=totals,
    )
    return _Stretch(after, numbers_of[:done], failed)


def _rate_before(state: State, rates: NDArray[np.float64]) -> float:
    """Return the rate in force when the stretch begins: that of the last update; before the first, its own."""
    return state.learning_rate if state.step else float(rates[0])


def _tally(plan: Plan, tallied: NDArray[np.float64]) -> NDArray[np.float64]:
    return tallied[..., 0] if plan.classification else tallied


def _records(
    plan: Plan, problem: Problem, sums: NDArray[np.float64], rates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return rows of `EpochRecord` from the kernels' sums: means over rows (loss, score) and over steps (the rest)."""
    steps, parts = problem.steps_per_epoch, plan.split(sums)
    penalty, gradient_norm, update_ratio, largest_weight, held_out_penalty = sums[:, : len(t.HEAD)].T
    held_out_loss = held_out_score = np.full(len(sums), math.nan)
    if problem.validation is not None and plan.held_out is not None:
        held_out_loss = parts.held_out_loss / plan.held_out.rows + held_out_penalty
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


def _failure(stretch: _Stretch, state: State, table: ScalarTable, rule: Optimizer) -> NonFiniteError:
    """Return the error for what was not finite in the step after the stretch, and the rate it is owed to."""
    made = stretch.state.step - state.step
    what = {t.LOSS_FAILED: "loss", t.GRADIENT_FAILED: "gradient", t.WEIGHT_FAILED: "weight"}.get(stretch.failed)
    what = what or f"slot ({rule.slots_in_use()[stretch.failed - t.SLOT_FAILED]})"
    rate = float(table.learning_rate[made]) if stretch.failed == t.WEIGHT_FAILED else stretch.state.learning_rate
    return stopped(what, stretch.state.epoch, stretch.state.step + 1, rate)
