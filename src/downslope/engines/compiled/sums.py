"""Sums in float64 over many numbers, in eight lanes and a tree, whatever their type and the processor."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from downslope.engines.compiled.lanes import (
    lanes_of,
    like,
    load,
    load_wide,
    pointer_at,
    repeat,
    shift,
    tree_sum,
)
from downslope.engines.compiled.tables import PIECE

__all__ = [
    "absolute_sum",
    "all_finite",
    "difference_norm",
    "difference_squares",
    "dot",
    "is_exact",
    "norm",
    "root",
    "squares",
    "squares_and_dot",
    "total",
]

# A square sum within these is exact enough; outside, squares may have left the range of float64.
TINY, HUGE = 1e-280, math.inf
LEAST_NARROW = 1e-20  # a sum of products in float32 below this may lack what was too small for it


@numba.njit(error_model="numpy")
def total(values: Any, count: Any) -> Any:
    """Return Σ x."""
    # np.float64, as Numba's float() leaves a float32 what it is.
    a = repeat(0.0)
    b = a
    i = 0
    while i + 16 <= count:
        a = a + load_wide(values, i)
        b = b + load_wide(values, i + 8)
        i += 16
    result = tree_sum(a + b)
    while i < count:
        result += np.float64(values[i])
        i += 1
    return result


@numba.njit(error_model="numpy")
def squares(values: Any, count: Any) -> Any:
    """Return Σ x²."""
    a = repeat(0.0)
    b, c, d = a, a, a
    i = 0
    while i + 32 <= count:
        s, t, u, v = (
            load_wide(values, i),
            load_wide(values, i + 8),
            load_wide(values, i + 16),
            load_wide(values, i + 24),
        )
        a = a + s * s
        b = b + t * t
        c = c + u * u
        d = d + v * v
        i += 32
    result = tree_sum((a + b) + (c + d))
    while i < count:
        x = np.float64(values[i])
        result += x * x
        i += 1
    return result


@numba.njit(error_model="numpy")
def difference_squares(after: Any, before: Any, count: Any) -> Any:
    """Return Σ (after − before)², the differences taken in float64."""
    a = repeat(0.0)
    b = a
    i = 0
    while i + 16 <= count:
        s = load_wide(after, i) - load_wide(before, i)
        t = load_wide(after, i + 8) - load_wide(before, i + 8)
        a = a + s * s
        b = b + t * t
        i += 16
    result = tree_sum(a + b)
    while i < count:
        x = np.float64(after[i]) - np.float64(before[i])
        result += x * x
        i += 1
    return result


@numba.njit(error_model="numpy")
def dot(values: Any, others: Any, count: Any) -> Any:
    """Return Σ x·y, the products taken in float64."""
    a = repeat(0.0)
    i = 0
    while i + 8 <= count:
        a = a + load_wide(values, i) * load_wide(others, i)
        i += 8
    result = tree_sum(a)
    while i < count:
        result += np.float64(values[i]) * np.float64(others[i])
        i += 1
    return result


@numba.njit(error_model="numpy")
def squares_and_dot(values: Any, others: Any, count: Any) -> Any:
    """Return Σ x² as `squares` has it, and Σ x·y, from one reading.

    The products are taken in the numbers' own type, piece by piece, which is four times as fast; in float64 where that
    leaves the range in which float32 is exact enough.
    """
    width, narrow = lanes_of(values), repeat(like(values, 0.0))
    a = repeat(0.0)
    b, c, d = a, a, a
    product, i = 0.0, 0
    while i + 32 <= count:
        e, f, stop = narrow, narrow, min(i + PIECE, count)
        while i + 32 <= stop:
            s, t = load_wide(values, i), load_wide(values, i + 8)
            u, v = load_wide(values, i + 16), load_wide(values, i + 24)
            a = a + s * s
            b = b + t * t
            c = c + u * u
            d = d + v * v
            e = e + load(values, i) * load(others, i)
            f = f + load(values, i + width) * load(others, i + width)
            if width < 16:
                e = e + load(values, i + 16) * load(others, i + 16)
                f = f + load(values, i + 24) * load(others, i + 24)
            i += 32
        product += np.float64(tree_sum(e + f))
    result = tree_sum((a + b) + (c + d))
    while i < count:
        x = np.float64(values[i])
        result += x * x
        product += x * np.float64(others[i])
        i += 1
    if not is_exact(product):
        product = dot(values, others, count)
    return result, product


@numba.njit(error_model="numpy")
def is_exact(product: Any) -> Any:
    """Return whether Σ x·y may be taken as it is: no product was too large for float32, few were too small."""
    return LEAST_NARROW < abs(product) < HUGE


@numba.njit(error_model="numpy")
def absolute_sum(values: Any, count: Any) -> Any:
    """Return Σ |x|, one after the other."""
    result = 0.0
    for i in range(count):
        result += abs(np.float64(values[i]))
    return result


@numba.njit(error_model="numpy")
def norm(values: Any, count: Any) -> Any:
    """Return √Σ x², which is finite only if every x is; squares that leave the range of float64 do not matter."""
    square = squares(values, count)
    if TINY < square < HUGE:
        return math.sqrt(square)
    top = 0.0
    for i in range(count):
        x = abs(np.float64(values[i]))
        if not x < HUGE:
            return x
        top = max(x, top)
    if top == 0.0:
        return top
    square = 0.0
    for i in range(count):
        x = np.float64(values[i]) / top
        square += x * x
    return top * math.sqrt(square)


@numba.njit(error_model="numpy")
def root(square: Any) -> Any:
    """Return √Σx² from the sum of squares, or −1 where squares have left the range of float64."""
    return math.sqrt(square) if TINY < square < HUGE else -1.0


@numba.njit(error_model="numpy")
def difference_norm(after: Any, before: Any, count: Any) -> Any:
    """Return √Σ(after − before)² where the squares leave the range of float64."""
    top = 0.0
    for i in range(count):
        x = abs(np.float64(after[i]) - np.float64(before[i]))
        if not x < HUGE:
            return x
        top = max(x, top)
    if top == 0.0:
        return top
    square = 0.0
    for i in range(count):
        x = (np.float64(after[i]) - np.float64(before[i])) / top
        square += x * x
    return top * math.sqrt(square)


@numba.njit(error_model="numpy")
def all_finite(addresses: Any, which: Any, start: Any, count: Any, kin: Any) -> Any:
    """Return whether `count` numbers of an array of `kin`'s type, told by its address, are all finite."""
    values = shift(pointer_at(addresses, which, kin), start)
    width = lanes_of(values)
    zero = repeat(kin[0] - kin[0])
    lanes = zero
    i = 0
    while i + width <= count:
        lanes = lanes + load(values, i) * zero  # NaN where a number is not finite
        i += width
    rest = tree_sum(lanes)
    while i < count:
        rest += values[i] - values[i]
        i += 1
    return rest == rest  # noqa: PLR0124 - NaN is not equal to itself
