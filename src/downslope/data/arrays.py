"""A data set from two arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from downslope import checks
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
    inputs : array or data frame, shape (n, d) or (n,)
        Finite numbers; one column where there is one dimension.
    targets : array, shape (n,) or (n, k)
        Labels (text, truth values or whole numbers) or numbers to be predicted.
    kind : "classification", "regression" or None
        None decides by the targets, as `read` does; text is always labels.
    features : sequence of str, optional
        The names of the d columns; left out, those of the data frame, or x1, x2, …

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
    if features is None:
        names = [str(name) for name in getattr(inputs, "columns", (f"x{place + 1}" for place in range(x.shape[1])))]
    elif isinstance(features, str):
        raise checks.refuse("features", "a list of names", features)
    else:
        names = list(features)
    if len(names) != x.shape[1]:
        raise InputError(f"features must name each of the {x.shape[1]} columns. Received: {len(names)} names")
    outcomes = ["target"] if y.shape[1] == 1 else [f"target{place + 1}" for place in range(y.shape[1])]
    table: dict[str, Any] = {name: x[:, place] for place, name in enumerate(names)}
    if len(table) < len(names) or set(names) & set(outcomes):
        raise InputError(f"features must differ from one another and from 'target'. Received: {names}")
    for place, name in enumerate(outcomes):
        column = y[:, place]
        numeric = column.dtype.kind in "biuf"
        table[name] = column if numeric else pl.Series([_label(value) for value in column], dtype=pl.String)
        kind = kind if numeric else kind or "classification"
    return read(pl.DataFrame(table), outcomes, kind=kind)


def _label(value: Any) -> str | None:
    """Return a label as text, or None for a missing one, which is then refused by its row."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return None
    return value.decode() if isinstance(value, bytes) else str(value)


def _columns(name: str, values: Any) -> np.ndarray[Any, Any]:
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError(f"{name} must have no masked values: fill them, or leave such rows out. Received: a mask")
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{name} must have rows of equal length. Received: rows of different lengths") from None
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name} must have at least one row and one column. Received: shape {array.shape}")
    return array
