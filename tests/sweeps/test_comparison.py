"""`compare`: several optimizers over the same seeds."""

import itertools
import math
import signal
import threading

import numpy as np
import polars as pl
import pytest

import downslope as ds
from downslope.sweeps import Comparison, compare
from downslope.sweeps.comparison_job import LEVELS, labelled, level_above, plan_comparison

TINY = {"network": ds.MLP([2, 6, 3]), "data": ds.data.spiral(samples=6), "engine": "reference"}
THREE = [ds.SGD(0.5, momentum=0.9), ds.Adam(0.05), ds.RMSprop(ds.InverseTime(0.02, decay=0.01))]
SETTINGS = ("loss", "batch_size", "validation", "dtype", "standardize", "engine")


def compared(optimizers=THREE, **changes):
    return compare(optimizers=optimizers, **{"epochs": 12, "seeds": 3, "threads": 2, **TINY, **changes})


def alone(optimizer, seed, *, epochs=12, **changes):
    settings = {name: value for name, value in {**TINY, **changes}.items() if name in SETTINGS}
    run = ds.Run(TINY["network"], changes.get("data", TINY["data"]), optimizer, seed=seed, **settings)
    run.train(epochs)
    return run


@pytest.fixture(scope="module")
def found():
    return compared(reach=1.08, every=1)


@pytest.mark.parametrize("changes", [{}, {"batch_size": 5, "validation": 0.3, "dtype": "float64"}])
def test_every_run_has_the_bits_it_has_alone(changes):
    found = compared(**changes)
    rows = found.frame().to_dicts()
    assert [(row["label"], row["seed"]) for row in rows] == [
        (label, seed) for label in ("sgd", "adam", "rmsprop") for seed in range(3)
    ]
    for row in rows:
        run = alone(THREE[found.labels.index(row["label"])], row["seed"], **changes)
        scores = run.evaluate()
        assert (row["loss"], row["accuracy"]) == (scores["loss"], scores["accuracy"])
        if changes:
            assert row["validation_loss"] == run.evaluate("validation")["loss"]


def test_a_run_has_the_key_that_it_has_in_a_sweep(found):
    swept = ds.sweep(
        optimizer=ds.SGD(momentum=0.9), over={"learning_rate": [0.5]}, epochs=12, seeds=3, threads=1, **TINY
    )
    assert found.frame()["key"].to_list()[:3] == swept.frame()["key"].to_list()


def test_the_epoch_that_reaches_a_loss_is_the_histories_own(found):
    for level in (1.08, 1.1, 1.06, 0.9):
        frame = found.frame(reach=level)
        for row in frame.iter_rows(named=True):
            run = alone(THREE[found.labels.index(row["label"])], row["seed"])
            losses = [*run.history.loss, run.evaluate()["loss"]]
            first = next((epoch for epoch, loss in enumerate(losses) if loss <= level), None)
            assert row["reached"] == first
        assert frame["reached"].is_not_null().any() or level == 0.9


def test_the_same_epochs_where_an_engine_hands_over_many_at_a_time(found):
    """The compiled engine keeps stretches of epochs; its losses may differ in the last bits, not by levels."""
    other = compared(reach=1.08, engine="compiled")
    for row in other.frame().iter_rows(named=True):
        run = alone(THREE[other.labels.index(row["label"])], row["seed"], engine="compiled")
        losses = [*run.history.loss, run.evaluate()["loss"]]
        assert row["reached"] == next((epoch for epoch, loss in enumerate(losses) if loss <= 1.08), None)


def test_a_loss_between_the_round_ones_can_be_asked_for():
    found = compared(reach=1.0823)
    row = found.frame().row(0, named=True)
    run = alone(THREE[0], 0)
    losses = [*run.history.loss, run.evaluate()["loss"]]
    assert found.reach == 1.0823
    assert row["reached"] == next((epoch for epoch, loss in enumerate(losses) if loss <= 1.0823), None)
    sentence = r"reach must be a round number, here 1\.08 or 1\.0823, or the one .*reach=1\.0824"
    with pytest.raises(ds.InputError, match=sentence):
        found.table(reach=1.0824)


