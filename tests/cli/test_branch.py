"""`downslope branch`, as a person types it."""

import numpy as np

import downslope as ds

TRAIN = "train spiral --layers 8 --optimizer sgd --learning-rate 0.5"


def test_a_branch_shares_the_past_and_goes_as_far_as_the_other(command, tmp_path):
    command(f"{TRAIN} --epochs 60 --save", tmp_path / "a")
    before = ds.Run.load(tmp_path / "a")
    made = command("branch --at 40 --set momentum=0.9 --every 10", tmp_path / "a")
    assert made.status == 0, made.err
    assert made.lines[0].startswith("epoch: 40,")
    branch = ds.Run.load(tmp_path / "a-2")
    assert (branch.epoch, branch.parent.id, branch.parent.step) == (60, before.id, 40)
    assert branch.parent.told == "momentum=0.9 (was 0.0)"
    expected = before.branch(at=40, momentum=0.9)
    expected.train(20)
    assert np.array_equal(branch.parameters, expected.parameters)
    assert np.array_equal(ds.Run.load(tmp_path / "a").parameters, before.parameters)


def test_a_schedule_begins_at_the_branch_with_the_rate_in_force(command, tmp_path):
    command(f"{TRAIN} --epochs 20 --save", tmp_path / "a")
    line = "branch --at-epoch 10 --schedule inverse-time:decay=1 --epochs 3 --every 1 --save"
    made = command(line, tmp_path / "b", tmp_path / "a")
    assert made.status == 0, made.err
    assert [text.split("lr: ")[1] for text in made.lines] == ["0.5", "0.5", "0.25"]


def test_a_branch_goes_as_far_as_the_other_was_to_go(command, tmp_path):
    command(f"{TRAIN} --epochs 60 --save", tmp_path / "a")
    (tmp_path / "a" / "plan.json").write_text('{"epochs": 90}')
    assert command("branch --at 40", tmp_path / "a").status == 0
    assert ds.Run.load(tmp_path / "a-2").epoch == 90


def test_wrong_input_is_one_sentence_and_makes_nothing(command, tmp_path):
    command(f"{TRAIN} --epochs 5 --save", tmp_path / "a")
    for options, sentence in (
        ("--at 6", "at must be a whole number at least 0 and at most 5"),
        ("--at-epoch 6", "at_epoch must be a whole number at least 0 and at most 5"),
        ("--at 1 --at-epoch 1", "give --at or --at-epoch, not both"),
        ("--set momentum=1", "momentum must be at least 0 and below 1"),
    ):
        refused = command(f"branch {options}", tmp_path / "a")
        assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert sentence in refused.err
    assert "which holds a run" in command("branch", tmp_path / "a", "--save", tmp_path / "a").err
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_run_that_cannot_be_saved_leaves_no_directory(command, tmp_path, monkeypatch):
    assert command("train spiral --epochs 2 --save", tmp_path / "a").status == 0
    (tmp_path / "mine").mkdir()

    def full(run, directory):
        raise ds.InputError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(ds.Run, "save", full)
        for line in ("branch a --save b/c", "branch a", "train spiral --epochs 2 --save d", "branch a --save mine"):
            patch.chdir(tmp_path)
            failed = command(line)
            assert (failed.status, failed.err.splitlines()[-1]) == (2, "downslope: the disk is full")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "mine"]
    assert not any((tmp_path / "mine").iterdir())
    assert command("branch", tmp_path / "a", "--save", tmp_path / "mine").status == 0
