from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.errors import InputError
from downslope.schedules import (
    Chain,
    Constant,
    Cosine,
    Exponential,
    ForSteps,
    LinearWarmup,
    Piecewise,
    Scaled,
    Shifted,
    Step,
    from_description,
)


def test_the_next_schedule_sees_its_own_k_from_zero():
    warmup, cosine = LinearWarmup(0.1, steps=100), Cosine(0.1, steps=900)
    chain = warmup.then(cosine)
    assert chain.length == 1000
    k = np.arange(100)
    assert np.array_equal(chain(k), warmup(k))
    k = np.arange(1000)
    assert np.array_equal(chain(k + 100), cosine(k))


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0.1, 1.0)), min_size=1, max_size=6))
def test_a_chain_of_constants_is_piecewise(parts):
    chain = Chain([Constant(rate).for_steps(steps) for steps, rate in parts])
    boundaries = np.cumsum([steps for steps, _ in parts])
    piecewise = Piecewise([rate for _, rate in parts], boundaries=boundaries[:-1])
    k = np.arange(60)
    assert np.array_equal(chain(k), piecewise(k))
    assert [chain(one) for one in range(60)] == [piecewise(one) for one in range(60)]
    assert chain.length == boundaries[-1]


def test_chains_inside_chains_become_one():
    a, b, c, d = (Constant(rate).for_steps(5) for rate in (0.1, 0.2, 0.3, 0.4))
    flat = Chain([a, b, c, d])
    assert a.then(b).then(c).then(d) == flat
    assert a.then(b).then(c.then(d)) == flat
    assert a.then(b.then(c.then(d))) == flat
    assert Chain([Chain([Chain([a, b]), c]), d]).parts == (a, b, c, d)
    assert hash(a.then(b).then(c.then(d))) == hash(flat)


def test_a_length_given_to_a_schedule_says_only_when_the_next_begins():
    long = Step(1.0, every=10, factor=0.5).for_steps(15)
    assert long == ForSteps(Step(1.0, every=10, factor=0.5), steps=15)
    assert long.length == 15
    assert [long(k) for k in (0, 10, 15, 20)] == [1.0, 0.5, 0.5, 0.25]
    cut = Cosine(1.0, steps=100).for_steps(50).then(Constant(0.5))
    assert [cut(k) for k in (0, 49, 50, 99)] == [1.0, Cosine(1.0, steps=100)(49), 0.5, 0.5]
    inside = Constant(0.1).for_steps(3).then(Constant(0.2)).for_steps(5).then(Constant(0.3))
    assert inside(np.arange(7)).tolist() == [0.1] * 3 + [0.2] * 2 + [0.3] * 2


def test_an_endless_last_part_makes_the_chain_endless():
    assert LinearWarmup(0.1, steps=10).then(Exponential(0.1, rate=0.9)).length is None
    assert Chain([Constant(0.1)]).length is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Constant(0.1).then(Constant(0.2)),
            "steps must be given with .for_steps(steps) before another schedule can follow one that goes on for ever. "
            "Received: Constant(0.1)",
        ),
        (
            lambda: Chain([Cosine(0.1, steps=3, restarts=True), Constant(0.2)]),
            "steps must be given with .for_steps(steps) before another schedule can follow one that goes on for ever. "
            "Received: Cosine(0.1, steps=3, restarts=True)",
        ),
        (
            lambda: LinearWarmup(0.1, steps=3).then(Constant(0.2)).then(Constant(0.3)),
            "steps must be given with .for_steps(steps) before another schedule can follow one that goes on for ever. "
            "Received: Constant(0.2)",
        ),
        (lambda: Constant(0.1).for_steps(0), "steps must be a whole number at least 1. Received: steps=0"),
        (
            lambda: LinearWarmup(0.1, steps=3).then(0.2),
            "parts[1] must be a schedule such as Cosine(0.1, steps=900). Received: parts[1]=0.2",
        ),
        (lambda: Chain([]), "parts must be a sequence of at least one schedule. Received: parts=()"),
        (
            lambda: Chain(Constant(0.1)),
            "parts must be a sequence of schedules. Received: parts=Constant(0.1)",
        ),
        (
            lambda: ForSteps(0.1, steps=3),
            "schedule must be a schedule such as Cosine(0.1, steps=900). Received: schedule=0.1",
        ),
    ],
)
def test_wrong_parts_get_one_sentence(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


def test_a_scaled_schedule_multiplies_every_rate_and_scales_are_joined():
    cosine, k = Cosine(0.3, steps=9), np.arange(12)
    twice = cosine.scaled(0.5).scaled(0.25)
    assert twice == Scaled(cosine, factor=0.125)
    assert twice(k).tolist() == [0.125 * cosine(one) for one in range(12)] == [twice(one) for one in range(12)]
    assert (twice.length, Constant(0.1).scaled(2).length) == (9, None)
    assert from_description(twice.describe()) == twice
    with pytest.raises(InputError, match=r"^factor must be above 0\. Received: factor=0$"):
        cosine.scaled(0)


def test_a_shifted_schedule_begins_later_and_holds_its_first_rate_until_then():
    step, k = Step(1.0, every=2, factor=0.5), np.arange(12)
    later = step.shifted(5)
    assert later == Shifted(step, start=5)
    assert later(k).tolist() == [step(max(one - 5, 0)) for one in range(12)] == [later(one) for one in range(12)]
    assert step.shifted(0) is step
    assert Cosine(0.3, steps=9).shifted(5).length == 14
    assert from_description(later.describe()) == later
    assert later.for_steps(7).then(Constant(0.1))(7) == 0.1
