"""The engine for large layers: matrix products by NumPy's BLAS, everything else by the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.engines.compiled import tables as t
from downslope.engines.compiled.activations import ACTIVATION_CODES
from downslope.engines.compiled.blas_library import library, tell_of_slow_kernels
from downslope.engines.compiled.kernels import kernel
from downslope.engines.compiled.plan import Plan, aligned, plan_of, whole_lanes
from downslope.engines.compiled.stretch import (
    Stretch,
    Work,
    check_parameters,
    check_state,
    in_stretches,
    place,
    places,
    scores_of,
)
from downslope.engines.problem import Control, Keep, Part, Problem, Scores, State, Watch
from downslope.engines.scalars import ScalarTable
from downslope.engines.update import FloatArray
from downslope.rules import Optimizer

__all__ = ["Blas"]

# About how long a stretch takes: at least so long, and so long for each byte that is copied between two of them, which
# then takes about a twentieth of the time. So a network of ten million parameters is kept about once a second.
STRETCH_SECONDS, SECONDS_A_BYTE = 0.08, 5e-9
FIRST_STEPS = 64  # the first stretch at most
# Rows of a block: those of so many multiply-adds, which take some tens of milliseconds, and at least so many that the
# product is worth its weights' way through memory; but no more than have so many values.
BLOCK_PRODUCTS, LEAST_BLOCK, BLOCK_VALUES = 1 << 30, 256, 1 << 24
HEADS = len(t.HEAD)
WEIGHT_NORM, FAILED = t.NUMBERS.index("weight_norm"), t.NUMBERS.index("failed")


class Blas:
    """Trains large networks: NumPy multiplies matrices, on as many threads as its BLAS has, the kernels do the rest.

    The same problem, rule and state give the same bits on one machine with one version of NumPy and one number of
    BLAS threads, in one go or in pieces. Another processor, BLAS or number of threads adds a product's terms in another
    order, and the bits differ; "compiled" promises them everywhere. Everything but the products has the bits it has
    there: dropout, the order of the rows, activations, losses, sums and updates.

    A batch of many rows is taken in blocks of at most some tens of milliseconds, and memory for values is that of one
    block. A stop is seen between two steps, and between two blocks, where the step under way is given up and nothing
    of it is kept: so it takes one block, which for a network of tens of millions of weights can be more than 50 ms.
    """

    name = "blas"

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
        """Make `steps` updates, keeping about every twelfth of a second, a huge network more rarely."""
        tell_of_slow_kernels()
        plan = plan_of(problem)
        check_state(plan, rule, state)
        passes, first = _Passes(plan, problem), state.step

        def make(state: State, table: ScalarTable, control: Control) -> Stretch:
            return _make(plan, passes, problem, Work(plan, problem, rule, state, table, watch, first), state, control)

        copied = state.parameters.nbytes * (2 + len(state.slots))
        seconds = max(STRETCH_SECONDS, copied * SECONDS_A_BYTE)
        count = min(FIRST_STEPS, int(seconds * 4e10 / plan.products))
        in_stretches(make, rule, state, steps, control, keep, watch, count=count, seconds=seconds)

    def describe(self) -> dict[str, Any]:
        """Return the name and the library that multiplies matrices."""
        return {"name": self.name, "blas": library()._asdict()}

    def measure(self, problem: Problem, parameters: FloatArray, part: Part) -> Scores:
        """Return loss and score of `parameters` on a part, without dropout."""
        plan = plan_of(problem)
        check_parameters(plan, "parameters", parameters)
        out = np.zeros(2 + plan.tallies)
        parameters = np.ascontiguousarray(parameters)
        with np.errstate(all="ignore"):
            _Passes(plan, problem).measure(parameters, part, out, Control())
        return scores_of(plan, problem, part, out)


class _StopError(Exception):
    """A stop was asked for in the middle of a step."""


class _Operation(NamedTuple):
    """A row of the plan's operations; see `tables` for what each number means."""

    kind: int
    code: int
    inputs: int
    outputs: int
    weights: int
    biases: int
    source: int
    target: int
    fused: int
    mask: int
    position: int


