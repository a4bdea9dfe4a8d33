"""The chapter's losses: categorical cross-entropy of probabilities, alone and together with softmax.

They take probabilities and clip them to [1e-7, 1 − 1e-7]. The package's own `CrossEntropy` takes logits and clips
nothing; a probability below 1e-7 makes the two differ, and only there.
"""

# ruff: noqa: N801 - the names are the chapter's

from __future__ import annotations

from typing import Any

import numpy as np

from downslope.book.layers import Activation_Softmax, misfit, numbers
from downslope.errors import InputError
from downslope.network.parts import Array

__all__ = ["Activation_Softmax_Loss_CategoricalCrossentropy", "Loss", "Loss_CategoricalCrossentropy"]

CLIP = 1e-7


class Loss:
    """What the chapter's losses share: the mean over the rows' losses. A subclass has `forward` and `backward`."""

    def calculate(self, output: Any, y: Any) -> Any:
        """Return the mean of `forward(output, y)`, one number in the type of the losses."""
        return np.mean(self.forward(output, y))

    def forward(self, y_pred: Any, y_true: Any) -> Any:
        """Return one loss per row; a subclass says how."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(y_pred, y_true)")


class Loss_CategoricalCrossentropy(Loss):
    """Categorical cross-entropy of probabilities p: −ln Σ y·p of each row, with p clipped to [1e-7, 1 − 1e-7].

    Targets are labels 0 … classes − 1 of shape (rows,), or one-hot rows of shape (rows, classes). Rows that are not
    one-hot pass, as in the chapter: shares y of several classes count as such, and a row of zeros has an infinite loss.
    """

    def forward(self, y_pred: Any, y_true: Any) -> Array:
        """Return the losses, shape (rows,), of probabilities of shape (rows, classes)."""
        probabilities, targets = _aligned("y_pred", y_pred, y_true)
        clipped = np.clip(probabilities, CLIP, 1 - CLIP)
        if targets.ndim == 1:
            confidences = clipped[np.arange(len(clipped)), targets]
        else:
            confidences = np.sum(clipped * targets, axis=1)
        return np.asarray(-np.log(confidences))

    def backward(self, dvalues: Any, y_true: Any) -> None:
        """Set `dinputs`, the gradient −y / p / rows with respect to the probabilities p = `dvalues`."""
        probabilities, targets = _aligned("dvalues", dvalues, y_true)
        if targets.ndim == 1:
            targets = np.eye(probabilities.shape[1], dtype=probabilities.dtype)[targets]
        elif targets.dtype.kind in "bu":
            targets = targets.astype(np.int64)  # minus an unsigned 1 would be 255
        self.dinputs = -targets / probabilities / len(probabilities)


class Activation_Softmax_Loss_CategoricalCrossentropy:
    """Softmax and categorical cross-entropy in one, whose gradient is (p − y) / rows.

    Attributes
    ----------
    activation : Activation_Softmax
    loss : Loss_CategoricalCrossentropy
    output : array, shape (rows, classes)
        The probabilities, set by `forward`.
    dinputs : array, shape (rows, classes)
        The gradient with respect to the inputs of softmax, set by `backward`.
    """

    def __init__(self) -> None:
        self.activation = Activation_Softmax()
        self.loss = Loss_CategoricalCrossentropy()

    def forward(self, inputs: Any, y_true: Any) -> Any:
        """Set `output` and return the mean loss.

        Parameters
        ----------
        inputs : array, shape (rows, classes)
            The last layer's output.
        y_true : array
            Labels of shape (rows,), or one-hot rows of shape (rows, classes).

        Raises
        ------
        InputError
            If the shapes do not fit together or a label is not one of the classes.
        """
        self.activation.forward(inputs)
        self.output = self.activation.output
        return self.loss.calculate(self.output, y_true)

    def backward(self, dvalues: Any, y_true: Any) -> None:
        """Set `dinputs` = (p − y) / rows from the probabilities p = `dvalues` and labels or one-hot rows.

        Of a row that is not one-hot the largest entry is the label, as in the chapter; `forward` takes it as it is.
        """
        probabilities, targets = _aligned("dvalues", dvalues, y_true)
        labels = targets if targets.ndim == 1 else np.argmax(targets, axis=1)
        difference = probabilities.copy()
        difference[np.arange(len(difference)), labels] -= 1
        self.dinputs = difference / len(difference)


def _aligned(name: str, probabilities: Any, y_true: Any) -> tuple[Array, Array]:
    """Return both as arrays that fit together, or raise InputError."""
    values, targets = numbers(name, probabilities), numbers("y_true", y_true, "fiub")
    if values.ndim != 2 or not values.size:
        raise misfit(name, "of shape (rows, classes), at least 1 by 1", values)
    rows, classes = values.shape
    if targets.shape not in ((rows,), values.shape):
        raise misfit("y_true", f"{rows} labels, or one-hot rows of shape {values.shape}", targets)
    if targets.ndim == 1:
        if targets.dtype.kind not in "iu":
            raise InputError(f"y_true must be whole numbers as labels. Received: labels of type {targets.dtype}")
        if targets.max() >= classes or (targets.dtype.kind == "i" and targets.min() < 0):
            wrong = targets[(targets < 0) | (targets >= classes)][0]
            raise InputError(f"labels must be at least 0 and below {classes}, the classes. Received: {wrong}")
    return values, targets
