"""Activations: layers that apply one function to every value.

Each gives its function and its derivative; the backward pass is always upstream · derivative(inputs). All are finite,
without overflow on the way, for any finite input, in float32 and float64.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from downslope import checks
from downslope.network.layers import Context, Layer
from downslope.network.parts import Array, look_up

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "Activation",
    "Identity",
    "LeakyReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "activation",
    "sigmoid",
    "softplus",
]


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e^−x); only e^−|x| is taken, so nothing overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def softplus(x: Array) -> Array:
    """Return ln(1 + e^x) as max(x, 0) + ln(1 + e^−|x|), so nothing overflows."""
    total: Array = np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))
    return total


@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """A function of one number, applied to every value of the inputs; shapes and dtype stay.

    `rectifier` says that the function passes positive inputs and holds back negative ones, so that He's initial
    weights suit it.
    """

    rectifier: ClassVar[bool] = False

    @abstractmethod
    def function(self, x: Array) -> Array:
        """Return f(x) for every value."""

    @abstractmethod
    def derivative(self, x: Array) -> Array:
        """Return f′(x) for every value."""

    def forward(self, inputs: Array, parameters: dict[str, Array], context: Context) -> tuple[Array, Any]:
        """Return f(inputs)."""
        return self.function(inputs), inputs

    def backward(self, upstream: Array, parameters: dict[str, Array], saved: Any) -> tuple[Array, dict[str, Array]]:
        """Return upstream · f′(inputs)."""
        return upstream * self.derivative(saved), {}


@final
@dataclass(frozen=True, repr=False)
class Identity(Activation):
    """f(x) = x, f′(x) = 1."""

    name: ClassVar[str] = "identity"

    def function(self, x: Array) -> Array:
        """Return x."""
        return x

    def derivative(self, x: Array) -> Array:
        """Return 1."""
        return np.ones_like(x)


@final
@dataclass(frozen=True, repr=False)
class ReLU(Activation):
    """Rectified linear unit: f(x) = max(x, 0); f′(x) = 1 where x > 0, else 0 (so 0 at 0).

    Reference: Glorot, Bordes & Bengio (2011), "Deep sparse rectifier neural networks".
    """

    name: ClassVar[str] = "relu"
    rectifier: ClassVar[bool] = True

    def function(self, x: Array) -> Array:
        """Return max(x, 0)."""
        return np.asarray(np.maximum(x, 0.0))

    def derivative(self, x: Array) -> Array:
        """Return 1 where x > 0, else 0."""
        return (x > 0).astype(x.dtype)


@final
@dataclass(frozen=True, repr=False)
class LeakyReLU(Activation):
    """f(x) = x where x > 0, else slope·x; f′(x) = 1 where x > 0, else slope.

    Parameters
    ----------
    slope : float, default 0.01
        Slope for negative inputs, at least 0.

    References
    ----------
    Maas, Hannun & Ng (2013), "Rectifier nonlinearities improve neural network acoustic models".
    """

    name: ClassVar[str] = "leaky-relu"
    rectifier: ClassVar[bool] = True
    slope: float = 0.01

    def __post_init__(self) -> None:
        self._settle(slope=checks.real("slope", self.slope, checks.Interval(at_least=0)))

    def function(self, x: Array) -> Array:
        """Return x where x > 0, else slope·x."""
        return x * self.derivative(x)

    def derivative(self, x: Array) -> Array:
        """Return 1 where x > 0, else the slope."""
        return np.where(x > 0, 1.0, self.slope).astype(x.dtype)


@final
@dataclass(frozen=True, repr=False)
class ELU(Activation):
    """Exponential linear unit: f(x) = x where x > 0, else α·(e^x − 1); f′(x) = 1 where x > 0, else α·e^x.

    Parameters
    ----------
    alpha : float, default 1
        Minus the limit for large negative inputs, at least 0.

    References
    ----------
    Clevert, Unterthiner & Hochreiter (2016), "Fast and accurate deep network learning by exponential linear units".
    """

    name: ClassVar[str] = "elu"
    rectifier: ClassVar[bool] = True
    alpha: float = 1.0

    def __post_init__(self) -> None:
        self._settle(alpha=checks.real("alpha", self.alpha, checks.Interval(at_least=0)))

    def function(self, x: Array) -> Array:
        """Return x where x > 0, else α·(e^x − 1)."""
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0.0)))

    def derivative(self, x: Array) -> Array:
        """Return 1 where x > 0, else α·e^x."""
        return np.where(x > 0, 1.0, self.alpha * np.exp(np.minimum(x, 0.0)))


@final
@dataclass(frozen=True, repr=False)
class GELU(Activation):
    """Gaussian error linear unit in its tanh form: f(x) = x/2·(1 + tanh u), u = √(2/π)·(x + 0.044715·x³).

    Written here as f(x) = x·σ(2u), the same function, which keeps small values for negative x; so
    f′(x) = σ(2u) + 2·x·u′·σ(2u)·(1 − σ(2u)), u′ = √(2/π)·(1 + 0.134145·x²). It differs from the exact form x·Φ(x)
    by less than 0.0005.

    Reference: Hendrycks & Gimpel (2016), "Gaussian error linear units", section 2.
    """

    name: ClassVar[str] = "gelu"
    rectifier: ClassVar[bool] = True

    def function(self, x: Array) -> Array:
        """Return x·σ(2u)."""
        return x * self._gate(x)

    def derivative(self, x: Array) -> Array:
        """Return σ(2u) + 2·x·u′·σ(2u)·(1 − σ(2u))."""
        gate, near = self._gate(x), np.clip(x, -30.0, 30.0)
        slope = math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * 0.044715 * near * near)
        return np.asarray(gate + 2.0 * near * slope * gate * (1.0 - gate))

    @staticmethod
    def _gate(x: Array) -> Array:
        # Beyond ±30 the gate is 0 or 1 to the last bit in both precisions, and x³ would overflow.
        near = np.clip(x, -30.0, 30.0)
        return sigmoid(2.0 * math.sqrt(2.0 / math.pi) * (near + 0.044715 * near * near * near))


@final
@dataclass(frozen=True, repr=False)
class SiLU(Activation):
    """Sigmoid linear unit, or swish: f(x) = x·σ(x); f′(x) = σ(x)·(1 + x·(1 − σ(x))).

    Reference: Elfwing, Uchibe & Doya (2018), "Sigmoid-weighted linear units for neural network function approximation
    in reinforcement learning", equations 4 and 5.
    """

    name: ClassVar[str] = "silu"
    rectifier: ClassVar[bool] = True

    def function(self, x: Array) -> Array:
        """Return x·σ(x)."""
        return x * sigmoid(x)

    def derivative(self, x: Array) -> Array:
        """Return σ(x)·(1 + x·(1 − σ(x)))."""
        s = sigmoid(x)
        return s * (1.0 + x * (1.0 - s))


@final
@dataclass(frozen=True, repr=False)
class Tanh(Activation):
    """Hyperbolic tangent: f(x) = tanh x, f′(x) = 1 − tanh² x."""

    name: ClassVar[str] = "tanh"

    def function(self, x: Array) -> Array:
        """Return tanh x."""
        return np.asarray(np.tanh(x))

    def derivative(self, x: Array) -> Array:
        """Return 1 − tanh² x."""
        y = np.tanh(x)
        return np.asarray(1.0 - y * y)


@final
@dataclass(frozen=True, repr=False)
class Sigmoid(Activation):
    """Logistic function: f(x) = σ(x) = 1 / (1 + e^−x), f′(x) = σ(x)·(1 − σ(x))."""

    name: ClassVar[str] = "sigmoid"

    def function(self, x: Array) -> Array:
        """Return σ(x)."""
        return sigmoid(x)

    def derivative(self, x: Array) -> Array:
        """Return σ(x)·σ(−x), which is σ(x)·(1 − σ(x)) without its cancellation."""
        return sigmoid(x) * sigmoid(-x)


@final
@dataclass(frozen=True, repr=False)
class Softplus(Activation):
    """Smooth ReLU: f(x) = ln(1 + e^x), f′(x) = σ(x).

    Reference: Dugas et al. (2001), "Incorporating second-order functional knowledge for better option pricing".
    """

    name: ClassVar[str] = "softplus"
    rectifier: ClassVar[bool] = True

    def function(self, x: Array) -> Array:
        """Return ln(1 + e^x)."""
        return softplus(x)

    def derivative(self, x: Array) -> Array:
        """Return σ(x)."""
        return sigmoid(x)


ACTIVATIONS: dict[str, type[Activation]] = {
    kind.name: kind for kind in (ReLU, LeakyReLU, ELU, GELU, SiLU, Softplus, Tanh, Sigmoid, Identity)
}


def activation(value: Any) -> Activation:
    """Return the activation for a name ("relu"), a description or an activation; else raise InputError."""
    return look_up("activation", Activation, ACTIVATIONS, value)
