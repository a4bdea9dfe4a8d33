import json
import signal
import sys
from contextlib import contextmanager

import polars as pl
import pytest

import downslope as ds
from downslope.data import SETS
from downslope.training.rate_test import RateTest, find_rate

SMALL = "find-rate spiral --samples 10 --layers 8 --optimizer sgd --momentum 0.9"


def test_it_prints_a_table_the_suggestion_and_the_threshold(command):
    printed = command(SMALL)
    assert (printed.status, printed.err) == (0, "")
    run = ds.Run(ds.MLP([2, 8, 3]), ds.data.spiral(samples=10), ds.SGD(momentum=0.9))
    test = find_rate(run)
    assert printed.lines[0].split() == ["learning", "rate", "loss", "smoothed"]
    assert printed.lines[1].split() == ["1e-06", f"{test.losses[0]:.4g}", f"{test.smoothed[0]:.4g}"]
    assert printed.lines[9].split()[0] == f"{test.rates[-1]:.4g}"
    assert printed.lines[10] == f"suggested learning rate: {test.suggestion:.2g}"
    assert printed.lines[11] == (
        f"training holds at {test.held:.3g}, explodes from {test.threshold:.3g} on (200 updates at a constant rate)"
    )
    assert len(printed.lines) == 12


def test_json_is_a_line_a_rate_and_what_was_found_last(command, tmp_path):
    printed = command(f"{SMALL} --steps 30 --hold 20 --seeds 2 --json --table", tmp_path / "rates.csv")
    assert printed.status == 0
    *rows, last = [json.loads(line) for line in printed.lines]
    frame = pl.read_csv(tmp_path / "rates.csv")
    assert frame.rows(named=True) == rows
    first, second = last["final"].pop("seeds")
    assert last["final"] == first
    assert first["level"] != second["level"]
    assert first["hold"] == 20
    assert all(trial["steps"] <= 20 for trial in first["trials"])


def test_several_seeds_give_a_median_and_a_range(command):
    lines = command(f"{SMALL} --seeds 3 --seed 5").lines
    data = ds.data.spiral(samples=10)
    found = [find_rate(ds.Run(ds.MLP([2, 8, 3]), data, ds.SGD(momentum=0.9), seed=seed)) for seed in (5, 6, 7)]
    suggested, threshold = ([getattr(one, name) for one in found] for name in ("suggestion", "threshold"))
    told = [f"{sorted(rates)[1]:.2g} ({min(rates):.2g} to {max(rates):.2g})" for rates in (suggested, threshold)]
    assert lines[-1] == f"3 seeds: suggested {told[0]}; explodes from {told[1]}"


def test_the_picture_of_several_seeds_shows_their_range(command, tmp_path):
    few, many = tmp_path / "few.svg", tmp_path / "many.svg"
    assert command(f"{SMALL} --seeds 3 --seed 5 --plot", many).status == 0
    data = ds.data.spiral(samples=10)
    found = [find_rate(ds.Run(ds.MLP([2, 8, 3]), data, ds.SGD(momentum=0.9), seed=seed)) for seed in (5, 6, 7)]
    found[0].plot(few, others=found[1:])
    assert many.read_bytes() == few.read_bytes()
    found[0].plot(few)
    assert many.read_bytes() != few.read_bytes()


def test_a_saved_run_is_tested_as_it_stands_and_stays_as_it_is(command, tmp_path):
    saved = tmp_path / "run"
    run = ds.Run(ds.MLP([2, 8, 3]), ds.data.spiral(samples=10), ds.Adam(0.05), batch_size=8, seed=3)
    run.train(6)
    run.save(saved)
    before = {path.name: path.read_bytes() for path in saved.rglob("*") if path.is_file()}
    printed = command("find-rate", saved)
    assert printed.status == 0, printed.err
    test = find_rate(run)
    assert f"suggested learning rate: {test.suggestion:.2g}" in printed.lines
    assert {path.name: path.read_bytes() for path in saved.rglob("*") if path.is_file()} == before


def test_a_run_of_a_rule_of_ones_own_says_how_to_name_it(command, tmp_path):
    script = tmp_path / "mine.py"
    script.write_text("from downslope import SGD\n\nclass Mine(SGD):\n    pass\n")
    train = f"train spiral --samples 10 --layers 4 --epochs 2 --optimizer {script}:Mine --save"
    assert command(train, tmp_path / "run").status == 0
    told = command("find-rate", tmp_path / "run")
    assert told.status == 2
    assert told.err.endswith("; name it with --rule script.py:Class\n")
    assert command("find-rate", tmp_path / "run", "--rule", f"{script}:Mine", "--hold", "0").status == 0


def test_the_status_counts_one_as_one(command, monkeypatch):
    told = []

    @contextmanager
    def status():
        yield told.append

    monkeypatch.setattr(sys.modules["downslope.cli.find_rate"], "_status", status)
    assert command(f"{SMALL} --from 1e37 --to 1e38 --hold 5").status == 0
    assert "1 constant rate tried" in told
    assert "1 rate tested" in told


