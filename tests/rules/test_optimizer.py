from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from downslope import rules
from downslope.errors import InputError
from downslope.rules import RULES, SGD, Adam, AdamW, Optimizer, RMSprop, setting

EACH = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
RATE = setting(0.1, above=0, meaning="size of a step", scheduled=True)


@dataclass(frozen=True)
class Inverse:
    start: float
    decay: float

    def __call__(self, k):
        return self.start / (1.0 + self.decay * k)


def plain(xp, parameter, gradient, learning_rate):
    return parameter - learning_rate * gradient


@EACH
@hypothesis_settings(max_examples=20)
@given(data=st.data())
def test_an_optimizer_is_a_value(settings_of, rule, data):
    one = data.draw(settings_of.of(rule))
    assert eval(repr(one), vars(rules).copy()) == one
    assert one.replace() == one
    assert hash(one.replace()) == hash(one)
    assert pickle.loads(pickle.dumps(one)) == one == copy.deepcopy(one) == copy.copy(one)
    assert list(one.values()) == list(rule.settings)

    other = one.replace(learning_rate=0.25 if one.learning_rate == 0.5 else 0.5)
    assert other != one
    assert other.replace(learning_rate=one.learning_rate) == one


@EACH
def test_an_optimizer_never_changes(rule):
    one = rule()
    before = one.values()
    for change in (
        lambda: setattr(one, "learning_rate", 0.5),
        lambda: setattr(one, "new", 1),
        lambda: delattr(one, "learning_rate"),
    ):
        with pytest.raises(AttributeError, match="An optimizer does not change"):
            change()
    assert one.values() == before


def test_rules_with_the_same_settings_are_not_the_same():
    assert Adam() != AdamW(weight_decay=0.0)
    assert Adam() != 0.001
    assert len({SGD(), SGD(1.0), SGD(learning_rate=1), SGD(momentum=0.5)}) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(learning_rate=None), r"^learning_rate must be a number above 0\. Received: learning_rate=None$"),
        (lambda: SGD(None), r"^learning_rate must be a number above 0\. Received: learning_rate=None$"),
        (lambda: SGD(momentum=1.5), r"^momentum must be at least 0 and below 1\. Received: momentum=1\.5$"),
        (lambda: SGD(nesterov=1), r"^nesterov must be True or False\. Received: nesterov=1$"),
        (lambda: SGD(beta_1=0.9), r"^beta_1 must be a setting of sgd, which has learning_rate, momentum, nesterov\."),
        (lambda: SGD().replace(momentum=-1), r"^momentum must be at least 0 and below 1\. Received: momentum=-1$"),
        (Optimizer, r"^Optimizer is only the base of the rules"),
    ],
)
def test_wrong_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"learning_rate": RATE}, r"^Mine must define update\(xp, parameter, gradient, …\)$"),
        ({"update": plain}, r"^Mine must have the setting learning_rate$"),
        ({"learning_rate": RATE, "update": lambda xp, g, learning_rate: g}, r"^Mine\.update must take xp, param"),
        ({"learning_rate": RATE, "update": plain, "slots": ("m",)}, r"must take xp, parameter, gradient, m first\."),
        ({"learning_rate": RATE, "update": plain, "slots": "m"}, r"^slots must be a tuple .* Received: slots='m'"),
        ({"learning_rate": RATE, "update": lambda *all: all}, r"parameter, gradient first\. Received: \*all"),
        ({"learning_rate": RATE, "update": plain, "values": setting(1.0, meaning="x")}, r"^Mine must not call a"),
    ],
)  # fmt: skip
def test_a_rule_that_is_written_wrongly_is_refused_where_it_is_written(body, message):
    with pytest.raises(InputError, match=message):
        type("Mine", (Optimizer,), body)


def test_slots_that_an_inherited_formula_does_not_take_are_refused():
    with pytest.raises(InputError, match=r"must take xp, parameter, gradient, velocity, extra first"):
        type("Mine", (SGD,), {"slots": ("velocity", "extra")})


def test_a_scalar_from_nowhere_is_named():
    def update(xp, parameter, gradient, learning_rate, gamma):
        return parameter - learning_rate * gamma * gradient

    mine = type("Mine", (Optimizer,), {"learning_rate": RATE, "update": update})()
    with pytest.raises(InputError, match=r"^gamma, which Mine\.update takes, must be a slot, a setting or returned by"):
        mine.scalars(1)


def test_a_subclass_keeps_settings_and_formula():
    class Slower(SGD):
        momentum = setting(0.5, at_least=0, below=1, meaning="less")

    assert list(Slower.settings) == list(SGD.settings)
    assert Slower().momentum == 0.5
    assert Slower.update is SGD.update
    assert Slower.scalar_names == SGD.scalar_names


