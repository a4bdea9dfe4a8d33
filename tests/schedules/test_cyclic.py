from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.errors import InputError
from downslope.schedules import Cosine, LinearWarmup, OneCycle


def test_warmup_is_a_straight_line_to_base():
    schedule = LinearWarmup(0.5, steps=8)
    assert [schedule(k) for k in (0, 1, 4, 8, 9, 10**6)] == [0.0, 0.0625, 0.25, 0.5, 0.5, 0.5]
    schedule = LinearWarmup(1.0, steps=4, start=0.5)
    assert schedule(np.arange(6)).tolist() == [0.5, 0.625, 0.75, 0.875, 1.0, 1.0]
    assert LinearWarmup(0.7, steps=3, start=0.1)(0) == 0.1


def half_wave(base, final, done, length):
    return (
        mpmath.mpf(final) + (mpmath.mpf(base) - mpmath.mpf(final)) * (1 + mpmath.cospi(mpmath.mpf(done) / length)) / 2
    )


def test_cosine_follows_its_formula_and_stays_at_final():
    schedule = Cosine(0.9, steps=60, final=0.3)
    with mpmath.workdps(50):
        for k in range(61):
            assert abs(schedule(k) - half_wave(0.9, 0.3, k, 60)) < 4e-16
    assert (schedule(0), schedule(60), schedule(61), schedule(10**6)) == (0.9, 0.3, 0.3, 0.3)
    assert (np.diff(schedule(np.arange(61))) < 0).all()


@pytest.mark.parametrize(
    ("steps", "period_factor", "peak_factor"), [(7, 1, 1.0), (7, 1, 0.8), (3, 2, 1.0), (2, 5, 0.5)]
)
def test_cosine_restarts_at_the_end_of_every_period(steps, period_factor, peak_factor):
    schedule = Cosine(0.9, steps, 0.1, restarts=True, period_factor=period_factor, peak_factor=peak_factor)
    rates = schedule(np.arange(400))
    start, length, height = 0, steps, mpmath.mpf(1)
    with mpmath.workdps(50):
        for k in range(400):
            if k == start + length:
                start, length, height = start + length, length * period_factor, height * mpmath.mpf(peak_factor)
            expected = 0.1 + height * (half_wave(0.9, 0.1, k - start, length) - mpmath.mpf(0.1))
            assert abs(rates[k] - expected) < 1e-15


@given(st.integers(1, 50), st.integers(1, 4), st.integers(0, 2**53))
def test_cosine_with_restarts_stays_between_final_and_base(steps, period_factor, k):
    schedule = Cosine(0.9, steps, 0.1, restarts=True, period_factor=period_factor)
    rate = schedule(k)
    assert 0.1 <= rate <= 0.9
    assert schedule(np.array([0, k, 1]))[1] == rate


def torch_one_cycle(peak, steps, rising, start_factor, final_factor, shape, k):
    """Compute the rate as PyTorch's OneCycleLR documents it: two phases that end at a fraction of a step."""
    initial, smallest = peak * start_factor, peak * final_factor
    first_end, second_end = rising * steps - 1, steps - 1
    if k <= first_end:
        begin, end, part = initial, peak, k / first_end
    else:
        begin, end, part = peak, smallest, (k - first_end) / (second_end - first_end)
    if shape == "linear":
        return begin + (end - begin) * part
    return end + (begin - end) / 2 * (1 + np.cos(np.pi * part))


@pytest.mark.parametrize("shape", ["cosine", "linear"])
@pytest.mark.parametrize(("steps", "rising"), [(100, 0.3), (10, 0.5), (7, 0.25), (2, 0.75), (1000, 0.9)])
def test_one_cycle_is_the_fields_own(steps, rising, shape):
    schedule = OneCycle(0.8, steps, 0.1, 0.001, rising, shape)
    expected = [torch_one_cycle(0.8, steps, rising, 0.1, 0.001, shape, k) for k in range(steps)]
    np.testing.assert_allclose(schedule(np.arange(steps)), expected, rtol=1e-11, atol=0)
    assert schedule(0) == 0.8 * 0.1
    assert schedule(steps - 1) == schedule(steps) == schedule(10**6) == 0.8 * 0.001


