"""One set of examples: numbers in, labels or numbers out, and the names of both."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.errors import InputError

if TYPE_CHECKING:
    import polars

__all__ = ["Dataset", "Floats", "Kind", "Labels"]

Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]
Kind: TypeAlias = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Examples to learn from; the arrays are copied, checked and made read-only.

    Parameters
    ----------
    name : str
        What to call it, such as "spiral" or "wine".
    inputs : float64 array, shape (n, d)
        One row an example, as given (not standardized), all finite.
    targets : int64 array, shape (n,), or float64 array, shape (n, k)
        Labels 0 … classes − 1 for classification; k finite numbers a row for regression.
    features : sequence of str
        The names of the d input columns.
    classes : sequence of str or None
        The name of each label, so that `classes[label]` is its text; None for regression.
    target : sequence of str
        The name of the label column, or the names of the k target columns.
    seed : int, "chapter" or None
        What a generated set was drawn from; None for data that was not drawn.
    standardize : bool
        Whether inputs (and the targets of a regression) should be standardized before training unless told otherwise.
    normals_drawn : int
        With seed "chapter", how many numbers were drawn from the chapter's generator, which then draws the weights.

    Raises
    ------
    InputError
        If shapes, names and values do not fit together.
    """

    name: str
    inputs: Floats
    targets: NDArray[Any]
    features: tuple[str, ...]
    classes: tuple[str, ...] | None
    target: tuple[str, ...]
    seed: int | Literal["chapter"] | None = None
    standardize: bool = False
    normals_drawn: int = 0

    def __post_init__(self) -> None:
        features, target = _names("features", self.features), _names("target", self.target)
        repeated = [name for name, count in Counter(features + target).items() if count > 1]
        if repeated:
            raise InputError(f"column names must differ from one another. Received: {repeated[0]!r} more than once")
        inputs = _finite("inputs", self.inputs, len(features))
        if self.classes is None:
            classes = None
            targets: NDArray[Any] = _finite("targets", self.targets, len(target))
        else:
            classes = _names("classes", self.classes)
            targets = _labels(self.targets, len(classes))
        if len(inputs) != len(targets):
            raise InputError(
                f"targets must have one row for each of the {len(inputs)} inputs. Received: {len(targets)}"
            )
        settled = {"inputs": inputs, "targets": targets, "features": features, "classes": classes, "target": target}
        for field, value in settled.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        n, d = self.inputs.shape
        outcome = f"{len(self.classes)} classes" if self.classes is not None else f"targets {', '.join(self.target)}"
        seed = "" if self.seed is None else f", seed={self.seed!r}"
        return f"<Dataset {self.name}: {n} rows, {d} feature{'s' * (d != 1)}, {outcome}{seed}>"

    @property
    def kind(self) -> Kind:
        """The kind of task: "classification" where labels have classes, "regression" otherwise."""
        return "regression" if self.classes is None else "classification"

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that change whenever a value, a shape or a column or class name does.

        A checkpoint keeps it, so that a run is not resumed on other data. The name, the seed and `standardize` do
        not count: the same numbers read from another place are the same data.
        """
        names = [self.features, self.classes, self.target, self.inputs.shape, self.targets.shape]
        content = hashlib.blake2b(json.dumps(names).encode(), digest_size=16)
        content.update(np.ascontiguousarray(self.inputs, dtype="<f8").data)
        content.update(np.ascontiguousarray(self.targets, dtype="<i8" if self.classes is not None else "<f8").data)
        return content.hexdigest()

    def frame(self) -> polars.DataFrame:
        """Return a polars data frame: the features, then the targets, with labels as their class names."""
        import polars as pl

        columns = {name: self.inputs[:, i] for i, name in enumerate(self.features)}
        if self.classes is None:
            return pl.DataFrame(columns | {name: self.targets[:, i] for i, name in enumerate(self.target)})
        return pl.DataFrame(columns).with_columns(
            pl.Series(self.target[0], np.array(self.classes, dtype=object)[self.targets].tolist(), dtype=pl.String)
        )


def _names(what: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names) or not len(names):
        raise checks.refuse(what, "a sequence of names", names)
    return tuple(str(name) for name in names)


def _finite(what: str, values: Any, width: int) -> Floats:
    array = np.array(values, dtype=np.float64, order="C")
    if array.ndim != 2 or array.shape[1] != width or not len(array):
        raise InputError(f"{what} must be an array of rows with {width} columns. Received: shape {array.shape}")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"{what} must hold finite numbers. Received: {array[row, column]} in row {row + 1}, column {column + 1}"
        )
    return array


def _labels(values: Any, classes: int) -> Labels:
    given = np.asarray(values)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise InputError(
            f"targets must be a 1-D array of whole numbers. Received: shape {given.shape}, dtype {given.dtype}"
        )
    if len(given) and (given.min() < 0 or given.max() >= classes):
        raise InputError(f"targets must be labels from 0 to {classes - 1}. Received: {given.min()} to {given.max()}")
    return np.array(given, dtype=np.int64)
