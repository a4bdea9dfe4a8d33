"""A data set from two arrays."""

import numpy as np
import pandas as pd
import pytest

from downslope.data import arrays
from downslope.errors import InputError

X = np.arange(12.0).reshape(6, 2) ** 1.5


@pytest.mark.parametrize(
    ("targets", "kind", "classes"),
    [
        (["b", "a", "b", "a", "b", "a"], "classification", ("a", "b")),
        ([2, 10, 2, 10, 2, 2], "classification", ("2", "10")),
        ([True, False, True, True, False, False], "classification", ("False", "True")),
        ([0.5, 1.5, 2.5, 0.5, 0.0, 1.0], "regression", None),
        (np.linspace(0, 1, 12).reshape(6, 2), "regression", None),
        ([[1], [2], [1], [2], [1], [1]], "classification", ("1", "2")),
    ],
)
def test_targets_decide_the_kind(targets, kind, classes):
    data = arrays(X, targets)
    assert (data.kind, data.classes) == (kind, classes)
    assert data.inputs.tolist() == X.tolist()
    assert data.features == ("x1", "x2")
    if classes is None:
        assert data.targets.ravel().tolist() == np.ravel(targets).tolist()
    else:
        assert [classes[label] for label in data.targets] == [str(value) for value in np.ravel(targets)]
    assert data.standardize


def test_a_data_frame_keeps_its_names_and_text_stays_labels():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 1.5, 0.0, 2.0]})
    data = arrays(frame, [str(i % 2) + ".5" for i in range(4)])
    assert (data.features, data.classes) == (("a", "b"), ("0.5", "1.5"))
    assert arrays(frame, np.array([b"x", b"y", b"x", b"y"])).classes == ("x", "y")
    assert arrays(frame, pd.Series(["x", "y", "x", "y"])).classes == ("x", "y")


def test_one_dimension_is_one_column_and_names_can_be_given():
    data = arrays([1.0, 2.0, 4.0], [1.5, 2.5, 3.0], features=["size"])
    assert (data.inputs.shape, data.features, data.target) == ((3, 1), ("size",), ("target",))


def test_whole_numbers_are_numbers_when_asked():
    assert arrays(X, [1, 2, 1, 2, 1, 2], kind="regression").kind == "regression"


@pytest.mark.parametrize(
    ("inputs", "targets", "options", "sentence"),
    [
        (X, [1, 2], {}, "targets must have one row for each of the 6 inputs. Received: 2"),
        (X, [1.0, 2, 3, 4, 5, np.nan], {}, "column 'target' must hold .* row 6"),
        ([[1.0, np.inf], [2, 3]], [0.5, 1.5], {}, "column 'x2' must hold .* row 1"),
        ([["a", "b"]], [1], {}, "inputs must hold numbers"),
        ([[1, 2], [3]], [1, 2], {}, "inputs must have rows of equal length"),
        (np.zeros((0, 2)), [], {}, "inputs must have at least one row and one column"),
        (np.zeros((2, 2, 2)), [1, 2], {}, "inputs must have at least one row and one column"),
        (X, [1, 1, 1, 1, 1, 1], {}, "must name at least two classes"),
        (X, [1, 2] * 3, {"features": ["a"]}, "features must name each of the 2 columns. Received: 1 names"),
        (X, [1, 2] * 3, {"features": ["a", "a"]}, "features must differ from one another"),
        (X, [1, 2] * 3, {"features": ["a", "target"]}, "features must differ from one another and from 'target'"),
        (X, [1, 2] * 3, {"kind": "ranking"}, "kind must be one of"),
        (X, np.array(["a", None] * 3, dtype=object), {}, "column 'target' must hold a value in every row.* in row 2"),
        (X, np.array(["a", np.nan] * 3, dtype=object), {}, "column 'target' must hold a value in every row.* in row 2"),
        (X, np.ma.masked_array([1, 2] * 3, [0, 1] * 3), {}, "targets must have no masked values"),
        (X, [1, 2] * 3, {"features": "ab"}, "features must be a list of names. Received: features='ab'"),
        (X, [0.5] * 5 + [1.0], {"kind": "classification"}, "must hold labels"),
    ],
)
def test_wrong_arrays_are_one_sentence(inputs, targets, options, sentence):
    with pytest.raises(InputError, match=sentence):
        arrays(inputs, targets, **options)
