"""Losses: one number per row, and the gradient of their mean.

Outputs are a network's last linear layer, shape (rows, outputs). Cross-entropy and binary cross-entropy apply softmax
and sigmoid themselves, from logits, so that no probability has to be clipped and a logit of 10,000 gives its true
loss.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from downslope import checks
from downslope.errors import InputError
from downslope.network.activations import sigmoid
from downslope.network.parts import Array, Part, look_up

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "loss",
    "softmax",
]


def softmax(logits: Array) -> Array:
    """Return e^z / Σ e^z of each row, shifted by the row's largest logit so that nothing overflows."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


@dataclass(frozen=True, repr=False)
class Loss(Part, ABC):
    """How far outputs are from targets: one loss per row; the data loss is their mean."""

    kind: ClassVar[Literal["classification", "regression"]]

    def forward(self, outputs: Array, targets: Array) -> Array:
        """Return one loss per row.

        Parameters
        ----------
        outputs : array, shape (rows, outputs)
            Of the network's last layer, in float32 or float64.
        targets : array
            As `check_targets` describes for this loss.

        Returns
        -------
        array, shape (rows,)
            In the dtype of `outputs`.

        Raises
        ------
        InputError
            If the shapes do not fit together, or there is no row.
        """
        z, y = self._aligned(outputs, targets)
        # A run that diverges reaches infinity here; whoever trains looks at the numbers, so no warning beside them.
        with np.errstate(over="ignore", invalid="ignore"):
            return self._rows(z, y)

    def backward(self, outputs: Array, targets: Array) -> Array:
        """Return the gradient of the mean loss over rows with respect to `outputs`: same shape and dtype."""
        z, y = self._aligned(outputs, targets)
        with np.errstate(over="ignore", invalid="ignore"):
            return self._gradient(z, y)

    def predictions(self, outputs: Array) -> Array:
        """Return what the outputs stand for: the outputs themselves, or probabilities for a classification loss."""
        return outputs

    def check_targets(self, outputs_width: int, targets: Any) -> None:
        """Raise InputError unless `targets` suit a network of `outputs_width` outputs.

        Here: finite numbers of shape (rows, outputs), or (rows,) for one output; at least one row.
        """
        values = _numbers(targets)
        fitting = values.ndim == 2 and values.shape[1] == outputs_width
        if not fitting and not (values.ndim == 1 and outputs_width == 1):
            raise self._misfit(_shape_rule(outputs_width), values)

    def _aligned(self, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return both with shape (rows, outputs), targets in the dtype of outputs, so that nothing broadcasts."""
        _check_outputs(outputs)
        y = np.asarray(targets)
        if y.ndim == 1 and outputs.shape[1] == 1:
            y = y[:, np.newaxis]
        if y.shape != outputs.shape:
            flat = f" or ({len(outputs)},)" if outputs.shape[1] == 1 else ""
            raise self._misfit(f"of shape {outputs.shape}{flat}", np.asarray(targets))
        return outputs, y.astype(outputs.dtype, copy=False)

    def _misfit(self, rule: str, targets: Array) -> InputError:
        return InputError(f"targets of {self.name} must be {rule}. Received: shape {targets.shape}")

    @abstractmethod
    def _rows(self, outputs: Array, targets: Array) -> Array:
        """Return the loss of each row, shape (rows,)."""

    @abstractmethod
    def _gradient(self, outputs: Array, targets: Array) -> Array:
        """Return the gradient of the mean over rows, shape (rows, outputs)."""


@final
@dataclass(frozen=True, repr=False)
class CrossEntropy(Loss):
    """Softmax and categorical cross-entropy: −Σ y·ln p with p = softmax(z), gradient (p − y) / rows.

    Computed as Σ y·(ln Σ e^z − z), which is exact where p is too small for a float. Targets are labels
    0 … outputs − 1 of shape (rows,), or probabilities of shape (rows, outputs) whose rows sum to 1, such as one-hot
    rows.

    Reference: Goodfellow, Bengio & Courville (2016), "Deep Learning", section 6.2.2.3.
    """

    name: ClassVar[str] = "cross-entropy"
    kind: ClassVar[Literal["classification", "regression"]] = "classification"

    def predictions(self, outputs: Array) -> Array:
        """Return softmax(outputs): probabilities whose rows sum to 1."""
        return softmax(outputs)

    def check_targets(self, outputs_width: int, targets: Any) -> None:
        """Raise InputError unless targets are labels 0 … outputs − 1, or rows of probabilities that sum to 1."""
        if outputs_width < 2:
            raise InputError(
                f"cross-entropy must have a network of at least 2 outputs (bce takes one). Received: {outputs_width}"
            )
        values = _numbers(targets)
        if values.ndim == 1:
            if values.dtype.kind not in "iu":
                raise InputError(f"labels must be whole numbers. Received: labels of dtype {values.dtype}")
            outside = values[(values < 0) | (values >= outputs_width)]
            if outside.size:
                raise checks.refuse("label", f"at least 0 and below {outputs_width}, the outputs", int(outside[0]))
        elif values.ndim == 2 and values.shape[1] == outputs_width:
            wrong = np.flatnonzero((values < 0).any(axis=1) | (np.abs(values.sum(axis=1) - 1.0) > 1e-5))
            if wrong.size:
                shown = f"row {wrong[0]} = {values[wrong[0]].tolist()}"
                raise InputError(
                    f"targets of cross-entropy must be probabilities, whose rows sum to 1. Received: {shown}"
                )
        else:
            raise self._misfit(f"labels of shape (rows,) or probabilities of shape (rows, {outputs_width})", values)

    def _aligned(self, outputs: Array, targets: Array) -> tuple[Array, Array]:
        targets = np.asarray(targets)
        if targets.ndim != 1:
            return super()._aligned(outputs, targets)
        _check_outputs(outputs)
        if targets.shape[0] != outputs.shape[0]:
            raise self._misfit(f"of shape {outputs.shape} or ({outputs.shape[0]},)", targets)
        one_hot = np.zeros_like(outputs)
        one_hot[np.arange(targets.size), targets] = 1.0
        return outputs, one_hot

    def _rows(self, outputs: Array, targets: Array) -> Array:
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return np.asarray((targets * (log_sum - shifted)).sum(axis=1))

    def _gradient(self, outputs: Array, targets: Array) -> Array:
        return (softmax(outputs) - targets) / len(outputs)


@final
@dataclass(frozen=True, repr=False)
class BinaryCrossEntropy(Loss):
    """Sigmoid and binary cross-entropy: the mean over outputs of −y·ln p − (1 − y)·ln(1 − p), p = σ(z).

    Computed as max(z, 0) − y·z + ln(1 + e^−|z|); gradient (p − y) / (rows·outputs). Targets are 0 or 1, of shape
    (rows, outputs), or (rows,) for one output.

    Reference: Goodfellow, Bengio & Courville (2016), "Deep Learning", section 6.2.2.2.
    """

    name: ClassVar[str] = "bce"
    kind: ClassVar[Literal["classification", "regression"]] = "classification"

    def predictions(self, outputs: Array) -> Array:
        """Return σ(outputs): one probability per output."""
        return sigmoid(outputs)

    def check_targets(self, outputs_width: int, targets: Any) -> None:
        """Raise InputError unless targets are 0 or 1, of shape (rows, outputs), or (rows,) for one output."""
        Loss.check_targets(self, outputs_width, targets)
        values = np.asarray(targets)
        outside = values[(values != 0) & (values != 1)]
        if outside.size:
            raise checks.refuse("label", "0 or 1 for bce", outside[0].item())

    def _rows(self, outputs: Array, targets: Array) -> Array:
        # max(z, 0) − y·z first: for y = 1 and z > 0 it cancels exactly and leaves the small logarithm whole.
        losses = (np.maximum(outputs, 0.0) - targets * outputs) + np.log1p(np.exp(-np.abs(outputs)))
        return np.asarray(losses.mean(axis=1))

    def _gradient(self, outputs: Array, targets: Array) -> Array:
        return (sigmoid(outputs) - targets) / outputs.size


@final
@dataclass(frozen=True, repr=False)
class MeanSquaredError(Loss):
    """Mean over outputs of (ŷ − y)²; gradient 2·(ŷ − y) / (rows·outputs)."""

    name: ClassVar[str] = "mse"
    kind: ClassVar[Literal["classification", "regression"]] = "regression"

    def _rows(self, outputs: Array, targets: Array) -> Array:
        return np.asarray(np.square(outputs - targets).mean(axis=1))

    def _gradient(self, outputs: Array, targets: Array) -> Array:
        return np.asarray(2.0 * (outputs - targets) / outputs.size)


@final
@dataclass(frozen=True, repr=False)
class MeanAbsoluteError(Loss):
    """Mean over outputs of |ŷ − y|; gradient sign(ŷ − y) / (rows·outputs), 0 where ŷ = y."""

    name: ClassVar[str] = "mae"
    kind: ClassVar[Literal["classification", "regression"]] = "regression"

    def _rows(self, outputs: Array, targets: Array) -> Array:
        return np.asarray(np.abs(outputs - targets).mean(axis=1))

    def _gradient(self, outputs: Array, targets: Array) -> Array:
        return np.asarray(np.sign(outputs - targets) / outputs.size)


@final
@dataclass(frozen=True, repr=False)
class Huber(Loss):
    """Squared near the target, absolute far from it: with e = ŷ − y, e²/2 where |e| ≤ δ, else δ·(|e| − δ/2).

    The mean over outputs is taken; the gradient is e cut off at ±δ, over rows·outputs.

    Parameters
    ----------
    delta : float, default 1
        Where the two forms meet, in the targets' unit; above 0.

    References
    ----------
    Huber (1964), "Robust estimation of a location parameter", section 5.
    """

    name: ClassVar[str] = "huber"
    kind: ClassVar[Literal["classification", "regression"]] = "regression"
    delta: float = 1.0

    def __post_init__(self) -> None:
        self._settle(delta=checks.real("delta", self.delta, checks.Interval(above=0)))

    def _rows(self, outputs: Array, targets: Array) -> Array:
        distance = np.abs(outputs - targets)
        near = np.minimum(distance, self.delta)  # so that one product serves both forms and e² never overflows
        return np.asarray((near * (distance - 0.5 * near)).mean(axis=1))

    def _gradient(self, outputs: Array, targets: Array) -> Array:
        return np.asarray(np.clip(outputs - targets, -self.delta, self.delta) / outputs.size)


LOSSES: dict[str, type[Loss]] = {
    kind.name: kind for kind in (CrossEntropy, BinaryCrossEntropy, MeanSquaredError, MeanAbsoluteError, Huber)
}


def loss(value: Any) -> Loss:
    """Return the loss for a name ("cross-entropy"), a description or a loss; else raise InputError."""
    return look_up("loss", Loss, LOSSES, value)


def _shape_rule(width: int) -> str:
    return f"of shape (rows, {width})" + (" or (rows,)" if width == 1 else "")


def _check_outputs(outputs: Array) -> None:
    if outputs.ndim != 2 or outputs.size == 0:
        raise InputError(f"outputs must be of shape (rows, outputs), at least 1 by 1. Received: shape {outputs.shape}")


def _numbers(targets: Any) -> Array:
    """Return targets as an array of finite numbers with at least one row, or raise InputError."""
    values = np.asarray(targets)
    if values.dtype.kind not in "biuf":
        raise InputError(f"targets must be numbers. Received: targets of dtype {values.dtype}")
    if values.ndim == 0 or len(values) == 0:
        raise InputError(f"targets must have at least 1 row. Received: shape {values.shape}")
    if not np.isfinite(values).all():
        raise InputError(
            f"targets must be finite numbers. Received: {np.count_nonzero(~np.isfinite(values))} NaN or infinite"
        )
    return values
