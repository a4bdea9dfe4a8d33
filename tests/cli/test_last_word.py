"""The last word of a command that saves: where the run is, and how to go on, or back."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import downslope as ds
from downslope import figures
from downslope.cli import saved
from downslope.cli.lines import Lines
from downslope.cli.wreck import wrecked_by
from downslope.engines.guard import GOOD
from downslope.training.log import Entry
from downslope.training.saving import Autosave

TRAIN = "train spiral --layers 8 --optimizer sgd --learning-rate 0.5"


def test_a_directory_another_process_went_on_with_is_left_and_the_run_kept_beside(command, tmp_path, monkeypatch):
    command(f"{TRAIN} --epochs 20 --save", tmp_path / "a")
    train = ds.Run.train

    def train_and_be_overtaken(run, *given, **options):
        other = ds.Run.load(tmp_path / "a")
        train(other, 3)
        other.save(tmp_path / "a")
        train(run, *given, **options)

    monkeypatch.setattr(ds.Run, "train", train_and_be_overtaken)
    done = command("resume --epochs 10", tmp_path / "a")
    assert f"Not saved in {tmp_path / 'a'}: directory must be new, or as this run left it" in done.err
    assert f"Saved in {tmp_path / 'a-2'}." in done.err
    assert json.loads((tmp_path / "a-2" / "plan.json").read_text()) == {"epochs": 30}
    assert [ds.Run.load(tmp_path / name).epoch for name in ("a", "a-2")] == [23, 30]


@pytest.mark.parametrize("name", ["-a", "it's", b"\xff\xfe '\\"])
def test_what_is_printed_can_be_run_whatever_the_directory_is_called(tmp_path, name):
    def downslope(line, *more):
        return subprocess.run(
            ["bash", "-c", f"{sys.executable} -m downslope {line} " + ' "$@"', "bash", *more],
            capture_output=True, cwd=tmp_path, check=False,
        )  # fmt: skip

    try:
        (tmp_path / os.fsdecode(name)).mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    made = downslope(f"{TRAIN} --epochs 5", "--save", os.fsencode(name))
    assert made.returncode == 0, made.stderr
    [hint] = re.findall(r"To go on: downslope (resume .*) --epochs N\n", made.stderr.decode())
    again = downslope(f"{hint} --epochs 2")
    assert (again.returncode, again.stderr.count(b"Traceback")) == (0, 0), again.stderr
    assert ds.Run.load(tmp_path / os.fsdecode(name)).epoch == 7
    [hint] = re.findall(r"go on with it by `downslope (.*)`", downslope(TRAIN, "--save", name).stderr.decode())
    assert downslope(f"{hint} --epochs 0").returncode == 0


def test_a_reader_of_json_that_leaves_does_not_lose_the_last_word(command, tmp_path):
    command(f"{TRAIN} --epochs 5 --save", tmp_path / "a")
    script = f"set -o pipefail; {sys.executable} -m downslope resume a --epochs 100000 --every 1 --json | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 141
    assert "Saved in a. To go on to epoch 100,005: downslope resume a\n" in done.stderr
    assert ds.Run.load(tmp_path / "a").epoch > 5


@pytest.fixture
def press(monkeypatch):
    """Ctrl-C, while a function is at work."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def in_(owner, name):
        work = getattr(owner, name)

        def interrupted(*given, **options):
            signal.raise_signal(signal.SIGINT)
            return work(*given, **options)

        monkeypatch.setattr(owner, name, interrupted)

    yield in_
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_again_and_again_never_takes_the_last_word(command, tmp_path, press, monkeypatch):
    """While it trains, draws, sums up and looks where to go on; each ends only what is under way."""
    line = f"{TRAIN} --epochs 1000000 --every 10 --plot {tmp_path / 'a.png'} --save"
    monkeypatch.setattr(figures, "training_picture", lambda run, path: path.write_bytes(b""))
    for owner, name in ((Lines, "epoch"), (figures, "training_picture"), (Lines, "summary"), (saved, "wrecked_by")):
        press(owner, name)
    done = command(line, tmp_path / "a")
    assert done.status == 130
    stopped, files, last = done.err.splitlines()[-3:]
    assert stopped == "Stopped by Ctrl-C with 1 epoch done."
    assert files == "Interrupted: not every file that was asked for is written."
    assert last == f"Saved in {tmp_path / 'a'}."
    assert ds.Run.load(tmp_path / "a").epoch == 1


