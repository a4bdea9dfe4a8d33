"""A table from a file or a data frame, read as a data set or refused with the row and column that are wrong."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from downslope import checks
from downslope.data.columns import decimal_comma, infer_kind, look_like_numbers, to_labels, to_numbers
from downslope.data.dataset import Dataset, Floats, Kind
from downslope.data.sources import Source, open_table
from downslope.errors import InputError

__all__ = ["DataWarning", "features_of", "read"]

DROP = ", or be left out with drop"


class DataWarning(UserWarning):
    """Something in a table that can be used but is probably not meant, such as a column that never changes."""


def read(
    table: Any,
    target: str | Sequence[str],
    *,
    kind: Kind | None = None,
    features: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    delimiter: str | None = None,
    classes: Sequence[str] | None = None,
) -> Dataset:
    """Read a table as a data set.

    Text files are UTF-8 with one header line. Blank lines are skipped, fields may be quoted, spaces around a field
    are dropped. Where something other than a comma separates the fields, numbers may be written with a decimal comma.

    Parameters
    ----------
    table : path or data frame
        A .csv, .tsv or .parquet file, or a data frame of pandas, polars, PyArrow or another library narwhals knows.
    target : str or sequence of str
        The column to predict; several for a regression of several numbers at once.
    kind : "classification", "regression" or None
        None decides by the target: text and truth values are labels, and so are whole numbers, also written 1.0, with
        at most 20 distinct values of which at least one repeats; all other numbers are to be predicted as numbers. (A
        word in a column of mostly numbers, with more distinct values than that, counts as damage and is refused.)
    features : sequence of str or None
        The columns to learn from; None takes all except `target` and `drop`.
    drop : sequence of str
        Columns to leave out, such as an identifier.
    delimiter : str or None
        What separates the fields of a text file; None finds out (comma, semicolon, tab or bar).
    classes : sequence of str or None
        The class names to expect, such as those of the data a network was trained on: labels count in their order,
        not all need to occur, and others are refused. None finds them in the table.

    Returns
    -------
    Dataset
        With `standardize=True`. Labels become 0 … in the order of `classes`: whole numbers in their order, other
        text in alphabetical order. Truth values among the features count as 0 and 1.

    Raises
    ------
    InputError
        If the table or a value in it cannot be used. A text file's lines are counted from 1, its header included;
        rows of Parquet files and data frames from 1, their header not included.

    Warns
    -----
    DataWarning
        If a column has the same value in every row.
    """
    if kind is not None:
        checks.one_of("kind", kind, ["classification", "regression"])
    source = open_table(table, delimiter)
    targets, dropped = _names("target", target), _names("drop", drop)
    source.known("target", targets)
    source.known("drop", dropped)
    if features is None:
        chosen = [name for name in source.columns if name not in {*targets, *dropped}]
    else:
        chosen = _names("features", features)
        source.known("features", chosen)
    _no_overlap(targets, chosen, dropped)
    if not targets or not chosen:
        missing = "column to predict" if not targets else f"column to learn from beside {', '.join(targets)}"
        raise InputError(f"{source.name} must have at least one {missing}. Received: {_columns(source)}")
    kind = "classification" if classes is not None else _kind(source, targets, kind)
    comma = decimal_comma(source, chosen + targets if kind == "regression" else chosen)
    inputs = np.column_stack([to_numbers(source.column(name), comma, DROP) for name in chosen])
    if kind == "classification":
        values, named = to_labels(source.column(targets[0]), classes)
        if classes is None:  # else these are not rows to learn from
            _warn_constant(chosen, inputs)
            _warn_numbers(source.name, targets[0], named)
        return Dataset(_title(table), inputs, values, tuple(chosen), named, tuple(targets), standardize=True)
    outputs = np.column_stack([to_numbers(source.column(name), comma) for name in targets])
    _warn_constant(chosen + targets, np.column_stack([inputs, outputs]))
    return Dataset(_title(table), inputs, outputs, tuple(chosen), None, tuple(targets), standardize=True)


def features_of(table: Any, features: Sequence[str]) -> Floats:
    """Return the named columns of a table, for a prediction, read and checked as `read` reads and checks them.

    Parameters
    ----------
    table : path, data frame or array
        Columns of a file or a frame are taken by name, in the order of `features`, and others ignored; an array of
        shape (n, d) must have them in that order already.
    features : sequence of str
        The d names the training data had.

    Returns
    -------
    float64 array, shape (n, d)

    Raises
    ------
    InputError
        If a column is missing, the width differs, or a value is not a finite number.
    """
    names = _names("features", features)
    if isinstance(table, (np.ndarray, list, tuple)):
        return _array_features(table, names)
    source = open_table(table)
    source.known("every feature", names)
    comma = decimal_comma(source, names)
    return np.column_stack([to_numbers(source.column(name), comma) for name in names])


def _array_features(table: Any, names: list[str]) -> Floats:
    try:
        given = np.asarray(table)
    except ValueError:
        raise InputError("an array must have rows of equal length. Received: rows of different lengths") from None
    if given.dtype.kind not in "biuf":
        raise InputError(f"an array must hold numbers. Received: dtype {given.dtype}")
    if given.ndim != 2 or given.shape[1] != len(names) or not len(given):
        raise InputError(f"an array must have rows of {len(names)} features. Received: shape {given.shape}")
    result = given.astype(np.float64)
    if not np.isfinite(result).all():
        row, column = np.argwhere(~np.isfinite(result))[0]
        raise InputError(
            f"column {names[column]!r} must hold finite numbers. "
            f"Received: {result[row, column]} in row {row + 1} of the array"
        )
    return result


def _names(what: str, names: str | Sequence[str]) -> list[str]:
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, Sequence) or not all(isinstance(name, str) for name in listed):
        raise checks.refuse(what, "a column name or a list of column names", names)
    if repeated := [name for name, count in Counter(listed).items() if count > 1]:
        raise InputError(f"{what} must name each column once. Received: {repeated[0]!r} more than once")
    return list(listed)


def _no_overlap(targets: Sequence[str], features: Sequence[str], dropped: Sequence[str]) -> None:
    roles = {"target": targets, "features": features, "drop": dropped}
    for one, other in (("target", "features"), ("target", "drop"), ("features", "drop")):
        if both := sorted(set(roles[one]) & set(roles[other])):
            raise InputError(f"a column must be in only one of {one} and {other}. Received: {both[0]!r} in both")


def _kind(source: Source, targets: list[str], kind: Kind | None) -> Kind:
    if len(targets) == 1:
        return kind or infer_kind(source.column(targets[0]))
    if kind == "classification":
        raise InputError(f"target must be one column for classification. Received: {', '.join(targets)}")
    return "regression"


def _warn_constant(names: Sequence[str], values: Floats) -> None:
    constant = [name for name, same in zip(names, (values == values[0]).all(axis=0), strict=True) if same]
    if constant:
        listed = ", ".join(map(repr, constant[:5])) + (f" and {len(constant) - 5} more" if len(constant) > 5 else "")
        subject, verb = ("column", "changes") if len(constant) == 1 else ("columns", "change")
        warnings.warn(
            f"{subject} {listed} never {verb}: nothing can be learned from a single value", DataWarning, stacklevel=3
        )


def _warn_numbers(table: str, target: str, classes: Sequence[str]) -> None:
    label = look_like_numbers(classes)
    if label is not None:
        told = (
            f"column {target!r} of {table} is read as {len(classes)} classes, though labels such as {label!r} look like"
        )
        warnings.warn(
            f"{told} numbers or dates: to predict numbers, write them plainly (1234.5)", DataWarning, stacklevel=3
        )


def _columns(source: Source) -> str:
    return ", ".join(map(repr, source.columns[:12])) or "no columns"


def _title(table: Any) -> str:
    return Path(table).stem if isinstance(table, (str, os.PathLike)) else "table"
