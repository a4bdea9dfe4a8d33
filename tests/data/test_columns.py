"""How a column becomes numbers or labels: what is read, and what is refused with its row."""

from __future__ import annotations

import decimal
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.data.columns import decimal_comma, infer_kind, look_like_numbers, to_labels, to_numbers
from downslope.data.sources import Column, Source
from downslope.errors import InputError


def column(values: Any, delimiter: str | None = None) -> Column:
    """Return a column "a" as a text file with that delimiter would give it, or a frame without one."""
    frame = pl.DataFrame({"a": pl.Series(values, strict=False) if isinstance(values, list) else values})
    lines = range(2, 2 + len(frame)) if delimiter else None
    return Source("wine.csv" if delimiter else "the table", nw.from_native(frame), lines, delimiter).column("a")


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["1", " 2.5 ", "+3", "-.5", "5.", "1e3", "1E-2"], [1, 2.5, 3, -0.5, 5, 1000, 0.01]),
        (["true", "False", "TRUE"], [1, 0, 1]),
        (
            ["9007199254740992", "-9007199254740992", "0009007199254740992", "1e300"],
            [2.0**53, -(2.0**53), 2.0**53, 1e300],
        ),
        ([True, False], [1, 0]),
        ([2**53, -(2**53)], [2.0**53, -(2.0**53)]),
        (pl.Series([1, 255], dtype=pl.UInt8), [1, 255]),
        (pl.Series([1.5, 2.5], dtype=pl.Float32), [1.5, 2.5]),
        ([decimal.Decimal("1.5"), decimal.Decimal(2)], [1.5, 2]),
        (pl.Series(["1", "2"], dtype=pl.Categorical), [1, 2]),
    ],
)
def test_numbers(values: Any, numbers: list[float]) -> None:
    result = to_numbers(column(values))
    assert result.dtype == np.float64
    assert result.tolist() == numbers


WHOLE = r"whole numbers of at most 2\*\*53"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["1", "n/a", "x"], "column 'a' must hold numbers. Received: 'n/a' on line 3 of wine.csv"),
        (["1", "2", None], "column 'a' must hold a value in every row .* Received: a blank on line 4 of wine.csv"),
        (["1", "  ", "x"], "Received: a blank on line 3"),
        (["true", "maybe"], "must hold numbers. Received: 'true' on line 2"),
        (["1", "nan"], "must hold finite numbers. Received: 'nan' on line 3"),
        (["1", "-Infinity"], "must hold finite numbers. Received: '-Infinity' on line 3"),
        (["1", "1e400"], "must hold finite numbers. Received: '1e400' on line 3"),
        (["1", "9007199254740993"], rf"{WHOLE} = 9,007,199,254,740,992, .* Received: 9007199254740993 on line 3"),
        (["-9007199254740993"], f"{WHOLE} .* on line 2"),
        (["1", "1" * 30], WHOLE),
        (["1_000"], "must hold numbers. Received: '1_000'"),
        (["0x10"], "must hold numbers. Received: '0x10'"),
        (["2024-01-31"], "must hold numbers. Received: '2024-01-31'"),
        (["1", "3,14"], "must hold numbers with decimal points. Received: '3,14' on line 3"),
        (["z" * 500], r"Received: 'z{56}\.\.\. on line 2"),
    ],
)
def test_text_that_is_no_number_is_refused(values: list[str | None], said: str) -> None:
    with pytest.raises(InputError, match=said):
        to_numbers(column(values, ","))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, None], "must hold a value in every row .* Received: a blank in row 2 of the table"),
        ([1, None], "Received: a blank in row 2"),
        ([True, None], "Received: a blank in row 2"),
        ([1.0, float("nan")], "must hold finite numbers. Received: nan in row 2 of the table"),
        ([1.0, float("-inf")], "Received: -inf in row 2"),
        ([1, 2**53 + 1], f"{WHOLE} .* Received: 9007199254740993 in row 2"),
        ([1, -(2**53) - 1], f"{WHOLE} .* Received: -9007199254740993 in row 2"),
        ([-(2**63), 1], f"{WHOLE} .* Received: -9223372036854775808 in row 1"),
        (pl.Series([1, 2**64 - 1], dtype=pl.UInt64), f"{WHOLE} .* Received: 18446744073709551615 in row 2"),
    ],
)
def test_typed_values_that_are_no_number_are_refused(values: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        to_numbers(column(values))


@settings(max_examples=150)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=10), st.booleans())
def test_every_number_comes_back_to_the_last_bit(values: list[float], comma: bool) -> None:
    text = [repr(value).replace(".", ",") if comma else repr(value) for value in values]
    assert to_numbers(column(text, ";"), comma).tolist() == values


@pytest.mark.parametrize(
    ("values", "delimiter", "comma"),
    [
        (["3,14", "2"], ";", True),
        (["-,5", "x"], "\t", True),
        (["1,234", "0,998"], ";", True),
        (["1,234", "1,2e5"], "|", True),
        (["3.14", "2"], ";", False),
        (["a,b", "c"], ";", False),
        (["3,14", "2"], ",", False),
        (["3,14", "2"], None, False),
    ],
)
def test_decimal_commas_are_noticed(values: list[str], delimiter: str | None, comma: bool) -> None:
    assert decimal_comma(column(values, delimiter).source, ["a"]) is comma


def test_a_comma_that_may_group_thousands_is_refused() -> None:
    with pytest.raises(InputError, match=r"whether its comma groups thousands .* Received: '1,234' on line 3"):
        decimal_comma(column(["1", "1,234", "12,345,678"], ";").source, ["a"])