def test_a_row_an_optimizer(found):
    frame, table = found.frame(), found.table()
    assert table["label"].to_list() == ["sgd", "adam", "rmsprop"]
    assert table["optimizer"][0] == "SGD(learning_rate=0.5, momentum=0.9)"
    for row in table.iter_rows(named=True):
        mine = frame.filter(frame["label"] == row["label"])
        assert (row["runs"], row["finished"], row["exploded"], row["failed"]) == (3, 3, 0, 0)
        assert row["loss_median"] == np.median(mine["loss"])
        assert row["loss_low"] == pytest.approx(np.quantile(mine["loss"], 0.25), rel=1e-14)
        assert row["accuracy_high"] == pytest.approx(np.quantile(mine["accuracy"], 0.75), rel=1e-14)
        reached = sorted(mine["reached"].drop_nulls())
        assert row["reached_share"] == len(reached) / 3
        assert row["reached_median"] == (reached[1] if len(reached) > 1 else None)
        assert row["seconds"] > 0


def test_half_of_all_runs_must_reach_a_loss_before_there_is_a_median():
    """One of four quick runs must not look like a quick optimizer."""
    one = [ds.SGD(0.5, momentum=0.9)]
    ends = sorted(compared(one, seeds=4).frame()["best_loss"])
    for place, share in enumerate((0.25, 0.5, 0.75, 1.0)):
        row = compared(one, seeds=4, reach=ends[place]).table().row(0, named=True)
        assert row["reached_share"] == share
        assert (row["reached_median"] is None) == (share < 0.5)


def test_curves_are_quantiles_over_the_seeds_and_end_after_the_last_update(found):
    curves = found.curves("loss")
    runs = [alone(THREE[1], seed) for seed in range(3)]
    mine = curves.filter(curves["label"] == "adam")
    assert mine["epoch"].to_list() == list(range(13))
    assert mine["runs"].to_list() == [3] * 13
    losses = np.array([[*run.history.loss, run.evaluate()["loss"]] for run in runs])
    for name, share in (("p5", 0.05), ("p25", 0.25), ("median", 0.5), ("p75", 0.75), ("p95", 0.95)):
        np.testing.assert_allclose(mine[name], np.quantile(losses, share, axis=0), rtol=1e-14)
    rates = found.curves("learning_rate")
    assert rates.filter(rates["label"] == "rmsprop")["median"].to_list() == runs_rate(THREE[2], 12)


def runs_rate(optimizer, epochs):
    return alone(optimizer, 0, epochs=epochs).history.learning_rate.tolist()


@pytest.mark.parametrize(
    "changes", [{"batch_size": 5}, {"network": ds.MLP([2, 6, 3], dropout=0.4)}], ids=["batches", "dropout"]
)
def test_what_is_measured_otherwise_is_not_joined_to_the_training_curves(changes):
    found = compared(validation=0.3, every=1, **changes)
    assert found.curves("loss")["epoch"].max() == 11
    assert found.curves("validation_loss")["epoch"].max() == 12


def test_histories_are_thinned_so_that_memory_stays_bounded():
    found = compared(epochs=1201, seeds=1)
    assert found.every == 4
    curves = found.curves()
    assert curves.filter(curves["label"] == "sgd")["epoch"].to_list() == [*range(0, 1201, 4), 1201]
    assert compared(every=5).every == 5


def test_exploded_runs_are_counted_and_leave_the_curves_where_they_end():
    found = compared([ds.SGD(1e30), ds.SGD(0.1)], labels=["wild", "calm"], every=1)
    table = found.table()
    assert table["exploded"].to_list() == [3, 0]
    assert table["exploded_share"].to_list() == [1.0, 0.0]
    assert table["loss_median"][0] is None
    assert table["reached_share"][0] in (None, 0.0)
    curves = found.curves()
    ends = found.frame().filter(pl.col("label") == "wild")["epochs"]
    mine = curves.filter(curves["label"] == "wild")
    assert mine["epoch"].max() == ends.max() - 1 < 11
    assert [int((ends > epoch).sum()) for epoch in mine["epoch"]] == mine["runs"].to_list()