def test_ctrl_c_while_it_is_saved_is_said(command, tmp_path, press, monkeypatch):
    command(f"{TRAIN} --epochs 20 --save", tmp_path / "a")
    monkeypatch.setattr(Autosave, "holds", lambda *_: False)
    press(Autosave, "_save")
    press(ds.Run, "save")
    done = command("resume --epochs 10", tmp_path / "a")
    assert done.status == 130
    assert done.err.splitlines()[-1] == f"NOT saved: interrupted; {tmp_path / 'a'} holds the run as it was before."
    assert ds.Run.load(tmp_path / "a").epoch == 20


def test_where_no_directory_takes_the_run_that_is_said_and_the_old_one_is_whole(command, tmp_path, monkeypatch):
    command(f"{TRAIN} --epochs 20 --save", tmp_path / "a")
    train = ds.Run.train

    def full(run, directory):
        directory.mkdir(exist_ok=True)
        (directory / "data-1").write_text("as far as it came")
        raise OSError(errno.ENOSPC, "No space left on device")

    def train_while_the_disk_fills_up(run, *given, **options):
        monkeypatch.setattr(ds.Run, "save", full)
        monkeypatch.setattr(Autosave, "holds", lambda *_: False)
        train(run, *given, **options)

    monkeypatch.setattr(ds.Run, "train", train_while_the_disk_fills_up)
    done = command("resume --epochs 10", tmp_path / "a")
    assert "NOT saved: " in done.err
    assert "No space left on device" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert ds.Run.load(tmp_path / "a").epoch >= 20


def test_after_an_explosion_the_hint_is_a_lower_rate_and_it_works(command, tmp_path):
    done = command(f"{TRAIN} --epochs 40 --guard stop --save", tmp_path / "a")
    assert done.status == 0
    burst = command("resume --epochs 40 --set learning_rate=500", tmp_path / "a")
    assert burst.status == 1
    [hint] = re.findall(r"To go on with a lower rate: downslope (resume .* --set learning_rate=\S+)", burst.err)
    assert command(f"{hint} --epochs 5").status == 0


def test_a_run_wrecked_after_an_alarm_is_told_how_to_go_back_and_that_works(command, tmp_path):
    """Under "warn" nothing is undone: to go on with a wrecked run is no help."""
    fine = command("train spiral --optimizer sgd --learning-rate 0.5 --epochs 400 --save", tmp_path / "a")
    assert "To go on: downslope resume" in fine.err
    wrecked = command("resume --epochs 60 --set learning_rate=60", tmp_path / "a")
    assert wrecked.status == 0
    assert re.search(r"^step 40\d: alarm: ", wrecked.err, re.MULTILINE)
    assert "To go on" not in wrecked.err
    pattern = r"its loss is \S+, and was 1\.0\d before the alarm at step 40\d\. To go back .*: downslope (branch .*)"
    [hint] = re.findall(pattern, wrecked.err)
    assert hint.split()[-4:] == ["--at", "400", "--set", "learning_rate=0.5"]
    again = command(f"{hint} --epochs 20")
    assert again.status == 0
    assert ds.Run.load(tmp_path / "a-2").evaluate()["loss"] < 1.03
    later = command("resume --epochs 20", tmp_path / "a")  # no alarm in this command
    assert "To go on: downslope resume" in later.err


def test_a_ripple_is_no_wreck(command, tmp_path):
    """Long training at the edge of stability has alarms after which the loss is a hundredth higher."""
    line = "train spiral --optimizer sgd --learning-rate 0.5 --epochs 45000 --every 50000 --save"
    done = command(line, tmp_path / "a")
    run = ds.Run.load(tmp_path / "a")
    before = [run.history.loss[entry.good] for entry in run.log if entry.kind == "alarm"]
    assert min(before) < run.evaluate()["loss"]
    assert f"To go on: downslope resume {tmp_path / 'a'} --epochs N" in done.err


# What is beyond mending, whether the guard saw it come or not, and at a rate of any size.
BEYOND = [
    ("sine --learning-rate 5 --guard off", ["--at-epoch", "0"], "0.1"),
    ("sine --learning-rate 5", ["--at", "0"], "0.1"),
    ("sine --learning-rate 0.05", None, None),
    ("digits --learning-rate 1e20 --batch-size 32", ["--at", "0"], "0.1"),
    ("digits --learning-rate 1e20 --optimizer adam --batch-size 32", ["--at", "0"], "0.001"),
]


def _way_back(printed):
    found = re.findall(r"To go back to there with a lower rate: downslope (branch \S+ .*)", printed.err)
    return found[0] if found else None


