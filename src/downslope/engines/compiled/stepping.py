"""What follows the gradient in a step: penalties, the rule's update, and the numbers that describe them."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

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
    tree_largest,
    tree_sum,
)
from downslope.engines.compiled.tables import (
    GRADIENT_FAILED,
    LOSS_FAILED,
    NUMBERS,
    SIZES,
    SLOT_FAILED,
    WEIGHT_FAILED,
)

__all__ = ["penalty_of", "take_step", "weigh", "weight_norm_of"]

PARAMETERS, PENALTIES, SLOTS, UPDATE = (SIZES.index(name) for name in ("parameters", "penalties", "slots", "update"))
PENALTY, GRADIENT_NORM, UPDATE_RATIO, LARGEST, WEIGHT_NORM, FAILED = range(len(NUMBERS))
MOST_SQUARES = 1e290  # of a piece, so that the sum over all pieces stays in the range of float64
PIECE = 1024  # parameters updated and measured at a time, while they are in the cache


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
def _change(now: Any, old: Any, count: Any) -> Any:
    """Return Σ(now − old)², Σnow² and the largest |now|, as `sums` has them, from one reading."""
    width, nothing = lanes_of(now), repeat(0.0)
    a, b, c, d, e, f = nothing, nothing, nothing, nothing, nothing, nothing
    top = repeat(like(now, 0.0))
    i = 0
    while i + 32 <= count:
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
    while i < count:
        x, step = np.float64(now[i]), np.float64(now[i]) - np.float64(old[i])  # Numba's float() would keep a float32
        change, size, largest = change + step * step, size + x * x, max(largest, abs(x))
        i += 1
    return change, size, largest


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
def _update(
    sizes: Any, parameters: Any, before: Any, last: Any, gradient: Any, slots: Any, scalars: Any, numbers: Any
) -> None:  # fmt: skip
    """Make the rule's step, and write all numbers about it but the penalty and the gradient's norm."""
    change, extreme, size, largest, broken = 0.0, 0.0, 0.0, 0.0, -1
    start = 0
    while start < sizes[PARAMETERS]:
        count = min(PIECE, sizes[PARAMETERS] - start)
        # What nobody will ask for stays in the cache: written out it would be a fifth of all that goes to memory.
        now, old = shift(parameters, start), shift(before, start if last else 0)
        for i in range(count):
            old[i] = now[i]
        call(sizes[UPDATE], (parameters, gradient, slots, start, scalars, count))
        squares = _change(now, old, count)
        if sums.TINY < squares[0] < MOST_SQUARES:
            change += squares[0]
        elif _differ(now, old, count):
            extreme = _joined(extreme, sums.difference_norm(now, old, count))
        size += squares[1]
        largest = max(largest, squares[2])
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


@numba.njit(error_model="numpy")
def take_step(
    sizes: Any, ranges: Any, strengths: Any, parameters: Any, before: Any, last: Any, gradient: Any, slots: Any,
    scalars: Any, loss: Any, numbers: Any,
) -> None:  # fmt: skip
    """Update the parameters by the gradient of the loss and the penalties; write the numbers that describe it.

    What is not finite is told in numbers[FAILED], which is 0 otherwise. A loss or a gradient that is not finite leaves
    parameters and slots as they were. With `last`, `before` is filled with the parameters as they were; otherwise its
    first piece is scratch. numbers[WEIGHT_NORM] must hold the norm of the parameters given.
    """
    numbers[FAILED] = 0.0
    numbers[PENALTY] = penalty_of(sizes, ranges, strengths, parameters)
    if not abs(loss + numbers[PENALTY]) < math.inf:
        numbers[FAILED] = float(LOSS_FAILED)
        return
    _add_penalty_gradient(sizes, ranges, strengths, parameters, gradient)
    numbers[GRADIENT_NORM] = sums.norm(gradient, sizes[PARAMETERS])
    if not numbers[GRADIENT_NORM] < math.inf:
        numbers[FAILED] = float(GRADIENT_FAILED)
        return
    _update(sizes, parameters, before, last, gradient, slots, scalars, numbers)


@numba.njit(error_model="numpy")
def weigh(sizes: Any, ranges: Any, strengths: Any, parameters: Any, numbers: Any) -> None:
    """Write penalty and norm of the parameters."""
    numbers[PENALTY] = penalty_of(sizes, ranges, strengths, parameters)
    numbers[WEIGHT_NORM] = weight_norm_of(parameters, sizes[PARAMETERS])
