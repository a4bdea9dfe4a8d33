import copy
import pickle

import numpy as np
import pytest

from downslope.engines.problem import EpochRecord
from downslope.errors import InputError
from downslope.training import History


def record(epoch):
    return EpochRecord(*(epoch + 0.125 * place for place in range(len(EpochRecord._fields))))


def filled(epochs, kind="classification", *, validation=True):
    history = History(kind, validation=validation)
    for epoch in range(epochs):
        history.extend([epoch], [record(epoch)])
    return history


COMMON = ("epoch", "loss", "accuracy", "learning_rate", "penalty", "gradient_norm", "update_ratio", "largest_weight")


@pytest.mark.parametrize(
    ("kind", "validation", "names"),
    [
        ("classification", False, COMMON),
        ("classification", True, (*COMMON, "validation_loss", "validation_accuracy")),
        ("regression", False, tuple(name.replace("accuracy", "r2") for name in COMMON)),
        ("regression", True, (*(n.replace("accuracy", "r2") for n in COMMON), "validation_loss", "validation_r2")),
    ],
)
@pytest.mark.parametrize("epochs", [0, 1, 64, 65, 300])
def test_columns_rows_and_frame_hold_what_was_put(kind, validation, names, epochs):
    history = filled(epochs, kind, validation=validation)
    assert history.names == names
    assert len(history) == epochs
    assert set(names) <= set(dir(history))
    assert history.epoch.tolist() == list(range(epochs))
    for place, name in enumerate(names[1:]):
        assert getattr(history, name).tolist() == [epoch + 0.125 * place for epoch in range(epochs)]
        assert getattr(history, name).dtype == np.float64
    frame = history.frame()
    assert tuple(frame.columns) == names
    assert frame.height == epochs
    if epochs:
        last = dict(zip(names, [epochs - 1, *record(epochs - 1)], strict=False))
        assert history.row(-1) == history.row(epochs - 1) == frame.row(-1, named=True) == last
        assert history.row(-epochs) == history.row(0)


def test_arrays_are_read_only_and_stay_what_they_were():
    history = filled(64)
    early = history.loss
    with pytest.raises(ValueError, match="read-only"):
        early[0] = 1.0
    for epoch in range(64, 200):
        history.extend([epoch], [record(epoch)])
    assert early.tolist() == list(range(64))
    history.frame().get_column("loss").to_numpy().copy()


def test_records_take_the_place_of_all_from_the_first_of_them_on():
    history = filled(5)
    history.extend([4], [record(4)])  # the last one again, as after an interruption
    assert history.loss.tolist() == [0, 1, 2, 3, 4]
    history.extend([], [])
    assert len(history) == 5
    history.extend(np.arange(2, 200), np.array([record(epoch) for epoch in range(2, 200)]) + 0.5)
    assert history.loss[:4].tolist() == [0, 1, 2.5, 3.5]
    assert len(history) == 200
    history.extend([1], [record(7)])
    assert history.loss.tolist() == [0, 7]


def test_epochs_need_not_be_all_there():
    history = filled(2)
    history.extend([10, 20], [record(10), record(20)])
    assert history.epoch.tolist() == [0, 1, 10, 20]
    assert history.row(10)["loss"] == 10
    assert history.row(-1)["epoch"] == 20
    assert history.frame()["epoch"].to_list() == [0, 1, 10, 20]
    with pytest.raises(InputError, match=r"epoch must be one that was recorded\. Received: epoch=11"):
        history.row(11)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("accurracy", "it has epoch, loss, accuracy"), ("r2", "no 'r2'"), ("validation_loss", "validation=…")],
)
def test_a_missing_column_says_which_there_are(name, hint):
    with pytest.raises(AttributeError, match=hint):
        getattr(filled(1, validation=False), name)


@pytest.mark.parametrize(
    ("epochs", "asked", "message"),
    [
        (3, 3, "epoch must be a whole number at least -3 and at most 2. Received: epoch=3"),
        (3, -4, "epoch must be a whole number at least -3 and at most 2. Received: epoch=-4"),
        (3, 1.0, "epoch must be a whole number at least -3 and at most 2. Received: epoch=1.0"),
        (0, -1, "epoch must be asked for after training: the history is empty. Received: epoch=-1"),
    ],
)
def test_a_row_that_is_not_there(epochs, asked, message):
    with pytest.raises(InputError) as error:
        filled(epochs).row(asked)
    assert str(error.value) == message


def test_repr_and_copies():
    assert repr(filled(0)) == "<History: no epoch yet>"
    assert repr(filled(3)) == "<History: 3 epochs, last loss 2, accuracy 2.125>"
    history = filled(70)
    for copied in (copy.deepcopy(history), pickle.loads(pickle.dumps(history)), history.copy()):
        copied.extend([70], [record(70)])
        assert (len(copied), len(history)) == (71, 70)
        assert copied.loss[:70].tolist() == history.loss.tolist()
