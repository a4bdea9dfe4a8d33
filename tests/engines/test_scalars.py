from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.engines import scalars
from downslope.engines.scalars import scalar_table
from downslope.errors import InputError, RuleError
from downslope.exact import power
from downslope.rules import RULES, SGD, Adam, AdEMAMix, NAdam, Optimizer, RMSprop, setting
from downslope.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    LinearWarmup,
    OneCycle,
    Piecewise,
    Polynomial,
    Schedule,
    Step,
)
from downslope.schedules.base import number


class Halving(Schedule):
    """A schedule of somebody's own, which takes no arrays."""

    formula = "η_k = η / 2^k"
    base: float = number(above=0)

    def _rate(self, k):
        return self.base if k == 0 else self._rate(k - 1) / 2


class Own(Adam):
    """A `per_step` for one step at a time."""

    def per_step(self, step):
        return {**super().per_step(int(step)), "correction_1": 1 - math.pow(self.beta_1, step)}


class Rated(Optimizer):
    """A `per_step` that reads scheduled settings."""

    learning_rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)
    momentum = setting(0.5, at_least=0, below=1, meaning="share kept", scheduled=True)
    flag = setting(False, meaning="something")
    every = setting(3, at_least=1, meaning="something", unit="steps")
    steps_as_arrays = True

    def per_step(self, step):
        return {"share": self.learning_rate * (1 - power(0.9, step)) / (1 - self.momentum)}

    def update(xp, parameter, gradient, flag, share, every):  # noqa: N805 - a static formula
        return parameter - share * gradient


class Late(Adam):
    def at(self, step):
        return super().at(step + 10)


class Ahead(Adam):
    def scalars(self, step, age=None):
        return super().scalars(step, age + 1)


SCHEDULES = [
    Constant(0.1),
    InverseTime(1.0, decay=1e-3),
    Exponential(1.0, rate=0.96, steps=10),
    Step(1.0, every=13),
    Piecewise([0.1, 0.0, 0.7], boundaries=[3, 40]),
    Polynomial(0.3, steps=100, power=2.7),
    Cosine(0.1, steps=17, restarts=True, period_factor=3, peak_factor=0.7),
    OneCycle(1.0, steps=100),
    LinearWarmup(0.1, steps=30).then(Cosine(0.1, steps=60)),
    Constant(0.1).for_steps(20).then(Halving(0.1)),
    Halving(1.0),
    lambda k: 1.0 / (k + 1),
    lambda k: np.float32(0.3) if k % 2 else 1,
]
RULES_TRIED = [
    *(rule() for rule in RULES.values()),
    *(rule(schedule) for rule, schedule in zip([SGD, Adam, NAdam] * 5, SCHEDULES, strict=False)),
    SGD(InverseTime(1.0, decay=0.1), momentum=lambda k: min(0.5 + 0.1 * k, 0.9), nesterov=True),
    RMSprop(momentum=Polynomial(0.9, steps=50), centered=True),
    AdEMAMix(warmup=60),
    Own(),
    Own(InverseTime(1.0, decay=0.1)),
    Rated(flag=True),
    Rated(Cosine(0.1, steps=90), momentum=lambda k: 1 / (k + 2)),
    Late(InverseTime(1.0, decay=0.1)),
    Ahead(),
]


def rows(rule, first, count, since):
    return [[float(value) for value in rule.scalars(step, step - since)] for step in range(first, first + count)]


@pytest.mark.parametrize("rule", RULES_TRIED, ids=lambda rule: repr(rule)[:60])
@settings(max_examples=15)
@given(st.one_of(st.integers(1, 100), st.integers(1, 5000)), st.integers(0, 90), st.integers(0, 10**4))
def test_every_row_has_the_bits_of_its_step(rule, first, count, back):
    since = max(0, first - 1 - back)
    if not count and not getattr(rule, "momentum", 0):
        since = 0
    if any(isinstance(value, Schedule) and not scalars.is_built_in(value) for value in rule.values().values()):
        first, since = first % 100 + 1, 0  # a recursion
    table = scalar_table(rule, first, count, since)
    assert table.error is None
    assert table.values.shape == (count, len(rule.scalar_names))
    assert (table.values.dtype, table.learning_rate.dtype) == (np.float64, np.float64)
    assert table.values.flags.c_contiguous
    assert table.learning_rate.flags.c_contiguous
    assert table.values.tobytes() == np.array(rows(rule, first, count, since), dtype=np.float64).tobytes()
    assert table.learning_rate.tolist() == [rule.at(step).learning_rate for step in range(first, first + count)]


