"""Many steps of training in one call: forward, backward, the numbers that describe a step, and the update.

Everything lies in memory the caller owns, so nothing is allocated and no Python object is touched while it runs;
another thread may read `cells` at any time, and ask for a stop there.
"""

from __future__ import annotations

from typing import Any

import numba

from downslope.engines.compiled.lanes import call, lanes_of, like, shift
from downslope.engines.compiled.layers import backward, forward
from downslope.engines.compiled.stepping import penalty_of, take_step, weight_norm_of
from downslope.engines.compiled.tables import ALERT, CODES, HEAD, INPUTS, NUMBERS, REPORT, ROW, SIZES
from downslope.engines.judge import ALARM, MEMORY, SIGNALS

__all__ = ["measure", "train"]

(
    PARAMETERS, OUTPUTS, TARGETS, TALLIES, LAST, LOSS, BLOCK, BATCH, ROWS, STRIDE, HELD_OUT, HELD_OUT_STRIDE, SEED,
    SCALARS, SHUFFLED, GATHER, GATHER_TARGETS, SCRATCH, OPERATIONS, WATCHED, HALT, TRACED, LOSS_PASS, FILL_MASKS,
    SHUFFLE,
) = (
    SIZES.index(name)
    for name in (
        "parameters", "outputs", "targets", "tallies", "last_buffer", "loss", "block", "batch_size", "rows", "stride",
        "held_out", "held_out_stride", "seed", "scalars", "shuffled", "gather", "gather_targets", "scratch",
        "operations", "watched", "halt", "traced", "loss_pass", "fill_masks", "shuffle",
    )
)  # fmt: skip
PENALTY, GRADIENT_NORM, UPDATE_RATIO, LARGEST, HELD_OUT_PENALTY = range(len(HEAD))
STEPS, EPOCHS, BATCHES, FAILED, ALERTS, HALTED = range(len(REPORT))
STEP, LOSS_SIGNAL, LEARNING_RATE = (SIGNALS.index(name) for name in ("step", "loss", "learning_rate"))
GOOD = MEMORY.index("good")

HEADS = len(HEAD)
WEIGHT_NORM, STEP_FAILED = NUMBERS.index("weight_norm"), NUMBERS.index("failed")


@numba.njit(error_model="numpy")
def _whole_lanes(count: Any, width: Any) -> Any:
    return (count + width - 1) // width * width


@numba.njit(error_model="numpy")
def _scores(
    sizes: Any, reals: Any, operations: Any, constants: Any, parameters: Any, x: Any, stride: Any, targets: Any,
    count: Any, workspace: Any, tallied: Any,
) -> None:  # fmt: skip
    """Add loss and tallies of `count` rows, without dropout, to `tallied`."""
    start = 0
    while start < count:
        valid = min(sizes[BLOCK], count - start)
        rows = _whole_lanes(valid, lanes_of(x))
        forward(sizes, operations, constants, parameters, shift(x, start), stride, rows, workspace, 0)
        call(sizes[LOSS_PASS], (
            sizes[LOSS], reals[0], shift(workspace, sizes[LAST] * rows), rows, sizes[OUTPUTS], rows, valid,
            shift(targets, start), stride, 1.0, shift(workspace, sizes[SCRATCH] * rows), tallied,
        ))  # fmt: skip
        start += valid


@numba.njit(error_model="numpy")
def _gather(source: Any, stride: Any, features: Any, order: Any, valid: Any, rows: Any, out: Any) -> None:
    """Copy the chosen rows, and fill up to whole lanes with zeros."""
    for j in range(features):
        taken, given = shift(out, j * rows), shift(source, j * stride)
        for r in range(valid):
            taken[r] = given[order[r]]
        for r in range(valid, rows):
            taken[r] = like(out, 0.0)