@pytest.mark.parametrize(("options", "back", "rate"), BEYOND)
def test_from_a_loss_that_is_not_finite_the_way_leads_back_and_as_far_as_was_asked_for(
    command, tmp_path, options, back, rate
):
    burst = command(f"train {options} --epochs 30 --every 1000 --save", tmp_path / "a", *_sgd(options))
    if back is None:
        assert (burst.status, _way_back(burst)) == (0, None)
        return
    assert burst.status == 1
    assert not np.isfinite(ds.Run.load(tmp_path / "a").evaluate()["loss"])
    assert "resume" not in burst.err
    hint = _way_back(burst)
    assert hint.split()[2:] == [*back, "--set", f"learning_rate={rate}"]
    assert command(f"{hint} --every 1000").status == 0
    run = ds.Run.load(tmp_path / "a-2")
    assert (run.epoch, bool(np.isfinite(run.evaluate()["loss"]))) == (30, True)


def _sgd(options):
    return [] if "--optimizer" in options else ["--optimizer", "sgd"]


@pytest.mark.parametrize("guard", ["warn", "off"])
def test_a_rate_that_comes_too_late_is_advised_for_the_way_back(command, tmp_path, guard):
    """In a state whose loss is not finite no rate helps, however low: not a tenth of it is advised, but to go back."""
    command(f"train sine --optimizer sgd --learning-rate 5 --epochs 30 --guard {guard} --save", tmp_path / "a")
    late = command("resume --guard warn --set learning_rate=0.001", tmp_path / "a")
    assert late.status == 1
    hint = _way_back(late)
    assert hint.endswith(" 0 --set learning_rate=0.001")
    assert command(hint).status == 0


def test_a_rate_that_went_well_is_advised_where_another_burst_without_a_guard(command, tmp_path):
    command("train sine --optimizer sgd --learning-rate 0.01 --epochs 40 --guard off --save", tmp_path / "a")
    burst = command("resume --epochs 40 --set learning_rate=500", tmp_path / "a")
    assert burst.status == 1
    lowest = int(np.argmin(ds.Run.load(tmp_path / "a").history.loss))
    assert lowest > 30
    assert _way_back(burst).split()[2:] == ["--at-epoch", str(lowest), "--set", "learning_rate=0.01"]


def test_a_guard_that_came_too_late_knows_no_good_state(command, tmp_path):
    """What it found when it came is as good as any to it, but not to whoever goes back."""
    start = "train sine --optimizer sgd --learning-rate 5 --epochs 12 --guard off --save"
    assert command(start, tmp_path / "a").status == 0
    burst = command("resume --guard warn --epochs 30", tmp_path / "a")
    assert burst.status == 1
    assert _way_back(burst).split()[2:4] == ["--at-epoch", "0"]


def test_the_step_a_run_stands_at_is_no_way_back():
    run = ds.Run(ds.MLP([2, 8, 3]), ds.data.spiral(20), ds.SGD(0.5))
    run.train(40)
    run.change(learning_rate=1e30)
    with pytest.raises(ds.NonFiniteError) as burst:
        run.train(40, on_event=lambda *_: None)
    memory = run.state.guard.copy()
    memory[GOOD] = run.step  # as where the last step looked well, until its loss was known
    run._now = replace(run._now, state=replace(run.state, guard=memory))
    wreck = wrecked_by(run, [], burst.value)
    assert wreck.back == ("--at-epoch", str(int(np.argmin(run.history.loss))))


def test_a_loss_that_was_never_finite_has_no_way_back(command, tmp_path):
    (tmp_path / "far.csv").write_text("x,y\n" + "".join(f"{row},{row}e30\n" for row in range(1, 9)))
    line = "--target y --no-standardize --epochs 3 --optimizer sgd --save"
    burst = command("train", tmp_path / "far.csv", *line.split(), tmp_path / "a")
    assert burst.status == 1
    assert "its loss is inf from the start: no learning rate helps against that." in burst.err


def test_an_alarm_from_which_the_loss_recovered_is_no_wreck():
    run = ds.Run(ds.MLP([2, 8, 3]), ds.data.spiral(20), ds.SGD(0.5), batch_size=20)  # three steps an epoch
    run.train(40)
    early, late = (Entry(3 * epoch, epoch, "alarm", "guard", "", good=3 * epoch - 5) for epoch in (2, 40))
    watch = Entry(9, 3, "watch", "guard", "")
    assert wrecked_by(run, [early, watch]) is None
    run.change(learning_rate=500.0)
    with pytest.warns(ds.GuardWarning):
        run.train(5)
    wreck = wrecked_by(run, [early, late, watch])
    assert (wreck.back, wreck.before, wreck.loss) == (("--at", "115"), run.history.loss[38], run.evaluate()["loss"])
