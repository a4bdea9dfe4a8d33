"""How text becomes rows: bytes, lines, delimiters, quotes."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.data.textfiles import CHUNK, read_text
from downslope.errors import InputError

ROWS = "a,b,class\n1,2,x\n3,4,y\n5,6,x\n"
SPLIT = [("1", "2", "x"), ("3", "4", "y"), ("5", "6", "x")]


def rows_of(content: str | bytes, delimiter: str | None = None) -> tuple[list[tuple[str | None, ...]], list[int]]:
    data = content if isinstance(content, bytes) else content.encode()
    frame, lines, _ = read_text(data, "wine.csv", delimiter)
    return frame.rows(), list(lines)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (ROWS, [2, 3, 4]),
        (ROWS.rstrip("\n"), [2, 3, 4]),
        (ROWS + "\n\n", [2, 3, 4]),
        (b"\xef\xbb\xbf" + ROWS.encode(), [2, 3, 4]),
        (ROWS.replace("\n", "\r\n") + "\r\n\r\n", [2, 3, 4]),
        (ROWS.replace("\n", "\r"), [2, 3, 4]),
        (ROWS.replace("\n", "\n\n"), [3, 5, 7]),
        (ROWS.replace("3,4", "   \n3,4"), [2, 4, 5]),
        ("\n\n" + ROWS, [4, 5, 6]),
        (ROWS.replace("1,2", "\n1,2"), [3, 4, 5]),
        (ROWS.replace("1", '"1"').replace("x", '"x"'), [2, 3, 4]),
        (ROWS.replace("2", ' "2"'), [2, 3, 4]),
        ('"a\n1",b,class\n' + ROWS.split("\n", 1)[1], [3, 4, 5]),
        (ROWS.replace(",", ";"), [2, 3, 4]),
        (ROWS.replace(",", "\t"), [2, 3, 4]),
        (ROWS.replace(",", "|"), [2, 3, 4]),
    ],
)
def test_one_table_written_in_many_ways(content: str | bytes, lines: list[int]) -> None:
    assert rows_of(content) == (SPLIT, lines)


def test_quotes_hold_delimiters_lines_and_quotes() -> None:
    content = 'a,b\n"1,5","x\n\ny"\n2,"say ""so"""\n"",z\n'
    assert rows_of(content) == ([("1,5", "x\n\ny"), ("2", 'say "so"'), (None, "z")], [2, 5, 6])


def test_a_delimiter_is_found_by_the_rows_and_can_be_given() -> None:
    assert rows_of("mass (kg, dry);height\n1;2\n3;4\n")[0] == [("1", "2"), ("3", "4")]
    assert rows_of("a;b;c\n1,5;2,5;3,5\n")[0] == [("1,5", "2,5", "3,5")]
    assert rows_of("a;b,c\n1;2,3\n", ",")[0] == [("1;2", "3")]
    assert rows_of("a:b\n1:2\n", ":")[0] == [("1", "2")]


def test_names_that_only_look_like_blanks_are_text() -> None:
    assert rows_of("a,b\n1,NA\n2,null\n3,nan\n4,None\n")[0][2:] == [("3", "nan"), ("4", "None")]


def test_lines_are_counted_across_chunks() -> None:
    rows, lines = rows_of("a,b\n" + '1,"x,y"\n' * (CHUNK + 3) + "\n2,z\n")
    assert (len(rows), rows[-1], lines[-1]) == (CHUNK + 4, ("2", "z"), CHUNK + 6)


field = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@settings(max_examples=150)
@given(st.lists(st.tuples(field, field), min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_quoted_fields_come_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace('"', '""') + '"'

    content = f"a{delimiter}b\n" + "".join(delimiter.join(map(quoted, row)) + "\n" for row in rows)
    found, _ = rows_of(content, delimiter)
    assert [tuple(value or "" for value in row) for row in found] == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "wine.csv is empty: a table must have a header line and at least one row"),
        (b"\xef\xbb\xbf", "wine.csv is empty"),
        ("\n\n\r\n ", "wine.csv is empty"),
        ("\u00a0\n", "wine.csv is empty"),
        ("a,b,class", "wine.csv has a header and no rows"),
        ("a,b,class\n \n\u00a0\n", "wine.csv has a header and no rows"),
        (ROWS.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (ROWS.encode("utf-16-be"), "seems to be UTF-16 text or no text at all; save it as UTF-8"),
        (ROWS.replace("y", "é").encode("cp1252"), "must be UTF-8 text. Received: the byte 0xe9 on line 3"),
        (ROWS.replace("4", "\0"), "holds a NUL byte on line 3"),
        (gzip.compress(ROWS.encode()), "is compressed with gzip; unpack it first"),
        (b"PK\x03\x04 and so on", "is a zip archive or a spreadsheet"),
        (b"PAR1 and so on", "is a Parquet file; give it the ending .parquet"),
        (ROWS.replace("3,4,y", "3,4"), "every row of wine.csv must have 3 fields, .* Received: 2 on line 3"),
        (ROWS.replace("3,4,y", "3,4,y,"), "every row of wine.csv must have 3 fields, .* Received: 4 on line 3"),
        (ROWS.replace("3,4,y", '"3,4",y'), "every row of wine.csv must have 3 fields, .* Received: 2 on line 3"),
        (ROWS.replace("5,6,x", '5,"6,x'), "begin and end with a double quote, .* on line 4"),
        (ROWS.replace("4", '"4" cm'), "begin and end with a double quote, .* on line 3"),
        (ROWS.replace("4", '"' + "4" * 140_000 + '\n"'), "at most 131,072 characters"),
        (ROWS.replace("b", "a"), "column names must differ. Received: 'a' more than once on line 1"),
        (ROWS.replace("a,b", ",b"), "every column must have a name .* Received: none for column 1 on line 1"),
        ("\n" + ROWS.replace("class", " "), "Received: none for column 3 on line 2"),
    ],
)
def test_what_is_no_table_is_refused(content: str | bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        rows_of(content)


def test_ten_thousand_columns(write: Callable[..., Path]) -> None:
    header = ",".join(f"c{i}" for i in range(10_000))
    rows, _ = rows_of(header + "\n" + ",".join(["1"] * 10_000) + "\n")
    assert len(rows[0]) == 10_000
