"""Laws for the initial weights of a dense layer; biases always start at zero."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from downslope import checks
from downslope.network.parts import Array, Part, look_up
from downslope.streams import Stream

__all__ = ["INITIALIZERS", "Chapter", "Glorot", "He", "Initializer", "Normal", "Uniform", "initializer"]


@dataclass(frozen=True, repr=False)
class Initializer(Part, ABC):
    """A law from which the weights between `inputs` and `outputs` neurons are drawn."""

    @abstractmethod
    def weights(self, stream: Stream, inputs: int, outputs: int) -> Array:
        """Return float64 weights of shape (inputs, outputs), drawn from `stream`."""


@final
@dataclass(frozen=True, repr=False)
class Chapter(Initializer):
    """Small normal weights, 0.01·N(0, 1), whatever the layer's width.

    Reference: Kinsley & Kukieła (2020), "Neural Networks from Scratch in Python", the class `Layer_Dense`.
    """

    name: ClassVar[str] = "chapter"

    def weights(self, stream: Stream, inputs: int, outputs: int) -> Array:
        """Return 0.01 times standard normal numbers, shape (inputs, outputs)."""
        return 0.01 * stream.normal((inputs, outputs))


@final
@dataclass(frozen=True, repr=False)
class Glorot(Initializer):
    """Uniform weights in [−a, a) with a = √(6 / (inputs + outputs)), for activations that are linear near 0.

    Reference: Glorot & Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks",
    equation 16.
    """

    name: ClassVar[str] = "glorot"

    def weights(self, stream: Stream, inputs: int, outputs: int) -> Array:
        """Return uniform numbers of variance 2 / (inputs + outputs), shape (inputs, outputs)."""
        return _symmetric(stream, math.sqrt(6.0 / (inputs + outputs)), (inputs, outputs))


@final
@dataclass(frozen=True, repr=False)
class He(Initializer):
    """Normal weights with standard deviation √(2 / inputs), for activations that pass about half of their inputs.

    Reference: He et al. (2015), "Delving deep into rectifiers", section 2.2, equation 10.
    """

    name: ClassVar[str] = "he"

    def weights(self, stream: Stream, inputs: int, outputs: int) -> Array:
        """Return normal numbers of variance 2 / inputs, shape (inputs, outputs)."""
        return math.sqrt(2.0 / inputs) * stream.normal((inputs, outputs))


@final
@dataclass(frozen=True, repr=False)
class Normal(Initializer):
    """Normal weights with mean 0 and the given standard deviation.

    Parameters
    ----------
    std : float, default 0.05
        Standard deviation, at least 0.
    """

    name: ClassVar[str] = "normal"
    std: float = 0.05

    def __post_init__(self) -> None:
        self._settle(std=checks.real("std", self.std, checks.Interval(at_least=0)))

    def weights(self, stream: Stream, inputs: int, outputs: int) -> Array:
        """Return normal numbers of standard deviation `std`, shape (inputs, outputs)."""
        return self.std * stream.normal((inputs, outputs))


@final
@dataclass(frozen=True, repr=False)
class Uniform(Initializer):
    """Uniform weights in [−limit, limit).

    Parameters
    ----------
    limit : float, default 0.05
        At least 0.
    """

    name: ClassVar[str] = "uniform"
    limit: float = 0.05

    def __post_init__(self) -> None:
        self._settle(limit=checks.real("limit", self.limit, checks.Interval(at_least=0)))

    def weights(self, stream: Stream, inputs: int, outputs: int) -> Array:
        """Return uniform numbers between −`limit` and `limit`, shape (inputs, outputs)."""
        return _symmetric(stream, self.limit, (inputs, outputs))


INITIALIZERS: dict[str, type[Initializer]] = {law.name: law for law in (Chapter, Glorot, He, Normal, Uniform)}


def initializer(value: Any) -> Initializer:
    """Return the initializer for a name ("he"), a description or an initializer; else raise InputError."""
    return look_up("initial_weights", Initializer, INITIALIZERS, value)


def _symmetric(stream: Stream, limit: float, shape: tuple[int, int]) -> Array:
    # 2u − 1 is exact for u a multiple of 2⁻⁵³, so the only rounding is the product's.
    return limit * np.asarray(2.0 * stream.uniform(shape) - 1.0)
