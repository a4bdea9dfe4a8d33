"""From a data set to what a network is fed, and from its outputs back to labels and units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data import Dataset, Standardization, features_of
from downslope.engines.metrics import labels
from downslope.engines.problem import Part
from downslope.engines.update import FloatArray
from downslope.errors import InputError
from downslope.network import Loss

__all__ = ["Preparation"]


@dataclass(frozen=True)
class Preparation:
    """What was learned from the training rows alone, kept with the network: scales, and the names of classes.

    Other data are matched by name: their columns and classes may come in another order.

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
        inputs, targets = Standardization.identity(len(data.features)), Standardization.identity(len(data.target))
        if standardize:
            inputs = Standardization.learn(data.inputs[rows])
            if data.classes is None:
                targets = Standardization.learn(data.targets[rows])
        return cls(data.features, data.target, data.classes, inputs, targets)

    def part(self, data: Dataset, rows: NDArray[np.int64] | slice, dtype: np.dtype[Any]) -> Part:
        """Return rows of a data set as the network's inputs and targets.

        Raises
        ------
        InputError
            If the data are of the other kind, lack a column, name an unknown class, or do not fit into `dtype`.
        """
        if (data.classes is None) != (self.classes is None):
            kind = "regression" if self.classes is None else "classification"
            raise InputError(f"the data must be for {kind}, as the run is. Received: {data!r}")
        inputs = self._scaled_inputs(self._inputs_in(data)[rows], dtype)
        if self.classes is not None:
            return Part(inputs, self._labels_in(data)[rows])
        order = _places(data, data.target, self.target)
        return Part(inputs, _fitting(self.targets.apply(data.targets[:, order][rows]), self.target, dtype))

    def inputs_of(self, rows: Any, dtype: np.dtype[Any]) -> FloatArray:
        """Return an array, a data frame or a data set as the network's inputs."""
        given = self._inputs_in(rows) if isinstance(rows, Dataset) else features_of(rows, self.features)
        return self._scaled_inputs(given, dtype)

    def values(self, scaled: NDArray[Any]) -> NDArray[np.float64]:
        """Return standardized targets in their own units, shape (n, targets), in float64."""
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged network's outputs may be infinite, and stay so
            return np.asarray(scaled * self.targets.scale + self.targets.mean, dtype=np.float64)

    def predictions(self, outputs: FloatArray) -> NDArray[Any]:
        """Return labels as they were given (text, or whole numbers), or values in the targets' own units."""
        if self.classes is not None:
            return _as_given(self.classes)[labels(outputs)]
        values = self.values(outputs)
        return values[:, 0] if values.shape[1] == 1 else values

    def probabilities(self, loss: Loss, outputs: FloatArray) -> FloatArray:
        """Return the probability of each class, shape (n, classes)."""
        if self.classes is None:
            raise InputError("predict_proba must be asked of a classification. Received: a regression")
        with np.errstate(over="ignore", invalid="ignore"):
            chances: FloatArray = loss.predictions(outputs)
        return np.concatenate([1 - chances, chances], axis=1) if chances.shape[1] == 1 else chances

    def _scaled_inputs(self, given: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
        return _fitting(self.inputs.apply(given), self.features, dtype)

    def _inputs_in(self, data: Dataset) -> FloatArray:
        return data.inputs[:, _places(data, data.features, self.features)]

    def _labels_in(self, data: Dataset) -> NDArray[np.int64]:
        """Return the labels counted by this preparation's classes, which other data may name in another order."""
        known, named = self.classes or (), data.classes or ()
        if unknown := sorted(set(named) - set(known)):
            raise InputError(f"classes must be among {', '.join(known)}. Received: {unknown[0]!r} in {data.name}")
        ours = np.array([known.index(name) for name in named], dtype=np.int64)
        return np.asarray(ours[data.targets])


def _places(data: Dataset, has: Sequence[str], needs: Sequence[str]) -> list[int]:
    """Return where in the data set's columns `has` each needed column stands."""
    for name in needs:
        if name not in has:
            raise InputError(f"the data must have a column {name!r}. Received: {', '.join(has)} in {data.name}")
    return [has.index(name) for name in needs]


def _fitting(values: FloatArray, names: Sequence[str], dtype: np.dtype[Any]) -> FloatArray:
    """Return values in the network's type; refuse those only float64 can hold, which would become infinite."""
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(values, dtype=dtype)
    if not np.isfinite(cast).all():
        row, column = np.argwhere(~np.isfinite(cast))[0]
        raise InputError(
            f"column {names[column]!r} must fit into {dtype}: standardize it, or use dtype='float64'. "
            f"Received: {values[row, column]:g}"
        )
    return cast


def _as_given(classes: tuple[str, ...]) -> NDArray[Any]:
    """Return the class names as they were given: whole numbers ("0", "1", "2"), truth values, or text."""
    if set(classes) == {"False", "True"}:
        return np.array([name == "True" for name in classes])
    try:
        numbers = np.array([int(name) for name in classes], dtype=np.int64)
    except (ValueError, OverflowError):
        return np.array(classes)
    return numbers if numbers.astype(str).tolist() == list(classes) else np.array(classes)
