"""The losses inside compiled code, features-major: each row's loss, its gradient, and what the score needs.

The formulas are those of `downslope.network.losses`; output j of row r lies at z[j·stride + r]. Targets lie likewise;
labels are whole numbers in the same type. Sums are float64.
"""

from __future__ import annotations

from typing import Any

import numba

from downslope.engines.compiled import sums
from downslope.engines.compiled.elementary import exp, log, log1p, sigmoid
from downslope.engines.compiled.lanes import lanes_of, like, load, repeat, shift, store, where_below, where_equal
from downslope.network import LOSSES

__all__ = ["LOSS_CODES", "loss_pass"]

LOSS_CODES = {name: code for code, name in enumerate(LOSSES)}
CROSS_ENTROPY, BCE, MSE, MAE, HUBER = (LOSS_CODES[name] for name in ("cross-entropy", "bce", "mse", "mae", "huber"))


@numba.njit(error_model="numpy")
def loss_pass(
    code: Any, delta: Any, z: Any, stride: Any, outputs: Any, rows: Any, valid: Any, targets: Any,
    target_stride: Any, share: Any, scratch: Any, tallied: Any,
) -> None:  # fmt: skip
    """Add the rows' losses to tallied[0] and their tally to tallied[1 …]; write the gradient over the outputs.

    `rows` is `valid`, the number of real rows, in whole lanes; the others get gradient 0. `share` is what a row
    counts in the mean: 1 / rows of the batch. `scratch` holds 4·rows numbers.
    """
    if code == CROSS_ENTROPY:
        _cross_entropy(z, stride, outputs, rows, valid, targets, like(z, share), scratch, tallied)
    else:
        weight = like(z, share / outputs)
        for j in range(outputs):
            y, t = shift(z, j * stride), shift(targets, j * target_stride)
            if code == BCE:
                _binary(y, rows, t, weight, scratch)
                tallied[1] += sums.total(shift(scratch, rows), valid)
            else:
                tallied[1 + j] += sums.difference_squares(y, t, valid)
                _regression(code, like(z, delta), y, rows, t, weight, scratch)
            tallied[0] += sums.total(scratch, valid) / outputs
            for r in range(valid, rows):
                y[r] = like(z, 0.0)


@numba.njit(error_model="numpy")
def _cross_entropy(
    z: Any, stride: Any, outputs: Any, rows: Any, valid: Any, labels: Any, share: Any, scratch: Any, tallied: Any
) -> None:
    # Every pass is either over whole lanes or over one array: only so is each of them vectorized to its end.
    width, zero, one = lanes_of(z), repeat(like(z, 0.0)), repeat(like(z, 1.0))
    total, chosen, right = scratch, shift(scratch, rows), shift(scratch, 2 * rows)
    for r in range(0, rows, width):
        largest = load(z, r)
        for j in range(1, outputs):
            y = load(z, j * stride + r)
            largest = where_below(largest, y, y, largest)
        label, at_label, first = load(labels, r), zero, zero - one
        for j in range(outputs):
            below = load(z, j * stride + r) - largest
            store(z, j * stride + r, below)
            number = repeat(like(z, float(j)))
            at_label = where_equal(label, number, below, at_label)
            # The label read off the outputs is the first of the largest.
            first = where_below(first, zero, where_equal(below, zero, number, first), first)
        store(chosen, r, at_label)
        store(right, r, where_equal(first, label, one, zero))
    for i in range((outputs - 1) * stride + rows):
        z[i] = exp(z[i])
    for r in range(0, rows, width):
        sum_of_all = load(z, r)
        for j in range(1, outputs):
            sum_of_all = sum_of_all + load(z, j * stride + r)
        store(total, r, sum_of_all)
    inverse = shift(scratch, 3 * rows)
    for r in range(rows):
        inverse[r] = share / total[r]
    for r in range(rows):
        total[r] = log(total[r])
    for r in range(0, rows, width):
        store(chosen, r, load(total, r) - load(chosen, r))
    tallied[0] += sums.total(chosen, valid)
    tallied[1] += sums.total(right, valid)
    counted = repeat(share)
    for r in range(0, rows, width):
        weight, label = load(inverse, r), load(labels, r)
        for j in range(outputs):
            wanted = where_equal(label, repeat(like(z, float(j))), counted, zero)
            store(z, j * stride + r, load(z, j * stride + r) * weight - wanted)
    for j in range(outputs):
        for r in range(j * stride + valid, j * stride + rows):
            z[r] = like(z, 0.0)


@numba.njit(error_model="numpy")
def _binary(z: Any, rows: Any, targets: Any, weight: Any, scratch: Any) -> None:
    """Write losses to scratch[r], whether the row is right to scratch[rows + r], the gradient over z."""
    zero, one = like(z, 0.0), like(z, 1.0)
    right = shift(scratch, rows)
    for r in range(rows):
        right[r] = one if (z[r] > zero) == (targets[r] > zero) else zero
    for r in range(rows):
        x = z[r]
        scratch[r] = ((zero if x <= zero else x) - targets[r] * x) + log1p(exp(-abs(x)))
    for r in range(rows):
        z[r] = (sigmoid(z[r]) - targets[r]) * weight


@numba.njit(error_model="numpy")
def _regression(code: Any, delta: Any, z: Any, rows: Any, targets: Any, weight: Any, scratch: Any) -> None:
    """Write losses to scratch[r] and the gradient over z."""
    zero, one, half = like(z, 0.0), like(z, 1.0), like(z, 0.5)
    for r in range(rows):
        z[r] -= targets[r]
    if code == MSE:
        twice = weight + weight
        for r in range(rows):
            scratch[r] = z[r] * z[r]
        for r in range(rows):
            z[r] *= twice
    elif code == MAE:
        for r in range(rows):
            scratch[r] = abs(z[r])
        for r in range(rows):
            e = z[r]
            z[r] = (one if e > zero else (-one if e < zero else e)) * weight
    else:
        for r in range(rows):
            e = abs(z[r])
            near = delta if e > delta else e
            scratch[r] = near * (e - half * near)
        for r in range(rows):
            e = z[r]
            z[r] = (delta if e > delta else (-delta if e < -delta else e)) * weight