def test_the_level_tells_those_that_learn_apart():
    """It is where the worst of those ends that come down half as far as the best: half of its runs reach it."""
    found = compared([ds.Adam(0.05), ds.Adam(0.04), ds.SGD(1e-6), ds.SGD(1e30)], epochs=300, seeds=5)
    table = found.table()
    worst = max(table["loss_median"][:2])
    assert found.reach == level_above(worst)
    assert worst <= found.reach <= worst * 1.0251
    assert table["reached_share"].to_list()[2:] == [0.0, 0.0]
    assert min(table["reached_share"][:2]) >= 0.5
    assert compared([ds.SGD(1e30)]).reach is None
    assert compared([ds.SGD(1e-9)]).reach is None


@pytest.mark.parametrize(
    ("loss", "level"), [(0.1713, 0.172), (0.5, 0.5), (2.3, 2.3), (2.301, 2.35), (9.91, 10.0), (0, 1e-12), (1e9, None)]
)
def test_levels_are_round(loss, level):
    assert level_above(loss) == level


def test_levels_are_close():
    assert all(1 < above / below < 1.0251 for above, below in itertools.pairwise(LEVELS))
    assert {0.99, 0.98, 0.5, 0.25, 0.11, 0.1} <= set(LEVELS)


def test_names_tell_optimizers_of_one_rule_apart():
    assert labelled([ds.Adam(), ds.SGD()]) == ["adam", "sgd"]
    assert labelled([ds.SGD(0.1), ds.SGD(1.0)]) == ["sgd lr=0.1", "sgd lr=1"]
    assert labelled([ds.SGD(), ds.SGD(nesterov=True, momentum=0.9)]) == [
        "sgd momentum=0 nesterov=False",
        "sgd momentum=0.9 nesterov=True",
    ]
    assert labelled([ds.Adam(), ds.Adam(), ds.SGD()]) == ["adam (1)", "adam (2)", "sgd"]


def test_the_same_optimizer_twice_is_compared_twice():
    found = compared([ds.Adam(0.05), ds.Adam(0.05)])
    table = found.table()
    assert table["label"].to_list() == ["adam (1)", "adam (2)"]
    assert table["loss_median"][0] == table["loss_median"][1]


def test_tuning_takes_the_best_rate_of_a_sweep_over_other_seeds():
    rates = [1e-4, 0.01, 0.1]
    found = compared(
        [ds.Adam(), ds.SGD(0.3), ds.SGD(ds.Cosine(1.0, steps=12))], tune=[True, False, True], rates=rates, seeds=[0, 2]
    )
    assert found.tuning.seeds == (1, 3, 4)
    assert found.tuning.chosen[1] is None
    for place, optimizer in ((0, ds.Adam()), (2, ds.SGD(ds.Cosine(1.0, steps=12)))):
        swept = ds.sweep(
            optimizer=optimizer, over={"learning_rate": rates}, epochs=12, seeds=[1, 3, 4], threads=1, **TINY
        )
        assert found.tuning.chosen[place].learning_rate == swept.best["learning_rate"]
        cells = found.tuning.cells.filter(pl.col("place") == place)
        assert cells["loss_median"].to_list() == swept.cells()["loss_median"].to_list()
    assert found.optimizers[0] == ds.Adam(found.tuning.chosen[0].learning_rate)
    assert found.optimizers[1] == ds.SGD(0.3)
    assert found.optimizers[2] == ds.SGD(ds.Cosine(found.tuning.chosen[2].learning_rate, steps=12))
    assert found.tuning.chosen[0].at_edge
    assert "learning rates of 2 tuned on other seeds, 2 at the end of those tried" in found.notes()


def test_an_optimizer_whose_tuning_was_lost_keeps_its_rate():
    found = compared([ds.SGD(0.3)], tune=True, rates=[1e30, 1e35], tune_epochs=4)
    assert found.tuning.chosen[0].learning_rate is None
    assert found.tuning.epochs == 4
    assert found.optimizers == (ds.SGD(0.3),)


