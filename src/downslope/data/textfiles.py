"""Comma-, semicolon-, tab- and bar-separated text, read into columns of text with the line each row stands on.

Plain files go through polars. A file with delimiters, lines or quotes inside quoted fields, with blank lines, or with
rows that may be too short goes through Python's csv module: slower, but it knows the line of every row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from downslope.errors import InputError

if TYPE_CHECKING:
    import polars

__all__ = ["DELIMITERS", "read_text"]

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
CHUNK = 50_000  # rows turned into polars columns at a time, so that Python text does not fill the memory

# First bytes of files that are something else, and what to do about it.
OTHER_FORMATS = (
    (b"\x1f\x8b", "is compressed with gzip; unpack it first"),
    (b"PK\x03\x04", "is a zip archive or a spreadsheet; save the sheet as CSV first"),
    (b"PAR1", "is a Parquet file; give it the ending .parquet"),
    (b"\xff\xfe", "is UTF-16 text; save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')"),
    (b"\xfe\xff", "is UTF-16 text; save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')"),
)


def read_text(data: bytes, name: str, delimiter: str | None) -> tuple[polars.DataFrame, Sequence[int], str]:
    """Return the columns as text (blank: null), the line of each row (from 1), and the delimiter.

    Raises
    ------
    InputError
        If the bytes are not UTF-8 text, or not a table with a header, one name a column and equally long rows.
    """
    data = _plain(data, name)
    delimiter = delimiter or _detect(data)
    records = _Records(data, delimiter, name)
    header = next(records, None)
    if header is None:
        raise InputError(f"{name} is empty: a table must have a header line and at least one row")
    columns = _header(header, name, records.line)
    body = data[records.consumed :]
    # Whether polars skips a blank first line is its own habit, and the lines are counted here.
    fast = None if not body or body.startswith(b"\n") else _fast(body, columns, delimiter)
    if fast is not None:
        return fast, range(records.next_line, records.next_line + len(fast)), delimiter
    frame, lines = _slow(records, columns, name)
    if not lines:
        raise InputError(f"{name} has a header and no rows: a table must have at least one row")
    return frame, lines, delimiter


class _Records(Iterator[list[str]]):
    """The records of a text table, without blank lines; `line` is where the last one began."""

    def __init__(self, data: bytes, delimiter: str, name: str) -> None:
        self._lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="\n")
        self._reader = csv.reader(self._counted(), delimiter=delimiter, skipinitialspace=True, strict=True)
        self._name = name
        self.consumed = 0  # bytes
        self.line = 0

    def _counted(self) -> Iterator[str]:
        for line in self._lines:
            self.consumed += len(line.encode())
            yield line

    @property
    def next_line(self) -> int:
        return self._reader.line_num + 1

    def __next__(self) -> list[str]:
        while True:
            self.line = self.next_line
            try:
                record = next(self._reader)
            except csv.Error as error:
                raise InputError(
                    f"quoted fields must begin and end with a double quote, and hold at most 131,072 characters. "
                    f"Received: {error} on line {self.line} of {self._name}"
                ) from None
            if len(record) > 1 or (record and record[0].strip()):
                return record


def _plain(data: bytes, name: str) -> bytes:
    for start, advice in OTHER_FORMATS:
        if data.startswith(start):
            raise InputError(f"{name} {advice}")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data or data.isspace():
        raise InputError(f"{name} is empty: a table must have a header line and at least one row")
    if b"\0" in data:
        start = data[:1000]
        if start.count(0) > len(start) // 4:
            raise InputError(f"{name} seems to be UTF-16 text or no text at all; save it as UTF-8 text")
        raise InputError(f"{name} holds a NUL byte on line {_line(data, data.index(0))}, which no text has")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} must be UTF-8 text. Received: the byte 0x{data[error.start]:02x} on line "
            f"{_line(data, error.start)} (if a spreadsheet or an older Windows wrote it, save it again as UTF-8)"
        ) from None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.rstrip(b"\n") + b"\n" if data.endswith(b"\n\n") else data


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _detect(data: bytes) -> str:
    """Return the delimiter that splits the header and gives the most of the first rows that same length."""
    sample = data[:65_536]
    if len(sample) < len(data):
        sample = sample[: sample.rfind(b"\n") + 1] or data[: data.index(b"\n") + 1]
    best, best_score = ",", (0, 0)
    for delimiter in DELIMITERS:
        try:
            records = list(islice(_Records(sample, delimiter, ""), 50))
        except InputError:
            continue
        width = len(records[0]) if records else 0
        score = (sum(len(record) == width for record in records), width)
        if width > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


def _header(header: list[str], name: str, line: int) -> list[str]:
    columns = [cell.strip() for cell in header]
    if "" in columns:
        raise InputError(
            f"every column must have a name (an index saved with a table has none: save it without). "
            f"Received: none for column {columns.index('') + 1} on line {line} of {name}"
        )
    if len(set(columns)) < len(columns):
        seen: set[str] = set()
        repeated = next(column for column in columns if column in seen or seen.add(column))  # type: ignore[func-returns-value]
        raise InputError(f"column names must differ. Received: {repeated!r} more than once on line {line} of {name}")
    return columns


def _fast(body: bytes, columns: list[str], delimiter: str) -> polars.DataFrame | None:
    """Return the rows by polars, or None where only the slow way can tell what is meant."""
    import polars as pl

    try:
        frame = pl.read_csv(
            body,
            has_header=False,
            separator=delimiter,
            quote_char=None,
            schema=dict.fromkeys(columns, pl.String),
        )
    except pl.exceptions.PolarsError:  # rows too long
        return None
    # A row too short, like a blank line, leaves its last field blank.
    if frame.get_column(columns[-1]).null_count():
        return None
    return _unquoted(frame) if b'"' in body else frame


def _unquoted(frame: polars.DataFrame) -> polars.DataFrame | None:
    """Return the fields without their quotes, or None if a quote does anything but enclose what was split anyway."""
    import polars as pl

    if not all(frame.select(pl.all().str.contains(r'^("[^"]*"|[^"]*)$').all()).row(0)):
        return None
    return frame.select(pl.all().str.strip_chars('"'))


def _slow(records: _Records, columns: list[str], name: str) -> tuple[polars.DataFrame, list[int]]:
    import polars as pl

    parts: list[polars.DataFrame] = []
    lines: list[int] = []
    while True:
        chunk: list[list[str | None]] = []
        for record in islice(records, CHUNK):
            if len(record) != len(columns):
                raise InputError(
                    f"every row of {name} must have {len(columns)} fields, as its header has. "
                    f"Received: {len(record)} on line {records.line}"
                )
            chunk.append([field or None for field in record])
            lines.append(records.line)
        if not chunk:
            return pl.concat(parts) if parts else pl.DataFrame(), lines
        by_column = zip(columns, zip(*chunk, strict=True), strict=True)
        parts.append(pl.DataFrame([pl.Series(column, fields, dtype=pl.String) for column, fields in by_column]))
