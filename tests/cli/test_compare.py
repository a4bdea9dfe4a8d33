"""`downslope compare`, as a person types it."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

import downslope as ds
from downslope.figures.style import percent
from downslope.sweeps import compare

SMALL = "compare spiral --samples 8 --layers 6 --epochs 20 --engine reference"
TWO = "--optimizer sgd:momentum=0.9,learning_rate=0.5 --optimizer adam:learning_rate=0.05"


@pytest.fixture(autouse=True)
def _in_a_place_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def same(**changes):
    settings = {"epochs": 20, "seeds": 16, "engine": "reference", **changes}
    optimizers = settings.pop("optimizers", [ds.SGD(0.5, momentum=0.9), ds.Adam(0.05)])
    return compare(ds.MLP([2, 6, 3]), ds.data.spiral(samples=8), optimizers, **settings)


def test_optimizers_are_compared_printed_drawn_and_saved(command):
    printed = command(f"{SMALL} {TWO} --reach 1.06 --plot a.png --style dark --save runs.parquet --curves curves.tsv")
    assert printed.status == 0, printed.err
    said = printed.err.splitlines()
    assert said[0] == "spiral: 2 optimizers × 16 seeds = 32 runs of 20 epochs."
    assert re.fullmatch(r"32 runs done \(\d+\.\d s\)\.", said[1])
    assert said[2:] == ["Wrote a.png", "Wrote runs.parquet", "Wrote curves.tsv"]
    found = same(reach=1.06)
    columns = pl.exclude("seconds")
    assert pl.read_parquet("runs.parquet").select(columns).equals(found.frame().select(columns))
    assert len(pl.read_csv("curves.tsv", separator="\t")) == 2 * len(found.curves())
    assert Path("a.png").read_bytes()[:4] == b"\x89PNG"
    heads, *rows = (re.split(r"  +", line) for line in printed.lines)
    assert heads == ["optimizer", "settings", "loss", "quartiles", "accuracy", "epochs to 1.06", "reached", "exploded",
                     "runs", "s a run"]  # fmt: skip
    for row, expected in zip(rows, found.table().iter_rows(named=True), strict=True):
        epochs = expected["reached_median"]
        assert row[0] == expected["label"]
        assert row[2] == f"{expected['loss_median']:.4g}"
        assert row[3] == f"{expected['loss_low']:.4g} – {expected['loss_high']:.4g}"
        assert row[5:9] == ["–" if epochs is None else str(epochs), percent(expected["reached_share"]), "0 %", "16"]
    assert [row[1] for row in rows] == ["lr=0.5, momentum=0.9", "lr=0.05"]


def test_json_is_a_line_an_optimizer_and_the_whole_last(command):
    printed = command(f"{SMALL} {TWO} --optimizer sgd:learning_rate=1e30 --seeds 3,5 --json")
    assert printed.status == 0, printed.err
    rows = [json.loads(line) for line in printed.lines]
    table = same(seeds=[3, 5], optimizers=[ds.SGD(0.5, momentum=0.9), ds.Adam(0.05), ds.SGD(1e30)]).table()
    for row, expected in zip(rows, table.iter_rows(named=True), strict=False):
        assert row.pop("seconds") > 0
        assert row == {name: value for name, value in expected.items() if name != "seconds"}
    assert rows[2]["loss_median"] is None
    final = rows[3]["final"]
    assert (final["runs"], final["planned"], final["tuned"], final["directory"]) == (6, 6, {}, None)
    assert final["reach"] == rows[0]["reach"]


def test_rates_that_are_not_given_are_tuned(command):
    printed = command(
        f"{SMALL} --optimizer adam --optimizer sgd:learning_rate=0.3 --optimizer lion --seeds 2 --tune "
        "--rates 0.001,0.01,0.1 --tune-epochs 5 --json"
    )
    assert printed.status == 0, printed.err
    found = same(
        optimizers=[ds.Adam(), ds.SGD(0.3), ds.Lion()],
        seeds=2, tune=[True, False, True], rates=[0.001, 0.01, 0.1], tune_epochs=5,
    )  # fmt: skip
    chosen = {label: one.learning_rate for label, one in zip(found.labels, found.tuning.chosen, strict=True) if one}
    said = printed.err.splitlines()
    assert said[:2] == [
        "spiral: 3 optimizers × 2 seeds = 6 runs of 20 epochs.",
        "First the learning rates of 2: 3 for each × 3 seeds.",
    ]
    assert [line.partition(",")[0].rstrip(".") for line in said[2:4]] == [
        f"{label}: learning rate {rate:g}" for label, rate in chosen.items()
    ]
    rows = [json.loads(line) for line in printed.lines]
    assert rows[-1]["final"]["tuned"] == chosen
    assert rows[0]["optimizer"] == f"Adam(learning_rate={chosen['adam']})"
    assert rows[1]["optimizer"] == "SGD(learning_rate=0.3)"


def test_a_directory_is_gone_on_with(command):
    line = f"{SMALL} {TWO} --seeds 2 --out kept --json"
    first, second = command(line), command(line)
    assert first.out == second.out  # the seconds too: nothing was trained again
    assert json.loads(second.lines[-1])["final"]["directory"] == "kept"


def test_a_table_of_ones_own_with_a_rule_of_ones_own(command, wine_csv):
    Path("rule.py").write_text(
        "import downslope as ds\n\n\nclass Plain(ds.Optimizer):\n    learning_rate = ds.setting(0.1, above=0, "
        "meaning='size of a step')\n    slots = ()\n\n    def update(xp, parameter, gradient, learning_rate):\n"
        "        return parameter - learning_rate * gradient\n"
    )
    printed = command(
        f"compare {wine_csv} --target class --layers none --epochs 5 --validation 0.3 --batch-size 32 --seeds 2 "
        "--optimizer rule.py:Plain:learning_rate=0.2 --optimizer sgd:learning_rate=0.2"
    )
    assert printed.status == 0, printed.err
    plain, sgd = printed.lines[1:]
    assert plain.split()[0] == "plain"
    assert plain.split()[2:7] == sgd.split()[2:7]
    assert "validation_accuracy" in printed.lines[0]


def test_nothing_but_explosions(command):
    printed = command(f"{SMALL} --optimizer sgd:learning_rate=1e30 --seeds 2 --plot a.svg")
    assert printed.status == 0
    assert printed.lines[1].split()[2:7] == ["–", "–", "–", "100", "%"]
    assert Path("a.svg").exists()


def test_an_interrupt_keeps_prints_and_draws_what_is_done(command):
    slow = SMALL.replace("--epochs 20", "--epochs 2000")
    line = f"{slow} {TWO} --seeds 100 --threads 1 --out kept --plot a.png --save r.csv"
    process = subprocess.Popen(
        [sys.executable, "-m", "downslope", *line.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 300
    while not list(Path().glob("kept/comparison/runs/*.parquet")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, "Traceback" in err) == (130, False), err
    kept = pl.read_csv("r.csv")
    assert 0 < len(kept) < 200
    assert f"Stopped by Ctrl-C with {len(kept)} of 200 runs done: the same command continues." in err.splitlines()
    both = kept["seed"].value_counts()["count"].eq(2).sum()
    said = f"Compared: first {both} seed{'s' * (both != 1)} of 100, which every optimizer has finished."
    assert (said if both else "No seed is done by every optimizer: the table has all runs.") in err.splitlines()
    assert [row.split()[-2] for row in out.splitlines()[1:]] == [str(both)] * 2 or not both
    assert out.startswith("optimizer")
    assert Path("a.png").exists()


WRONG = [
    ("", r"--optimizer must be NAME\[:SETTING=VALUE.*, once for each optimizer\. Received: none"),
    ("--optimizer adm", "Did you mean 'adam'"),
    ("--optimizer sgd:momentum=1.5", r"momentum must be at least 0 and below 1\. Received: momentum=1.5"),
    (f"{TWO} --reach 0", r"reach must be above 0\. Received: reach=0"),
    (f"{TWO} --reach low", "reach must be a number above 0"),
    (f"{TWO} --seeds 0", "seeds must be a whole number at least 1"),
    (f"{TWO} --rates 0.1,1", r"--rates is for --tune\. Received: --rates 0.1,1"),
    (f"{TWO} --tune-epochs 5", r"--tune-epochs is for --tune\. Received: --tune-epochs 5"),
    (f"{TWO} --seeds x", r'seeds must be a count, a list of whole numbers, or "chapter"'),
    (f"{TWO} --threads 0", "threads must be a whole number at least 1 and at most 1024"),
    ("--optimizer adam --tune --rates 0,1", r"learning_rate must be above 0"),
    ("--optimizer adam --tune --rates 1,x", "rates"),
    ("--optimizer adam --tune --tune-epochs 0", "tune_epochs must be a whole number at least 1"),
    (f"{TWO} --out /proc/nowhere", r"--out /proc/nowhere could not be written: "),
    (f"{TWO} --out /dev/null", r"out must be a directory, not a file\. Received: out='/dev/null'"),
    (f"{TWO} --out /dev/null/x", r"out must be a directory, not a file"),
    (f"{TWO} --save x.csv --curves ./x.csv", r"must name different files\. Received: --save x\.csv --curves \./x\.csv"),
    (f"{TWO} --plot a.gif", r"plot must be a file ending in \.png, \.svg or \.pdf"),
    (f"{TWO} --save a.xlsx", r"save must be a file ending in \.csv, \.tsv or \.parquet"),
    (f"{TWO} --learning-rate 3", "No such option.*--learning-rate"),
]


@pytest.mark.parametrize(("options", "sentence"), WRONG)
def test_what_is_wrong_is_said_in_one_sentence(command, options, sentence):
    printed = command(f"{SMALL} {options}")
    assert (printed.status, printed.out) == (2, "")
    assert re.search(sentence, printed.err), printed.err
    assert len(printed.err.splitlines()) == 1


def test_the_table_that_is_read_is_not_written_over(command, wine_csv):
    before = wine_csv.read_bytes()
    printed = command(f"compare {wine_csv} --target class --optimizer adam --save {wine_csv}")
    assert printed.status == 2
    assert "is the data itself" in printed.err
    assert wine_csv.read_bytes() == before


def test_nothing_to_tune_is_said(command):
    printed = command(f"{SMALL} {TWO} --seeds 1 --tune")
    assert printed.status == 0
    said = "--tune has nothing to tune: every optimizer is given its learning rate."
    assert printed.err.splitlines()[1] == said
    assert said not in command(f"{SMALL} {TWO} --optimizer lion --seeds 1 --tune --rates 0.01 --tune-epochs 1").err


def test_the_directory_of_another_comparison_is_named_as_it_was_typed(command):
    assert command(f"{SMALL} {TWO} --seeds 2 --out kept").status == 0
    printed = command(f"{SMALL} {TWO} --seeds 3 --out kept")
    assert printed.status == 2
    sentence = r"directory must be that of this comparison, with seeds=.* Received: kept, whose comparison has seeds="
    assert re.search(sentence, printed.err), printed.err


def test_help_names_the_seeds_that_are_taken(command):
    assert "or chapter, which draws" in " ".join(command("compare --help").out.split())
