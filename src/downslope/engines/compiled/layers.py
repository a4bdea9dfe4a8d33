"""A network's way forward and back inside compiled code, as a short list of operations on one workspace.

Each operation is a row of whole numbers (the fields of `tables`) and one of real ones. A value lies at
workspace[(buffer + feature)·rows + r]; buffer −1 is the data. On the way back every buffer's values are replaced by the
loss's gradient with respect to them.
"""

from __future__ import annotations

from typing import Any

import numba

from downslope.engines.compiled.lanes import call, shift
from downslope.engines.compiled.tables import (
    ACTIVATION,
    BIASES,
    CODE,
    CONSTANTS,
    DENSE,
    FIELDS,
    FROM,
    FUSED,
    INPUTS,
    KIND,
    MASK,
    NOTHING,
    OUTPUTS,
    RELU,
    RELU_GRADIENT,
    SIZES,
    TO,
    WEIGHTS,
)

__all__ = ["backward", "forward"]

OPERATIONS = SIZES.index("operations")
PRODUCT, WEIGHT_GRADIENT, ROW_SUMS, ACTIVATE, ACTIVATE_BACK = (
    SIZES.index(name) for name in ("product", "weight_gradient", "row_sums", "activate", "activate_back")
)


@numba.njit(error_model="numpy")
def forward(
    sizes: Any, operations: Any, constants: Any, parameters: Any, x: Any, x_stride: Any, rows: Any, workspace: Any,
    training: Any,
) -> None:  # fmt: skip
    """Fill the buffers of all operations from a block of rows; masks of dropout are read if `training`."""
    for k in range(sizes[OPERATIONS]):
        op = shift(operations, k * FIELDS)
        source, stride = _source(op, x, x_stride, rows, workspace)
        target = shift(workspace, op[TO] * rows)
        if op[KIND] == DENSE:
            call(sizes[PRODUCT], (
                source, stride, op[INPUTS], shift(parameters, op[WEIGHTS]), op[OUTPUTS], 1,
                shift(parameters, op[BIASES]), 1, target, rows, op[OUTPUTS], rows, RELU if op[CODE] else NOTHING,
            ))  # fmt: skip
        elif op[KIND] == ACTIVATION:
            if stride == rows:  # one after the other
                call(sizes[ACTIVATE], (op[CODE], constants[k * CONSTANTS], source, target, op[INPUTS] * rows))
                continue
            for j in range(op[INPUTS]):
                given, taken = shift(source, j * stride), shift(target, j * rows)
                call(sizes[ACTIVATE], (op[CODE], constants[k * CONSTANTS], given, taken, rows))
        else:
            for j in range(op[INPUTS]):
                given, taken = shift(source, j * stride), shift(target, j * rows)
                mask = shift(workspace, (op[MASK] + j) * rows)
                for r in range(rows):
                    taken[r] = given[r] * mask[r] if training else given[r]


@numba.njit(error_model="numpy")
def backward(
    sizes: Any, operations: Any, constants: Any, parameters: Any, x: Any, x_stride: Any, rows: Any, workspace: Any,
    gradient: Any,
) -> None:  # fmt: skip
    """Add the block's gradient to `gradient`; the last buffer holds the loss's gradient, every other is overwritten."""
    for k in range(sizes[OPERATIONS] - 1, -1, -1):
        op = shift(operations, k * FIELDS)
        source, stride = _source(op, x, x_stride, rows, workspace)
        upstream = shift(workspace, op[TO] * rows)
        inputs, outputs = op[INPUTS], op[OUTPUTS]
        if op[KIND] == DENSE:
            weights, biases = shift(gradient, op[WEIGHTS]), shift(gradient, op[BIASES])
            if outputs < 4:  # the roles are exchanged, so that tiles are full
                call(
                    sizes[WEIGHT_GRADIENT],
                    (upstream, rows, outputs, source, stride, inputs, rows, weights, 1, outputs, biases, 0),
                )
                call(sizes[ROW_SUMS], (upstream, rows, outputs, rows, biases))
            else:
                call(
                    sizes[WEIGHT_GRADIENT],
                    (source, stride, inputs, upstream, rows, outputs, rows, weights, outputs, 1, biases, 1),
                )
            if op[FROM] >= 0:
                call(sizes[PRODUCT], (
                    upstream, rows, outputs, shift(parameters, op[WEIGHTS]), 1, outputs, parameters, 0,
                    source, rows, inputs, rows, RELU_GRADIENT if op[FUSED] else NOTHING,
                ))  # fmt: skip
        elif op[FROM] >= 0:
            if op[KIND] == ACTIVATION:
                call(sizes[ACTIVATE_BACK], (op[CODE], constants[k * CONSTANTS], source, upstream, inputs * rows))
            else:
                mask = shift(workspace, op[MASK] * rows)
                for i in range(inputs * rows):
                    source[i] = upstream[i] * mask[i]


@numba.njit(error_model="numpy")
def _source(op: Any, x: Any, x_stride: Any, rows: Any, workspace: Any) -> Any:
    """Return where an operation's inputs lie, and how far one feature is from the next."""
    if op[FROM] < 0:
        return x, x_stride
    return shift(workspace, op[FROM] * rows), rows
