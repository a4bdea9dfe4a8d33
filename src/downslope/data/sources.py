"""Anything a table can come from, opened into columns of one kind: numbers, truth values or text."""

from __future__ import annotations

import numbers
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.data.textfiles import DELIMITERS, read_text
from downslope.errors import InputError

if TYPE_CHECKING:
    import narwhals
    import polars

__all__ = ["ENDINGS", "LARGEST_EXACT", "Column", "Source", "open_table"]

ENDINGS = (".csv", ".tsv", ".parquet")
LARGEST_EXACT = 2**53  # up to here float64 holds every whole number


@dataclass(frozen=True, eq=False)
class Column:
    """One column as polars text (blank: null), or as a NumPy array of float64, int or bool with a mask of blanks."""

    name: str
    source: Source
    text: polars.Series | None = None
    values: NDArray[Any] = field(default_factory=lambda: np.empty(0))
    blanks: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))

    def refuse(self, rule: str, row: int, shown: str | None = None) -> InputError:
        """Return the error for the value in `row` (from 0)."""
        if shown is None:
            value = self.text[row] if self.text is not None else self.values[row]
            shown = repr(value) if self.text is not None else str(value)
        if len(shown) > 60:
            shown = shown[:57] + "..."
        return InputError(f"column {self.name!r} must {rule}. Received: {shown} {self.source.place(row)}")


@dataclass(frozen=True, eq=False)
class Source:
    """An opened table.

    Parameters
    ----------
    name : str
        What messages call it: the file's name, or "the table".
    frame : narwhals.DataFrame
        Its columns, under text names that all differ.
    lines : sequence of int or None
        For a text file, the line each row begins on.
    delimiter : str or None
        For a text file, what separates its fields.
    """

    name: str
    frame: narwhals.DataFrame[Any]
    lines: Sequence[int] | None = None
    delimiter: str | None = None

    @property
    def columns(self) -> list[str]:
        """The column names in order."""
        return self.frame.columns

    def place(self, row: int) -> str:
        """Return where `row` (from 0) is found: the line of a text file, else the row counted from 1."""
        return f"on line {self.lines[row]} of {self.name}" if self.lines else f"in row {row + 1} of {self.name}"

    def known(self, what: str, names: Sequence[str]) -> None:
        """Refuse the first of `names` that is not a column, suggesting the nearest that is."""
        columns = self.columns
        missing = sorted(set(names) - set(columns), key=list(names).index)
        if not missing:
            return
        hint = checks.did_you_mean(missing[0], columns)
        listed = ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
        raise InputError(f"{what} must be a column of {self.name}: {listed}. Received: {missing[0]!r}{hint}")

    def column(self, name: str) -> Column:
        """Return one column.

        Raises
        ------
        InputError
            If it holds dates, lists or anything else that is neither numbers, truth values nor text.
        """
        import narwhals as nw

        series = self.frame.get_column(name)
        dtype = series.dtype
        if dtype in (nw.String, nw.Categorical, nw.Enum):
            return Column(name, self, text=_text(series.cast(nw.String)))
        if dtype == nw.Object:
            return Column(name, self, text=_objects(series, self))
        blanks = series.is_null().to_numpy()
        if blanks.all():
            raise Column(name, self).refuse("hold a value in every row", 0, "a blank")
        if not (dtype.is_numeric() or dtype == nw.Boolean):
            raise InputError(f"column {name!r} of {self.name} must hold numbers or text. Received: {dtype} values")
        if (dtype.is_integer() and dtype not in (nw.Int128, nw.UInt128)) or dtype == nw.Boolean:
            if not blanks.any():
                return Column(name, self, values=series.to_numpy(), blanks=blanks)
        elif not dtype.is_float():  # decimals, and integers no array holds
            texts = [None if blank else str(value) for value, blank in zip(series.to_list(), blanks, strict=True)]
            import polars as pl

            return Column(name, self, text=pl.Series(name, texts, dtype=pl.String))
        return Column(name, self, values=series.cast(nw.Float64).fill_null(np.nan).to_numpy(), blanks=blanks)