@numba.njit(error_model="numpy")
def _gradient(
    sizes: Any, reals: Any, operations: Any, constants: Any, parameters: Any, gradient: Any, x: Any, targets: Any,
    order: Any, first: Any, count: Any, step: Any, workspace: Any, tallied: Any, cells: Any, may_stop: Any,
) -> Any:  # fmt: skip
    """Write the gradient of the mean loss of `count` rows; add their loss and tallies to `tallied`.

    Returns whether all rows were taken: a stop that is asked for between two blocks ends it if it `may_stop`.
    """
    for i in range(sizes[PARAMETERS]):
        gradient[i] = like(gradient, 0.0)
    share, start = 1.0 / count, 0
    while start < count:
        if may_stop and start > 0 and cells[0] == 1:
            return False
        valid = min(sizes[BLOCK], count - start)
        rows = _whole_lanes(valid, lanes_of(x))
        scratch = shift(workspace, sizes[SCRATCH] * rows)
        block, stride = shift(x, first + start), sizes[STRIDE]
        wanted, wanted_stride = shift(targets, first + start), sizes[STRIDE]
        if sizes[SHUFFLED]:
            chosen = shift(order, first + start)
            block, stride = shift(workspace, sizes[GATHER] * rows), rows
            _gather(x, sizes[STRIDE], operations[INPUTS], chosen, valid, rows, block)
            wanted, wanted_stride = shift(workspace, sizes[GATHER_TARGETS] * rows), rows
            _gather(targets, sizes[STRIDE], sizes[TARGETS], chosen, valid, rows, wanted)
        if sizes[FILL_MASKS] != 0:
            call(sizes[FILL_MASKS], (
                operations, constants, sizes[OPERATIONS], sizes[SEED], step, start, valid, rows, workspace,
            ))  # fmt: skip
        forward(sizes, operations, constants, parameters, block, stride, rows, workspace, 1)
        call(sizes[LOSS_PASS], (
            sizes[LOSS], reals[0], shift(workspace, sizes[LAST] * rows), rows, sizes[OUTPUTS], rows, valid, wanted,
            wanted_stride, share, scratch, tallied,
        ))  # fmt: skip
        backward(sizes, operations, constants, parameters, block, stride, rows, workspace, gradient)
        start += valid
    return True


