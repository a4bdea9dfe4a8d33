"""A data set from two arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from downslope.data.dataset import Dataset, Kind
from downslope.data.tables import read
from downslope.errors import InputError

__all__ = ["arrays"]


def arrays(
    inputs: ArrayLike,
    targets: ArrayLike,
    *,
    kind: Kind | None = None,
    features: Sequence[str] | None = None,
) -> Dataset:
    """Make a data set of two arrays, checked as a table is checked.

    Parameters
    ----------
    inputs : array, shape (n, d) or (n,)
        Finite numbers; one column where there is one dimension.
    targets : array, shape (n,) or (n, k)
        Labels (text, truth values or whole numbers) or numbers to be predicted.
    kind : "classification", "regression" or None
        None decides by the targets, as `read` does.
    features : sequence of str, optional
        The names of the d columns; left out, x1, x2, …

    Returns
    -------
    Dataset
        With `standardize=True`.

    Raises
    ------
    InputError
        If shapes do not fit together, or a value cannot be used: the column and the row, from 1.
    """
    import polars as pl

    x, y = _columns("inputs", inputs), _columns("targets", targets)
    if len(x) != len(y):
        raise InputError(f"targets must have one row for each of the {len(x)} inputs. Received: {len(y)}")
    if x.dtype.kind not in "biuf":
        raise InputError(f"inputs must hold numbers. Received: dtype {x.dtype}")
    names = [f"x{place + 1}" for place in range(x.shape[1])] if features is None else list(features)
    if len(names) != x.shape[1]:
        raise InputError(f"features must name each of the {x.shape[1]} columns. Received: {len(names)} names")
    outcomes = ["target"] if y.shape[1] == 1 else [f"target{place + 1}" for place in range(y.shape[1])]
    table: dict[str, Any] = {name: x[:, place] for place, name in enumerate(names)}
    if len(table) < len(names) or set(names) & set(outcomes):
        raise InputError(f"features must differ from one another and from 'target'. Received: {names}")
    for place, name in enumerate(outcomes):
        column = y[:, place]
        table[name] = column if column.dtype.kind in "biuf" else pl.Series([str(value) for value in column])
    return read(pl.DataFrame(table), outcomes, kind=kind)


def _columns(name: str, values: Any) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{name} must have rows of equal length. Received: rows of different lengths") from None
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name} must have at least one row and one column. Received: shape {array.shape}")
    return array
