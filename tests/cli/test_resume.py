"""`downslope train --save` and `downslope resume`, as a person types them."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import downslope as ds
from downslope.cli import resume

TRAIN = "train spiral --layers 8 --optimizer sgd --learning-rate 0.5"


def test_resumed_is_the_run_in_one_go(command, tmp_path):
    first = command(f"{TRAIN} --epochs 200 --batch-size 64 --every 50 --save", tmp_path / "a")
    more = command("resume --epochs 100 --every 50", tmp_path / "a")
    whole = command(f"{TRAIN} --epochs 300 --batch-size 64 --every 50 --save", tmp_path / "b")
    assert (first.status, more.status, whole.status) == (0, 0, 0), more.err
    assert first.lines + more.lines == whole.lines
    one, other = (ds.Run.load(tmp_path / name) for name in "ab")
    assert np.array_equal(one.parameters, other.parameters)
    assert f"downslope resume {tmp_path / 'a'} --epochs N" in first.err


def test_what_is_set_holds_from_there_and_is_in_the_log(command, tmp_path):
    command(f"{TRAIN} --epochs 20 --save", tmp_path / "a")
    steered = command("resume --epochs 11 --every 10 --set learning_rate=0.25 --set batch-size=100", tmp_path / "a")
    assert steered.status == 0, steered.err
    assert "step 20: change by user: learning_rate=0.25 (was 0.5), batch_size=100 (was 300)" in steered.err
    assert steered.lines[1].endswith("lr: 0.25")
    shown = command("resume --epochs 0 --json", tmp_path / "a")
    event, final = map(json.loads, shown.lines)
    assert event["event"]["settings"]["learning_rate"] == ["0.5", "0.25"]
    assert (final["final"]["epochs"], final["final"]["steps"]) == (31, 53)


def test_without_epochs_it_does_what_is_left(command, tmp_path):
    command(f"{TRAIN} --epochs 20 --save", tmp_path / "a")
    assert "It has done the 20 epochs it was asked for" in command("resume", tmp_path / "a").err
    (tmp_path / "a" / "plan.json").write_text('{"epochs": 31}')
    assert command("resume --every 10", tmp_path / "a").lines[-1].startswith("epoch: 30,")


WRONG = [
    ("--set momentum=2", "momentum must be at least 0 and below 1"),
    ("--set learning_rate", "--set must be given as name=value"),
    ("--set wings=2", "wings must be a setting of sgd"),
    ("--batch-size 3 --set batch_size=4", "batch_size must be given once"),
    ("--set batch_size=0", "batch_size must be a whole number at least 1"),
    ("--decay 1 --schedule constant", "give --decay or --schedule, not both"),
    ("--autosave 0", "autosave must be above 0"),
    ("--epochs 1.5", "epochs must be a whole number"),
    ("--rule mine.py", "--rule must be given as script.py:Class"),
    ("--rule=", "--rule must be given as script.py:Class. Received: --rule ''"),
    ("--rule mine.py:Mine", "--rule must be script.py:Class. Received: mine.py:Mine, and there is no file 'mine.py'"),
    ("--set=", "--set must be given as name=value. Received: --set ''"),
    ("--decay 1 --schedule constant", "Received: --decay 1 --schedule constant"),
    ("--set learning_rate=constant --decay 1", "give a schedule once. Received: Constant(0.5) and --decay 1"),
    ("--epochs 1e20", "must be a whole number at least 0 and at most 9223372036854775807. Received: epochs=1e+20"),
    ("--set batch_size=1e20", "at most 9223372036854775807. Received: batch_size=1e+20"),
]


@pytest.mark.parametrize(("options", "sentence"), WRONG)
def test_wrong_input_is_one_sentence_and_changes_nothing(command, tmp_path, options, sentence):
    command(f"{TRAIN} --epochs 5 --save", tmp_path / "a")
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    printed = command(f"resume {options}", tmp_path / "a")
    assert (printed.status, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert sentence in printed.err
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before


def test_a_directory_in_use_or_without_a_run_is_refused(command, tmp_path):
    saved = command(f"{TRAIN} --epochs 5 --save", tmp_path / "a")
    assert saved.status == 0
    again = command(f"{TRAIN} --epochs 5 --save", tmp_path / "a")
    assert (again.status, "which holds a run: go on with it" in again.err) == (2, True)
    assert "there are runs in it: a" in command("resume", tmp_path).err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    assert "holds other files" in command(f"{TRAIN} --epochs 5 --save", tmp_path / "other").err


def test_a_broken_newest_checkpoint_is_skipped_and_said(command, tmp_path):
    command(f"{TRAIN} --epochs 5 --save", tmp_path / "a")
    newest = max((tmp_path / "a").glob("checkpoint-*.json"))
    newest.write_bytes(newest.read_bytes()[:-9])
    printed = command("resume --epochs 1 --every 1", tmp_path / "a")
    assert printed.status == 0
    assert "was skipped" in printed.err
    assert "At epoch 0 (step 0)" in printed.err


def test_the_guard_stops_with_status_1_and_the_last_good_state_is_saved(command, tmp_path):
    line = "train line --optimizer sgd --learning-rate 1e6 --epochs 50 --guard stop --save"
    printed = command(line, tmp_path / "a")
    assert printed.status == 1
    assert command("resume --epochs 0", tmp_path / "a").status == 0


def test_ctrl_c_saves_and_a_second_command_is_refused(tmp_path):
    def downslope(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "downslope", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=tmp_path, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    first = downslope(*TRAIN.split(), "--epochs", "100000000", "--every", "10", "--save", "a")
    first.stdout.readline()
    second = downslope("resume", "a", "--epochs", "1")
    _, told = second.communicate(timeout=300)
    assert (second.returncode, "another one is training it" in told) == (2, True)
    first.send_signal(signal.SIGINT)
    _, told = first.communicate(timeout=300)
    assert first.returncode == 130
    done = int(re.search(r"with ([\d,]+) epochs? done", told).group(1).replace(",", ""))
    assert ds.Run.load(tmp_path / "a").epoch == done


def _started(arguments, place, **handled):
    """Start the command where some signals are handled so: what ignores one passes that on to what it starts."""
    handled = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL, **handled}
    before = {name: signal.signal(getattr(signal, name), handler) for name, handler in handled.items()}
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "downslope", *TRAIN.split(), *arguments.split()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("usual", [signal.default_int_handler, signal.SIG_IGN])
def test_what_ends_a_command_otherwise_saves_like_ctrl_c(tmp_path, number, usual):
    """Also where Ctrl-C is ignored, as it is in a shell's background job."""
    process = _started("--epochs 100000000 --every 10 --save a", tmp_path, SIGINT=usual)
    process.stdout.readline()
    process.send_signal(number)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    done = int(re.search(rf"Stopped by {number.name} with ([\d,]+) epochs? done", told).group(1).replace(",", ""))
    assert ds.Run.load(tmp_path / "a").epoch == done


