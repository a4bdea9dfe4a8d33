"""What follows a matrix product made elsewhere: biases, and ReLU in the same pass."""

from __future__ import annotations

from typing import Any

import numba

from downslope.engines.compiled.lanes import clear_below_zero, lanes_of, load, repeat, shift, store

__all__ = ["add_biases"]


@numba.njit(error_model="numpy")
def add_biases(z: Any, rows: Any, outputs: Any, biases: Any, relu: Any) -> None:
    """Add biases[j] to z[j·rows + r]; with `relu` negative values then become 0, and NaN stays. Rows: whole lanes."""
    width = lanes_of(z)
    for j in range(outputs):
        values, bias = shift(z, j * rows), repeat(biases[j])
        if relu:
            for r in range(0, rows, width):
                store(values, r, clear_below_zero(load(values, r) + bias))
        else:
            for r in range(0, rows, width):
                store(values, r, load(values, r) + bias)
