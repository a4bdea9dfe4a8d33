"""`downslope tree`, as a person types it."""

import json
import shutil

import pytest

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
    assert second.endswith("from 30: lr=0.001")
    assert third.startswith("   └─ fast")
    assert third.endswith("from 40: momentum=0.9")
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


def test_a_directory_without_runs_is_refused(command, tmp_path):
    for text in (str(tmp_path), str(tmp_path / "nope")):
        refused = command("tree", text)
        assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1)


def test_a_long_descent_leaves_room_for_what_was_measured(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(f"{TRAIN} --epochs 3 --save runs/r0").status == 0
    for i in range(1, 12):
        assert (
            command(f"branch runs/r{i - 1} --at {i} --set learning_rate=0.{i} --save runs/r{i} --epochs 2").status == 0
        )
    monkeypatch.setenv("COLUMNS", "60")
    *_, last, best = [line for line in command("tree runs").lines if line]
    assert max(map(len, (last, best))) <= 60
    assert last.startswith("…")
    assert "└─ r11 " in last
    assert "from 11: " in last


def test_a_chain_of_branches_longer_than_the_stack(command, monkeypatch):
    nodes = []
    for i in range(2_000):
        header = {"id": f"{i}", "epoch": i, "step": i, "numbers": {"loss": 1.0}, "optimizer": "SGD()"}
        nodes.append(Node(f"r{i}", None, header, None))
        if i:
            nodes[i - 1].children.append(nodes[i])
    monkeypatch.setattr("downslope.cli.tree.read_forest", lambda _: Forest((nodes[0],), ()))
    monkeypatch.setenv("COLUMNS", "80")
    printed = command("tree runs")
    assert printed.status == 0, printed.err
    assert [line.split("r")[1].split()[0] for line in printed.lines[1:]] == [str(i) for i in range(2_000)]
