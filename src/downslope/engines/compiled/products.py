"""The matrix products of a dense layer, features-major: a value for each row lies beside its neighbour's.

Every sum is taken in the order of the inputs, for many rows side by side; rows come in whole lanes (see `lanes`).
Tiles of four outputs by two lanes keep eight sums in registers; the other forms are for what tiles leave over, and
for two and three inputs, where the weights are few.
"""

from __future__ import annotations

from typing import Any

import numba

from downslope.engines.compiled.lanes import (
    above_zero,
    clear_below_zero,
    lanes_of,
    load,
    repeat,
    shift,
    store,
)
from downslope.engines.compiled.tables import RELU, RELU_GRADIENT

__all__ = ["product"]


@numba.njit(error_model="numpy")
def _finish(lanes: Any, out: Any, at: Any, finish: Any) -> None:
    if finish == RELU:
        lanes = clear_below_zero(lanes)
    elif finish == RELU_GRADIENT:
        lanes = above_zero(lanes, load(out, at))
    store(out, at, lanes)


@numba.njit(error_model="numpy")
def product(
    x: Any, x_stride: Any, inputs: Any, w: Any, w_input: Any, w_output: Any, bias: Any, has_bias: Any,
    out: Any, out_stride: Any, outputs: Any, rows: Any, finish: Any,
) -> None:  # fmt: skip
    """Write out[j, r] = bias[j] + Σ_i x[i, r]·w[i, j], the terms added in the order of i.

    Weight (i, j) lies at i·w_input + j·w_output, so the same loops serve the way forward and, with the two exchanged,
    the way back. With RELU negative values become 0; with RELU_GRADIENT the value is kept where `out` held one
    above 0, and is 0 elsewhere.
    """
    width = lanes_of(x)
    zero = x[0] - x[0]
    if inputs == 2:
        _two_inputs(x, x_stride, w, w_input, w_output, bias, has_bias, out, out_stride, outputs, rows, finish)
        return
    if inputs == 3:
        _three_inputs(x, x_stride, w, w_input, w_output, bias, has_bias, out, out_stride, outputs, rows, finish)
        return
    for j in range(0, outputs - 3, 4):
        w0, w1 = shift(w, j * w_output), shift(w, (j + 1) * w_output)
        w2, w3 = shift(w, (j + 2) * w_output), shift(w, (j + 3) * w_output)
        o0, o1 = shift(out, j * out_stride), shift(out, (j + 1) * out_stride)
        o2, o3 = shift(out, (j + 2) * out_stride), shift(out, (j + 3) * out_stride)
        b0 = bias[j] if has_bias else zero
        b1 = bias[j + 1] if has_bias else zero
        b2 = bias[j + 2] if has_bias else zero
        b3 = bias[j + 3] if has_bias else zero
        r = 0
        while r + 2 * width <= rows:
            a0, a1, a2, a3 = repeat(b0), repeat(b1), repeat(b2), repeat(b3)
            c0, c1, c2, c3 = a0, a1, a2, a3
            source = shift(x, r)
            weight = 0
            for _ in range(inputs):
                u, v = load(source, 0), load(source, width)
                s0, s1, s2, s3 = repeat(w0[weight]), repeat(w1[weight]), repeat(w2[weight]), repeat(w3[weight])
                a0 = a0 + u * s0
                a1 = a1 + u * s1
                a2 = a2 + u * s2
                a3 = a3 + u * s3
                c0 = c0 + v * s0
                c1 = c1 + v * s1
                c2 = c2 + v * s2
                c3 = c3 + v * s3
                source = shift(source, x_stride)
                weight += w_input
            _finish(a0, o0, r, finish)
            _finish(a1, o1, r, finish)
            _finish(a2, o2, r, finish)
            _finish(a3, o3, r, finish)
            _finish(c0, o0, r + width, finish)
            _finish(c1, o1, r + width, finish)
            _finish(c2, o2, r + width, finish)
            _finish(c3, o3, r + width, finish)
            r += 2 * width
        while r < rows:
            a0, a1, a2, a3 = repeat(b0), repeat(b1), repeat(b2), repeat(b3)
            source = shift(x, r)
            weight = 0
            for _ in range(inputs):
                u = load(source, 0)
                a0 = a0 + u * repeat(w0[weight])
                a1 = a1 + u * repeat(w1[weight])
                a2 = a2 + u * repeat(w2[weight])
                a3 = a3 + u * repeat(w3[weight])
                source = shift(source, x_stride)
                weight += w_input
            _finish(a0, o0, r, finish)
            _finish(a1, o1, r, finish)
            _finish(a2, o2, r, finish)
            _finish(a3, o3, r, finish)
            r += width
    j = outputs - outputs % 4
    if outputs % 4 == 3:
        _three(x, x_stride, inputs, shift(w, j * w_output), w_input, w_output, shift(bias, j), has_bias,
               shift(out, j * out_stride), out_stride, rows, finish)  # fmt: skip
        j += 3
    elif outputs % 4 == 2:
        _two(x, x_stride, inputs, shift(w, j * w_output), w_input, w_output, shift(bias, j), has_bias,
             shift(out, j * out_stride), out_stride, rows, finish)  # fmt: skip
        j += 2
    elif outputs % 4 == 1:
        _one(x, x_stride, inputs, shift(w, j * w_output), w_input, shift(bias, j), has_bias,
             shift(out, j * out_stride), rows, finish)  # fmt: skip


