import numpy as np
import pytest

from downslope.data import Dataset
from downslope.errors import InputError
from downslope.network import loss
from downslope.training.preparation import Preparation

F32, F64 = np.dtype("float32"), np.dtype("float64")
ALL = slice(None)


def flowers(order=("a", "b"), classes=("lily", "rose"), labels=(0, 1, 1, 0), name="flowers"):
    columns = {"a": [1.0, 2.0, 3.0, 6.0], "b": [10.0, 10.0, 30.0, 30.0], "c": [0.0, 0.0, 1.0, 5.0]}
    inputs = np.column_stack([columns[column] for column in order])
    return Dataset(name, inputs, np.array(labels), order, classes, ("kind",))


def houses(target=("price", "rent"), features=("area",)):
    columns = {"price": [100.0, 300.0, 200.0, 600.0], "rent": [1.0, 2.0, 3.0, 4.0], "tax": [9.0, 8.0, 7.0, 6.0]}
    inputs = np.array([[1.0], [2.0], [3.0], [4.0]])
    return Dataset("houses", inputs, np.column_stack([columns[t] for t in target]), features, None, target)


def learn(data, rows=(0, 1, 2, 3), *, standardize=True):
    return Preparation.learn(data, np.array(rows), standardize)


def test_scales_are_those_of_the_training_rows_alone():
    data = houses()
    preparation = learn(data, (0, 1, 2))
    assert preparation.inputs.mean.tolist() == [2.0]
    assert preparation.targets.mean.tolist() == [200.0, 2.0]
    assert preparation.targets.scale.tolist() == pytest.approx([np.std([100, 300, 200]), np.std([1, 2, 3])])
    part = preparation.part(data, np.array([3]), F64)
    assert part.inputs.tolist() == pytest.approx(np.array([[2 / np.std([1, 2, 3])]]))
    assert preparation.values(part.targets) == pytest.approx(np.array([[600.0, 4.0]]))


@pytest.mark.parametrize("data", [flowers(), houses()])
def test_without_standardization_everything_stays_as_it_is(data):
    part = learn(data, standardize=False).part(data, ALL, F64)
    assert np.array_equal(part.inputs, data.inputs)
    assert np.array_equal(part.targets, data.targets)


def test_labels_are_never_scaled_and_parts_have_the_networks_type():
    for dtype in (F32, F64):
        part = learn(flowers()).part(flowers(), ALL, dtype)
        assert part.inputs.dtype == dtype
        assert part.inputs.flags.c_contiguous
        assert part.targets.dtype == np.int64
        assert part.targets.tolist() == [0, 1, 1, 0]
        assert learn(houses()).part(houses(), ALL, dtype).targets.dtype == dtype


def test_other_data_are_matched_by_name():
    preparation = learn(flowers())
    own = preparation.part(flowers(), ALL, F64)
    for other in (
        flowers(("b", "a")),
        flowers(("c", "b", "a")),
        flowers(classes=("rose", "lily"), labels=(1, 0, 0, 1)),
        flowers(classes=("rose", "lily"), labels=(1, 0, 0, 1), order=("b", "c", "a")),
    ):
        part = preparation.part(other, ALL, F64)
        assert np.array_equal(part.inputs, own.inputs)
        assert np.array_equal(part.targets, own.targets)
        assert np.array_equal(preparation.inputs_of(other, F64), own.inputs)
    targets = learn(houses())
    swapped = targets.part(houses(("rent", "tax", "price")), ALL, F64)
    assert np.array_equal(swapped.targets, targets.part(houses(), ALL, F64).targets)


@pytest.mark.parametrize(
    ("learned", "other", "message"),
    [
        (flowers(), flowers(("a", "c")), "the data must have a column 'b'. Received: a, c in flowers"),
        (flowers(), flowers(classes=("fern", "rose")), "classes must be among lily, rose. Received: 'fern' in flowers"),
        (flowers(), houses(), "the data must be for classification, as the run is. Received: <Dataset houses"),
        (houses(), flowers(), "the data must be for regression, as the run is. Received: <Dataset flowers"),
        (houses(), houses(("price", "tax")), "the data must have a column 'rent'. Received: price, tax in houses"),
        (houses(), houses(features=("rooms",)), "the data must have a column 'area'. Received: rooms in houses"),
    ],
)
def test_data_that_do_not_fit(learned, other, message):
    with pytest.raises(InputError) as error:
        learn(learned).part(other, ALL, F32)
    assert str(error.value).startswith(message)


def test_numbers_only_float64_can_hold_are_refused_for_float32():
    large = Dataset("large", [[1.0], [1e300]], [[1.0], [2.0]], ("x",), None, ("y",))
    far = Dataset("far", [[1.0], [2.0]], [[1.0], [-1e300]], ("x",), None, ("y",))
    for data, column, value in ((large, "x", "1e+300"), (far, "y", "-1e+300")):
        preparation = learn(data, (0, 1), standardize=False)
        with pytest.raises(InputError) as error:
            preparation.part(data, ALL, F32)
        expected = f"column '{column}' must fit into float32: standardize it, or use dtype='float64'. Received: {value}"
        assert str(error.value) == expected
        assert np.isfinite(preparation.part(data, ALL, F64).inputs).all()
        assert np.isfinite(learn(data, (0, 1)).part(data, ALL, F32).targets).all()
    with pytest.raises(InputError, match="column 'x' must fit into float32"):
        learn(far, (0, 1), standardize=False).inputs_of([[1e39]], F32)


@pytest.mark.parametrize(
    ("classes", "given"),
    [
        (("0", "1", "2"), [0, 1, 2]),
        (("-3", "10"), [-3, 10]),
        (("rose", "lily"), ["rose", "lily"]),
        (("1", "1.5"), ["1", "1.5"]),
        (("01", "02"), ["01", "02"]),
        (("1", " 2"), ["1", " 2"]),
        (("1_0", "2"), ["1_0", "2"]),
        (("NA", "None"), ["NA", "None"]),
        (("9223372036854775807", "1"), [9223372036854775807, 1]),
        (("9223372036854775808", "1"), ["9223372036854775808", "1"]),
        (("9" * 5000, "1"), ["9" * 5000, "1"]),
    ],
)
def test_labels_come_back_as_they_were_given(classes, given):
    data = Dataset("set", np.arange(2.0)[:, None], np.array([0, 1]), ("x",), classes, ("y",))
    predicted = learn(data, (0, 1)).predictions(np.eye(len(classes))).tolist()
    assert predicted == given
    assert [type(label) for label in predicted] == [type(label) for label in given]


def test_probabilities_of_two_outputs_and_of_one():
    preparation = learn(flowers())
    two = preparation.probabilities(loss("cross-entropy"), np.array([[0.0, np.log(3.0)]]))
    one = preparation.probabilities(loss("bce"), np.array([[np.log(3.0)]]))
    assert two == pytest.approx(np.array([[0.25, 0.75]]))
    assert one == pytest.approx(two)
