from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from downslope import data
from downslope.data.dataset import Dataset
from downslope.errors import InputError

GOOD: dict[str, Any] = {
    "name": "toy",
    "inputs": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    "targets": [0, 1, 0],
    "features": ["a", "b"],
    "classes": ["no", "yes"],
    "target": ["answer"],
}
REGRESSION = GOOD | {"targets": [[1.5], [2.5], [0.0]], "classes": None}


def test_arrays_are_copies_of_one_type_and_read_only() -> None:
    given = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.int32)
    toy = Dataset(**GOOD | {"inputs": given})
    given[0, 0] = 99
    assert toy.inputs[0, 0] == 1
    assert toy.inputs.dtype == np.float64
    assert toy.targets.dtype == np.int64
    assert toy.features == ("a", "b")
    for array in (toy.inputs, toy.targets):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert len(toy) == 3
    assert repr(toy) == "<Dataset toy: 3 rows, 2 features, 2 classes>"
    assert toy.kind == "classification"
    assert Dataset(**REGRESSION).kind == "regression"
    assert repr(Dataset(**REGRESSION)) == "<Dataset toy: 3 rows, 2 features, targets answer>"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": [1.0, 2.0, 3.0]}, r"inputs must be an array of rows with 2 columns\. Received: shape \(3,\)"),
        ({"inputs": [[1.0], [2.0], [3.0]]}, r"Received: shape \(3, 1\)"),
        ({"inputs": np.empty((0, 2))}, r"Received: shape \(0, 2\)"),
        (
            {"inputs": [[1, 2], [3, np.nan], [5, 6]]},
            "inputs must hold finite numbers. Received: nan in row 2, column 2",
        ),
        ({"targets": [0, 1]}, "one row for each of the 3 inputs. Received: 2"),
        ({"targets": [0, 1, 2]}, "labels from 0 to 1. Received: 0 to 2"),
        ({"targets": [0, -1, 1]}, "labels from 0 to 1. Received: -1 to 1"),
        ({"targets": [0.0, 1.0, 0.0]}, "1-D array of whole numbers. Received: shape .3,., dtype float64"),
        ({"targets": [[0], [1], [0]]}, "1-D array of whole numbers"),
        ({"features": ["a", "a"]}, "column names must differ from one another. Received: 'a' more than once"),
        ({"target": ["b"]}, "Received: 'b' more than once"),
        ({"features": "ab"}, "features must be a sequence of names"),
        ({"features": [1, 2]}, "features must be a sequence of names"),
        ({"classes": []}, "classes must be a sequence of names"),
        ({"classes": None}, "targets must be an array of rows with 1 columns"),
        ({"classes": None, "targets": [[1.0], [np.inf], [2.0]]}, "targets must hold finite numbers. Received: inf"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Dataset(**GOOD | change)


def test_the_digest_depends_on_content_alone() -> None:
    toy = Dataset(**GOOD)
    assert toy.digest == Dataset(**GOOD | {"name": "other", "seed": 3, "standardize": True}).digest
    changes: list[dict[str, Any]] = [
        {"inputs": [[1.0, 2.0], [3.0, 4.0], [5.0, np.nextafter(6.0, 7.0)]]},
        {"targets": [0, 1, 1]},
        {"features": ["a", "c"]},
        {"classes": ["no", "maybe"]},
        {"target": ["reply"]},
        {"classes": None, "targets": [[0.0], [1.0], [0.0]]},
    ]
    digests = {Dataset(**GOOD | change).digest for change in changes}
    assert len(digests | {toy.digest}) == len(changes) + 1


def test_a_frame_shows_class_names_and_reads_back() -> None:
    spiral = data.spiral(10)
    frame = spiral.frame()
    assert frame.columns == ["x", "y", "class"]
    assert frame["class"].to_list() == ["0"] * 10 + ["1"] * 10 + ["2"] * 10
    again = data.read(frame, target="class")
    assert again.digest == spiral.digest
    toy = Dataset(**REGRESSION)
    assert toy.frame().rows() == [(1.0, 2.0, 1.5), (3.0, 4.0, 2.5), (5.0, 6.0, 0.0)]


def test_a_dataset_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Dataset(**GOOD).name = "x"  # type: ignore[misc]
