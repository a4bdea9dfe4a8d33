"""What follows the gradient in a step: penalties, the rule's update, and the numbers that describe them."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from downslope.engines import guard
from downslope.engines.compiled import sums
from downslope.engines.compiled.lanes import (
    call,
    lanes_of,
    larger_size,
    like,
    load,
    load_wide,
    repeat,
    shift,
    store,
    tree_largest,
    tree_sum,
    where_below,
    where_equal,
)
from downslope.engines.compiled.tables import (
    CODES,
    GRADIENT_FAILED,
    LOSS_FAILED,
    NUMBERS,
    PIECE,
    SIZES,
    SLOT_FAILED,
    WEIGHT_FAILED,
)
from downslope.engines.judge import LIMITS, SIGNALS, judge

__all__ = ["penalty_of", "take_step", "weigh", "weight_norm_of"]

_judge, _shorten = (numba.njit(function, error_model="numpy") for function in (judge, guard.shorten))

PARAMETERS, PENALTIES, SLOTS, UPDATE, HIDDEN, WATCHED = (
    SIZES.index(name) for name in ("parameters", "penalties", "slots", "update", "hidden", "watched")
)
PENALTY, GRADIENT_NORM, UPDATE_RATIO, LARGEST, WEIGHT_NORM, FAILED = range(len(NUMBERS))
(
    SIGNAL_STEP, SIGNAL_LOSS, SIGNAL_GRADIENT, SLOPE_BEFORE, SLOPE_AFTER, SLOPE_NOW, SIGNAL_UPDATE, SIGNAL_WEIGHTS,
    SIGNAL_LARGEST, SIGNAL_RATE, SIGNAL_DEAD,
) = range(len(SIGNALS))  # fmt: skip
CLIP, DEAD_WINDOW = len(LIMITS), len(LIMITS) + 1  # stand behind the judge's limits
UNITS, SLOPE, WATCHED_STEP = guard.UNITS, guard.SLOPE, guard.STEP
MOST_SQUARES = 1e290  # of a piece, so that the sum over all pieces stays in the range of float64


@numba.njit(error_model="numpy")
def penalty_of(sizes: Any, ranges: Any, strengths: Any, parameters: Any) -> Any:
    """Return Σ l1·Σ|w| + l2·Σw² over the penalized ranges."""
    total = 0.0
    for k in range(sizes[PENALTIES]):
        start, count = ranges[2 * k], ranges[2 * k + 1] - ranges[2 * k]
        values = shift(parameters, start)
        if strengths[2 * k] != 0.0:
            total += strengths[2 * k] * sums.absolute_sum(values, count)
        if strengths[2 * k + 1] != 0.0:
            total += strengths[2 * k + 1] * sums.squares(values, count)
    return total


@numba.njit(error_model="numpy")
def _add_penalty_gradient(sizes: Any, ranges: Any, strengths: Any, parameters: Any, gradient: Any) -> None:
    zero = like(parameters, 0.0)
    for k in range(sizes[PENALTIES]):
        l1, l2 = like(parameters, strengths[2 * k]), like(parameters, 2.0 * strengths[2 * k + 1])
        for i in range(ranges[2 * k], ranges[2 * k + 1]):
            w = parameters[i]
            sign = l1 if w > zero else (-l1 if w < zero else zero)
            gradient[i] += sign + l2 * w


@numba.njit(error_model="numpy")
def _change(now: Any, old: Any, count: Any, watched: Any, gradient: Any, kept: Any) -> Any:
    """Return Σ(now − old)², Σnow² and the largest |now|, as `sums` has them, from one reading.

    If `watched`, `kept` becomes now − old, and its product with the gradient is returned behind them.
    """
    width, nothing = lanes_of(now), repeat(0.0)
    a, b, c, d, e, f = nothing, nothing, nothing, nothing, nothing, nothing
    top = repeat(like(now, 0.0))
    g, h = top, top
    i = 0
    while i + 32 <= count:
        if watched:  # in the numbers' own type, so that the next stretch begins with the very same update
            for j in range(i, i + 32, 2 * width):
                x, y = load(now, j) - load(old, j), load(now, j + width) - load(old, j + width)
                store(kept, j, x)
                store(kept, j + width, y)
                g = g + x * load(gradient, j)
                h = h + y * load(gradient, j + width)
        s, t, u, v = load_wide(now, i), load_wide(now, i + 8), load_wide(now, i + 16), load_wide(now, i + 24)
        a = a + s * s
        b = b + t * t
        c = c + u * u
        d = d + v * v
        s, t = s - load_wide(old, i), t - load_wide(old, i + 8)
        u, v = u - load_wide(old, i + 16), v - load_wide(old, i + 24)
        e = e + s * s
        f = f + t * t
        e = e + u * u
        f = f + v * v
        top = larger_size(larger_size(top, load(now, i)), load(now, i + width))
        if width < 16:
            top = larger_size(larger_size(top, load(now, i + 16)), load(now, i + 24))
        i += 32
    change, size, largest = tree_sum(e + f), tree_sum((a + b) + (c + d)), np.float64(tree_largest(top))
    slope = np.float64(tree_sum(g + h))
    while i < count:
        x, step = np.float64(now[i]), np.float64(now[i]) - np.float64(old[i])  # Numba's float() would keep a float32
        change, size, largest = change + step * step, size + x * x, max(largest, abs(x))
        if watched:
            kept[i] = now[i] - old[i]
            slope += np.float64(kept[i]) * np.float64(gradient[i])
        i += 1
    if watched and not sums.is_exact(slope):
        slope = sums.dot(kept, gradient, count)
    return change, size, largest, slope


@numba.njit(error_model="numpy")
def _differ(now: Any, old: Any, count: Any) -> Any:
    """Return whether any two numbers differ; a NaN does not count."""
    width = lanes_of(now)
    top = repeat(like(now, 0.0))
    i = 0
    while i + width <= count:
        top = larger_size(top, load(now, i) - load(old, i))
        i += width
    differ = tree_largest(top) > like(now, 0.0)
    while i < count:
        differ |= abs(now[i] - old[i]) > like(now, 0.0)
        i += 1
    return differ


@numba.njit(error_model="numpy")
def _joined(a: Any, b: Any) -> Any:
    """Return √(a² + b²) of two norms, whatever their squares are."""
    if a < b:
        a, b = b, a
    return a * math.sqrt(1.0 + (b / a) * (b / a)) if 0.0 < a < math.inf else a


@numba.njit(error_model="numpy")
def weight_norm_of(parameters: Any, count: Any) -> Any:
    """Return √Σw², summed as a step sums it: the same bits whether a stretch begins here or not."""
    square, start = 0.0, 0
    while start < count:
        square += sums.squares(shift(parameters, start), min(PIECE, count - start))
        start += PIECE
    norm = sums.root(square)
    return sums.norm(parameters, count) if norm < 0.0 else norm  # squares outside the range of float64


@numba.njit(error_model="numpy")
def _dead_share(sizes: Any, ranges: Any, gradient: Any, units: Any, step: Any, window: Any) -> Any:
    """Take note of the hidden units that have a gradient; return the share of those that had none for long."""
    early = step - window + 1.0  # whose last one came before this is dead
    nothing, one, now, limit = repeat(0.0), repeat(1.0), repeat(step), repeat(early)
    counts, dead, unit = nothing, 0.0, 0
    for k in range(sizes[HIDDEN]):
        start, count = ranges[2 * k], ranges[2 * k + 1] - ranges[2 * k]
        last, slopes = shift(units, unit), shift(gradient, start)
        i = 0
        while i + 8 <= count:
            since = where_equal(load_wide(slopes, i), nothing, load(last, i), now)
            store(last, i, since)
            counts = counts + where_below(since, limit, one, nothing)
            i += 8
        while i < count:
            if np.float64(slopes[i]) != 0.0:
                last[i] = step
            dead += 1.0 if last[i] < early else 0.0
            i += 1
        unit += count
    return (tree_sum(counts) + dead) / unit if unit > 0 else 0.0


@numba.njit(error_model="numpy")
def _update(
    sizes: Any, parameters: Any, before: Any, last: Any, gradient: Any, slots: Any, scalars: Any, numbers: Any
) -> Any:  # fmt: skip
    """Make the rule's step, and write all numbers about it but the penalty and the gradient's norm.

    Returns norm and slope of the update; the slope is 0 where nobody watches.
    """
    change, extreme, size, largest, broken = 0.0, 0.0, 0.0, 0.0, -1
    watched, slope = sizes[WATCHED] != 0, 0.0
    start = 0
    while start < sizes[PARAMETERS]:
        count = min(PIECE, sizes[PARAMETERS] - start)
        # What nobody will ask for stays in the cache: written out it would be a fifth of all that goes to memory.
        scratch = sizes[PARAMETERS] if watched else (start if last else 0)
        now, old = shift(parameters, start), shift(before, scratch)
        for i in range(count):
            old[i] = now[i]
        call(sizes[UPDATE], (parameters, gradient, slots, start, scalars, count))
        squares = _change(now, old, count, watched, shift(gradient, start), shift(before, start))
        if sums.TINY < squares[0] < MOST_SQUARES:
            change += squares[0]
        elif _differ(now, old, count):
            extreme = _joined(extreme, sums.difference_norm(now, old, count))
        size += squares[1]
        largest = max(largest, squares[2])
        slope += squares[3]
        for k in range(sizes[SLOTS]):
            if (broken < 0 or k < broken) and not sums.all_finite(slots, k, start, count, parameters):
                broken = k
        start += count
    new_norm, change_norm = sums.root(size), math.sqrt(change)
    if new_norm < 0.0:  # squares outside the range of float64
        new_norm = sums.norm(parameters, sizes[PARAMETERS])
    if extreme > 0.0:
        change_norm = _joined(change_norm, extreme)
    if not new_norm < math.inf:
        numbers[FAILED] = float(WEIGHT_FAILED)
    elif broken >= 0:
        numbers[FAILED] = float(SLOT_FAILED + broken)
    numbers[UPDATE_RATIO] = change_norm / numbers[WEIGHT_NORM] if numbers[WEIGHT_NORM] > 0.0 else math.inf
    numbers[LARGEST] = largest
    numbers[WEIGHT_NORM] = new_norm
    return change_norm, slope


@numba.njit(error_model="numpy")
def _clip(sizes: Any, gradient: Any, size: Any, step: Any, factor: Any, memory: Any) -> Any:
    """Shorten the gradient where it is too long; return by how much, and the code that is told."""
    scale, code = _shorten(size, step, factor, memory)
    if scale != 1.0:
        narrow = like(gradient, scale)
        for i in range(sizes[PARAMETERS]):
            gradient[i] *= narrow
    return scale, code


@numba.njit(error_model="numpy")
def take_step(
    sizes: Any, ranges: Any, strengths: Any, parameters: Any, before: Any, last: Any, gradient: Any, slots: Any,
    scalars: Any, loss: Any, numbers: Any, limits: Any, memory: Any, row: Any,
) -> None:  # fmt: skip
    """Update the parameters by the gradient of the loss and the penalties; write the numbers that describe it.

    What is not finite is told in numbers[FAILED], which is 0 otherwise. A loss or a gradient that is not finite leaves
    parameters and slots as they were. With `last`, `before` is filled with the parameters as they were; otherwise its
    first piece is scratch. numbers[WEIGHT_NORM] must hold the norm of the parameters given.

    Where the guard watches, `before` holds the last update instead and then this one, with room for a piece behind it;
    `limits` are the judge's, the factor of clipping and the steps after which a unit is dead; `memory` is the guard's.
    `row` has the step's number, the mean loss without penalty and the learning rate; the other signals and the codes
    are written there.
    """
    watched, scale, code = sizes[WATCHED] != 0, 1.0, 0
    numbers[FAILED] = 0.0
    numbers[PENALTY] = penalty_of(sizes, ranges, strengths, parameters)
    if not abs(loss + numbers[PENALTY]) < math.inf:
        numbers[FAILED] = float(LOSS_FAILED)
        return
    if watched:
        hidden, units = shift(ranges, 2 * sizes[PENALTIES]), shift(memory, UNITS)
        row[SIGNAL_DEAD] = _dead_share(sizes, hidden, gradient, units, row[SIGNAL_STEP], limits[DEAD_WINDOW])
    _add_penalty_gradient(sizes, ranges, strengths, parameters, gradient)
    if watched:
        square, slope = sums.squares_and_dot(gradient, before, sizes[PARAMETERS])
        size = sums.root(square)
        numbers[GRADIENT_NORM] = sums.norm(gradient, sizes[PARAMETERS]) if size < 0.0 else size
    else:
        numbers[GRADIENT_NORM] = sums.norm(gradient, sizes[PARAMETERS])
    if not numbers[GRADIENT_NORM] < math.inf:
        numbers[FAILED] = float(GRADIENT_FAILED)
        return
    if watched:
        row[SIGNAL_LOSS] += numbers[PENALTY]
        row[SIGNAL_GRADIENT], row[SIGNAL_WEIGHTS] = numbers[GRADIENT_NORM], numbers[WEIGHT_NORM]
        row[SLOPE_BEFORE] = memory[SLOPE]
        row[SLOPE_AFTER] = slope if memory[SLOPE] == memory[SLOPE] else math.nan
        if limits[CLIP] > 0.0:
            scale, code = _clip(sizes, gradient, numbers[GRADIENT_NORM], row[SIGNAL_STEP], limits[CLIP], memory)
    change_norm, slope = _update(sizes, parameters, before, last, gradient, slots, scalars, numbers)
    if watched:
        slope = slope / scale  # of the gradient as it was before it was shortened
        row[SLOPE_NOW], row[SIGNAL_UPDATE], row[SIGNAL_LARGEST] = slope, change_norm, numbers[LARGEST]
        memory[WATCHED_STEP], memory[SLOPE] = row[SIGNAL_STEP], slope
        row[CODES] = np.float64(code + _judge(row, memory, limits))


@numba.njit(error_model="numpy")
def weigh(sizes: Any, ranges: Any, strengths: Any, parameters: Any, numbers: Any) -> None:
    """Write penalty and norm of the parameters."""
    numbers[PENALTY] = penalty_of(sizes, ranges, strengths, parameters)
    numbers[WEIGHT_NORM] = weight_norm_of(parameters, sizes[PARAMETERS])