def test_a_signal_that_nohup_ignores_stays_ignored(tmp_path):
    process = _started("--epochs 300 --every 1", tmp_path, SIGHUP=signal.SIG_IGN)
    first = process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    rest, _ = process.communicate(timeout=300)
    assert (process.returncode, first[:9]) == (0, "epoch: 0,")
    assert "epoch: 299," in rest


def test_what_is_changed_is_on_the_disk_before_the_plan_is(command, tmp_path, monkeypatch):
    """A kill between the two must not leave a plan that goes on without the change."""
    command(f"{TRAIN} --epochs 20 --save", tmp_path / "a")
    there = []

    def planned(directory, epochs):
        run = ds.Run.load(directory)
        there.append((epochs, run.optimizer.learning_rate, run.guard.policy, len(run.log)))

    monkeypatch.setattr(resume, "plan", planned)
    command("resume --epochs 5 --set learning_rate=0.2 --guard rollback", tmp_path / "a")
    assert there == [(25, 0.2, "rollback", 2)]


@pytest.mark.parametrize("line", ["resume", "branch", f"{TRAIN} --save", f"{TRAIN} --plot", "resume a --history"])
def test_an_empty_text_is_not_the_present_directory(command, tmp_path, monkeypatch, line):
    command(f"{TRAIN} --epochs 5 --save", tmp_path)
    monkeypatch.chdir(tmp_path)
    refused = command(line, "")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert re.search(r"must be a (directory|file).*, not an empty text\. Received: \w+=''", refused.err)


def test_another_guard_on_a_saved_run(command, tmp_path):
    command(f"{TRAIN} --epochs 20 --save", tmp_path / "a")
    assert "step 20: guard by user: off (was warn)" in command("branch --guard off", tmp_path / "a").err
    put = command("resume --guard rollback", tmp_path / "a")
    assert (put.status, put.lines) == (0, [])
    assert "step 20: guard by user: rollback (was warn)" in put.err
    assert ds.Run.load(tmp_path / "a").guard == ds.Guard("rollback")
    assert command("resume --guard off --epochs 3", tmp_path / "a").status == 0
    off = ds.Run.load(tmp_path / "a")
    assert (off.guard, off.epoch) == (None, 23)
    assert command("resume --guard clip --epochs 2", tmp_path / "a").status == 0
    assert ds.Run.load(tmp_path / "a").guard == ds.Guard("clip")
    made = command("branch --at 0 --guard clip --epochs 2", tmp_path / "a")
    assert made.status == 0, made.err
    assert ds.Run.load(tmp_path / "a-3").guard == ds.Guard("clip")


def test_another_policy_leaves_the_rest_of_the_guard(command, tmp_path):
    run = ds.Run(ds.MLP([2, 4, 3]), ds.data.spiral(10), ds.SGD(0.5), guard=ds.Guard("stop", factor=4))
    run.save(tmp_path / "a")
    assert command("resume --guard rollback --epochs 1", tmp_path / "a").status == 0
    assert ds.Run.load(tmp_path / "a").guard == ds.Guard("rollback", factor=4)
