from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from downslope.data.tables import DataWarning, features_of, read
from downslope.errors import InputError

ROWS = "id,a,b,class\n7,1,2.5,x\n8,3,4.5,y\n9,5,6.5,x\n"


def test_a_table_is_read(write: Callable[..., Path]) -> None:
    wine = read(write(ROWS), target="class", drop=["id"])
    assert wine.features == ("a", "b")
    assert wine.inputs.tolist() == [[1, 2.5], [3, 4.5], [5, 6.5]]
    assert wine.classes == ("x", "y")
    assert [wine.classes[label] for label in wine.targets] == ["x", "y", "x"]
    assert wine.target == ("class",)
    assert wine.standardize
    assert wine.seed is None
    assert (wine.name, wine.kind) == ("wine", "classification")


@pytest.mark.parametrize(
    ("options", "features", "target"),
    [
        ({"target": "class"}, ("id", "a", "b"), ("class",)),
        ({"target": "class", "features": ["b", "a"]}, ("b", "a"), ("class",)),
        ({"target": "class", "features": "b"}, ("b",), ("class",)),
        ({"target": "b", "drop": ("class", "id")}, ("a",), ("b",)),
        ({"target": ["b", "a"], "drop": "class"}, ("id",), ("b", "a")),
        ({"target": ["b"], "drop": "class", "kind": "regression"}, ("id", "a"), ("b",)),
    ],
)
def test_columns_take_their_parts(
    options: dict[str, Any], features: tuple[str, ...], target: tuple[str, ...], write: Callable[..., Path]
) -> None:
    wine = read(write(ROWS), **options)
    assert (wine.features, wine.target) == (features, target)
    columns = {"id": [7, 8, 9], "a": [1, 3, 5], "b": [2.5, 4.5, 6.5]}
    assert wine.inputs.T.tolist() == [columns[name] for name in features]
    if wine.kind == "regression":
        assert wine.targets.T.tolist() == [columns[name] for name in target]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"target": "clas"},
            r"target must be a column of wine\.csv: 'id', .* Received: 'clas'\. Did you mean 'class'\?",
        ),
        ({"target": "zzz"}, r"target must be a column .* Received: 'zzz'$"),
        ({"target": ["a", "q"]}, "target must be a column .* Received: 'q'"),
        ({"target": "class", "drop": ["idd"]}, "drop must be a column .* Received: 'idd'"),
        ({"target": "class", "features": ["a", "B"]}, "features must be a column .* Received: 'B'"),
        ({"target": 3}, "target must be a column name or a list of column names"),
        ({"target": ["a", "a"]}, "target must name each column once. Received: 'a'"),
        ({"target": []}, "at least one column to predict"),
        ({"target": "class", "drop": ["id", "a", "b"]}, "at least one column to learn from beside class"),
        ({"target": "class", "features": []}, "at least one column to learn from"),
        ({"target": "class", "features": ["a", "class"]}, "only one of target and features. Received: 'class' in both"),
        ({"target": "class", "drop": ["class"]}, "only one of target and drop. Received: 'class' in both"),
        ({"target": "class", "features": ["a"], "drop": ["a"]}, "only one of features and drop. Received: 'a' in both"),
        ({"target": "class", "kind": "classify"}, "kind must be one of classification, regression"),
        (
            {"target": ["a", "b"], "kind": "classification"},
            "target must be one column for classification. Received: a, b",
        ),
        ({"target": "class", "kind": "regression"}, "column 'class' must hold numbers. Received: 'x' on line 2"),
        (
            {"target": "id", "kind": "classification"},
            "column 'class' must hold numbers, or be left out with drop. Received: 'x' on line 2",
        ),
        ({"target": "class", "delimiter": ";"}, "target must be a column of wine.csv: 'id,a,b,class'"),
    ],
)
def test_columns_that_do_not_fit_are_refused(options: dict[str, Any], said: str, write: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=said):
        read(write(ROWS), **options)


def test_a_long_list_of_columns_is_cut() -> None:
    wide = pl.DataFrame({f"c{i}": [1, 2] for i in range(500)})
    with pytest.raises(InputError, match=r"'c11' and 488 more\. Received: 'price'$"):
        read(wide, "price")


def test_dropped_columns_may_hold_anything(write: Callable[..., Path]) -> None:
    path = write("note,a,class,end\n,1,x,\n2024-01-01,2,y,\n☃,3,x,nan\n")
    assert read(path, "class", features=["a"]).inputs.tolist() == [[1], [2], [3]]