@numba.njit(error_model="numpy")
def _three(
    x: Any, x_stride: Any, inputs: Any, w: Any, w_input: Any, w_output: Any, bias: Any, has_bias: Any,
    out: Any, out_stride: Any, rows: Any, finish: Any,
) -> None:  # fmt: skip
    width, r = lanes_of(x), 0
    zero = x[0] - x[0]
    w1, w2 = shift(w, w_output), shift(w, 2 * w_output)
    o1, o2 = shift(out, out_stride), shift(out, 2 * out_stride)
    b0, b1, b2 = (bias[0], bias[1], bias[2]) if has_bias else (zero, zero, zero)
    while r + 2 * width <= rows:
        a0, a1, a2 = repeat(b0), repeat(b1), repeat(b2)
        c0, c1, c2 = a0, a1, a2
        source, weight = shift(x, r), 0
        for _ in range(inputs):
            u, v = load(source, 0), load(source, width)
            s0, s1, s2 = repeat(w[weight]), repeat(w1[weight]), repeat(w2[weight])
            a0 = a0 + u * s0
            a1 = a1 + u * s1
            a2 = a2 + u * s2
            c0 = c0 + v * s0
            c1 = c1 + v * s1
            c2 = c2 + v * s2
            source = shift(source, x_stride)
            weight += w_input
        _finish(a0, out, r, finish)
        _finish(a1, o1, r, finish)
        _finish(a2, o2, r, finish)
        _finish(c0, out, r + width, finish)
        _finish(c1, o1, r + width, finish)
        _finish(c2, o2, r + width, finish)
        r += 2 * width
    if r < rows:
        a0, a1, a2 = repeat(b0), repeat(b1), repeat(b2)
        source, weight = shift(x, r), 0
        for _ in range(inputs):
            u = load(source, 0)
            a0 = a0 + u * repeat(w[weight])
            a1 = a1 + u * repeat(w1[weight])
            a2 = a2 + u * repeat(w2[weight])
            source = shift(source, x_stride)
            weight += w_input
        _finish(a0, out, r, finish)
        _finish(a1, o1, r, finish)
        _finish(a2, o2, r, finish)


@numba.njit(error_model="numpy")
def _two(
    x: Any, x_stride: Any, inputs: Any, w: Any, w_input: Any, w_output: Any, bias: Any, has_bias: Any,
    out: Any, out_stride: Any, rows: Any, finish: Any,
) -> None:  # fmt: skip
    width, r = lanes_of(x), 0
    zero = x[0] - x[0]
    w1, o1 = shift(w, w_output), shift(out, out_stride)
    b0, b1 = (bias[0], bias[1]) if has_bias else (zero, zero)
    while r + 2 * width <= rows:
        a0, a1 = repeat(b0), repeat(b1)
        c0, c1 = a0, a1
        source, weight = shift(x, r), 0
        for _ in range(inputs):
            u, v = load(source, 0), load(source, width)
            s0, s1 = repeat(w[weight]), repeat(w1[weight])
            a0 = a0 + u * s0
            a1 = a1 + u * s1
            c0 = c0 + v * s0
            c1 = c1 + v * s1
            source = shift(source, x_stride)
            weight += w_input
        _finish(a0, out, r, finish)
        _finish(a1, o1, r, finish)
        _finish(c0, out, r + width, finish)
        _finish(c1, o1, r + width, finish)
        r += 2 * width
    if r < rows:
        a0, a1 = repeat(b0), repeat(b1)
        source, weight = shift(x, r), 0
        for _ in range(inputs):
            u = load(source, 0)
            a0 = a0 + u * repeat(w[weight])
            a1 = a1 + u * repeat(w1[weight])
            source = shift(source, x_stride)
            weight += w_input
        _finish(a0, out, r, finish)
        _finish(a1, o1, r, finish)