def open_table(table: Any, delimiter: str | None = None) -> Source:
    """Open a path to a .csv, .tsv or .parquet file, or any data frame narwhals knows.

    Raises
    ------
    InputError
        If the file cannot be read as what its ending says, or `table` is neither a path nor a data frame.
    """
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n '):
        raise checks.refuse("delimiter", "one character: " + ", ".join(DELIMITERS.values()), delimiter)
    if not isinstance(table, (str, os.PathLike)):
        if delimiter is not None:
            raise InputError("delimiter must be left out for a data frame, which has its columns already")
        return _open_frame(table)
    path = Path(table).expanduser()
    ending = path.suffix.lower()
    if path.is_dir():
        raise InputError(f"a table must be a file. Received: {str(table)!r}, a folder")
    if ending not in ENDINGS:
        advice = {".gz": " (unpack it first)", ".xlsx": " (save the sheet as CSV)", ".xls": " (save the sheet as CSV)"}
        listed = " or ".join([", ".join(ENDINGS[:-1]), ENDINGS[-1]])
        raise InputError(f"a table file must end in {listed}. Received: {path.name!r}{advice.get(ending, '')}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"a table must be a file that is there. Received: {str(table)!r}{_similar(path)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"a table must be a file that can be read. Received: {str(table)!r} ({reason})") from None
    if ending == ".parquet":
        if delimiter is not None:
            raise InputError("delimiter must be left out for a Parquet file, which has its columns already")
        return _open_parquet(data, path.name)
    return _open_text(data, path.name, delimiter)


def _open_text(data: bytes, name: str, delimiter: str | None) -> Source:
    import narwhals as nw

    frame, lines, found = read_text(data, name, delimiter)
    return Source(name, nw.from_native(frame), lines, found)


def _open_parquet(data: bytes, name: str) -> Source:
    import narwhals as nw
    import polars as pl

    if len(data) < 12 or not (data.startswith(b"PAR1") and data.endswith(b"PAR1")):
        raise InputError(f"{name} must be a Parquet file from its first to its last bytes, and it is not")
    try:
        frame = pl.read_parquet(data)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{name} must be a whole Parquet file, and polars cannot read it: {reason}") from None
    return _checked(Source(name, nw.from_native(frame)))


def _open_frame(table: Any) -> Source:
    import narwhals as nw

    native = table.to_native() if isinstance(table, (nw.DataFrame, nw.LazyFrame)) else table
    if nw.dependencies.is_into_dataframe(native):
        if nw.dependencies.is_pandas_dataframe(native):  # its names need not be text, nor differ
            names = [str(column) for column in native.columns]
            if len(set(names)) < len(names):
                repeated = next(name for name in names if names.count(name) > 1)
                raise InputError(f"column names must differ. Received: {repeated!r} more than once in the table")
            native = native.set_axis(names, axis=1)
        try:
            source = Source("the table", nw.from_native(native, eager_only=True))
            _ = source.columns
        except nw.exceptions.DuplicateError as error:
            raise InputError(f"column names must differ. Received: {error}") from None
        return _checked(source)
    if nw.dependencies.is_polars_lazyframe(native):
        raise InputError("a lazy frame must be collected first. Received: a LazyFrame; call .collect()")
    raise InputError(
        f"a table must be a path to a {', '.join(ENDINGS)} file or a data frame. Received: {type(table).__name__}"
    )


def _checked(source: Source) -> Source:
    for i, name in enumerate(source.columns):
        if not name.strip():
            raise InputError(f"every column must have a name. Received: none for column {i + 1} of {source.name}")
    if not len(source.frame):
        raise InputError(f"{source.name} has no rows: a table must have at least one row")
    return source


def _text(series: narwhals.Series[Any]) -> polars.Series:
    import polars as pl

    native = series.to_native()
    if isinstance(native, pl.Series):
        return native
    pairs = zip(series.to_list(), series.is_null().to_list(), strict=True)
    return pl.Series(series.name, [None if blank else value for value, blank in pairs], dtype=pl.String)


def _objects(series: narwhals.Series[Any], source: Source) -> polars.Series:
    """Return a column of Python objects as text, if they are text, numbers and truth values."""
    import polars as pl

    texts: list[str | None] = []
    for row, (value, blank) in enumerate(zip(series.to_list(), series.is_null().to_list(), strict=True)):
        if not blank and not isinstance(value, (str, numbers.Number, np.bool_)):
            column = Column(series.name, source)
            raise column.refuse("hold numbers or text", row, f"{value!r} ({type(value).__name__})")
        texts.append(None if blank else str(value))
    return pl.Series(series.name, texts, dtype=pl.String)


def _similar(path: Path) -> str:
    """Return a suggestion if the folder holds a table with nearly this name."""
    try:
        there = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in ENDINGS]
    except OSError:
        return ""
    return checks.did_you_mean(path.name, there)
