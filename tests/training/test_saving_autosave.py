"""Saving while it trains: when, how often, and what follows where it fails."""

import math

import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.training import saved_document, saving
from downslope.training.checkpoint import CheckpointWarning
from downslope.training.saving import Autosave, header

DATA = ds.data.spiral(20)


def made(optimizer=None, **settings):
    return ds.Run(ds.MLP([2, 4, 3]), DATA, optimizer or ds.SGD(0.1), **{"engine": "reference", **settings})


@pytest.fixture
def run():
    made_run = made()
    made_run.train(2, progress=False)
    return made_run


class Clock:
    """Time that goes on when told."""

    def __init__(self, patch):
        self.now = 0.0
        patch.setattr(saving.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_autosave_saves_when_the_time_has_come(run, tmp_path, clock):
    autosave = Autosave(tmp_path, seconds=10)
    for at, number in ((9.9, 0), (10.0, 1), (19.9, 1), (20.0, 2)):
        clock.now = at
        autosave.offer(run)
        run.train(1, progress=False)
        assert (header(tmp_path)["number"] if number else 0) == number


def test_autosave_takes_at_most_a_twentieth_of_the_time(run, tmp_path, clock, monkeypatch):
    def slow(*_, **__):
        clock.now += 2.0

    monkeypatch.setattr(saving, "save", slow)
    autosave = Autosave(tmp_path, seconds=0)
    autosave.offer(run)
    assert clock.now == 2.0
    clock.now = 2.0 + 37.9
    autosave.offer(run)
    assert clock.now == 2.0 + 37.9
    clock.now = 2.0 + 38.1
    autosave.offer(run)
    assert clock.now == 2.0 + 38.1 + 2.0


def test_autosave_that_fails_warns_once_until_it_succeeds_and_raises_at_the_end(run, tmp_path, clock, monkeypatch):
    fails = True
    real = saving.save

    def save(*given, **settings):
        if fails:
            raise InputError("the disk is full")
        real(*given)

    monkeypatch.setattr(saving, "save", save)
    autosave = Autosave(tmp_path, seconds=1)

    def offer():
        clock.now += 100
        run.train(1, progress=False)
        autosave.offer(run)

    with pytest.warns(CheckpointWarning, match="the run goes on, but was not saved: the disk is full"):
        offer()
    offer()  # no second warning
    fails = False
    offer()
    fails = True
    with pytest.warns(CheckpointWarning, match="the disk is full"):
        offer()
    with pytest.raises(InputError, match="the disk is full"):
        autosave.finish(run)
    autosave.finish(run, quiet=True)  # said before
    fails = False
    autosave.finish(run)
    assert ds.Run.load(tmp_path).step == run.step


def test_autosave_saves_at_the_end_what_is_not_saved_yet(run, tmp_path):
    autosave = Autosave(tmp_path)
    for number in (1, 1):
        autosave.finish(run)
        assert header(tmp_path)["number"] == number
    run.change(learning_rate=0.2)
    autosave.finish(run)
    assert (header(tmp_path)["number"], header(tmp_path)["changes"]) == (2, 1)


def test_a_large_run_is_measured_where_training_ends_and_not_in_its_midst(run, tmp_path, clock, monkeypatch):
    monkeypatch.setattr(saved_document, "MOST_PRODUCTS", 0)
    autosave = Autosave(tmp_path, seconds=10)
    clock.now += 11
    autosave.offer(run)
    assert "measured" not in header(tmp_path)
    run.train(1)
    autosave.finish(run)
    assert header(tmp_path)["measured"]["training"]["loss"] == run.evaluate()["loss"]


@pytest.mark.parametrize("seconds", [-1, math.nan, "soon", True])
def test_the_time_between_two_saves_is_a_number(tmp_path, seconds):
    with pytest.raises(InputError, match="seconds must be"):
        Autosave(tmp_path, seconds)


def test_a_run_saves_itself_while_it_trains_and_when_it_ends_early(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "SHARE", 1.0)  # as often as it is asked for
    run = made()
    run.autosave(tmp_path / "run", seconds=0)
    numbers = []

    def stop(run, epoch):
        numbers.append(header(tmp_path / "run")["number"] if (tmp_path / "run").exists() else 0)
        if epoch == 30:
            raise KeyError

    with pytest.raises(KeyError):
        run.train(1000, progress=False, on_epoch=stop)
    assert max(numbers) > 20
    other = ds.Run.load(tmp_path / "run")
    assert other.epoch == 31
    other.autosave(tmp_path / "run")
    other.train(5, progress=False)
    assert ds.Run.load(tmp_path / "run").epoch == 36
    other.autosave(None)
    other.train(1, progress=False)
    assert ds.Run.load(tmp_path / "run").epoch == 36