@pytest.mark.parametrize(
    ("rule", "used"),
    [
        (SGD(), ()),
        (SGD(nesterov=True), ()),
        (SGD(momentum=0.1), ("velocity",)),
        (SGD(momentum=lambda k: 0.0), ("velocity",)),
        (RMSprop(), ("cache",)),
        (RMSprop(centered=True), ("cache", "mean")),
        (RMSprop(momentum=0.1), ("cache", "velocity")),
        (RMSprop(momentum=0.1, centered=True), ("cache", "mean", "velocity")),
        (Adam(), ("m", "v")),
    ],
    ids=repr,
)
def test_slots_in_use(rule, used):
    assert rule.slots_in_use() == used


def test_schedules_stand_in_for_rate_and_momentum():
    rule = SGD(learning_rate=Inverse(1.0, 0.1), momentum=lambda k: min(0.5 + 0.1 * k, 0.9))
    assert [rule.at(step).learning_rate for step in (1, 2, 20, 21)] == [1.0, 1 / 1.1, 0.3448275862068965, 1 / 3]
    assert [rule.at(step).momentum for step in (1, 2, 9)] == [0.5, 0.6, 0.9]
    assert rule.scalars(2) == (1 / 1.1, 0.6, False)
    assert rule.at(3) == SGD(learning_rate=1 / 1.2, momentum=0.7)
    assert rule.scalars(2, age=1) == rule.scalars(2)  # schedules go by the run's step …
    assert Adam(Inverse(1.0, 0.1)).scalars(12, age=1)[1:] == Adam(1.0).scalars(1)[1:]  # … corrections by the slots' age
    assert SGD(0.5).at(7).learning_rate == 0.5

    same = SGD(learning_rate=Inverse(1.0, 0.1))
    assert same == SGD(learning_rate=Inverse(1.0, 0.1))
    assert eval(repr(same)) == same
    assert hash(same) == hash(SGD(learning_rate=Inverse(1.0, 0.1)))


@pytest.mark.parametrize(
    ("given", "kept"), [(0.0, 0.0), (np.float32(0.25), 0.25), (np.float64(2.0), 2.0), (np.array(0.5), 0.5), (1, 1.0)]
)
def test_a_schedule_may_give_any_number_and_end_at_zero(given, kept):
    rate = SGD(learning_rate=lambda k: given).at(1).learning_rate
    assert rate == kept
    assert type(rate) is float


@pytest.mark.parametrize("given", [-0.1, float("nan"), float("inf"), None, "fast"])
def test_a_schedule_that_gives_a_wrong_value_is_told_with_its_step(given):
    rule = SGD(learning_rate=lambda k: given if k == 4 else 1.0)
    rule.scalars(4)
    with pytest.raises(InputError, match=r"^learning_rate at step 5 must be .* Received: learning_rate at step 5="):
        rule.scalars(5)


SOURCE = """
from downslope.exact import power
from downslope.rules import SGD, Adam, Optimizer, setting
TENTH = 0.1
def helper(x):
    return x + TENTH
class Base(Adam):
    limit = 2.0
    def halved(self, x):
        return x / self.limit
class Mine(Base):
    'The docstring.'
    beta_1 = setting(0.5, at_least=0, below=1, meaning="share")
    def per_step(self, step):
        return {**super().per_step(step), "correction_1": self.halved(helper(power(0.9, step)))}
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("The docstring.", "Another.", True),
        ("setting(0.5,", "setting(0.6,", True),  # a value, which `describe` holds
        ("TENTH = 0.1", "TENTH = 0.2", False),
        ("x + TENTH", "x - TENTH", False),
        ("power(0.9,", "power(0.8,", False),
        ("limit = 2.0", "limit = 4.0", False),
        ("x / self.limit", "x * self.limit", False),
        ("    def halved", "    slots = ('m', 'v')\n    def halved", False),
        ("limit = 2.0", "limit = [2.0]", None),
    ],
)
def test_the_fingerprint_of_a_rule_is_that_of_all_its_code(old, new, same):
    def made(text):
        names = {"__name__": "mine"}
        exec(text, names)
        return names["Mine"].fingerprint()

    assert old in SOURCE
    before, after = made(SOURCE), made(SOURCE.replace(old, new))
    assert before is not None
    if same is None:
        assert after is None
    else:
        assert after is not None
        assert (after == before) == same


def test_every_rule_of_the_package_has_a_fingerprint():
    found = {rule.fingerprint() for rule in RULES.values()}
    assert None not in found
    assert len(found) == len(RULES)


def test_documented_sections():
    class Documented(SGD):
        """First line.

        Formula
        -------
        a ← b

            indented

        State
        -----
        nothing
        """

    assert Documented.documented("Formula") == "a ← b\n\n    indented"
    assert Documented.documented("State") == "nothing"
    assert Documented.documented("Other frameworks") == ""
    assert type("Bare", (SGD,), {}).documented("Formula") == ""


def test_the_signature_shows_every_setting():
    shown = str(inspect.signature(AdamW))
    assert shown == ("(learning_rate=0.001, *, beta_1=0.9, beta_2=0.999, epsilon=1e-07, weight_decay=0.01)")
    assert repr(SGD.settings["momentum"]) == (
        "setting(0.0; at least 0 and below 1: share of the last step kept in the next)"
    )