@numba.njit(error_model="numpy")
def train(
    sizes: Any, reals: Any, operations: Any, constants: Any, ranges: Any, strengths: Any,
    parameters: Any, before: Any, gradient: Any, slots: Any, scalars: Any,
    x: Any, targets: Any, order: Any, bins: Any, drawn: Any, held_out: Any, held_out_targets: Any,
    workspace: Any, records: Any, cells: Any, report: Any, numbers: Any,
    rates: Any, limits: Any, memory: Any, signals: Any, alerts: Any,
    steps: Any, first_step: Any, epoch: Any, batch: Any,
) -> None:  # fmt: skip
    """Make `steps` updates, or as many as are made before a stop is asked for or a number is not finite.

    Parameters
    ----------
    sizes, reals, operations, constants, ranges, strengths
        The plan (see `plan.Plan`).
    parameters, before, gradient
        The flat vectors; `before` holds the parameters before the last update, once it is made (where the guard
        watches, the last update itself; see `take_step`).
    slots, scalars
        The slots' addresses; a row of scalars for each step.
    x, targets, held_out, held_out_targets
        Features-major, in whole lanes.
    order, bins, drawn
        Working memory for the order of the rows: their number, one more, their number.
    records
        A row for each epoch from this one on; the first holds what is already summed if `batch` is not 0.
    cells, report
        Control's cells; the steps made, the epochs completed, the batches since, and what was not finite.
    rates, limits, memory, signals, alerts
        For the guard: the learning rate of each step; the limits (see `take_step`); what it remembers;
        a row of signals for each step if they are traced, else one; the rows of alerts.
    steps, first_step, epoch, batch
        How many, the number of the first, its epoch, and the updates already made in that.
    """
    width = HEADS + 2 * (1 + sizes[TALLIES])
    per_epoch = (sizes[ROWS] + sizes[BATCH] - 1) // sizes[BATCH]
    numbers[WEIGHT_NORM] = weight_norm_of(parameters, sizes[PARAMETERS])
    made, epochs, failed, told, halted = 0, 0, 0, 0, 0
    tallied = shift(numbers, len(NUMBERS))
    last = cells[0] != 0
    while made < steps and not last:
        record = shift(records, epochs * width)
        seen = shift(record, HEADS)
        step = first_step + made
        if sizes[SHUFFLED] and (batch == 0 or made == 0):
            call(sizes[SHUFFLE], (sizes[SEED], epoch + epochs, sizes[ROWS], order, bins, drawn))
        if batch == 0:
            for i in range(width):
                record[i] = 0.0
            if sizes[HELD_OUT] > 0:
                record[HELD_OUT_PENALTY] = penalty_of(sizes, ranges, strengths, parameters)
                _scores(
                    sizes, reals, operations, constants, parameters, held_out, sizes[HELD_OUT_STRIDE],
                    held_out_targets, sizes[HELD_OUT], workspace, shift(seen, 1 + sizes[TALLIES]),
                )  # fmt: skip
        first = batch * sizes[BATCH]
        count = min(sizes[BATCH], sizes[ROWS] - first)
        for i in range(1 + sizes[TALLIES]):
            tallied[i] = 0.0
        # A step so long that it is alone in its stretch is given up for a stop; any other is soon finished.
        if not _gradient(
            sizes, reals, operations, constants, parameters, gradient, x, targets, order,
            first, count, step, workspace, tallied, cells, made == 0,
        ):  # fmt: skip
            break
        # A stretch ends where the next alert might find no room.
        last = made + 1 == steps or cells[0] != 0 or told + 1 == sizes[WATCHED]
        row = shift(signals, made * ROW if sizes[TRACED] else 0)
        if sizes[WATCHED]:
            row[STEP], row[LOSS_SIGNAL], row[LEARNING_RATE] = step, tallied[0] / count, rates[made]
        take_step(
            sizes, ranges, strengths, parameters, before, last, gradient, slots,
            shift(scalars, made * sizes[SCALARS]), tallied[0], numbers, limits, memory, row,
        )  # fmt: skip
        failed = int(numbers[STEP_FAILED])
        if failed != 0:
            break
        if sizes[WATCHED] and row[CODES] != 0.0:
            alert = shift(alerts, told * ALERT)
            for i in range(ROW):
                alert[i] = row[i]
            alert[ROW] = memory[GOOD]
            told += 1
            if sizes[HALT] and int(row[CODES]) & ALARM:
                halted = 1
                break
        record[PENALTY] += numbers[PENALTY]
        record[GRADIENT_NORM] += numbers[GRADIENT_NORM]
        record[UPDATE_RATIO] += numbers[UPDATE_RATIO]
        record[LARGEST] = max(record[LARGEST], numbers[LARGEST])
        for i in range(1 + sizes[TALLIES]):
            seen[i] += tallied[i]
        made += 1
        batch += 1
        if batch == per_epoch:
            batch, epochs = 0, epochs + 1
        cells[1] = step
    report[STEPS], report[EPOCHS], report[BATCHES], report[FAILED] = made, epochs, batch, failed
    report[ALERTS], report[HALTED] = told, halted


@numba.njit(error_model="numpy")
def measure(
    sizes: Any, reals: Any, operations: Any, constants: Any, ranges: Any, strengths: Any, parameters: Any, x: Any,
    stride: Any, targets: Any, count: Any, workspace: Any, out: Any,
) -> None:  # fmt: skip
    """Write the penalty to out[0], and loss and tallies of `count` rows, without dropout, behind it."""
    for i in range(2 + sizes[TALLIES]):
        out[i] = 0.0
    out[0] = penalty_of(sizes, ranges, strengths, parameters)
    _scores(sizes, reals, operations, constants, parameters, x, stride, targets, count, workspace, shift(out, 1))