class _Kernels(NamedTuple):
    """The compiled functions that are called in every pass."""

    add_biases: Callable[..., int]
    activate: Callable[..., int]
    activate_back: Callable[..., int]
    row_sums: Callable[..., int]
    loss_pass: Callable[..., int]
    fill_masks: Callable[..., int]
    weigh: Callable[..., int]


class _Passes:
    """The way of a block of rows through the network and back.

    Values lie as in the compiled engine: those of a buffer one feature after the other, each feature's rows side by
    side, in whole lanes; but every product reads and writes whole matrices. The block's own rows lie one after the
    other, as the data do, and are read across: BLAS does either equally fast.
    """

    def __init__(self, plan: Plan, problem: Problem) -> None:
        network, dtype = problem.network, plan.dtype
        self._plan, self._problem, self._size = plan, problem, dtype.itemsize
        self._operations = [_Operation(*(int(number) for number in row)) for row in plan.operations]
        self._constants = [float(row[0]) for row in plan.constants]
        dense = [op for op in self._operations if op.kind == t.DENSE]
        widest = max(op.inputs for op in dense)
        buffers = max(op.target + op.outputs * (2 if op.kind == t.DROPOUT else 1) for op in self._operations)
        by_products = BLOCK_PRODUCTS // (3 * sum(op.inputs * op.outputs for op in dense))
        by_values = BLOCK_VALUES // (buffers + network.inputs + widest)
        held_out = 0 if problem.validation is None else len(problem.validation.inputs)
        # It must not depend on the machine either: it decides in which order the rows are added.
        longest = max(1, min(max(LEAST_BLOCK, by_products), by_values))
        self._block = whole_lanes(min(longest, max(problem.batch_size, held_out)), plan.lanes)
        self._values = aligned(buffers * self._block, dtype)
        self._inputs = aligned(self._block * network.inputs, dtype)
        self._turned = self._operations[0].kind != t.DENSE  # only a product can read rows that lie as the data do
        targets = 1 if problem.training.targets.ndim == 1 else problem.training.targets.shape[1]
        self._targets = aligned(targets * self._block, dtype).reshape(targets, self._block)
        self._upstream = aligned(widest * self._block, dtype)
        self._scratch = aligned(4 * self._block, dtype)
        self._spare = aligned(0, dtype)
        self._do = _Kernels(*(kernel(name, dtype).function for name in _Kernels._fields))
        self._at, self._inputs_at, self._upstream_at = places(self._values, self._inputs, self._upstream)
        self._targets_at, self._scratch_at, self._constants_at = places(self._targets, self._scratch, plan.constants)
        self._loss, self._delta = int(plan.sizes()[t.SIZES.index("loss")]), float(plan.reals[0])
        self._last = self._operations[-1].target

    def gradient(
        self,
        parameters: FloatArray,
        gradient: FloatArray,
        order: NDArray[np.int64] | None,
        first: int,
        count: int,
        step: int,
        tallied: NDArray[np.float64],
        control: Control,
    ) -> None:
        """Write the gradient of the mean loss of `count` rows; add their loss and tallies to `tallied`."""
        part, share = self._problem.training, 1.0 / count
        weights, slopes = self._matrices(parameters), self._matrices(gradient)
        at, slope_at = places(parameters, gradient)
        for op in self._operations:
            if op.kind == t.DENSE:
                gradient[op.biases : op.biases + op.outputs] = 0
        for start in range(0, count, self._block):
            if start and control.stopping:  # a pause lets the step be made
                raise _StopError
            valid = min(self._block, count - start)
            rows = whole_lanes(valid, self._plan.lanes)
            chosen = slice(first + start, first + start + valid)
            self._take(part, chosen if order is None else order[chosen], valid, rows)
            self._do.fill_masks(
                place(self._plan.operations), self._constants_at, len(self._operations), self._seed, step, start, valid,
                rows, self._at,
            )  # fmt: skip
            self._forward(weights, at, rows, training=True)
            self._score(valid, rows, share, tallied)
            self._backward(weights, slopes, slope_at, rows, add=start > 0)

    def measure(self, parameters: FloatArray, part: Part, out: NDArray[np.float64], control: Control) -> None:
        """Write the penalty to out[0]; add loss and tallies of a part, without dropout, to what lies behind it."""
        plan, numbers = self._plan, np.zeros(len(t.NUMBERS))
        self._do.weigh(*places(plan.sizes(), plan.ranges, plan.strengths, parameters, numbers))
        out[0] = numbers[0]
        weights, at = self._matrices(parameters), place(parameters)
        for start in range(0, len(part.inputs), self._block):
            if control.stopping:
                raise _StopError
            valid = min(self._block, len(part.inputs) - start)
            rows = whole_lanes(valid, plan.lanes)
            self._take(part, slice(start, start + valid), valid, rows)
            self._forward(weights, at, rows, training=False)
            self._score(valid, rows, 1.0, out[1:])

    def _matrices(self, flat: FloatArray) -> list[FloatArray]:
        """Return the weights of each operation, shape (inputs, outputs), as views; empty where it has none."""
        return [
            flat[op.weights : op.weights + op.inputs * op.outputs].reshape(op.inputs, op.outputs)
            if op.kind == t.DENSE
            else flat[:0]
            for op in self._operations
        ]

    def _take(self, part: Part, chosen: Any, valid: int, rows: int) -> None:
        """Copy the chosen rows, and fill up to whole lanes with zeros."""
        given = self._given(rows)
        if self._turned:
            given[:, :valid] = part.inputs[chosen].T
        elif isinstance(chosen, slice):
            given.T[:valid] = part.inputs[chosen]
        else:
            np.take(part.inputs, chosen, axis=0, out=given.T[:valid], mode="clip")  # any other mode copies once more
        given[:, valid:] = 0
        self._targets[:, :valid] = part.targets[chosen].reshape(valid, -1).T

    def _given(self, rows: int) -> FloatArray:
        """Return the block's inputs, shape (features, rows)."""
        features = self._problem.network.inputs
        taken = self._inputs[: features * rows]
        return taken.reshape(features, rows) if self._turned else taken.reshape(rows, features).T

    def _buffer(self, buffer: int, features: int, rows: int) -> FloatArray:
        return self._values[buffer * rows : (buffer + features) * rows].reshape(features, rows)

    def _source(self, op: _Operation, rows: int) -> FloatArray:
        return self._given(rows) if op.source < 0 else self._buffer(op.source, op.inputs, rows)

    def _place(self, buffer: int, rows: int) -> int:
        return self._inputs_at if buffer < 0 else self._at + buffer * rows * self._size

    def _forward(self, weights: list[FloatArray], at: int, rows: int, *, training: bool) -> None:
        """Fill the buffers of all operations; masks of dropout are read if `training`."""
        for op, constant, matrix in zip(self._operations, self._constants, weights, strict=True):
            target = self._buffer(op.target, op.outputs, rows)
            if op.kind == t.DENSE:
                np.matmul(matrix.T, self._source(op, rows), out=target)
                biases = at + op.biases * self._size
                self._do.add_biases(self._place(op.target, rows), rows, op.outputs, biases, op.code)
            elif op.kind == t.ACTIVATION:
                given, taken = self._place(op.source, rows), self._place(op.target, rows)
                self._do.activate(op.code, constant, given, taken, op.inputs * rows)
            elif training:
                np.multiply(self._source(op, rows), self._buffer(op.mask, op.inputs, rows), out=target)
            else:
                target[:] = self._source(op, rows)

    def _score(self, valid: int, rows: int, share: float, tallied: NDArray[np.float64]) -> None:
        """Add the block's loss and tallies to `tallied`, and write the loss's gradient over the last buffer."""
        self._do.loss_pass(
            self._loss, self._delta, self._place(self._last, rows), rows, self._problem.network.outputs, rows, valid,
            self._targets_at, self._block, share, self._scratch_at, place(tallied),
        )  # fmt: skip

    def _backward(
        self, weights: list[FloatArray], slopes: list[FloatArray], slope_at: int, rows: int, *, add: bool
    ) -> None:
        """Write the block's gradient, or add it; every buffer but the last is overwritten by the gradient to it."""
        relu = ACTIVATION_CODES["relu"]
        for k in range(len(self._operations) - 1, -1, -1):
            op, upstream_at = self._operations[k], self._place(self._operations[k].target, rows)
            upstream, source = self._buffer(op.target, op.outputs, rows), self._source(op, rows)
            count, source_at = op.inputs * rows, self._place(op.source, rows)
            if op.kind == t.DENSE:
                if add:
                    slopes[k] += np.matmul(source, upstream.T, out=self._room(slopes[k]))
                else:
                    np.matmul(source, upstream.T, out=slopes[k])
                self._do.row_sums(upstream_at, rows, op.outputs, rows, slope_at + op.biases * self._size)
                if op.source >= 0 and op.fused:
                    np.matmul(weights[k], upstream, out=self._upstream[:count].reshape(op.inputs, rows))
                    self._do.activate_back(relu, 0.0, source_at, self._upstream_at, count)
                elif op.source >= 0:
                    np.matmul(weights[k], upstream, out=source)
            elif op.source >= 0 and op.kind == t.ACTIVATION:
                self._do.activate_back(op.code, self._constants[k], source_at, upstream_at, count)
            elif op.source >= 0:
                np.multiply(upstream, self._buffer(op.mask, op.inputs, rows), out=source)

    def _room(self, matrix: FloatArray) -> FloatArray:
        """Return room for a block's share of a gradient, which is needed only where a batch has several blocks."""
        if self._spare.size < matrix.size:
            self._spare = aligned(matrix.size, matrix.dtype)
        return self._spare[: matrix.size].reshape(matrix.shape)

    @property
    def _seed(self) -> int:
        return int(np.uint64(self._problem.seed).view(np.int64))


