import sys
import types

import numpy as np
import polars as pl
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.sweeps import SweepResult, open_sweep
from downslope.sweeps.store import Store
from downslope.sweeps.work import Finished


@pytest.fixture
def made(tiny):
    """A function: a result like a tiny sweep's, with rows changed by hand."""

    def of(rows, **changes):
        whole = tiny(**changes)
        table = whole._store.runs().filter(pl.col("run").is_in(list(rows)))
        replaced = [{**row, **rows[row["run"]]} for row in table.to_dicts()]
        store = Store(whole.settings)
        store.add(Finished(pl.DataFrame(replaced, schema=table.schema), None, None, 0.0))
        return SweepResult(store)

    return of


def test_frame_has_the_promised_columns(tiny):
    start = ["key", "learning_rate", "momentum", "seed", "epochs", "steps", "outcome", "message", "loss", "accuracy"]
    end = ["first_loss", "best_loss", "best_epoch", "largest_weight", "digest"]
    assert tiny().frame().columns == start + end
    validated = tiny(validation=0.3)
    assert validated.frame().columns == [*start, "validation_loss", "validation_accuracy", *end]
    assert validated.frame().schema["seed"] == pl.UInt64
    kinds = tiny(over={"nesterov": [False, True], "batch_size": [4, 9], "momentum": [0.9]}).frame().schema
    assert [kinds[name] for name in ("nesterov", "batch_size", "momentum")] == [pl.Boolean, pl.Int64, pl.Float64]


def test_the_chapters_seed_is_a_word(tiny):
    result = tiny(data=ds.data.spiral(samples=6, seed="chapter"), seeds="chapter")
    assert result.frame()["seed"].to_list() == ["chapter"] * 6
    assert result.complete


def test_cells_are_quartiles_over_the_seeds_that_did_not_explode(made):
    losses = {0: 1.0, 1: 3.0, 2: 2.0, 3: 7.0, 4: 1e9}
    rows = {run: {"loss": loss, "outcome": "exploded" if run == 4 else "finished"} for run, loss in losses.items()}
    rows |= {run: {"loss": 5.0, "outcome": "exploded"} for run in range(5, 10)}
    rows |= {10: {"loss": None, "outcome": "failed"}, 12: {"loss": 4.0}}
    cells = made(rows, seeds=5).cells()
    assert cells["runs"].to_list() == [5, 5, 2]
    assert cells["exploded"].to_list() == [1, 5, 0]
    assert cells["failed"].to_list() == [0, 0, 1]
    assert cells["learning_rate"].to_list() == [0.01, 0.01, 0.1]
    assert cells["momentum"].to_list() == [0.0, 0.9, 0.0]
    assert cells["loss_median"].to_list() == [2.5, None, 4.0]
    assert cells["loss_low"].to_list() == [1.75, None, 4.0]
    assert cells["loss_high"].to_list() == [4.0, None, 4.0]
    assert [f"{name}_median" in cells.columns for name in ("accuracy", "best_loss", "largest_weight")] == [True] * 3


def test_values_that_are_no_numbers_are_left_out(made):
    rows = {0: {"accuracy": float("nan")}, 1: {"accuracy": 0.5}, 2: {"accuracy": float("nan")}, 3: {"loss": 1.0}}
    rows[3]["accuracy"] = float("nan")
    assert made(rows).cells()["accuracy_median"].to_list() == [0.5, None]


def test_best_is_the_lowest_median_of_cells_that_hold(made):
    rows = {run: {"loss": 0.5} for run in range(12)}
    assert made(rows).best["learning_rate"] == 0.01  # of equals the first
    rows[6] = rows[7] = {"loss": 0.25}
    best = made(rows).best
    assert (best["learning_rate"], best["momentum"], best["loss"]) == (0.1, 0.9, 0.25)
    assert set(best) == {"learning_rate", "momentum", "loss", "accuracy", "best_loss", "largest_weight"}
    rows[7] = {"loss": 9e9, "outcome": "exploded"}
    assert made(rows).best["learning_rate"] == 0.01  # half of its runs exploded
    rows = {run: {"outcome": "exploded"} for run in range(11)} | {11: {"loss": 3.0}}
    assert made(rows).best["loss"] == 3.0  # better than nothing


