"""`downslope tree`, as a person types it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import downslope as ds
from downslope.training import saved_document
from downslope.training.tree import Forest, Node

TRAIN = "train spiral --layers 8 --optimizer sgd --learning-rate 0.5"


@pytest.fixture
def runs(command, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    assert command(f"{TRAIN} --epochs 60 --save runs/a").status == 0
    assert command("branch runs/a --at 30 --set learning_rate=0.001 --save runs/slow").status == 0
    assert command("branch runs/slow --at 40 --set momentum=0.9 --save runs/fast --epochs 100").status == 0
    return tmp_path / "runs"


def test_which_came_from_which_with_what_changed_and_which_is_best(command, runs):
    printed = command("tree runs")
    assert printed.status == 0, printed.err
    assert max(map(len, printed.lines)) <= 80
    _, first, second, third, *_ = printed.lines
    assert first.startswith("a ")
    assert "SGD(lr=0.5" in first
    assert second.startswith("└─ slow")
    assert second.endswith("from step 30: lr=0.001")
    assert third.startswith("   └─ fast")
    assert third.endswith("from step 40: momentum=0.9")
    assert printed.out.count(" * ") == 1
    rows = [json.loads(line) for line in command("tree runs --json").lines]
    assert [row["name"] for row in rows] == ["a", "slow", "fast"]
    assert rows[2]["parent"]["name"] == "slow"
    best = min(rows, key=lambda row: row["numbers"]["loss"])
    assert [row["name"] for row in rows if row["best"]] == [best["name"]]


def test_orphans_copies_and_broken_ones_are_said(command, runs):
    shutil.copytree(runs / "fast", runs / "fast-10")
    shutil.rmtree(runs / "slow")
    for path in (runs / "a").glob("checkpoint-*.json"):
        path.write_bytes(b"{}")
    printed = command("tree runs")
    assert printed.status == 0
    assert "which is not here" in printed.out
    assert "the same run as fast" in printed.out
    assert "a cannot be read: " in printed.out


def test_where_every_run_is_broken_that_is_said(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "u" / "x").mkdir(parents=True)
    (tmp_path / "u" / "x" / "checkpoint-00000001.json").write_text("{}")
    printed = command("tree u")
    assert (printed.status, len(printed.lines)) == (0, 1)
    assert printed.out.startswith("x cannot be read: directory must hold a whole checkpoint. Received: ")


def test_a_directory_without_runs_is_refused(command, tmp_path):
    (tmp_path / "file").write_text("")
    for text, told in (("", "holds none"), ("nope", "which does not exist"), ("file", "which is a file")):
        refused = command("tree", str(tmp_path / text))
        assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert text == "" or refused.err.endswith(f"Received: {tmp_path / text}, {told}\n")


def test_a_run_that_lost_a_file_says_so(command, runs):
    [data] = (runs / "slow").glob("data-*")
    data.unlink()
    for arrays in (runs / "fast").glob("checkpoint-*.safetensors"):
        arrays.write_bytes(arrays.read_bytes()[:100])
    newest = max((runs / "a").glob("checkpoint-*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:100])
    printed = command("tree runs")
    assert printed.status == 0
    assert f"slow cannot go on: the data stored with it must be whole, where {data.name} is missing" in printed.lines
    assert any(line.startswith("a: checkpoint ") and line.endswith(_cut_off(newest)) for line in printed.lines)
    assert any(line.startswith("fast cannot be read: ") and "has 100 bytes, not " in line for line in printed.lines)
    assert not any("fast " in line for line in printed.lines[1:3])  # no row
    rows = {row["name"]: row for row in map(json.loads, command("tree runs --json").lines)}
    assert rows["slow"]["lacking"] == [f"{data.name} is missing"]
    assert rows["a"]["lacking"] == []
    assert rows["fast"].keys() == {"name", "broken"}
    assert command("resume runs/slow --epochs 1").status == 2


def _cut_off(path):
    [document] = [one for one in path.parent.glob("checkpoint-*.json") if one.stem == path.name[: len(one.stem)]]
    return f"{path.name} has 100 bytes, not {json.loads(document.read_bytes())['content']['arrays']['size']}"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="done in a process of nobody's")
def test_a_folder_without_permission_is_said(command):
    with tempfile.TemporaryDirectory() as place:  # those of pytest cannot be reached by others
        assert command(f"{TRAIN} --epochs 1 --save", Path(place) / "a").status == 0
        (Path(place) / "closed").mkdir(mode=0o700)
        Path(place).chmod(0o755)
        program = """