def _make(plan: Plan, passes: _Passes, problem: Problem, work: Work, state: State, control: Control) -> Stretch:
    """Make the work's steps, as `training.train` does."""
    with np.errstate(all="ignore"):
        _train(plan, passes, problem, state, work, control)
    return work.done()


def _train(plan: Plan, passes: _Passes, problem: Problem, state: State, work: Work, control: Control) -> None:
    numbers, tallied = work.numbers, work.numbers[len(t.NUMBERS) :]
    tables = places(plan.ranges, plan.strengths)
    take_step, weigh = (kernel(name, plan.dtype).function for name in ("take_step", "weigh"))
    weigh(place(work.sizes), *tables, *places(work.parameters, numbers))
    at, before, *changed = places(work.parameters, work.before, work.gradient, work.addresses)
    guarded = places(work.limits, work.memory)
    made, epochs, batch = 0, 0, state.batch
    order = problem.order(state.epoch) if batch else None
    try:
        last = control.ending
        while made < work.steps and not last:
            record = work.records[epochs]
            step, first = state.step + made + 1, batch * problem.batch_size
            if batch == 0:
                order = problem.order(state.epoch + epochs)
                if problem.validation is not None:
                    held_out = np.zeros(2 + plan.tallies)
                    passes.measure(work.parameters, problem.validation, held_out, control)
                    record[HEADS - 1] = held_out[0]
                    record[HEADS + 1 + plan.tallies :] = held_out[1:]
            count = min(problem.batch_size, problem.rows - first)
            tallied[:] = 0
            passes.gradient(work.parameters, work.gradient, order, first, count, step, tallied, control)
            last = made + 1 == work.steps or control.ending or work.last_alert
            take_step(
                place(work.sizes), *tables, at, before, last, *changed, place(work.scalars[made]), float(tallied[0]),
                place(numbers), *guarded, work.row_for(made, step, float(tallied[0]) / count),
            )  # fmt: skip
            if numbers[FAILED]:
                work.report[t.REPORT.index("failed")] = numbers[FAILED]
                break
            if work.halted_by(made):
                break
            record[:3] += numbers[:3]
            record[3] = max(record[3], numbers[3])
            record[HEADS : HEADS + 1 + plan.tallies] += tallied
            made, batch = made + 1, batch + 1
            if batch == problem.steps_per_epoch:
                batch, epochs = 0, epochs + 1
            control.cells[1] = step
    except _StopError:
        pass  # what the step under way has written is read by none
    work.report[:3] = made, epochs, batch
