"""The activations inside compiled code; the formulas are those of `downslope.network.activations`."""

from __future__ import annotations

import math
from typing import Any

import numba

from downslope.engines.compiled.elementary import exp, expm1, sigmoid, softplus, tanh
from downslope.engines.compiled.lanes import like
from downslope.network import ACTIVATIONS

__all__ = ["ACTIVATION_CODES", "activate", "activate_back"]

ACTIVATION_CODES = {name: code for code, name in enumerate(ACTIVATIONS)}
RELU, LEAKY_RELU, ELU, GELU, SILU, SOFTPLUS, TANH, SIGMOID = (
    ACTIVATION_CODES[name] for name in ("relu", "leaky-relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid")
)
GELU_SCALE, GELU_CUBE = 2.0 * math.sqrt(2.0 / math.pi), 0.044715


@numba.njit(error_model="numpy")
def _gate(x: Any, near: Any, scale: Any, cube: Any) -> Any:
    """Return σ(2u) of GELU; beyond ±30 it is 0 or 1 to the last bit, and x³ would overflow."""
    return sigmoid(scale * (near + cube * near * near * near))


@numba.njit(error_model="numpy")
def _clip(x: Any, limit: Any) -> Any:
    low = -limit if x < -limit else x
    return limit if low > limit else low


@numba.njit(error_model="numpy")
def activate(code: Any, constant: Any, x: Any, y: Any, count: Any) -> None:
    """Write f(x[i]) to y[i]; `constant` is leaky ReLU's slope or ELU's alpha."""
    zero, c = like(x, 0.0), like(x, constant)
    if code == RELU:
        for i in range(count):
            y[i] = zero if x[i] <= zero else x[i]
    elif code == LEAKY_RELU:
        for i in range(count):
            y[i] = x[i] if x[i] > zero else c * x[i]
    elif code == ELU:
        for i in range(count):
            y[i] = x[i] if x[i] > zero else c * expm1(zero if x[i] > zero else x[i])  # NaN stays
    elif code == GELU:
        limit, scale, cube = like(x, 30.0), like(x, GELU_SCALE), like(x, GELU_CUBE)
        for i in range(count):
            y[i] = x[i] * _gate(x[i], _clip(x[i], limit), scale, cube)
    elif code == SILU:
        for i in range(count):
            y[i] = x[i] * sigmoid(x[i])
    elif code == SOFTPLUS:
        for i in range(count):
            y[i] = softplus(x[i])
    elif code == TANH:
        for i in range(count):
            y[i] = tanh(x[i])
    elif code == SIGMOID:
        for i in range(count):
            y[i] = sigmoid(x[i])
    else:
        for i in range(count):
            y[i] = x[i]


@numba.njit(error_model="numpy")
def activate_back(code: Any, constant: Any, x: Any, upstream: Any, count: Any) -> None:
    """Replace x[i] by upstream[i]·f′(x[i])."""
    zero, one, c = like(x, 0.0), like(x, 1.0), like(x, constant)
    if code == RELU:
        for i in range(count):
            x[i] = upstream[i] if x[i] > zero else zero
    elif code == LEAKY_RELU:
        for i in range(count):
            x[i] = upstream[i] * (one if x[i] > zero else c)
    elif code == ELU:
        for i in range(count):
            x[i] = upstream[i] * (one if x[i] > zero else c * exp(zero if x[i] > zero else x[i]))
    elif code == GELU:
        limit, scale, cube = like(x, 30.0), like(x, GELU_SCALE), like(x, GELU_CUBE)
        two, slope_cube = like(x, 2.0), like(x, 3.0 * GELU_CUBE)
        half_scale = like(x, 0.5 * GELU_SCALE)
        for i in range(count):
            near = _clip(x[i], limit)
            gate = _gate(x[i], near, scale, cube)
            slope = half_scale * (one + slope_cube * near * near)
            x[i] = upstream[i] * (gate + two * near * slope * gate * (one - gate))
    elif code == SILU:
        for i in range(count):
            s = sigmoid(x[i])
            x[i] = upstream[i] * (s * (one + x[i] * (one - s)))
    elif code == SOFTPLUS:
        for i in range(count):
            x[i] = upstream[i] * sigmoid(x[i])
    elif code == TANH:
        for i in range(count):
            y = tanh(x[i])
            x[i] = upstream[i] * (one - y * y)
    elif code == SIGMOID:
        for i in range(count):
            x[i] = upstream[i] * (sigmoid(x[i]) * sigmoid(-x[i]))
    else:
        for i in range(count):
            x[i] = upstream[i]
