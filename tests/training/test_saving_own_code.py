"""Rules and schedules of one's own in a saved run, and what cannot be saved at all."""

import numpy as np
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.network import Dense, Network, ReLU
from downslope.rules import Optimizer, setting
from downslope.schedules import Schedule
from downslope.schedules.base import number as a_number
from downslope.training import saving
from downslope.training.checkpoint import CheckpointWarning
from downslope.training.saving import check

DATA = ds.data.spiral(20)


class Descent(Optimizer):
    """A rule of one's own."""

    learning_rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)

    def update(xp, parameter, gradient, learning_rate):  # noqa: N805
        return parameter - learning_rate * gradient


class Halving(Schedule):
    """A schedule of one's own."""

    formula = "base / (1 + k)"
    base: float = a_number(above=0)

    def _rate(self, k):
        return self.base / (1 + k)


def other_descent():
    class Descent(Optimizer):
        """The same name, another formula."""

        learning_rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)

        def update(xp, parameter, gradient, learning_rate):  # noqa: N805
            return parameter + learning_rate * gradient

    return Descent


def other_halving():
    class Halving(Schedule):
        """The same name, another formula."""

        formula = "base"
        base: float = a_number(above=0)

        def _rate(self, k):
            return self.base + 0 * k

    return Halving


def made(optimizer=None, **settings):
    return ds.Run(ds.MLP([2, 4, 3]), DATA, optimizer or ds.SGD(0.1), **{"engine": "reference", **settings})


@pytest.fixture
def run():
    made_run = made()
    made_run.train(2, progress=False)
    return made_run


@pytest.fixture
def saved(run, tmp_path):
    run.save(tmp_path / "run")
    return tmp_path / "run"


def test_a_rule_and_a_schedule_of_ones_own_are_given_by_name(tmp_path):
    run = made(Descent(Halving(0.2)))
    run.train(2, progress=False)
    run.change(optimizer=ds.Adam(0.01))
    run.save(tmp_path)
    with pytest.raises(InputError, match=r"rules must hold the rule 'descent', .*Received: rules=none"):
        ds.Run.load(tmp_path)
    with pytest.raises(InputError, match="schedules must hold the schedule 'halving'"):
        ds.Run.load(tmp_path, rules=[Descent])
    for rules, schedules in (([Descent], [Halving]), ({"descent": Descent}, {"halving": Halving})):
        other = ds.Run.load(tmp_path, rules=rules, schedules=schedules)
        assert other.first_optimizer == run.first_optimizer
    with pytest.raises(InputError, match=r"the rule 'descent' must have the code .* is another"):
        ds.Run.load(tmp_path, rules=[other_descent()], schedules=[Halving])
    with pytest.raises(InputError, match="the schedule 'halving' must have the code this run was trained with"):
        ds.Run.load(tmp_path, rules=[Descent], schedules=[other_halving()])
    for given in (Descent, [7], "descent", 7):
        with pytest.raises(InputError, match="rules must be a list of Optimizer classes"):
            ds.Run.load(tmp_path, rules=given)


def test_code_that_cannot_be_compared_is_said(tmp_path, monkeypatch):
    made(Descent(0.1)).save(tmp_path)
    monkeypatch.setattr(saving, "same_python", lambda document: False)
    with pytest.warns(CheckpointWarning, match="whether the rule 'descent' is the one this run was"):
        ds.Run.load(tmp_path, rules=[other_descent()])


class OwnLayer(ReLU.__mro__[1]):
    """A layer of one's own."""

    name = "own"

    def function(self, x):
        return x

    def derivative(self, x):
        return np.ones_like(x)


class OwnLoss(ds.CrossEntropy.__mro__[1]):
    """A loss of one's own."""

    name = "own"
    kind = "classification"

    def _rows(self, outputs, targets):
        return (outputs**2).sum(axis=1)

    def _gradient(self, outputs, targets):
        return 2 * outputs / len(outputs)

    def _aligned(self, outputs, targets):
        return outputs, targets

    def check_targets(self, outputs_width, targets):
        pass


UNSAVABLE = {
    "layer 1 must be one of this package's for the run to be saved": lambda: ds.Run(
        Network([Dense(2, 4), OwnLayer(), Dense(4, 3)]), DATA, ds.SGD(0.1)
    ),
    "loss must be one of this package's for the run to be saved": lambda: made(loss=OwnLoss()),
    "learning_rate must be a number or a schedule such as .*not a function, to be saved": lambda: made(
        ds.SGD(lambda k: 0.1)
    ),
}


@pytest.mark.parametrize("sentence", UNSAVABLE)
def test_what_cannot_be_saved_is_said_before_anything_is_written(tmp_path, sentence):
    run = UNSAVABLE[sentence]()
    for attempt in (lambda: run.save(tmp_path / "run"), lambda: check(run)):
        with pytest.raises(InputError, match=sentence):
            attempt()
    assert not (tmp_path / "run").exists()


def test_a_plain_function_that_was_changed_to_is_said(run, saved):
    run.change(schedule=lambda k: 0.1)
    with pytest.raises(InputError, match="not a function, to be saved"):
        run.save(saved)
    assert ds.Run.load(saved).step == 2


def test_two_rules_of_one_name_are_refused(tmp_path):
    run = made(Descent(0.1))
    run.change(optimizer=other_descent()(0.1))
    with pytest.raises(InputError, match=r"each rule of one's own must have its own name .* two named 'descent'"):
        run.save(tmp_path / "run")