import os, sys
from downslope.training.tree import read_forest
os.seteuid(65534)
print(read_forest(sys.argv[1]).broken)
"""
        done = subprocess.run([sys.executable, "-c", program, place], capture_output=True, text=True, check=True)
    assert done.stdout == "(('closed', 'Permission denied'),)\n"


def test_a_link_to_a_run_is_another_name_of_it(command, runs, tmp_path):
    shutil.move(runs / "slow", tmp_path / "elsewhere")
    (runs / "slow").symlink_to(tmp_path / "elsewhere")  # the only name of it in there
    (runs / "Latest").symlink_to("fast")
    (runs / "up").symlink_to(tmp_path)  # to a folder of runs: nothing that `resume` takes, and a circle
    (runs / "a" / "self").symlink_to(".")
    (runs / "gone").symlink_to("nowhere")
    rows = {row["name"]: row for row in map(json.loads, command("tree runs --json").lines)}
    copies = {name: row["copy_of"] for name, row in rows.items()}
    assert copies == {"a": None, "slow": None, "fast": None, "Latest": "fast", "a/self": "a"}
    printed = command("tree runs")
    assert re.search(r"Latest .*the same run as fast", printed.out)
    assert printed.out.count(" * ") == 1
    assert not rows["Latest"]["best"]


def test_a_name_cannot_write_to_the_terminal(command, runs):
    (runs / "fast").rename(runs / "x\x1b[31m\ny\u202ez")
    (runs / "b\x1b[0m").mkdir()
    (runs / "b\x1b[0m" / "checkpoint-00000001.json").write_text("{}")
    printed = command("tree runs")
    assert printed.status == 0
    assert "\x1b" not in printed.out
    assert "\u202e" not in printed.out
    assert r"x\x1b[31m\ny\u202ez" in printed.out
    assert r"b\x1b[0m cannot be read: " in printed.out


def test_a_directory_may_have_any_digit_in_its_name(command, runs):
    (runs / "a").rename(runs / "1²")
    printed = command("tree runs")
    assert printed.status == 0
    assert printed.lines[1].startswith("1² ")


def test_a_terminal_of_no_width_is_taken_as_one_of_forty_columns(command, runs, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    narrow = command("tree runs").out
    monkeypatch.setenv("COLUMNS", "1")
    assert command("tree runs").out == narrow


def test_a_terminal_that_has_only_ascii_shows_a_question_mark(runs, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (runs / "a").rename(runs / ("long" * 15))
    for locale in ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}):
        done = subprocess.run(
            [sys.executable, "-m", "downslope", "tree", str(runs)],
            capture_output=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **locale},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"longlonglonglonglonglonglon?" in done.stdout


def test_a_long_descent_leaves_room_for_what_was_measured(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(f"{TRAIN} --epochs 3 --save runs/r0").status == 0
    for i in range(1, 12):
        assert (
            command(f"branch runs/r{i - 1} --at {i} --set learning_rate=0.{i} --save runs/r{i} --epochs 2").status == 0
        )
    monkeypatch.setenv("COLUMNS", "60")
    printed = command("tree runs").lines
    assert max(map(len, printed)) <= 60
    row = next(place for place, line in enumerate(printed) if "└─ r11 " in line)
    assert printed[row].startswith("…")
    assert "from step 11: lr=0.11" in " ".join(printed[row : row + 2])


def test_a_chain_of_branches_longer_than_the_stack(command, monkeypatch):
    nodes = []
    for i in range(2_000):
        header = {"id": f"{i}", "epoch": i, "step": i, "numbers": {}, "measured": {"training": {"loss": 1.0}}}
        nodes.append(Node(f"r{i}", None, header, None))
        if i:
            nodes[i - 1].children.append(nodes[i])
    monkeypatch.setattr("downslope.cli.tree.read_forest", lambda _: Forest((nodes[0],), ()))
    monkeypatch.setenv("COLUMNS", "80")
    printed = command("tree runs")
    assert printed.status == 0, printed.err
    assert [line.split("r")[1].split()[0] for line in printed.lines[1:]] == [str(i) for i in range(2_000)]


def test_each_run_says_what_it_is_measured_on_and_the_star_compares_like_with_like(command, runs, tmp_path):
    held = f"{TRAIN} --validation 0.2 --epochs 60"
    assert command(f"{held} --save runs/held").status == 0
    assert command("branch runs/held --at 0 --epochs 1 --save runs/short").status == 0
    other = held.replace("60", "1000")  # ends lower, but other rows are held out: nothing to compare with
    assert command(f"{other} --seed 2 --save runs/other").status == 0
    printed = command("tree runs").lines
    assert printed[0].split() == ["epoch", "loss", "acc", "on"]
    parts = {}
    for line in printed[1:]:
        words = line.replace(" *", "*").split()
        for part in {"val", "train"} & set(words):
            parts[next(word for word in words if word.isalpha() or word.endswith("*"))] = part
    assert parts == {"a*": "train", "slow": "train", "fast": "train", "held*": "val", "other": "val", "short": "val"}
    assert "* the lowest loss among runs that are measured on the same rows" in printed
    assert "validation" not in "".join(printed)


def test_the_loss_is_the_one_that_the_command_ended_with(command, runs):
    ended = command("resume runs/fast --epochs 5 --set learning_rate=0.5").err
    [row] = [line for line in command("tree runs").lines if "fast" in line]
    loss, accuracy = (word for word in row.split() if word[0] in "01" and "." in word)
    assert f"accuracy {accuracy}" in ended
    measured = ds.Run.load(runs / "fast").evaluate()
    assert (loss, accuracy) == (f"{measured['loss']:.3f}", f"{measured['accuracy']:.3f}")
    assert loss != f"{ds.Run.load(runs / 'fast').history.loss[-1]:.3f}"


def test_a_run_is_told_by_what_it_began_with_and_a_rollback_by_its_rates(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    line = "train spiral --optimizer sgd --learning-rate 50 --epochs 50 --guard rollback --save runs/a"
    assert command(line).status == 0
    assert command("resume runs/a --epochs 5 --set learning_rate=0.2").status == 0
    row = command("tree runs").lines[1]
    assert "SGD(lr=50); step 0: rollback, lr 50→25; " in row
    assert row.endswith("step 50: lr=0.2")
    schedule = "linear-warmup:steps=20 then cosine:steps=400"
    line = f"{TRAIN} --epochs 30 --save runs/b".replace("--learning-rate 0.5", "--learning-rate 0.25")
    assert command(*line.split(), "--schedule", schedule).status == 0
    assert command("resume runs/b --epochs 9 --schedule", "constant for 4 then inverse-time:decay=0.5").status == 0
    assert command("branch runs/b --guard stop --epochs 1 --save runs/c").status == 0
    _, first, second = command("tree runs").lines[1:4]
    began = "SGD(lr=linear-warmup:base=0.25,steps=20 then cosine:base=0.25,steps=400)"
    assert began in first
    changed = re.search(r"step 30: lr=(\S+) for 4 steps then inverse-time:base=(\S+),decay=0.5$", first)
    assert changed
    assert second.endswith("from step 39: guard=stop")


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 100])
def test_nothing_is_cut_where_a_terminal_is_narrow(command, runs, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", "400")
    whole = command("tree runs").lines[1:4]
    monkeypatch.setenv("COLUMNS", str(columns))
    printed = command("tree runs").lines
    assert max(map(len, printed)) <= columns
    words = " ".join(" ".join(printed).replace("│", " ").split())
    for line in whole:
        told = re.search(r"(SGD|from).*", line)[0]
        assert " ".join(told.split()) in words


def test_checkpoints_of_an_older_version_are_read_and_not_compared(command, runs, monkeypatch):
    header = saved_document._header

    def older(run, created):
        return {key: value for key, value in header(run, created).items() if key != "first_optimizer"}

    monkeypatch.setattr(saved_document, "_header", older)
    monkeypatch.setattr(saved_document, "_measured", lambda run, *, always: {})
    assert command("resume runs/slow --epochs 40").status == 0
    assert command("resume runs/a --epochs 1 --set learning_rate=0.25").status == 0
    printed = command("tree runs").lines
    last = ds.Run.load(runs / "a").history.loss[-1]
    row = next(place for place, line in enumerate(printed) if line.startswith("a "))
    assert f"{last:.3f}" in printed[row]
    assert "SGD(lr=0.5); step 60: lr=0.25" in " ".join(printed[row : row + 2])
    note = printed.index("", row)
    assert " ".join(printed[note:]).startswith(" Saved in mid-training, or by an older version: ")
    assert " ".join(printed[note:]).endswith(" not compared: a, slow")
    assert "*" not in "".join(printed)
