from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.network import ACTIVATIONS, ELU, Context, LeakyReLU, activation, check_gradient
from downslope.streams import Stream


def gelu(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


# The textbook formulas, one plain float at a time: value and derivative.
PLAIN = {
    "relu": (lambda x: max(x, 0.0), lambda x: float(x > 0)),
    "leaky-relu": (lambda x: x if x > 0 else 0.01 * x, lambda x: 1.0 if x > 0 else 0.01),
    "elu": (lambda x: x if x > 0 else math.exp(x) - 1, lambda x: 1.0 if x > 0 else math.exp(x)),
    "gelu": (gelu, lambda x: (gelu(x + 1e-6) - gelu(x - 1e-6)) / 2e-6),
    "silu": (
        lambda x: x / (1 + math.exp(-x)),
        lambda x: (1 + math.exp(-x) + x * math.exp(-x)) / (1 + math.exp(-x)) ** 2,
    ),
    "softplus": (lambda x: math.log(1 + math.exp(x)), lambda x: 1 / (1 + math.exp(-x))),
    "tanh": (math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    "identity": (lambda x: x, lambda x: 1.0),
}
# Limits far to the left and right: value and derivative; None stands for x itself.
LIMITS = {
    "relu": ((0, 0), (None, 1)),
    "leaky-relu": (("leak", 0.01), (None, 1)),
    "elu": ((-1, 0), (None, 1)),
    "gelu": ((0, 0), (None, 1)),
    "silu": ((0, 0), (None, 1)),
    "softplus": ((0, 0), (None, 1)),
    "tanh": ((-1, 0), (1, 0)),
    "sigmoid": ((0, 0), (1, 0)),
    "identity": ((None, 1), (None, 1)),
}
EVERY = sorted(ACTIVATIONS)
POINTS = [-15.0, -3.7, -1.0, -0.3, -1e-3, 1e-3, 0.4, 1.0, 2.9, 15.0]


@pytest.mark.parametrize("name", EVERY)
def test_values_and_derivatives_are_the_plain_formulas(name):
    x = np.array(POINTS)
    value, derivative = PLAIN[name]
    assert activation(name).function(x).tolist() == pytest.approx([value(p) for p in POINTS], rel=1e-9, abs=1e-14)
    assert activation(name).derivative(x).tolist() == pytest.approx([derivative(p) for p in POINTS], rel=1e-8, abs=1e-9)


def test_settings_take_effect():
    x = np.array([-2.0, 3.0])
    assert LeakyReLU(slope=0.5).function(x).tolist() == [-1.0, 3.0]
    assert LeakyReLU(slope=0.5).derivative(x).tolist() == [0.5, 1.0]
    assert ELU(alpha=2).function(x).tolist() == pytest.approx([2 * math.expm1(-2), 3.0])
    assert ELU(alpha=2).derivative(x).tolist() == pytest.approx([2 * math.exp(-2), 1.0])


def test_relu_takes_gradient_zero_at_zero():
    x = np.array([-1.0, 0.0, 1.0])
    assert activation("relu").derivative(x).tolist() == [0.0, 0.0, 1.0]


@settings(max_examples=15)
@given(name=st.sampled_from(EVERY), rows=st.integers(1, 4), columns=st.integers(1, 4), seed=st.integers(0, 1000))
def test_backward_agrees_with_differences(name, rows, columns, seed):
    layer = activation(name)
    x, upstream = Stream(seed, "test").normal((2, rows, columns))
    x = x + 0.05 * np.sign(x)  # away from the kinks at 0
    report = check_gradient(
        lambda z: (upstream * layer.forward(z, {}, Context())[0]).sum(),
        lambda z: layer.backward(upstream, {}, layer.forward(z, {}, Context())[1])[0],
        x,
    )
    assert (report.checked, report.skipped) == (x.size, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EVERY)
def test_dtype_and_shape_are_kept(name, dtype):
    layer = activation(name)
    x = np.linspace(-2, 2, 6, dtype=dtype).reshape(3, 2)
    outputs, saved = layer.forward(x, {}, Context())
    d_inputs, gradient = layer.backward(np.ones_like(x), {}, saved)
    assert (outputs.dtype, d_inputs.dtype) == (dtype, dtype)
    assert (outputs.shape, d_inputs.shape, gradient) == ((3, 2), (3, 2), {})
    assert layer.shapes() == {}


@pytest.mark.parametrize("size", [60.0, 1e4, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EVERY)
def test_far_values_reach_their_limits_without_overflow(name, dtype, size):
    x = np.array([-size, size, 0.0], dtype=dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        values, slopes = activation(name).function(x), activation(name).derivative(x)
    assert np.isfinite(values).all()
    assert np.isfinite(slopes).all()
    for side, (value, slope) in enumerate(LIMITS[name]):
        expected = {None: x[side], "leak": dtype(0.01) * x[side]}.get(value, value)
        assert values[side] == pytest.approx(expected, rel=1e-6, abs=1e-20)
        assert slopes[side] == pytest.approx(slope, rel=1e-6, abs=1e-20)


def test_gelu_keeps_small_values_and_is_near_the_exact_form():
    x = np.linspace(-6, 6, 121)
    exact = [0.5 * p * math.erfc(-p / math.sqrt(2)) for p in x.tolist()]
    assert np.abs(activation("gelu").function(x) - exact).max() < 5e-4
    assert -1e-20 < activation("gelu").function(np.array([-9.0]))[0] < 0  # 1 + tanh u would round to 0


def test_small_differences_are_not_lost():
    far = np.array([-40.0])
    assert activation("softplus").function(far)[0] == pytest.approx(math.exp(-40), rel=1e-14, abs=0)
    assert activation("elu").function(np.array([-1e-12]))[0] == pytest.approx(-1e-12, rel=1e-9, abs=0)
    assert activation("sigmoid").derivative(-far)[0] == pytest.approx(math.exp(-40), rel=1e-14, abs=0)