def test_pictures_are_written(command, tmp_path):
    printed = command(f"{SMALL} --steps 30 --hold 20 --plot", tmp_path / "rates.png")
    assert printed.status == 0
    assert (tmp_path / "rates.png").read_bytes()[:4] == b"\x89PNG"
    assert f"Wrote {tmp_path / 'rates.png'}" in printed.err


def test_a_range_that_ends_too_early_is_told(command):
    told = ", a lower bound: the loss was still falling at the end, raise --to"
    printed = command(f"{SMALL} --to 0.01 --hold 0")
    assert printed.err == ""
    assert printed.lines[-1].startswith("suggested learning rate: 0.0")
    assert printed.lines[-1].endswith(told)
    assert told not in command(f"{SMALL} --hold 0").out
    for line, bound in (("--to 0.01", True), ("", False)):
        final = json.loads(command(f"{SMALL} --hold 0 --json {line}").lines[-1])["final"]
        assert final["lower_bound"] is bound


def test_a_range_that_begins_too_late_is_told(command):
    printed = command(f"{SMALL} --from 50")
    assert printed.lines[-2:] == [
        "no suggestion: the loss never fell",
        "training explodes already at 50 (200 updates at a constant rate), the smallest rate tried: lower --from",
    ]


def test_a_number_of_epochs_has_no_meaning_here(command):
    printed = command(f"{SMALL} --epochs 4")
    assert (printed.status, printed.out) == (2, "")
    assert printed.err.startswith("downslope: No such option '--epochs'. ")


def test_what_rounding_lets_fall_has_not_fallen(command):
    printed = command("find-rate spiral --from 1e-30 --to 1e-20 --hold 0")
    assert printed.lines[-1] == "no suggestion: the loss never fell"


@pytest.mark.parametrize("pieces", [1, 15])
def test_ctrl_c_prints_what_was_found_so_far(command, monkeypatch, tmp_path, pieces):
    done = []

    class Interrupting(RateTest):
        def __init__(self, *values):
            super().__init__(*values)
            done.append(self)
            if len(done) == pieces:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sys.modules["downslope.training.rate_test"], "RateTest", Interrupting)
    printed = command(f"{SMALL} --table", tmp_path / "rates.csv")
    assert printed.status == 130
    assert printed.err.startswith("Stopped by Ctrl-C: this is what was found so far.")
    assert len(pl.read_csv(tmp_path / "rates.csv")) == len(done[-1].rates)
    words = "no suggestion yet" if pieces == 1 else "suggested learning rate: "
    assert any(line.startswith(words) for line in printed.lines)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (f"{SMALL} --from 0", "from must be above 0. Received: from=0"),
        (f"{SMALL} --to x", "to must be a number above 0. Received: to='x'"),
        (f"{SMALL} --from 2 --to 1", "to must be above from, which is 2. Received: to=1"),
        (
            f"{SMALL} --from 1e-320 --to 1e308",
            "to must be at most 1.8e+308 times from, which is 9.99989e-321. Received: to=1e+308",
        ),
        (
            "find-rate t/oen",
            f"SOURCE must be one of {', '.join(SETS)}, a path to a .csv, .tsv, .parquet file, or the directory of a "
            "saved run. Received: 't/oen'",
        ),
        (f"{SMALL} --steps 1", "steps must be a whole number at least 2. Received: steps=1"),
        (f"{SMALL} --hold 1.5", "hold must be a whole number at least 0. Received: hold=1.5"),
        (f"{SMALL} --seeds 0", "seeds must be a whole number at least 1. Received: seeds=0"),
        (f"{SMALL} --plot x.gif", "plot must be a file ending in .png, .svg or .pdf. Received: plot='x.gif'"),
        (f"{SMALL} --table x.txt", "table must be a file ending in .csv, .tsv or .parquet. Received: table='x.txt'"),
        (
            f"{SMALL} --rule a.py:A",
            "--rule must be given for a saved run only: a new one takes --optimizer script.py:Class",
        ),
        (
            f"{SMALL} --data-seed chapter --seeds 2",
            "seeds must be 1 where the seed is no number. Received: --seeds 2 with 'chapter'",
        ),
        ("find-rate .", "SOURCE must be a directory with a saved run. Received: ., which holds none"),
        ("find-rate . --momentum 0.5", "--momentum must be left out for a saved run, which is tested as it stands"),
        ("find-rate . --seeds 2", "seeds must be 1 for a saved run, which has its own. Received: --seeds 2"),
    ],
)
def test_wrong_input_is_one_sentence(command, line, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = command(line)
    assert (printed.status, printed.out) == (2, "")
    assert printed.err == f"downslope: {sentence}\n"
    assert list(tmp_path.iterdir()) == []
