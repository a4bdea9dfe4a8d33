"""Where a table comes from: files of three endings, and frames of several libraries."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from downslope.data.columns import to_numbers
from downslope.data.sources import open_table
from downslope.data.tables import read
from downslope.errors import InputError

ROWS = "a,b,class\n1,2,x\n3,4,y\n5,6,x\n"
COLUMNS: dict[str, list[Any]] = {"a": [1, 3, 5], "b": [2.0, 4.0, 6.0], "class": ["x", "y", "x"]}


def test_every_source_gives_the_same_data(write: Callable[..., Path]) -> None:
    path = write(ROWS)
    parquet = path.with_suffix(".parquet")
    pl.DataFrame(COLUMNS).write_parquet(parquet)
    sources: list[Any] = [
        path,
        str(path),
        write(ROWS.replace(",", "\t"), "WINE.TSV"),
        parquet,
        pl.DataFrame(COLUMNS),
        nw.from_native(pl.DataFrame(COLUMNS)),
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS, dtype=object),
        pd.DataFrame(COLUMNS).assign(**{"class": pd.Categorical(COLUMNS["class"])}),
        pd.DataFrame(COLUMNS).convert_dtypes(dtype_backend="numpy_nullable"),
        pd.DataFrame(COLUMNS, index=["p", "q", "r"]),
    ]
    assert len({read(source, "class").digest for source in sources}) == 1
    assert read(path, "class").name == "wine"
    assert read(sources[-1], "class").name == "table"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "wine.xlsx",
            b"x",
            r"must end in \.csv, \.tsv or \.parquet\. Received: 'wine\.xlsx' \(save the sheet as CSV\)",
        ),
        ("wine.csv.gz", b"x", r"Received: 'wine\.csv\.gz' \(unpack it first\)"),
        ("wine", b"x", r"must end in .* Received: 'wine'$"),
        ("wine.parquet", b"", "wine.parquet must be a Parquet file"),
        ("wine.parquet", b"a,b\n1,2\n" * 9, "wine.parquet must be a Parquet file"),
        ("wine.parquet", b"PAR1" + b"x" * 50 + b"PAR1", "wine.parquet must be a whole Parquet file"),
    ],
)
def test_files_that_are_something_else_are_refused(
    name: str, content: bytes, said: str, write: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match=said):
        open_table(write(content, name))


def test_files_that_are_not_there(write: Callable[..., Path]) -> None:
    path = write(ROWS)
    with pytest.raises(
        InputError, match=r"a file that is there. Received: '.*wines\.csv'\. Did you mean 'wine\.csv'\?"
    ):
        open_table(path.with_name("wines.csv"))
    with pytest.raises(InputError, match=r"a file that is there. Received: 'no/such/folder/wine\.csv'$"):
        open_table("no/such/folder/wine.csv")
    with pytest.raises(InputError, match=r"a table must be a file\. Received: '.*my tables', a folder"):
        open_table(path.parent)
    with pytest.raises(InputError, match="a file that can be read"):
        open_table("a\0.csv")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (3, "a path to a .csv, .tsv, .parquet file or a data frame. Received: int"),
        (None, "Received: NoneType"),
        (np.ones((2, 2)), "Received: ndarray"),
        ({"a": [1]}, "Received: dict"),
        (pl.Series([1]), "Received: Series"),
        (pl.LazyFrame(COLUMNS), "a lazy frame must be collected first"),
        (nw.from_native(pl.LazyFrame(COLUMNS)), "a lazy frame must be collected first"),
        (pl.DataFrame({"a": []}), "the table has no rows"),
        (pd.DataFrame(), "the table has no rows"),
        (pl.DataFrame({"a": [1], " ": [2]}), "every column must have a name. Received: none for column 2 of the table"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "column names must differ. Received: 'a' more than once"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "column names must differ. Received: '1' more than once"),
    ],
)
def test_what_is_no_table_is_refused(table: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_table(table)


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", 3])
def test_a_delimiter_is_one_character(delimiter: Any, write: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="delimiter must be one character: comma, semicolon, tab, bar"):
        open_table(write(ROWS), delimiter)


def test_a_delimiter_is_for_text(write: Callable[..., Path]) -> None:
    parquet = write(b"", "wine.parquet")
    pl.DataFrame(COLUMNS).write_parquet(parquet)
    for table in (parquet, pl.DataFrame(COLUMNS)):
        with pytest.raises(InputError, match="delimiter must be left out"):
            open_table(table, ";")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (pl.Series([datetime.date(2024, 1, 31)] * 3), "Date values"),
        (pl.Series([datetime.datetime(2024, 1, 31)] * 3), "Datetime"),
        (pl.Series([datetime.timedelta(1)] * 3), "Duration"),
        (pl.Series([[1], [2], [3]]), r"List\(Int64\) values"),
        (pl.Series([{"p": 1}] * 3), "Struct"),
        (pl.Series([b"x"] * 3), "Binary values"),
    ],
)
def test_dates_and_nested_columns_are_refused_by_name(values: pl.Series, shown: str) -> None:
    with pytest.raises(InputError, match=f"column 'when' of the table must hold numbers or text. Received: {shown}"):
        open_table(pl.DataFrame({"when": values})).column("when")


def test_python_objects_in_pandas() -> None:
    table = open_table(pd.DataFrame({"a": [True, None, 3], "b": [1, [2], 3], "c": [1, 10**30, "x"]}))
    found = table.column("a").text
    assert found is not None
    assert found.to_list() == ["True", None, "3"]
    with pytest.raises(InputError, match=r"column 'b' must hold numbers or text. Received: \[2\] \(list\) in row 2"):
        table.column("b")
    with pytest.raises(
        InputError, match=r"column 'c' must hold numbers, or be left out with drop. Received: 'x' in row 3"
    ):
        read(pd.DataFrame({"c": [1, 10**30, "x"], "y": ["p", "p", "q"]}), "y")
    with pytest.raises(InputError, match=rf"whole numbers of at most .* Received: {10**30} in row 2"):
        read(pd.DataFrame({"c": [1, 10**30, 2], "y": ["p", "p", "q"]}), "y")


def test_places_are_lines_in_text_and_rows_elsewhere(write: Callable[..., Path]) -> None:
    bad = ROWS.replace("4", "four")
    with pytest.raises(InputError, match=r"Received: 'four' on line 3 of wine\.csv"):
        read(write(bad), "class")
    with pytest.raises(InputError, match=r"Received: 'four' on line 5 of wine\.csv"):
        read(write(bad.replace("\n", "\n\n")), "class")
    with pytest.raises(InputError, match=r"Received: 'four' in row 2 of the table"):
        read(pd.DataFrame(COLUMNS | {"b": ["1", "four", "2"]}), "class")
    parquet = write(b"", "wine.parquet")
    pl.DataFrame(COLUMNS | {"b": [1.0, None, 2.0]}).write_parquet(parquet)
    with pytest.raises(InputError, match=r"Received: a blank in row 2 of wine\.parquet"):
        read(parquet, "class")


def test_decimals_and_very_long_integers_are_read_as_numbers() -> None:
    frame = pl.DataFrame({"a": [Decimal("1.25"), Decimal("2.5"), Decimal("3.75")], "b": [1, 2, 3]}).cast(
        {"b": pl.Int128}
    )
    source = open_table(frame)
    assert [to_numbers(source.column(name)).tolist() for name in "ab"] == [[1.25, 2.5, 3.75], [1, 2, 3]]


def test_a_column_of_blanks_alone_is_said_to_be_blank() -> None:
    source = open_table(pl.DataFrame({"a": [None, None], "b": [1, 2]}))
    with pytest.raises(InputError, match=r"column 'a' must hold a value in every row\. Received: a blank in row 1"):
        source.column("a")