@pytest.mark.parametrize("stray", ["2.5", "1.234,5", "1,234,567", "1,5,"])
def test_numbers_that_mix_commas_and_points_are_refused(stray: str) -> None:
    with pytest.raises(InputError, match=f"must hold numbers.* Received: '{stray}' on line 3"):
        to_numbers(column(["3,14", stray], ";"), comma=True)


@pytest.mark.parametrize(
    ("values", "labels", "classes"),
    [
        (["red", "blue", "red"], [1, 0, 1], ("blue", "red")),
        (["10", "9", "-1", "9"], [2, 1, 0, 1], ("-1", "9", "10")),
        (["10", "09", "10"], [1, 0, 1], ("09", "10")),
        ([10, 9, -1, 9], [2, 1, 0, 1], ("-1", "9", "10")),
        ([2**62 + 1, 2**62, 2**62], [1, 0, 0], (str(2**62), str(2**62 + 1))),
        (["NA", "nan", "None", "null", "NA"], [0, 2, 1, 3, 0], ("NA", "None", "nan", "null")),
        ([True, False, True], [1, 0, 1], ("False", "True")),
        ([1.0, 2.0, 1.0], [0, 1, 0], ("1", "2")),
        (["é", "🎈", "é"], [0, 1, 0], ("é", "🎈")),
        (pl.Series(["b", "a", "b"], dtype=pl.Categorical), [1, 0, 1], ("a", "b")),
    ],
)
def test_labels(values: Any, labels: list[int], classes: tuple[str, ...]) -> None:
    found, names = to_labels(column(values))
    assert (found.tolist(), names) == (labels, classes)
    assert found.dtype == np.int64


def test_spaces_around_labels_are_layout_in_a_file_and_text_in_a_frame() -> None:
    values = ["x", " x", "y", "x", " x"]
    assert to_labels(column(values, ","))[1] == ("x", "y")
    assert to_labels(column(values))[1] == (" x", "x", "y")


@settings(max_examples=150)
@given(st.lists(st.text(min_size=1).filter(lambda text: text.strip()), min_size=3, max_size=12))
def test_labels_come_back_as_their_text(values: list[str]) -> None:
    if len(set(values)) in {1, len(values)}:
        with pytest.raises(InputError, match=r"at least two classes|several rows the same class"):
            to_labels(column(values))
        return
    labels, classes = to_labels(column(values))
    assert [classes[label] for label in labels] == values
    assert len(set(classes)) == len(classes)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["x", None, "y"], "must hold a value in every row .* Received: a blank in row 2"),
        (["x", " ", "y"], "Received: a blank in row 2"),
        ([1, None, 2], "Received: a blank in row 2"),
        (["x", "x"], "column 'a' of the table must name at least two classes. Received: 'x' in every row"),
        (["x", "y", "z"], "must give several rows the same class. Received: 3 classes in 3 rows"),
        ([1.0, 1.5, 1.0], r"must hold labels \(text, truth values or whole numbers\). Received: 1.5 in row 2"),
        ([1.0, float("nan"), 1.0], "must hold labels .* Received: nan in row 2"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(values: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        to_labels(column(values))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["x", "y", "x"], "classification"),
        (["1", "2", "1"], "classification"),
        (["1.0", "2.0", "1.0"], "classification"),
        (["1.0", "2.5", "1.0"], "regression"),
        (["1,5", "2,5", "1,5"], "regression"),
        ([str(i % 20) for i in range(40)], "classification"),
        ([str(i % 21) for i in range(42)], "regression"),
        (["1", "2", "3"], "regression"),
        (["1", "2", "NA", "1"], "classification"),
        ([*map(str, range(40)), "n/a"], "regression"),
        (["nan", "inf", "nan"], "classification"),
        (["true", "false", "true"], "classification"),
        ([1, 2, 1], "classification"),
        ([i % 20 for i in range(40)], "classification"),
        ([i % 21 for i in range(42)], "regression"),
        ([1.0, 2.0, 1.0], "classification"),
        ([1.0, 2.5, 1.0], "regression"),
        ([True, False, True], "classification"),
        ([1, None, 2, 1], "classification"),
    ],
)
def test_the_kind_of_task_follows_the_target(values: list[Any], kind: str) -> None:
    assert infer_kind(column(values)) == kind


def test_whole_numbers_with_a_point_are_the_classes_they_mean() -> None:
    for values in (["1.0", "0.0", "1.0"], ["1", "0.0", "1"], [1.0, 0.0, 1.0], [1, 0, 1]):
        labels, classes = to_labels(column(values))
        assert (labels.tolist(), classes) == ([1, 0, 1], ("0", "1"))


@pytest.mark.parametrize(
    ("classes", "like"),
    [
        (("1", "2", "30"), None),
        (("a", "b"), None),
        (("1.234,50", "2.000,00", "7,5"), "1.234,50"),
        (("7%", "8%", "9%", "NA"), "7%"),
        (("2024-01-07", "2024-01-08", "2024-01-09"), "2024-01-07"),
        (("007", "008"), None),
        (("class 1", "class 2", "class 3"), None),
        (("1.5", "2.5", "3.5", "NA"), "1.5"),
    ],
)
def test_labels_that_look_like_numbers_are_noticed(classes: tuple[str, ...], like: str | None) -> None:
    assert look_like_numbers(classes) == like