def test_a_directory_keeps_what_is_done_and_the_same_call_goes_on(tmp_path):
    whole = compared(directory=tmp_path / "a", tune=True, rates=[0.01, 0.1], seeds=2)
    places = []
    again = compared(directory=tmp_path / "a", tune=True, rates=[0.01, 0.1], seeds=2, on_progress=places.append)
    assert places == []  # nothing was left to do
    columns = pl.exclude("seconds")
    assert again.frame().select(columns).equals(whole.frame().select(columns))
    assert again.curves().equals(whole.curves())
    with pytest.raises(ds.InputError, match=r"this comparison, with epochs=13\. Received: .*/a, whose comparison has"):
        compared(directory=tmp_path / "a", seeds=2, epochs=13)
    with pytest.raises(ds.InputError) as caught:
        compared([ds.SGD(0.5)] * 3, directory=tmp_path / "a", seeds=2)
    assert "must be that of this comparison, with optimizers=" in str(caught.value)
    assert f"{tmp_path / 'a'}, whose comparison has optimizers=" in str(caught.value)
    with pytest.raises(ds.InputError, match=r"comparison, with tuning epochs=5\. Received: .*/a, whose tuning has"):
        compared(directory=tmp_path / "a", tune=True, rates=[0.01, 0.1], seeds=2, tune_epochs=5)


def test_an_interrupt_keeps_what_is_done(tmp_path):
    """Pressed when the first runs are done: these are left, in memory and on the disk, and the rest follows later."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals arrive in the main thread only")
    latest = []

    def press(found):
        if not latest:
            signal.raise_signal(signal.SIGINT)
        latest[:] = [found]

    changes = {"seeds": 40, "epochs": 60, "threads": 1, "directory": tmp_path / "a"}
    with pytest.raises(KeyboardInterrupt):
        compared(on_progress=press, **changes)
    part = latest[0]
    assert 0 < part.finished < part.planned == 120
    assert len(part.frame()) == part.finished
    whole_seeds = part.frame()["seed"].value_counts().filter(pl.col("count") == 3)["seed"].sort().to_list()
    assert list(part.seeds) == whole_seeds
    part.plot()
    done = []
    whole = compared(on_progress=lambda found: done.append(found.finished), **changes)
    assert whole.complete
    assert min(done) > part.finished


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize("what", ["runs", "table", "curves"])
def test_data_are_written_whole(found, tmp_path, ending, what):
    file = tmp_path / f"data{ending}"
    found.write(file, what)
    read = (
        pl.read_parquet(file) if ending == ".parquet" else pl.read_csv(file, separator="\t" if "t" in ending else ",")
    )
    expected = {"runs": found.frame(), "table": found.table()}.get(what)
    if expected is None:
        assert set(read["quantity"]) == {"loss", "accuracy"}
        expected = found.curves("accuracy")
        read = read.filter(read["quantity"] == "accuracy").drop("quantity")
    assert read.columns == expected.columns
    number = {"runs": "loss", "table": "loss_median", "curves": "median"}[what]
    assert read[number].to_list() == expected[number].to_list()


def test_regression_has_r2():
    found = compared(network=ds.MLP([1, 5, 1]), data=ds.data.sine(), reach=0.5, seeds=2)
    assert found.score == "r2"
    assert "r2_median" in found.table().columns
    assert math.isfinite(found.curves("r2")["median"][0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"optimizers": []}, r"optimizers must be one optimizer or more, such as .*Received: optimizers=\[\]"),
        ({"optimizers": ds.SGD()}, "optimizers must be one optimizer or more"),
        ({"optimizers": [ds.SGD(), "adam"]}, r"optimizers\[1\] must be an optimizer such as SGD.* Received: .*'adam'"),
        ({"labels": ["a"]}, "labels must be a text for each of the 3 optimizers"),
        ({"labels": ["a", "b", "a"]}, "labels must differ from one another. Received: 'a' more than once"),
        ({"labels": ["a", "b", " "]}, r"labels\[2\] must be a text"),
        ({"reach": 0}, "reach must be above 0. Received: reach=0"),
        ({"every": 0}, "every must be a whole number at least 1"),
        ({"tune": [True]}, "tune must be True, False, or one of them for each of the 3 optimizers"),
        ({"tune": "all"}, "tune must be True or False"),
        ({"tune": True, "rates": [0.0, 1.0]}, "learning_rate must be above 0"),
        ({"tune": True, "tune_epochs": 0}, "tune_epochs must be a whole number at least 1"),
        ({"on_progress": 3}, "on_progress must be a function of the comparison so far"),
        ({"epochs": 0}, "epochs must be a whole number at least 1"),
        ({"seeds": [1, 1]}, "seeds must differ from one another"),
    ],
)
def test_what_is_wrong_is_said_before_any_run(changes, sentence):
    with pytest.raises(ds.InputError, match=sentence):
        compared(**changes)


def test_nothing_finished_has_no_table():
    job = plan_comparison(optimizers=THREE, epochs=3, seeds=2, **TINY)
    assert (job.planned, job.cells) == (6, 3)
    assert job.levels == LEVELS


def test_what_cannot_be_asked_for(found, tmp_path):
    with pytest.raises(ds.InputError, match=r"quantity must be one of loss, accuracy, .*Did you mean 'accuracy'"):
        found.curves("acuracy")
    with pytest.raises(ds.InputError, match=r"path must be a file ending in \.csv, \.tsv or \.parquet"):
        found.write(tmp_path / "runs.xlsx")


class Stopped:
    """A comparison's result of which only some runs are done: the first so many of every optimizer, by the seeds."""

    def __init__(self, whole, done):
        self._whole, self._done = whole._result, done
        self.finished = len(self.runs())

    def _kept(self, rows, seeds=4):
        places = [place * seeds + seed for place, mine in enumerate(self._done) for seed in mine]
        return rows.filter(pl.col("run").is_in(places))

    def runs(self):
        return self._kept(self._whole.runs())

    def histories(self):
        return self._kept(self._whole.histories())


