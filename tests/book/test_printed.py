import json
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope.book import printed
from downslope.book.printed import PRINTED, PrintedRow, chapter_run, optimizer_of, reproduced, same_decimals

# The first printed epoch that our run does not meet. The engine gives the same bits on every processor.
PARTS_AT = {
    "sgd_lr_0.85": 2000,
    "sgd_decay_1e-2": None,
    "sgd_decay_1e-3": 1700,
    "sgd_momentum_0.5": 200,
    "sgd_momentum_0.9": 100,
    "adagrad": 100,
    "rmsprop": 100,
    "rmsprop_tuned": 100,
}


def test_every_printed_number_is_there():
    content = json.loads(Path(printed.__file__).with_name("printed_runs.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in content["runs"]] == list(PRINTED) == list(PARTS_AT)
    for run in content["runs"]:
        here = PRINTED[run["name"]]
        rows = [{name: value for name, value in row._asdict().items() if value is not None} for row in here.rows]
        assert (here.figure, here.settings, rows) == (run["figure"], run["settings"], run["printed"])
    assert sum(len(run.rows) for run in PRINTED.values()) == 119


def test_a_row_as_the_chapter_prints_it():
    line = "epoch: 100, acc: 0.443, loss: 1.053, lr: 0.9099181073703367"
    assert PRINTED["sgd_momentum_0.9"].row(100).line() == line
    assert PRINTED["sgd_lr_0.85"].row(0).line() == "epoch: 0, acc: 0.360, loss: 1.099"
    with pytest.raises(ds.InputError, match=r"epoch must be one that the book prints for adagrad \(0, 100, "):
        PRINTED["adagrad"].row(101)


def test_settings_become_rules():
    assert PRINTED["sgd_lr_0.85"].optimizer() == ds.SGD(0.85)
    assert PRINTED["rmsprop_tuned"].optimizer() == ds.RMSprop(ds.InverseTime(0.02, decay=1e-5), rho=0.999)
    assert optimizer_of({"optimizer": "Adam", "decay": 0.1}) == ds.Adam(ds.InverseTime(0.001, decay=0.1))
    with pytest.raises(ds.InputError, match="optimizer must be one of"):
        optimizer_of({"optimizer": "Adamm"})
    with pytest.raises(ds.InputError, match="momentum must be at least 0 and below 1"):
        optimizer_of({"optimizer": "SGD", "momentum": 1.5})


def test_a_run_of_ones_own_settings_has_the_chapters_data_and_weights():
    ours, theirs = chapter_run({"optimizer": "Adam"}), chapter_run("adagrad")
    assert (ours.seed, ours.epoch, repr(ours.optimizer)) == ("chapter", 0, repr(ds.Adam()))
    assert np.array_equal(ours.parameters, theirs.parameters)
    assert ours.data.digest == theirs.data.digest
    with pytest.raises(ds.InputError, match=r"which must be one of sgd_lr_0.85, .* Did you mean 'adagrad'?"):
        chapter_run("adagrat")


@pytest.mark.parametrize("name", PRINTED)
def test_our_rows_beside_the_books(name):
    found = reproduced(name)
    assert found.parts_at == PARTS_AT[name]
    assert found.learning_rates_met
    assert [row.book for row in found.rows] == list(PRINTED[name].rows)
    for row in found.rows:
        assert (row.accuracy_decimals == 3) == (f"{row.ours.accuracy:.3f}" == f"{row.book.accuracy:.3f}")
        assert (row.loss_decimals == 3) == (f"{row.ours.loss:.3f}" == f"{row.book.loss:.3f}")
        assert row.learning_rate_met == (None if name == "sgd_lr_0.85" else True)
        assert row.met == (row.accuracy_decimals == 3 and row.loss_decimals == 3)
    frame = found.frame()
    assert frame["our_loss"].to_list() == [row.ours.loss for row in found.rows]
    assert frame["book_learning_rate"].to_list() == [row.learning_rate for row in PRINTED[name].rows]


def test_decimals_are_counted_from_the_point_on():
    pairs = [(0.173, 0.17349), (0.173, 0.1736), (0.173, 0.195), (0.173, 0.213), (1.0, 0.9999), (1.0, 0.9994)]
    assert [same_decimals(book, ours) for book, ours in pairs] == [3, 2, 1, 0, 3, 0]


def test_a_learning_rate_that_differs_is_told():
    row = PRINTED["adagrad"].row(100)
    other = row._asdict() | {"learning_rate": row.learning_rate + 1e-16}
    beside = printed._beside(row, other)
    assert not beside.met
    found = printed.Reproduction("adagrad", (beside,))
    assert (found.learning_rates_met, found.parts_at) == (False, 100)
    assert printed._beside(row, row._asdict()).met
    assert printed._beside(PrintedRow(0, 0.36, 1.099, None), row._asdict()).learning_rate_met is None
