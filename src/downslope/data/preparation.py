"""Before training: rows set aside for validation, and columns brought to mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from downslope import checks
from downslope.data.dataset import Dataset, Floats, Labels
from downslope.errors import InputError
from downslope.streams import Stream

__all__ = ["Standardization", "split"]


def split(dataset: Dataset, validation: float, seed: int) -> tuple[Labels, Labels]:
    """Return which rows train and which validate, each as ascending int64 indices.

    The validation part has round(validation · n) rows. In classification every class gives its share (largest
    remainders first) but keeps at least one row in training, so with very small classes the part can be smaller.

    Parameters
    ----------
    dataset : Dataset
        What to split.
    validation : float
        The fraction to set aside, at least 0 and below 1; with 0 every row trains.
    seed : int
        Of the draw; it does not depend on how the data were drawn.

    Raises
    ------
    InputError
        If the fraction is out of bounds, or leaves no row to validate or none to train.
    """
    fraction = checks.real("validation", validation, checks.Interval(at_least=0, below=1))
    n = len(dataset)
    order = Stream(seed, "split").permutation(n)
    if fraction == 0:
        return np.arange(n, dtype=np.int64), np.empty(0, dtype=np.int64)
    wanted = int(np.floor(fraction * n + 0.5))
    if wanted in {0, n}:
        part = "validate" if wanted == 0 else "train"
        raise InputError(f"validation must leave a row to {part}. Received: validation={fraction} of {n} rows")
    aside = order[:wanted] if dataset.classes is None else _stratified(dataset.targets, order, wanted)
    if not len(aside):
        raise InputError(
            f"validation must leave a row of every class to train, and no class here has two. "
            f"Received: validation={fraction} of {n} rows"
        )
    chosen = np.zeros(n, dtype=bool)
    chosen[aside] = True
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)


def _stratified(labels: Labels, order: Labels, wanted: int) -> Labels:
    counts = np.bincount(labels)
    most = np.maximum(counts - 1, 0)
    wanted = min(wanted, int(most.sum()))
    shares = counts * (wanted / len(labels))
    taken = np.minimum(np.floor(shares).astype(np.int64), most)
    while (missing := wanted - int(taken.sum())) > 0:
        lag = np.where(taken < most, shares - taken, -np.inf)
        best = np.argsort(-lag, kind="stable")[:missing]
        taken[best[taken[best] < most[best]]] += 1
    grouped = order[np.argsort(labels[order], kind="stable")]  # class by class, in random order within each
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen: NDArray[np.int64] = grouped[rank < np.repeat(taken, counts)]
    return chosen


@dataclass(frozen=True, eq=False)
class Standardization:
    """The change of scale z = (x − mean) / scale, column by column.

    Parameters
    ----------
    mean : float64 array, shape (d,)
        The mean of each column of the training rows.
    scale : float64 array, shape (d,)
        Their standard deviation (divided by n, not n − 1), and 1 for a column that never changes.
    """

    mean: Floats
    scale: Floats

    def __post_init__(self) -> None:
        mean, scale = (np.array(value, dtype=np.float64) for value in (self.mean, self.scale))
        if mean.ndim != 1 or mean.shape != scale.shape or not np.isfinite([mean, scale]).all() or (scale <= 0).any():
            raise InputError(
                "a standardization must have one finite mean and one scale above 0 for each column. "
                f"Received: mean={_short(mean)}, scale={_short(scale)}"
            )
        for field, value in (("mean", mean), ("scale", scale)):
            value.flags.writeable = False
            object.__setattr__(self, field, value)

    @classmethod
    def learn(cls, array: ArrayLike) -> Standardization:
        """Return the standardization of the columns of `array`, shape (n, d).

        Two passes over numbers brought to below 1 by a power of two, so neither 1e9 ± 0.001 nor 1e308 loses anything
        (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", eq. 1.7).

        Raises
        ------
        InputError
            If there is no row, or a value is not finite.
        """
        values = _rows(array)
        if not len(values):
            raise InputError("a standardization must be learned from at least one row. Received: none")
        _, exponent = np.frexp(np.abs(values).max(axis=0))
        small = np.ldexp(values, -exponent)
        n = len(values)
        mean = _total(small) / n
        mean = mean + _total(small - mean) / n
        rest = small - mean
        variance = (_total(rest * rest) - _total(rest) ** 2 / n) / n
        scale = np.ldexp(np.sqrt(np.maximum(variance, 0.0)), exponent)
        constant = (values.max(axis=0) == values.min(axis=0)) | (scale == 0)
        return cls(np.where(constant, values[0], np.ldexp(mean, exponent)), np.where(constant, 1.0, scale))

    @classmethod
    def identity(cls, d: int) -> Standardization:
        """Return the one that changes nothing in `d` columns."""
        return cls(np.zeros(d), np.ones(d))

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Standardization:
        """Return what `describe` described, to the last bit."""
        return cls(np.asarray(description["mean"]), np.asarray(description["scale"]))

    def describe(self) -> dict[str, list[float]]:
        """Return plain lists that JSON can hold."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    def apply(self, array: ArrayLike) -> Floats:
        """Return (x − mean) / scale, shape (n, d).

        Raises
        ------
        InputError
            If the width differs, a value is not finite, or the result would be beyond the largest float64.
        """
        values = _rows(array, len(self.mean))
        with np.errstate(over="ignore", invalid="ignore"):
            result = (values - self.mean) / self.scale
            if not np.isfinite(result).all():  # x − mean itself may be too large where the quotient is not
                result = np.where(np.isfinite(result), result, values / self.scale - self.mean / self.scale)
        return _still_finite(result, values)

    def invert(self, array: ArrayLike) -> Floats:
        """Return z · scale + mean, shape (n, d); the same errors as `apply`."""
        values = _rows(array, len(self.mean))
        with np.errstate(over="ignore", invalid="ignore"):
            result = values * self.scale + self.mean
        return _still_finite(result, values)


def _rows(array: ArrayLike, width: int | None = None) -> Floats:
    values = np.asarray(array, dtype=np.float64)
    if values.ndim != 2 or (width is not None and values.shape[1] != width):
        columns = "columns" if width is None else f"{width} columns"
        raise InputError(f"the array must be rows with {columns}. Received: shape {values.shape}")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"the array must hold finite numbers. Received: {values[row, column]} in row {row + 1}, column {column + 1}"
        )
    return values


def _still_finite(result: Floats, values: Floats) -> Floats:
    if not np.isfinite(result).all():
        row, column = np.argwhere(~np.isfinite(result))[0]
        raise InputError(
            "the rescaled numbers must stay below the largest float64 (about 1.8e308). "
            f"Received: {values[row, column]} in row {row + 1}, column {column + 1}"
        )
    return result


def _total(array: Floats) -> Floats:
    """Return column sums as a fixed tree of additions: the same bits on every processor, and little rounding."""
    while len(array) > 1:
        half = len(array) // 2
        folded = array[:half] + array[half : 2 * half]
        array = np.concatenate([folded, array[2 * half :]]) if len(array) % 2 else folded
    total: Floats = array[0]
    return total


def _short(array: Floats) -> str:
    return np.array2string(array, threshold=6)