class Counted(Adam):
    steps_as_arrays = True
    calls: list[object] = []  # noqa: RUF012 - what the test looks at

    def per_step(self, step):
        self.calls.append(step)
        return super().per_step(step)


def test_what_takes_arrays_is_called_once():
    Counted.calls.clear()
    scalar_table(Counted(InverseTime(1.0, decay=0.1)), 1, 500)
    assert len(Counted.calls) == 1

    asked = []

    def rate(k):
        asked.append(k)
        return 0.1

    scalar_table(SGD(rate), 11, 30)
    assert asked == list(range(10, 40))


def test_pieces_are_the_whole():
    rule = NAdam(Cosine(0.1, steps=400))
    whole = scalar_table(rule, 1, 500)
    parts = [scalar_table(rule, first, 100) for first in range(1, 501, 100)]
    assert np.concatenate([part.values for part in parts]).tobytes() == whole.values.tobytes()
    assert np.concatenate([part.learning_rate for part in parts]).tobytes() == whole.learning_rate.tobytes()


GROWING = Exponential(1.0, rate=1e10)  # infinite from k = 31 on


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        (SGD(GROWING), 31),
        (Adam(GROWING), 31),
        (Own(GROWING), 31),
        (SGD(lambda k: 1.0 if k < 7 else -1.0), 7),
        (SGD(lambda k: 1.0 if k < 7 else math.nan), 7),
        (SGD(lambda k: 1 if k < 7 else "fast"), 7),
        (SGD(0.1, momentum=InverseTime(2.0, decay=0.5)), 0),
        (SGD(0.1, momentum=Piecewise([0.5, 1.5], boundaries=[9])), 9),
        (SGD(GROWING, momentum=Piecewise([0.5, 1.5], boundaries=[9])), 9),
        (SGD(GROWING, momentum=Piecewise([0.5, 1.5], boundaries=[31])), 31),
        (SGD(lambda k: 1.0 if k < 7 else -1.0, momentum=Piecewise([0.5, 1.5], boundaries=[7])), 7),
        (Late(lambda k: 1.0 if k < 17 else -1.0), 7),
    ],
)
def test_the_table_ends_before_a_step_whose_schedule_gives_an_illegal_value(rule, last):
    table = scalar_table(rule, 1, 50)
    assert len(table.values) == len(table.learning_rate) == last
    assert table.values.tolist() == rows(rule, 1, last, 0)
    with pytest.raises(InputError) as owed:
        rule.at(last + 1)
    assert type(table.error) is InputError
    assert str(table.error) == str(owed.value)
    if last:
        assert scalar_table(rule, 1, last).error is None
        after = scalar_table(rule, last + 1, 5)
        assert (len(after.values), str(after.error)) == (0, str(table.error))


class Failing(Adam):
    def per_step(self, step):
        if step == 6:
            raise InputError("step must not be 6")
        return {**super().per_step(step), "correction_1": 1.0 / (step - 9)}


class FailingOnArrays(Failing):
    steps_as_arrays = True


def test_the_table_ends_before_a_step_whose_per_step_fails():
    for rule in (Failing(), FailingOnArrays(), Failing(InverseTime(1.0, decay=0.1))):
        table = scalar_table(rule, 1, 50)
        assert table.values.tolist() == rows(rule, 1, 5, 0)
        assert table.learning_rate.tolist() == [rule.at(step).learning_rate for step in range(1, 6)]
        assert (type(table.error), str(table.error)) == (InputError, "step must not be 6")
    # What is not the package's own error becomes one; the schedules go by the step, the rule by its age.
    table = scalar_table(Failing(lambda k: 1 / (30 - k)), 17, 50, since=10)
    assert (len(table.values), type(table.error)) == (2, RuleError)
    assert str(table.error) == "Failing.update failed: ZeroDivisionError: float division by zero"
    assert isinstance(table.error.__cause__, ZeroDivisionError)
    table = scalar_table(SGD(lambda k: 1 / (30 - k)), 17, 50)
    assert (len(table.values), type(table.error)) == (14, RuleError)
    assert str(table.error) == "learning_rate at step 31 failed: ZeroDivisionError: division by zero"
    assert isinstance(table.error.__cause__, ZeroDivisionError)


def test_a_scalar_from_nowhere_is_told():
    class Mine(SGD):
        def update(xp, parameter, gradient, velocity, learning_rate, gamma):  # noqa: N805 - a static formula
            return parameter, velocity

    table = scalar_table(Mine(), 1, 5)
    assert table.values.shape == (0, 2)
    assert str(table.error).startswith("gamma, which Mine.update takes, must be a slot")