@pytest.fixture(scope="module")
def four_seeds():
    return compared([ds.SGD(0.5, momentum=0.9), ds.Adam(0.05), ds.SGD(1e30)], seeds=[3, 5, 7, 9], every=1)


def stopped(whole, *done):
    return Comparison(whole._job, Stopped(whole, done), whole.labels, None, None)


def test_a_stopped_comparison_compares_the_seeds_that_all_have_done(four_seeds):
    """What one optimizer had besides would be compared with nothing; an exploded run is a run that is done."""
    part = stopped(four_seeds, [0, 1, 2, 3], [0, 1], [0, 1, 2])
    equal = compared(list(four_seeds.optimizers), seeds=[3, 5], every=1)
    assert part.seeds == (3, 5)
    assert part.table().drop("seconds").equals(equal.table().drop("seconds"))
    assert part.curves().equals(equal.curves())
    assert part.reach == equal.reach
    assert len(part.frame()) == part.finished == 9
    assert part.seeds_in_words() == "first 2 seeds of 4"
    assert "first 2 seeds of 4" in part.notes()
    assert "first" not in " ".join(four_seeds.notes())
    assert four_seeds.seeds == (3, 5, 7, 9)


def test_a_stopped_comparisons_picture_is_of_the_same_seeds(four_seeds, monkeypatch):
    drawn = {}

    def keep(table, runs, curves, path, **more):
        drawn.update(more, table=table, runs=runs, curves=curves)

    monkeypatch.setattr("downslope.figures.comparison.comparison_picture", keep)
    stopped(four_seeds, [0, 1, 2, 3], [0, 1], [0, 1, 2]).plot()
    assert drawn["table"]["runs"].to_list() == [2, 2, 2]
    assert sorted(set(drawn["runs"]["seed"])) == [3, 5]
    assert drawn["curves"]["loss"]["runs"].max() == 2
    assert "first 2 seeds of 4" in drawn["subtitle"]


@pytest.mark.parametrize(
    ("done", "seeds", "words"),
    [
        (([0, 1, 2], [0, 2], [0, 2, 3]), (3, 7), "2 seeds of 4"),
        (([0], [0], [0, 1]), (3,), "first 1 seed of 4"),
        (([0, 1], [0], []), (), "none of 4 seeds done by all"),
    ],
)
def test_the_seeds_that_are_compared_in_words(four_seeds, done, seeds, words):
    part = stopped(four_seeds, *done)
    assert (part.seeds, part.seeds_in_words()) == (seeds, words)
    assert part.table()["runs"].to_list() == [len(seeds) or len(one) for one in done]
    part.plot()
