"""The gradients of a dense layer's weights and biases: sums over rows, features-major.

Rows are added in lanes and a fixed tree (see `lanes`). They come in whole lanes; those past the last real one must not
disturb the sums: their gradients are 0. Tiles of two inputs by four outputs keep eight sums in registers.
"""

from __future__ import annotations

from typing import Any

import numba

from downslope.engines.compiled.lanes import lanes_of, load, repeat, shift, tree_sum

__all__ = ["row_sums", "weight_gradient"]


@numba.njit(error_model="numpy")
def weight_gradient(
    x: Any, x_stride: Any, inputs: Any, dz: Any, dz_stride: Any, outputs: Any, rows: Any,
    gradient: Any, step_x: Any, step_dz: Any, bias: Any, has_bias: Any,
) -> None:  # fmt: skip
    """Add Σ_r x[i, r]·dz[j, r] to the gradient at i·step_x + j·step_dz for every i and j, and Σ_r dz[j, r] to bias[j].

    The sums for the biases are taken beside those of the first inputs, and left out where `has_bias` is 0.
    """
    width = lanes_of(x)
    nothing = repeat(x[0] - x[0])
    for j in range(0, outputs - 3, 4):
        d0, d1 = shift(dz, j * dz_stride), shift(dz, (j + 1) * dz_stride)
        d2, d3 = shift(dz, (j + 2) * dz_stride), shift(dz, (j + 3) * dz_stride)
        g0 = shift(gradient, j * step_dz)
        first = 0
        if has_bias:
            first = 2 if inputs >= 2 else 1
            x0, x1 = x, shift(x, x_stride if inputs >= 2 else 0)
            a0, a1, a2, a3 = nothing, nothing, nothing, nothing
            c0, c1, c2, c3 = nothing, nothing, nothing, nothing
            s0, s1, s2, s3 = nothing, nothing, nothing, nothing
            for r in range(0, rows, width):
                u, v = load(x0, r), load(x1, r)
                e0, e1, e2, e3 = load(d0, r), load(d1, r), load(d2, r), load(d3, r)
                a0 = a0 + u * e0
                a1 = a1 + u * e1
                a2 = a2 + u * e2
                a3 = a3 + u * e3
                c0 = c0 + v * e0
                c1 = c1 + v * e1
                c2 = c2 + v * e2
                c3 = c3 + v * e3
                s0 = s0 + e0
                s1 = s1 + e1
                s2 = s2 + e2
                s3 = s3 + e3
            _add_four(g0, step_dz, a0, a1, a2, a3)
            if inputs >= 2:
                _add_four(shift(g0, step_x), step_dz, c0, c1, c2, c3)
            _add_four(shift(bias, j), 1, s0, s1, s2, s3)
        for i in range(first, inputs - 1, 2):
            x0, x1 = shift(x, i * x_stride), shift(x, (i + 1) * x_stride)
            a0, a1, a2, a3 = nothing, nothing, nothing, nothing
            c0, c1, c2, c3 = nothing, nothing, nothing, nothing
            for r in range(0, rows, width):
                u, v = load(x0, r), load(x1, r)
                e0, e1, e2, e3 = load(d0, r), load(d1, r), load(d2, r), load(d3, r)
                a0 = a0 + u * e0
                a1 = a1 + u * e1
                a2 = a2 + u * e2
                a3 = a3 + u * e3
                c0 = c0 + v * e0
                c1 = c1 + v * e1
                c2 = c2 + v * e2
                c3 = c3 + v * e3
            g = shift(g0, i * step_x)
            _add_four(g, step_dz, a0, a1, a2, a3)
            _add_four(shift(g, step_x), step_dz, c0, c1, c2, c3)
        if (inputs - first) % 2:
            x0 = shift(x, (inputs - 1) * x_stride)
            a0, a1, a2, a3 = nothing, nothing, nothing, nothing
            for r in range(0, rows, width):
                u = load(x0, r)
                a0 = a0 + u * load(d0, r)
                a1 = a1 + u * load(d1, r)
                a2 = a2 + u * load(d2, r)
                a3 = a3 + u * load(d3, r)
            _add_four(shift(g0, (inputs - 1) * step_x), step_dz, a0, a1, a2, a3)
    for j in range(outputs - outputs % 4, outputs):
        d0 = shift(dz, j * dz_stride)
        g0 = shift(gradient, j * step_dz)
        for i in range(0, inputs - 3, 4):
            x0, x1 = shift(x, i * x_stride), shift(x, (i + 1) * x_stride)
            x2, x3 = shift(x, (i + 2) * x_stride), shift(x, (i + 3) * x_stride)
            a0, a1, a2, a3 = nothing, nothing, nothing, nothing
            for r in range(0, rows, width):
                e0 = load(d0, r)
                a0 = a0 + load(x0, r) * e0
                a1 = a1 + load(x1, r) * e0
                a2 = a2 + load(x2, r) * e0
                a3 = a3 + load(x3, r) * e0
            _add_four(shift(g0, i * step_x), step_x, a0, a1, a2, a3)
        for i in range(inputs - inputs % 4, inputs):
            x0, a0 = shift(x, i * x_stride), nothing
            for r in range(0, rows, width):
                a0 = a0 + load(x0, r) * load(d0, r)
            g0[i * step_x] += tree_sum(a0)
    if has_bias:
        done = outputs - outputs % 4
        row_sums(shift(dz, done * dz_stride), dz_stride, outputs - done, rows, shift(bias, done))


@numba.njit(error_model="numpy")
def _add_four(gradient: Any, step: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    gradient[0] += tree_sum(a)
    gradient[step] += tree_sum(b)
    gradient[2 * step] += tree_sum(c)
    gradient[3 * step] += tree_sum(d)


@numba.njit(error_model="numpy")
def row_sums(dz: Any, stride: Any, outputs: Any, rows: Any, gradient: Any) -> None:
    """Add Σ_r dz[j, r] to gradient[j], for every j."""
    width = lanes_of(dz)
    nothing = repeat(dz[0] - dz[0])
    for j in range(0, outputs - 3, 4):
        d0, d1 = shift(dz, j * stride), shift(dz, (j + 1) * stride)
        d2, d3 = shift(dz, (j + 2) * stride), shift(dz, (j + 3) * stride)
        a0, a1, a2, a3 = nothing, nothing, nothing, nothing
        for r in range(0, rows, width):
            a0 = a0 + load(d0, r)
            a1 = a1 + load(d1, r)
            a2 = a2 + load(d2, r)
            a3 = a3 + load(d3, r)
        gradient[j] += tree_sum(a0)
        gradient[j + 1] += tree_sum(a1)
        gradient[j + 2] += tree_sum(a2)
        gradient[j + 3] += tree_sum(a3)
    for j in range(outputs - outputs % 4, outputs):
        d0, a0 = shift(dz, j * stride), nothing
        for r in range(0, rows, width):
            a0 = a0 + load(d0, r)
        gradient[j] += tree_sum(a0)
