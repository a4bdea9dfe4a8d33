"""Layers: immutable descriptions with a forward and a backward pass; their parameters live outside, in one vector.

Every array has one row per sample. `forward` returns the outputs and what `backward` will need; `backward` takes the
gradient of a number L (the loss) with respect to the outputs and returns it with respect to inputs and parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from downslope import checks
from downslope.network.initializers import Initializer, initializer
from downslope.network.parts import Array, Part
from downslope.streams import Stream

__all__ = ["Context", "Dense", "Dropout", "Layer", "dropout_stream"]


class Context(NamedTuple):
    """What a forward pass knows beside its inputs.

    Parameters
    ----------
    dropout : (seed, step) or None
        The key of the dropout masks while training; None for evaluation.
    layer : int
        The layer's position in the network.
    """

    dropout: tuple[int, int] | None = None
    layer: int = 0


@dataclass(frozen=True, repr=False)
class Layer(Part, ABC):
    """One step of a network from (rows, inputs) to (rows, outputs)."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter by its name; {} for a layer without parameters."""
        return {}

    def penalties(self) -> dict[str, tuple[float, float]]:
        """Return (l1, l2) for each parameter that carries a penalty."""
        return {}

    @abstractmethod
    def forward(self, inputs: Array, parameters: dict[str, Array], context: Context) -> tuple[Array, Any]:
        """Return the outputs, one row per row of `inputs` and in their dtype, and what `backward` needs."""

    @abstractmethod
    def backward(self, upstream: Array, parameters: dict[str, Array], saved: Any) -> tuple[Array, dict[str, Array]]:
        """Return dL/dinputs and dL/dparameters by name, from `upstream` = dL/doutputs; parameters sum over rows."""


@final
@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """A fully connected layer: outputs = x·W + b.

    Gradients, with dz = dL/doutputs: dW = xᵀ·dz, db = Σ_rows dz, dx = dz·Wᵀ. The penalties
    l1·Σ|W| + l2·ΣW² + bias_l1·Σ|b| + bias_l2·Σb² are kept apart from these (see `Network.penalty`).

    Parameters
    ----------
    inputs, outputs : int
        Number of columns taken and given, at least 1. W has shape (inputs, outputs), b has shape (1, outputs).
    l1, l2, bias_l1, bias_l2 : float, default 0
        Strengths of the penalties, at least 0.
    initial_weights : Initializer, str or None
        The law of W's first values. None: He's before an activation of the ReLU family, else Glorot's.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep Learning", sections 6.5 (gradients) and 7.1 (penalties).
    """

    name: ClassVar[str] = "dense"
    inputs: int
    outputs: int
    l1: float = 0.0
    l2: float = 0.0
    bias_l1: float = 0.0
    bias_l2: float = 0.0
    initial_weights: Initializer | None = None

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            self._settle(**{name: checks.whole(name, getattr(self, name), at_least=1)})
        for name in ("l1", "l2", "bias_l1", "bias_l2"):
            self._settle(**{name: checks.real(name, getattr(self, name), checks.Interval(at_least=0))})
        if self.initial_weights is not None:
            self._settle(initial_weights=initializer(self.initial_weights))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights and the biases."""
        return {"weights": (self.inputs, self.outputs), "biases": (1, self.outputs)}

    def penalties(self) -> dict[str, tuple[float, float]]:
        """Return (l1, l2) of the weights and of the biases, leaving out those that are zero."""
        both = {"weights": (self.l1, self.l2), "biases": (self.bias_l1, self.bias_l2)}
        return {name: strengths for name, strengths in both.items() if any(strengths)}

    def forward(self, inputs: Array, parameters: dict[str, Array], context: Context) -> tuple[Array, Any]:
        """Return x·W + b, shape (rows, outputs)."""
        return inputs @ parameters["weights"] + parameters["biases"], inputs

    def backward(self, upstream: Array, parameters: dict[str, Array], saved: Any) -> tuple[Array, dict[str, Array]]:
        """Return dz·Wᵀ, and xᵀ·dz and Σ_rows dz for the weights and the biases."""
        gradient = {"weights": saved.T @ upstream, "biases": upstream.sum(axis=0, keepdims=True)}
        return upstream @ parameters["weights"].T, gradient


@final
@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """Inverted dropout: while training each value is zeroed with probability `rate`, the others divided by 1 − rate.

    So the expected output is the input, and evaluation is the identity. The mask depends only on the seed, the step
    and the layer's position, never on what was drawn before.

    Parameters
    ----------
    rate : float
        Probability of zeroing a value, at least 0 and below 1.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", section 4 (section 10
    for the scaling while training).
    """

    name: ClassVar[str] = "dropout"
    rate: float

    def __post_init__(self) -> None:
        self._settle(rate=checks.real("rate", self.rate, checks.Interval(at_least=0, below=1)))

    def forward(self, inputs: Array, parameters: dict[str, Array], context: Context) -> tuple[Array, Any]:
        """Return the inputs times the mask (0 or 1 / (1 − rate)), or the inputs themselves for evaluation."""
        if context.dropout is None:
            return inputs, None
        kept = dropout_stream(*context.dropout, context.layer).uniform(inputs.shape) >= self.rate
        mask = kept.astype(inputs.dtype) * (1.0 / (1.0 - self.rate))
        return inputs * mask, mask

    def backward(self, upstream: Array, parameters: dict[str, Array], saved: Any) -> tuple[Array, dict[str, Array]]:
        """Return the upstream gradient times the same mask."""
        return (upstream if saved is None else upstream * saved), {}


def dropout_stream(seed: int, step: int, layer: int) -> Stream:
    """Return the stream of one dropout mask: one uniform number per value, row by row, kept if at least `rate`.

    The step (below 2⁴⁸) and the layer's position (below 2¹⁶) share one index, so no two masks use the same numbers.
    """
    step = checks.whole("step", step, at_least=0, at_most=2**48 - 1)
    return Stream(seed, "dropout", step * 2**16 + checks.whole("layer", layer, at_least=0, at_most=2**16 - 1))
