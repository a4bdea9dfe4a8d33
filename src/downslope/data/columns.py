"""A column of a table turned into float64 numbers or into labels, or refused with the first row that is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from downslope.data.dataset import Floats, Kind, Labels
from downslope.data.sources import LARGEST_EXACT, Column, Source
from downslope.errors import InputError

if TYPE_CHECKING:
    import polars

__all__ = ["MOST_INTEGER_CLASSES", "decimal_comma", "infer_kind", "look_like_numbers", "to_labels", "to_numbers"]

MOST_INTEGER_CLASSES = 20

WHOLE = r"^[+-]?[0-9]+$"
WHOLE_WITH_POINT = r"^[+-]?[0-9]+(\.0*)?$"  # as pandas writes whole numbers of a column that had blanks
COMMA_NUMBER = r"^\s*[+-]?[0-9.]*,[0-9]+([eE][+-]?[0-9]+)?\s*$"
COMMA_GROUPED = r"^\s*[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+\s*$"
BLANK = "hold a value in every row (fill the blanks, or leave such rows out)"
EXACT = f"hold whole numbers of at most 2**53 = {LARGEST_EXACT:,}, the largest that stay exact"
FINITE = "hold finite numbers"


def decimal_comma(source: Source, names: Sequence[str]) -> bool:
    """Return whether the numbers in these columns of a text file are written with a decimal comma, as in 3,14.

    Only where something else separates the fields. A comma that could as well group thousands in every number that
    has one, as in 1,234, is refused rather than guessed.
    """
    if source.delimiter in {None, ","}:
        return False
    doubtful: tuple[Column, int] | None = None
    for name in names:
        column = source.column(name)
        if column.text is None or not column.text.str.contains(",", literal=True).any():
            continue
        with_comma = column.text.str.contains(COMMA_NUMBER).fill_null(False)
        if (with_comma & ~column.text.str.contains(COMMA_GROUPED).fill_null(False)).any():
            return True
        if with_comma.any() and doubtful is None:
            doubtful = column, int(with_comma.arg_true()[0])
    if doubtful is not None:
        column, row = doubtful
        raise column.refuse("say whether its comma groups thousands or marks decimals: write decimal points", row)
    return False


def to_numbers(column: Column, comma: bool = False, advice: str = "") -> Floats:
    """Return the column as finite float64; truth values count as 0 and 1. `advice` is said where text stands.

    Raises
    ------
    InputError
        At the first blank, text, NaN, infinity, or whole number too large to be exact.
    """
    if column.text is not None:
        return _parsed(column, column.text.str.strip_chars(), comma, advice)
    if column.blanks.any():
        raise column.refuse(BLANK, int(column.blanks.argmax()), "a blank")
    values = column.values
    if np.issubdtype(values.dtype, np.integer) and values.dtype.itemsize >= 8:
        large = (values > LARGEST_EXACT) | (values < -LARGEST_EXACT)
        if large.any():
            raise column.refuse(EXACT, int(large.argmax()))
    result = values.astype(np.float64)
    if not np.isfinite(result).all():
        raise column.refuse(FINITE, int((~np.isfinite(result)).argmax()))
    return result


def to_labels(column: Column, expected: Sequence[str] | None = None) -> tuple[Labels, tuple[str, ...]]:
    """Return label numbers and the class names: whole numbers in their order, other text in alphabetical order.

    With `expected` class names the labels count in their order, and not all of them need to occur.

    Raises
    ------
    InputError
        At the first blank or fractional number, or if there are not at least two classes with rows to share; with
        expected names, at the first other name.
    """
    if column.text is not None:
        labels, classes = _text_labels(column, column.text)
    else:
        if column.blanks.any():
            raise column.refuse(BLANK, int(column.blanks.argmax()), "a blank")
        values = column.values
        if np.issubdtype(values.dtype, np.floating):
            fractional = ~(np.abs(values) <= LARGEST_EXACT) | (values != np.floor(values))
            if fractional.any():
                raise column.refuse("hold labels (text, truth values or whole numbers)", int(fractional.argmax()))
            values = values.astype(np.int64)
        distinct, inverse = np.unique(values, return_inverse=True)
        labels, classes = inverse.astype(np.int64), tuple(str(value) for value in distinct.tolist())
    if expected is not None:
        if unknown := [name for name in classes if name not in expected]:
            row = int((labels == classes.index(unknown[0])).argmax())
            listed = ", ".join(expected[:12]) + (f" and {len(expected) - 12} more" if len(expected) > 12 else "")
            raise column.refuse(f"hold only the classes {listed}", row, repr(unknown[0]))
        places = np.array([list(expected).index(name) for name in classes], dtype=np.int64)
        return places[labels], tuple(expected)
    whose = f"column {column.name!r} of {column.source.name}"
    if len(classes) < 2:
        raise InputError(f"{whose} must name at least two classes. Received: {classes[0]!r} in every row")
    if len(classes) == len(labels):
        raise InputError(
            f"{whose} must give several rows the same class. Received: {len(classes)} classes in {len(labels)} rows"
        )
    return labels, classes


def infer_kind(column: Column) -> Kind:
    """Return the kind of task a target column means; `read` documents the rule. A comma counts as decimal here."""
    if column.text is None:
        values = column.values[~column.blanks]
        if np.issubdtype(values.dtype, np.bool_):
            return "classification"
        whole = np.issubdtype(values.dtype, np.integer) or bool((values == np.floor(values)).all())
        return "classification" if whole and _few(len(np.unique(values)), len(values)) else "regression"
    text = column.text.drop_nulls().str.strip_chars()
    text = text.filter(text != "")
    number = _cast(text, comma=True)
    is_number = number.is_finite().fill_null(False)
    few = _few(text.n_unique(), len(text))
    if is_number.all():
        return "classification" if few and text.str.contains(WHOLE_WITH_POINT).all() else "regression"
    # Mostly numbers with a stray word is a damaged column of numbers: the number reader then names the word.
    return "regression" if is_number.sum() * 2 > len(text) and not few else "classification"


def look_like_numbers(classes: Sequence[str]) -> str | None:
    """Return the first label that looks like a number or a date, where most do and yet are not whole numbers."""
    if all(re.fullmatch(WHOLE, name) for name in classes):
        return None
    like = [name for name in classes if re.search("[0-9]", name) and not re.search(r"[^\W\d_]", name)]
    return like[0] if len(like) > 2 and 2 * len(like) > len(classes) else None


def _few(distinct: int, rows: int) -> bool:
    return distinct <= MOST_INTEGER_CLASSES and distinct < rows


def _cast(text: polars.Series, comma: bool) -> polars.Series:
    import polars as pl

    return (text.str.replace(",", ".", literal=True) if comma else text).cast(pl.Float64, strict=False)


def _parsed(column: Column, text: polars.Series, comma: bool, advice: str) -> Floats:
    number = _cast(text, comma)
    if number.null_count():
        blank = text.is_null() | (text == "")
        if blank.any():
            raise column.refuse(BLANK, int(blank.arg_true()[0]), "a blank")
        lower = text.str.to_lowercase()
        if lower.is_in(["true", "false"]).all():
            return (lower == "true").to_numpy().astype(np.float64)
        row = int(number.is_null().arg_true()[0])
        quoted = column.source.delimiter == "," and text.str.contains(COMMA_NUMBER)[row]
        rule = "hold numbers with decimal points" if quoted else f"hold numbers{advice}"
        raise column.refuse(rule, row, repr(text[row]))
    if comma and text.str.contains(".", literal=True).any():
        row = int(text.str.contains(".", literal=True).arg_true()[0])
        raise column.refuse("hold numbers with decimal commas, as the file does elsewhere", row, repr(text[row]))
    values: Floats = number.to_numpy()
    finite = np.isfinite(values)
    if not finite.all():
        row = int((~finite).argmax())
        raise column.refuse(FINITE, row, repr(text[row]))
    for row in np.flatnonzero(np.abs(values) >= LARGEST_EXACT).tolist():
        # 2**53 + 1 has become 2**53 by now, so the digits decide.
        if re.fullmatch(WHOLE, text[row]) and _beyond_exact(text[row]):
            raise column.refuse(EXACT, row, text[row])
    return values


def _beyond_exact(digits: str) -> bool:
    digits = digits.lstrip("+-").lstrip("0")
    return len(digits) > 16 or int(digits) > LARGEST_EXACT


def _text_labels(column: Column, text: polars.Series) -> tuple[Labels, tuple[str, ...]]:
    import polars as pl

    blank = text.is_null() | (text.str.strip_chars() == "")
    if blank.any():
        raise column.refuse(BLANK, int(blank.arg_true()[0]), "a blank")
    if column.source.lines is not None:  # spaces around a field of a text file are layout
        text = text.str.strip_chars()
    if text.str.contains(WHOLE_WITH_POINT).all():  # 1.0 is the class 1, whatever wrote it
        text = text.str.replace(r"\.0*$", "")
    distinct: list[str] = text.unique().to_list()
    # Codes such as 007 stay text; whole numbers as they are usually written sort as numbers.
    if text.str.contains(r"^(0|-?[1-9][0-9]{0,4000})$").all():
        classes = tuple(sorted(distinct, key=int))
    else:
        classes = tuple(sorted(distinct))
    labels = text.replace_strict(classes, range(len(classes)), return_dtype=pl.Int64)
    return labels.to_numpy().astype(np.int64), classes
