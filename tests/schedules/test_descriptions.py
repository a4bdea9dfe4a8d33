from __future__ import annotations

import json

import pytest

from downslope.errors import InputError
from downslope.schedules import (
    Chain,
    Constant,
    Cosine,
    LinearWarmup,
    Piecewise,
    Schedule,
    Step,
    from_description,
    parse,
)
from downslope.schedules.base import number


class Harmonic(Schedule):
    """The learning rate over the number of the update."""

    formula = "η_k = η / (k + 1)"
    base: float = number(above=0)

    def _rate(self, k):
        return self.base / (k + 1)


class Odd(Harmonic):
    def __post_init__(self):
        object.__setattr__(self, "base", {1})


def through_json(described):
    return json.loads(json.dumps(described, allow_nan=False))


def test_a_description_gives_back_an_equal_schedule(schedule):
    again = from_description(through_json(schedule.describe()))
    assert again == schedule
    assert type(again) is type(schedule)
    assert again.describe() == schedule.describe()
    assert [again(k).hex() for k in range(100)] == [schedule(k).hex() for k in range(100)]


def test_the_form_of_a_description():
    assert Cosine(0.1, steps=9).describe() == {
        "name": "cosine", "base": 0.1, "steps": 9, "final": 0.0, "restarts": False, "period_factor": 1,
        "peak_factor": 1.0,
    }  # fmt: skip
    warm = LinearWarmup(0.1, steps=2)
    assert Constant(0.1).for_steps(3).then(warm).describe() == {
        "name": "chain",
        "parts": [
            {"name": "for-steps", "schedule": {"name": "constant", "base": 0.1}, "steps": 3},
            {"name": "linear-warmup", "base": 0.1, "steps": 2, "start": 0.0},
        ],
    }
    assert Piecewise([0.1, 0.2], boundaries=[3]).describe() == {
        "name": "piecewise", "values": [0.1, 0.2], "boundaries": [3],
    }  # fmt: skip
    assert from_description({"name": "step", "base": 1, "every": 3}) == Step(1.0, every=3)  # a default may be left out
    assert from_description(parse("constant for 3 then cosine:steps=9", 0.1).describe()).length == 12


def test_a_schedule_of_ones_own():
    chain = Harmonic(0.5).for_steps(3).then(Harmonic(1.0))
    described = through_json(chain.describe())
    assert from_description(described, known={"harmonic": Harmonic}) == chain
    with pytest.raises(InputError, match=r"^schedule must be one of constant, .*\. Received: schedule='harmonic'$"):
        from_description(described)
    with pytest.raises(InputError, match=r"^base must be a number, a truth value, text or a schedule to be saved\."):
        Odd(1.0).describe()


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (None, r"^schedule must be a dictionary with \"name\" and settings\. Received: schedule=None$"),
        ("cosine", r"^schedule must be a dictionary with \"name\" and settings\. Received: schedule='cosine'$"),
        ({}, r"^schedule must be one of constant, .*, chain, for-steps, scaled, shifted\. Received: schedule=None$"),
        ({"name": "cosin"}, r"Received: schedule='cosin'\. Did you mean 'cosine'\?$"),
        ({"name": ["cosine"]}, r"^schedule must be one of constant, .* Received: schedule=\['cosine'\]$"),
        (
            {"name": "constant", "base": 1.0, "final": 2, "x": 1},
            r"^constant must be described by base only\. Received",
        ),
        (
            {"name": "step", "factor": 0.1},
            r"^step must be described with base, every\. Received: schedule=\{'name'",
        ),
        ({"name": "constant", "base": -1}, r"^base must be above 0\. Received: base=-1$"),
        ({"name": "constant", "base": [1]}, r"^base must be a number above 0\. Received: base=\[1\]$"),
        ({"name": "chain", "parts": [{"name": "constant", "base": 0}]}, r"^base must be above 0\. Received: base=0"),
        ({"name": "chain", "parts": [0.1]}, r"^parts\[0\] must be a schedule such as "),
        ({"name": "for-steps", "schedule": {"name": "x"}, "steps": 1}, r"^schedule must be one of .*schedule='x'"),
    ],
)
def test_a_wrong_description_is_told(description, message):
    with pytest.raises(InputError, match=message):
        from_description(description)


def test_a_chain_of_one_is_kept():
    assert from_description(Chain([Constant(0.1)]).describe()) == Chain([Constant(0.1)])
