import json
import re
import subprocess
import sys

import polars as pl
import pytest

from downslope.book.catalogue import entries, entry
from downslope.book.making import make, read_records
from downslope.book.printed import PRINTED


@pytest.fixture(scope="module")
def momentum(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return folder, make(entry("fig10.19"), folder, movies=())


def test_a_printed_run_shows_every_printed_row_beside_ours(momentum):
    _, made = momentum
    (table,) = made.tables
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    printed = PRINTED["sgd_momentum_0.9"].rows
    assert [row["epoch"] for row in rows] == [f"{row.epoch:,}" for row in printed]
    assert [float(row["loss"]) for row in rows] == [row.loss for row in printed]
    assert [float(row["acc"]) for row in rows] == [row.accuracy for row in printed]
    assert [row["learning rate"] for row in rows] == [repr(row.learning_rate) for row in printed]
    assert rows[0]["acc here"] == "0.360"
    for row in rows:
        assert 0 <= float(row["seeds %"]) <= 100
        assert 0 <= float(row["last bit %"]) <= 100


def test_ours_are_what_the_run_recorded(momentum):
    folder, made = momentum
    history = pl.read_csv(folder / "fig10.19.csv")
    assert len(history) == 10_001
    for row in made.tables[0].rows:
        recorded = history.row(int(row[0].replace(",", "")), named=True)
        assert (row[3], row[4]) == (f"{recorded['accuracy']:.3f}", f"{recorded['loss']:.3f}")


def test_a_row_that_differs_is_marked(momentum):
    _, made = momentum
    for row in made.tables[0].rows:
        assert (row[5] == "≠") == (row[1:3] != row[3:5])
    met = sum(row[5] != "≠" for row in made.tables[0].rows)
    assert f"{met} of {len(made.tables[0].rows)} rows" in made.tables[0].notes[0]


def test_the_run_that_can_be_met_is_met():
    (table,) = make(entry("fig10.16")).tables
    assert all(row[5] == " " for row in table.rows)
    assert len(table.rows) == 17
    assert table.notes[:2] == [
        "17 of 17 rows meet the book to every printed digit.",
        "Every printed learning rate is met to all its digits.",
    ]


def test_files_are_there_and_recorded(momentum):
    folder, made = momentum
    names = {file.name for file in made.files}
    assert names == {
        *("fig10.19.png", "fig10.19-spread.png", "fig10.19.csv", "fig10.19-printed.csv", "fig10.19.py"),
    }
    assert {path.name for path in folder.iterdir()} == names | {"records"}
    assert read_records(folder) == [made]


def test_a_broken_record_is_left_alone(momentum):
    folder, made = momentum
    (folder / "records" / "decay.json").write_text("{")
    (folder / "records" / "claims.json").write_text(json.dumps({"key": "claims"}))
    (folder / "records" / "fig10.02.json").write_text("null")
    (folder / "records" / "else.json").write_text("[]")
    assert read_records(folder) == [made]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make(entry("decay")).files == []
    assert list(tmp_path.iterdir()) == []


def test_the_decay_is_as_the_chapter_prints_it():
    (table,) = make(entry("decay")).tables
    rates = dict(table.rows)
    assert rates["1"] == "0.9090909090909091"
    assert rates["19"] == "0.3448275862068965"
    assert rates["20"] == "0.3333333333333333"


def test_every_entry_has_a_table_or_is_a_function():
    for one in entries().values():
        if one.kind != "claims" and one.printed is None and one.kind != "training":
            made = make(one)
            assert bool(made.tables) == (one.key != "fig10.02")


def test_the_script_runs_and_meets_the_first_rows(momentum):
    folder, _ = momentum
    text = (folder / "fig10.19.py").read_text()
    assert "range(10001)" in text
    (folder / "short.py").write_text(text.replace("range(10001)", "range(101)"))
    done = subprocess.run([sys.executable, folder / "short.py"], capture_output=True, text=True, check=True)
    rows = PRINTED["sgd_momentum_0.9"].rows[:1]
    lines = done.stdout.splitlines()
    assert lines[0] == rows[0].line()
    assert lines[1].endswith("lr: 0.9099181073703367")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("name", "arguments", "left"),
    [
        ("sgd", ["learning_rate", "decay", "momentum"], "weight_momentums, bias_momentums"),
        ("adagrad", ["learning_rate", "decay", "epsilon"], "weight_cache, bias_cache"),
        ("rmsprop", ["learning_rate", "decay", "epsilon", "rho"], "weight_cache, bias_cache"),
        (
            "adam",
            ["learning_rate", "decay", "epsilon", "beta_1", "beta_2"],
            "weight_momentums, bias_momentums, weight_cache, bias_cache",
        ),
    ],
)
def test_a_class_shows_its_arguments_its_slots_and_its_rule(name, arguments, left):
    made = make(entry(f"optimizer_{name}"))
    (table,) = made.tables
    assert [row[0] for row in table.rows] == arguments
    found = table.notes[-1].removeprefix("It leaves on a layer: ").removesuffix(".").split(", ")
    assert sorted(found) == sorted(left.split(", "))
    assert any("←" in note for note in table.notes)
    scope = {"Any": object, "staticmethod": lambda function: function}
    exec(compile(made.script, name, "exec"), scope)  # the listing is the rule: it compiles, and is called update
    assert callable(scope["update"])


def test_claims_say_how_often_they_hold():
    (table,) = make(entry("claims")).tables
    assert table.words == 1
    for claim, book, ours, *shares in table.rows:
        assert claim
        assert {book, ours} <= {"yes", "no"}
        for share in shares:
            whole, *interval = (int(digits) for digits in re.findall(r"\d+", share))
            assert len(interval) == 2
            assert all(0 <= one <= 100 for one in (whole, *interval))