@numba.njit(error_model="numpy")
def _one(
    x: Any, x_stride: Any, inputs: Any, w: Any, w_input: Any, bias: Any, has_bias: Any, out: Any, rows: Any, finish: Any
) -> None:
    width, r = lanes_of(x), 0
    start = repeat(bias[0] if has_bias else x[0] - x[0])
    while r + 4 * width <= rows:
        a0, a1, a2, a3 = start, start, start, start
        source, weight = shift(x, r), 0
        for _ in range(inputs):
            s = repeat(w[weight])
            a0 = a0 + load(source, 0) * s
            a1 = a1 + load(source, width) * s
            a2 = a2 + load(source, 2 * width) * s
            a3 = a3 + load(source, 3 * width) * s
            source = shift(source, x_stride)
            weight += w_input
        _finish(a0, out, r, finish)
        _finish(a1, out, r + width, finish)
        _finish(a2, out, r + 2 * width, finish)
        _finish(a3, out, r + 3 * width, finish)
        r += 4 * width
    while r < rows:
        a0 = start
        source, weight = shift(x, r), 0
        for _ in range(inputs):
            a0 = a0 + load(source, 0) * repeat(w[weight])
            source = shift(source, x_stride)
            weight += w_input
        _finish(a0, out, r, finish)
        r += width


@numba.njit(error_model="numpy")
def _two_inputs(
    x: Any, x_stride: Any, w: Any, w_input: Any, w_output: Any, bias: Any, has_bias: Any,
    out: Any, out_stride: Any, outputs: Any, rows: Any, finish: Any,
) -> None:  # fmt: skip
    """As `product` for two inputs, which stay in registers while the outputs go by."""
    width, r = lanes_of(x), 0
    zero = x[0] - x[0]
    while r + 2 * width <= rows:
        x0, x1 = load(x, r), load(x, x_stride + r)
        y0, y1 = load(x, r + width), load(x, x_stride + r + width)
        at, target = w, out
        for j in range(outputs):
            start = repeat(bias[j] if has_bias else zero)
            s0, s1 = repeat(at[0]), repeat(at[w_input])
            _finish((start + x0 * s0 if has_bias else x0 * s0) + x1 * s1, target, r, finish)
            _finish((start + y0 * s0 if has_bias else y0 * s0) + y1 * s1, target, r + width, finish)
            at, target = shift(at, w_output), shift(target, out_stride)
        r += 2 * width
    if r < rows:
        x0, x1 = load(x, r), load(x, x_stride + r)
        at, target = w, out
        for j in range(outputs):
            start = repeat(bias[j] if has_bias else zero)
            s0, s1 = repeat(at[0]), repeat(at[w_input])
            _finish((start + x0 * s0 if has_bias else x0 * s0) + x1 * s1, target, r, finish)
            at, target = shift(at, w_output), shift(target, out_stride)


@numba.njit(error_model="numpy")
def _three_inputs(
    x: Any, x_stride: Any, w: Any, w_input: Any, w_output: Any, bias: Any, has_bias: Any,
    out: Any, out_stride: Any, outputs: Any, rows: Any, finish: Any,
) -> None:  # fmt: skip
    """As `product` for three inputs, which stay in registers while the outputs go by."""
    width, r = lanes_of(x), 0
    zero = x[0] - x[0]
    while r + 2 * width <= rows:
        x0, x1, x2 = load(x, r), load(x, x_stride + r), load(x, 2 * x_stride + r)
        y0, y1, y2 = load(x, r + width), load(x, x_stride + r + width), load(x, 2 * x_stride + r + width)
        at, target = w, out
        for j in range(outputs):
            start = repeat(bias[j] if has_bias else zero)
            s0, s1, s2 = repeat(at[0]), repeat(at[w_input]), repeat(at[2 * w_input])
            _finish((start + x0 * s0 if has_bias else x0 * s0) + x1 * s1 + x2 * s2, target, r, finish)
            _finish((start + y0 * s0 if has_bias else y0 * s0) + y1 * s1 + y2 * s2, target, r + width, finish)
            at, target = shift(at, w_output), shift(target, out_stride)
        r += 2 * width
    if r < rows:
        x0, x1, x2 = load(x, r), load(x, x_stride + r), load(x, 2 * x_stride + r)
        at, target = w, out
        for j in range(outputs):
            start = repeat(bias[j] if has_bias else zero)
            s0, s1, s2 = repeat(at[0]), repeat(at[w_input]), repeat(at[2 * w_input])
            _finish((start + x0 * s0 if has_bias else x0 * s0) + x1 * s1 + x2 * s2, target, r, finish)
            at, target = shift(at, w_output), shift(target, out_stride)
