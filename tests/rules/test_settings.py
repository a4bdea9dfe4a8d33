from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from downslope.errors import InputError
from downslope.rules import RULES, SGD, Optimizer, setting

RECORDS = [(rule, name) for rule in RULES.values() for name in rule.settings]
IDS = [f"{rule.name()}-{name}" for rule, name in RECORDS]


def descent(**settings):
    """A rule class with these settings beside its learning rate."""
    body = {
        "learning_rate": setting(0.1, above=0, meaning="size of a step", scheduled=True),
        "update": lambda xp, parameter, gradient, learning_rate: parameter - learning_rate * gradient,
    }
    return type("Descent", (Optimizer,), {**body, **settings})


@pytest.mark.parametrize(("rule", "name"), RECORDS, ids=IDS)
@hypothesis_settings(max_examples=30)
@given(data=st.data())
def test_legal_values_are_kept_and_illegal_ones_told_in_one_sentence(settings_of, rule, name, data):
    record = rule.settings[name]
    value = data.draw(settings_of.legal(record))
    kept = getattr(rule(**{name: value}), name)
    assert kept == value
    assert type(kept) is record.kind

    wrong = data.draw(settings_of.illegal(record))
    with pytest.raises(InputError) as caught:
        rule(**{name: wrong})
    message = str(caught.value)
    assert message.startswith(f"{name} must be ")
    assert f" Received: {name}=" in message
    if record.kind is not bool and isinstance(wrong, float) and math.isfinite(wrong) and wrong not in record.interval:
        assert record.legal.removeprefix("whole number ") in message


@pytest.mark.parametrize(("rule", "name"), RECORDS, ids=IDS)
def test_every_record_is_complete(rule, name):
    record = rule.settings[name]
    assert record.name == name
    assert record.meaning
    assert not record.meaning.endswith(".")
    assert record.option == "--" + name.replace("_", "-")
    assert record.check(record.default) == record.default
    assert record.legal


@pytest.mark.parametrize(
    ("ends", "accepted", "refused"),
    [
        ({"above": 0}, [1, 10**6], [0, -1]),
        ({"at_least": 2, "below": 5}, [2, 4], [1, 5]),
        ({"above": 1.5, "at_most": 3.5}, [2, 3], [1, 4]),
        ({"at_least": -3, "at_most": -1}, [-3, -1], [-4, 0]),
        ({}, [0, 7], [-1]),
    ],
)
def test_whole_numbers_keep_both_ends(ends, accepted, refused):
    rule = descent(count=setting(accepted[0], meaning="how many", **ends))
    for value in accepted:
        assert rule(count=value).count == value
    for value in [*refused, accepted[0] + 0.5, True, float(accepted[0])]:
        with pytest.raises(InputError, match=r"^count must be a whole number at least .*Received: count="):
            rule(count=value)


@pytest.mark.parametrize(
    ("record", "legal"),
    [
        (setting(0.5, at_least=0, below=1, meaning="x"), "at least 0 and below 1"),
        (setting(0.5, above=0, at_most=1, meaning="x"), "above 0 and at most 1"),
        (setting(0.5, meaning="x"), "a finite number"),
        (setting(3, at_least=1, below=10, meaning="x"), "whole number at least 1 and at most 9"),
        (setting(True, meaning="x"), "True or False"),
    ],
)
def test_legal_values_in_words(record, legal):
    assert record.legal == legal


def test_a_default_outside_its_interval_is_refused_where_it_is_declared():
    with pytest.raises(InputError, match=r"^rho must be at least 0 and below 1\. Received: rho=1\.5$"):
        descent(rho=setting(1.5, at_least=0, below=1, meaning="share"))


def test_only_scheduled_settings_take_a_schedule():
    rule = descent(rho=setting(0.5, at_least=0, below=1, meaning="share"), plain=setting(False, meaning="plain or not"))
    assert rule(learning_rate=abs).learning_rate is abs
    with pytest.raises(InputError, match=r"^rho must be a constant, not a schedule\. Received: rho=<built-in"):
        rule(rho=abs)
    with pytest.raises(InputError, match=r"^plain must be True or False\. Received: plain=<built-in"):
        rule(plain=abs)


def test_a_schedule_may_reach_open_ends_but_not_pass_them():
    rate = setting(0.5, above=0.25, below=1, meaning="size of a step", scheduled=True)
    rule = descent(learning_rate=rate)
    assert [rule(learning_rate=lambda k: k).settings["learning_rate"].check_at(3, x) for x in (0.25, 1)] == [0.25, 1.0]
    for wrong in (0.2, 1.01):
        with pytest.raises(
            InputError, match=r"^learning_rate at step 3 must be at least 0\.25 and at most 1\. Received"
        ):
            rule(learning_rate=lambda k, wrong=wrong: wrong).at(3)


def test_a_class_is_no_schedule():
    with pytest.raises(InputError, match=r"learning_rate must be a value, not a class\. Received: "):
        SGD(learning_rate=float)