def test_european_tables(write: Callable[..., Path]) -> None:
    path = write("größe;gewicht;klasse\n1,80;80;groß\n1,62;55,5;klein\n1,75;70;groß\n")
    assert read(path, "klasse").inputs.tolist() == [[1.8, 80], [1.62, 55.5], [1.75, 70]]
    weight = read(path, "gewicht", drop="klasse")
    assert (weight.kind, weight.targets.tolist()) == ("regression", [[80], [55.5], [70]])
    mixed = write("a;b;class\n3,14;1;x\n2,5;1.234;y\n1;2;x\n", "mixed.csv")
    with pytest.raises(InputError, match=r"column 'b' must hold numbers with decimal commas.* '1\.234' on line 3"):
        read(mixed, "class")
    labels = write("a;class\n1;1,234\n2;x\n3;x\n", "labels.csv")
    assert read(labels, "class").classes == ("1,234", "x")


def test_a_column_that_never_changes_is_warned_of(write: Callable[..., Path]) -> None:
    with pytest.warns(DataWarning, match="column 'b' never changes") as caught:
        read(write("a,b,class\n1,5,x\n2,5,y\n3,5,x\n"), "class")
    assert caught[0].filename == __file__
    with pytest.warns(DataWarning, match="column 'y' never changes"):
        read(pl.DataFrame({"a": [1, 2], "y": [0.5, 0.5]}), "y")
    with pytest.warns(DataWarning, match="columns 'c0', 'c1', 'c2', 'c3', 'c4' and 2 more never change:"):
        read(pl.DataFrame({f"c{i}": [1, 1, 1] for i in range(7)} | {"y": ["p", "q", "p"]}), "y")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(write(ROWS), "class")


def test_odd_names_and_many_columns(write: Callable[..., Path]) -> None:
    path = write('🎈,"height (cm), bare",class\n1,2,x\n3,4,y\n5,6,x\n')
    assert read(path, "class").features == ("🎈", "height (cm), bare")
    wide = read(pd.DataFrame(np.arange(6_000.0).reshape(3, 2_000)), target="1999")
    assert wide.inputs.shape == (3, 1_999)
    assert wide.features[:2] == ("0", "1")


def test_features_for_a_prediction(write: Callable[..., Path]) -> None:
    expected = [[2.5, 1], [4.5, 3], [6.5, 5]]
    for table in (
        write(ROWS),
        pl.DataFrame({"a": [1, 3, 5], "z": ["?"] * 3, "b": [2.5, 4.5, 6.5]}),
        pd.DataFrame({"a": [1, 3, 5], "b": [2.5, 4.5, 6.5]}),
        np.array(expected),
        np.array(expected, dtype=np.float32),
        expected,
    ):
        found = features_of(table, ["b", "a"])
        assert found.tolist() == expected
        assert found.dtype == np.float64
    assert features_of([[True], [False]], ["a"]).tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pl.DataFrame({"a": [1]}), "every feature must be a column of the table: 'a'. Received: 'b'"),
        (
            pl.DataFrame({"a": [1, 2], "b": [1.0, None]}),
            "column 'b' must hold a value .* a blank in row 2 of the table",
        ),
        (np.ones((2, 3)), r"an array must have rows of 2 features. Received: shape \(2, 3\)"),
        (np.ones(2), r"Received: shape \(2,\)"),
        (np.ones((0, 2)), r"Received: shape \(0, 2\)"),
        ([[1, 2], [3, np.inf]], "column 'b' must hold finite numbers. Received: inf in row 2 of the array"),
        ([[1, 2], [3]], "rows of equal length"),
        ([["1", "2"]], "an array must hold numbers. Received: dtype <U1"),
        (np.array([[1, None]]), "an array must hold numbers. Received: dtype object"),
        (np.ones((1, 2), dtype=complex), "Received: dtype complex128"),
        (7, "or a data frame. Received: int"),
    ],
)
def test_features_that_cannot_be_used_are_refused(table: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        features_of(table, ["a", "b"])


def test_expected_classes_need_not_all_occur_and_keep_their_order(write: Callable[..., Path]) -> None:
    path = write("a,class\n1,x\n2,z\n")
    data = read(path, "class", classes=("z", "y", "x"))
    assert data.classes == ("z", "y", "x")
    assert data.targets.tolist() == [2, 0]
    whole = read(write("a,class\n1,10\n", name="n.csv"), "class", classes=["9", "10"])
    assert whole.targets.tolist() == [1]
    sentence = r"column 'class' must hold only the classes y, z\. Received: 'x' on line 2 of"
    with pytest.raises(InputError, match=sentence):
        read(path, "class", classes=["y", "z"])