def test_best_is_none_where_everything_was_lost(made):
    assert made({run: {"outcome": "exploded"} for run in range(12)}).best is None
    assert made({run: {"outcome": "failed", "loss": None} for run in range(12)}).best is None


def test_a_sweep_in_which_everything_explodes(tiny):
    result = tiny(over={"learning_rate": [1e30, 1e35]}, dtype="float32")
    assert result.best is None
    assert result.cells()["exploded"].to_list() == [2, 2]
    assert result.frame()["message"].str.starts_with("Training stopped at epoch").all()


def test_history_and_parameters_are_those_of_the_run(tiny, tmp_path):
    result = tiny(directory=tmp_path, history_every=1, keep_parameters=True, batch_size=5)
    for opened in (result, open_sweep(tmp_path)):
        row = opened.frame().row(5, named=True)
        run = ds.Run(
            ds.MLP([2, 6, 3]),
            ds.data.spiral(samples=6),
            ds.SGD(row["learning_rate"], momentum=row["momentum"]),
            seed=row["seed"],
            batch_size=5,
            engine="reference",
        )
        run.train(4)
        assert opened.history(row["key"]).equals(run.history.frame())
        kept = opened.parameters(row["key"])
        assert (kept.dtype, kept.tobytes()) == (np.float32, run.parameters.tobytes())


def test_what_was_not_kept_is_refused(tiny, tmp_path):
    result = tiny()
    key = result.frame()["key"][0]
    with pytest.raises(InputError, match="history must be asked of a sweep with history_every"):
        result.history(key)
    with pytest.raises(InputError, match="parameters must be asked of a sweep with keep_parameters"):
        result.parameters(key)
    kept = tiny(history_every=1, keep_parameters=True)
    with pytest.raises(InputError, match=r"key must be that of a finished run, as in frame\(\)\. Received: key='abc'"):
        kept.history("abc")
    tiny(directory=tmp_path)
    text = (tmp_path / "settings.json").read_text()
    (tmp_path / "settings.json").write_text(text.replace('"format": 1', '"format": 99'))
    with pytest.raises(InputError, match="no newer than this one"):
        open_sweep(tmp_path)
    with pytest.raises(InputError, match="directory must be the directory of a sweep"):
        open_sweep(3)


def test_before_the_first_run(tiny):
    result = SweepResult(Store(tiny().settings))
    assert (result.finished, result.complete, result.best) == (0, False, None)
    with pytest.raises(InputError, match="a sweep must have a finished run before it has a table"):
        result.frame()


def test_what_a_result_says_of_itself(tiny):
    result = tiny(ds.SGD(nesterov=True))
    assert repr(result) == "<SweepResult of SGD(nesterov=True) over learning_rate, momentum: 12 of 12 runs>"
    schedule = tiny(ds.SGD(ds.InverseTime(0.5, decay=0.1)), over={"learning_rate": [0.1]})
    assert schedule.optimizer.startswith("SGD(learning_rate=InverseTime(0.5, decay=0.1), ")
    assert result.over["learning_rate"].values == (0.01, 0.1, 1.0)
    assert result.settings["epochs"] == 4


def test_plot_hands_its_cells_to_the_picture(tiny, monkeypatch):
    calls = []
    figures = types.ModuleType("downslope.figures")
    figures.MapAxis = lambda *values, **named: (*values, named)
    figures.map_picture = lambda *values, **named: calls.append((values, named)) or "picture"
    monkeypatch.setitem(sys.modules, "downslope.figures", figures)
    result = tiny(over={"learning_rate": [0.01, 10], "batch_size": [4, 9]})
    assert result.plot("map.png", quantity="accuracy", style="dark") == "picture"
    ((axes, cells, path), named) = calls[0]
    assert axes == [
        ("learning_rate", (0.01, 10.0), True, {"unit": None}),
        ("batch_size", (4, 9), False, {"unit": "rows"}),
    ]
    assert (len(cells), path) == (4, "map.png")
    wanted = {"quantity": "accuracy", "seeds": 2, "style": "dark", "title": "SGD on spiral", "planned": 8}
    told = "SGD(momentum=0.0, nesterov=False)  ·  4 epochs"
    assert named == {**wanted, "subtitle": told}
    with pytest.raises(InputError, match=r"quantity must be one of loss, accuracy, .* Did you mean 'loss'\?"):
        result.plot(quantity="los")
