from __future__ import annotations

import doctest
import json
import math

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from downslope import rules
from downslope.errors import InputError
from downslope.rules import RULES, SGD, Adam, Optimizer, from_description, setting
from downslope.rules import optimizer as optimizer_module
from downslope.schedules import Constant, Cosine, InverseTime, LinearWarmup, Schedule
from downslope.schedules.base import number


class SignDescent(Optimizer):
    """Every parameter moves by the same amount."""

    learning_rate = setting(0.01, above=0, meaning="size of a step", scheduled=True)
    limit = setting(3, at_least=1, meaning="something", unit="steps")

    def update(xp, parameter, gradient, learning_rate):  # noqa: N805 - a static formula
        return parameter - learning_rate * xp.sign(gradient)


class Harmonic(Schedule):
    """The learning rate over the number of the update."""

    formula = "η_k = η / (k + 1)"
    base: float = number(above=0)

    def _rate(self, k):
        return self.base / (k + 1)


def through_json(described):
    return json.loads(json.dumps(described, allow_nan=False))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@hypothesis_settings(max_examples=20)
@given(data=st.data())
def test_a_description_gives_back_an_equal_optimizer(settings_of, rule, data):
    one = data.draw(settings_of.of(rule))
    again = from_description(through_json(one.describe()))
    assert again == one
    assert type(again) is rule
    assert repr(again) == repr(one)  # the types of the settings too


@pytest.mark.parametrize(
    "one",
    [
        SGD(InverseTime(1.0, decay=1e-3), momentum=0.9),
        SGD(0.1, momentum=Cosine(0.9, steps=100)),
        SGD(LinearWarmup(0.1, steps=10).then(Constant(0.1).for_steps(3)).then(Cosine(0.1, steps=9)), nesterov=True),
        Adam(Constant(0.1)),
    ],
    ids=repr,
)
def test_schedules_are_described_inside(one):
    described = one.describe()
    assert described["name"] == one.name()
    again = from_description(through_json(described))
    assert again == one
    assert hash(again) == hash(one)
    assert [again.scalars(step) for step in range(1, 30)] == [one.scalars(step) for step in range(1, 30)]


def test_a_rule_and_a_schedule_of_ones_own():
    one = SignDescent(Harmonic(0.5), limit=7)
    described = through_json(one.describe())
    assert described == {"name": "signdescent", "learning_rate": {"name": "harmonic", "base": 0.5}, "limit": 7}
    known, schedules = {"signdescent": SignDescent}, {"harmonic": Harmonic}
    assert from_description(described, known=known, schedules=schedules) == one
    with pytest.raises(InputError, match=r"^optimizer must be one of adadelta, .* Received: optimizer='signdescent'$"):
        from_description(described, schedules=schedules)
    with pytest.raises(InputError, match=r"^schedule must be one of constant, .* Received: schedule='harmonic'$"):
        from_description(described, known=known)


@pytest.mark.parametrize("function", [lambda k: 0.1, math.sqrt], ids=["lambda", "builtin"])
def test_a_function_in_the_place_of_a_schedule_cannot_be_saved(function):
    message = r"^learning_rate must be a number or a schedule such as .*, not a function, to be saved\. Received: "
    with pytest.raises(InputError, match=message):
        SGD(function).describe()


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (None, r"^optimizer must be a dictionary with \"name\" and settings\. Received: optimizer=None$"),
        ({}, r"^optimizer must be one of adadelta, .*\. Received: optimizer=None$"),
        ({"name": "adm"}, r"Received: optimizer='adm'\. Did you mean 'adam'\?$"),
        ({"name": "sgd", "momentun": 0.5}, r"^momentun must be a setting of sgd, which has learning_rate, momentum,"),
        ({"name": "sgd", "momentum": 1.5}, r"^momentum must be at least 0 and below 1\. Received: momentum=1\.5$"),
        (
            {"name": "sgd", "momentum": [0.5]},
            r"^momentum must be a number at least 0 and below 1\. Received: ",
        ),
        (
            {"name": "sgd", "learning_rate": {"name": "constant", "base": 0}},
            r"^base must be above 0\. Received: base=0",
        ),
        ({"name": "sgd", "learning_rate": {}}, r"^schedule must be one of constant, "),
        (
            {"name": "adam", "beta_1": {"name": "constant", "base": 0.5}},
            r"^beta_1 must be a constant, not a schedule",
        ),
    ],
)
def test_a_wrong_description_is_told(description, message):
    with pytest.raises(InputError, match=message):
        from_description(description)


def test_a_setting_that_is_missing_has_its_default():
    assert from_description({"name": "sgd", "momentum": 0.5}) == SGD(momentum=0.5)


@pytest.mark.parametrize("module", [rules, optimizer_module])
def test_examples_in_docstrings(module):
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0
