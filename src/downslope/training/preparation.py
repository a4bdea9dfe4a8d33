"""From a data set to what a network is fed, and from its outputs back to labels and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data import Dataset, Standardization, features_of
from downslope.engines.problem import Part
from downslope.engines.update import FloatArray
from downslope.errors import InputError
from downslope.network import Loss

__all__ = ["Preparation"]


@dataclass(frozen=True)
class Preparation:
    """What was learned from the training rows alone, kept with the network: scales, and the names of classes.

    Attributes
    ----------
    features, target : tuple of str
        Column names of inputs and targets.
    classes : tuple of str or None
        The text of each label; None for regression.
    inputs, targets : Standardization
        Scales of the columns; that of the targets changes nothing in classification.
    """

    features: tuple[str, ...]
    target: tuple[str, ...]
    classes: tuple[str, ...] | None
    inputs: Standardization
    targets: Standardization

    @classmethod
    def learn(cls, data: Dataset, rows: NDArray[np.int64], standardize: bool) -> Preparation:
        """Return the preparation learned from `rows` of the data."""
        regression = data.classes is None
        inputs = Standardization.learn(data.inputs[rows]) if standardize else Standardization.identity(len(data.features))
        if standardize and regression:
            targets = Standardization.learn(data.targets[rows])
        else:
            targets = Standardization.identity(len(data.target))
        return cls(data.features, data.target, data.classes, inputs, targets)

    def part(self, data: Dataset, rows: NDArray[np.int64] | slice, dtype: np.dtype[Any]) -> Part:
        """Return rows of a data set as the network's inputs and targets."""
        inputs = self.inputs.apply(data.inputs[rows]).astype(dtype)
        if self.classes is None:
            return Part(inputs, self.targets.apply(data.targets[rows]).astype(dtype))
        return Part(inputs, self._labels(data)[rows])

    def inputs_of(self, rows: Any, dtype: np.dtype[Any]) -> FloatArray:
        """Return an array or a data frame as the network's inputs."""
        prepared: FloatArray = self.inputs.apply(features_of(rows, self.features)).astype(dtype)
        return prepared

    def predictions(self, loss: Loss, outputs: FloatArray) -> NDArray[Any]:
        """Return labels as they were given (text, or whole numbers), or values in the targets' own units."""
        if self.classes is None:
            values = self.targets.invert(outputs)
            return values[:, 0] if values.shape[1] == 1 else values
        probabilities = loss.predictions(outputs)
        labels = (probabilities[:, 0] > 0.5).astype(int) if outputs.shape[1] == 1 else probabilities.argmax(axis=1)
        return _as_given(self.classes)[labels]

    def probabilities(self, loss: Loss, outputs: FloatArray) -> FloatArray:
        """Return the probability of each class, shape (n, classes)."""
        if self.classes is None:
            raise InputError("predict_proba must be asked of a classification. Received: a regression")
        values: FloatArray = loss.predictions(outputs)
        return np.concatenate([1 - values, values], axis=1) if values.shape[1] == 1 else values

    def _labels(self, data: Dataset) -> NDArray[np.int64]:
        """Return the labels counted by this preparation's classes, which other data may name in another order."""
        if data.classes is None or self.classes is None:
            raise InputError(f"the data must be for classification, as the network is. Received: {data!r}")
        unknown = sorted(set(data.classes) - set(self.classes))
        if unknown:
            raise InputError(f"classes must be among {', '.join(self.classes)}. Received: {unknown[0]!r} in {data.name}")
        return np.array([self.classes.index(name) for name in data.classes], dtype=np.int64)[data.targets]


def _as_given(classes: tuple[str, ...]) -> NDArray[Any]:
    """Return the class names, as whole numbers where all are such ("0", "1", "2")."""
    try:
        numbers = [int(name) for name in classes]
    except ValueError:
        return np.array(classes)
    return np.array(numbers) if [str(number) for number in numbers] == list(classes) else np.array(classes)