def test_one_cycle_reaches_the_peak_and_may_end_at_zero():
    schedule = OneCycle(0.7, steps=20, final_factor=0, rising=0.5)
    assert schedule(9) == 0.7
    assert schedule(19) == 0.0
    assert OneCycle(1.0, steps=100)(0) == 0.04
    assert OneCycle(1.0, steps=100)(99) == 4e-6


def test_a_rise_almost_as_long_as_the_training():
    schedule = OneCycle(1.0, steps=10**6, rising=0.999999)
    assert schedule(np.array([0, 10**6 - 1])).tolist() == [0.04, 4e-6]


def test_lengths():
    assert LinearWarmup(1, steps=5).length == 5
    assert Cosine(1, steps=6).length == 6
    assert Cosine(1, steps=6, restarts=True).length is None
    assert OneCycle(1, steps=7).length == 7


@pytest.mark.parametrize(
    ("k", "cosine", "cycle"),
    [
        (1, "0x1.99994802e9839p-4", "0x1.47e5886589cecp-5"),
        (333, "0x1.1e60d88e719d7p-4", "0x1.fd1559930c0cep-1"),
        (700, "0x1.822c67f080067p-7", "0x1.8d6686988d863p-2"),
    ],
)
def test_the_same_bits_on_every_machine(k, cosine, cycle):
    assert Cosine(0.1, steps=901)(k).hex() == cosine
    assert OneCycle(1.0, steps=1001)(k).hex() == cycle


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearWarmup(0, steps=3), "base must be above 0. Received: base=0"),
        (lambda: LinearWarmup(1, steps=0), "steps must be a whole number at least 1. Received: steps=0"),
        (lambda: LinearWarmup(1, steps=3, start=-1), "start must be at least 0. Received: start=-1"),
        (lambda: Cosine(0, steps=3), "base must be above 0. Received: base=0"),
        (lambda: Cosine(1, steps=True), "steps must be a whole number at least 1. Received: steps=True"),
        (lambda: Cosine(1, steps=3, final=-1), "final must be at least 0. Received: final=-1"),
        (lambda: Cosine(1, steps=3, restarts="yes"), "restarts must be True or False. Received: restarts='yes'"),
        (
            lambda: Cosine(1, steps=3, period_factor=1.5),
            "period_factor must be a whole number at least 1. Received: period_factor=1.5",
        ),
        (
            lambda: Cosine(1, steps=3, peak_factor=2),
            "peak_factor must be above 0 and at most 1. Received: peak_factor=2",
        ),
        (
            lambda: Cosine(1, steps=3, peak_factor=0),
            "peak_factor must be above 0 and at most 1. Received: peak_factor=0",
        ),
        (lambda: OneCycle(-1, steps=30), "base must be above 0. Received: base=-1"),
        (
            lambda: OneCycle(1, steps=30, start_factor=2),
            "start_factor must be at least 0 and at most 1. Received: start_factor=2",
        ),
        (
            lambda: OneCycle(1, steps=30, final_factor=-1),
            "final_factor must be at least 0 and at most 1. Received: final_factor=-1",
        ),
        (lambda: OneCycle(1, steps=30, rising=1), "rising must be above 0 and below 1. Received: rising=1"),
        (lambda: OneCycle(1, steps=3), "rising must be above 1/steps = 1/3 and below 1. Received: rising=0.3"),
        (
            lambda: OneCycle(1, steps=1, rising=0.5),
            "steps must be a whole number at least 2. Received: steps=1",
        ),
        (
            lambda: OneCycle(1, steps=30, shape="cosin"),
            "shape must be one of cosine, linear. Received: shape='cosin'. Did you mean 'cosine'?",
        ),
    ],
)
def test_wrong_settings_get_one_sentence(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message
