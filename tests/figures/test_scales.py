from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import downslope as ds
from downslope.figures.scales import (
    limits_of,
    log_ticks,
    spans_more_than,
    steps_between,
    straighter_as_log,
    tick_numbers,
)

numbers = st.floats(-1e90, 1e90, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-90)


@given(st.lists(numbers, min_size=1, max_size=9))
def test_limits_hold_all_values_and_ticks_lie_within_them(values):
    low, high = limits_of(np.array(values))
    assert low < high
    assert low <= min(values)
    assert max(values) <= high
    ticks = steps_between(low, high)
    assert 1 <= len(ticks) <= 6
    slack = 1e-6 * (high - low)
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert len(set(tick_numbers(ticks))) == len(ticks)
    assert max(len(text) for text in tick_numbers(ticks)) <= 11


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, -np.inf]])
def test_limits_of_nothing_finite_are_0_and_1(values):
    assert limits_of(np.array(values)) == (0.0, 1.0)


def test_limits_ignore_what_is_not_finite():
    low, high = limits_of(np.array([1.0, np.inf, 2.0, np.nan]))
    assert (low, high) == pytest.approx((0.95, 2.05))


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0.0, 0.5, 1.0], ["0", "0.5", "1.0"]),
        ([0.0, 2500.0, 5000.0], ["0", "2,500", "5,000"]),
        ([-1.0, 0.0, 1.0], ["−1", "0", "1"]),
        ([0.0, 0.00025, 0.0005], ["0", "2.5e−4", "5.0e−4"]),
        ([0.0, 1e-7], ["0", "1e−7"]),
        ([-5e5, 0.0, 5e5], ["−5e5", "0", "5e5"]),
        ([0.25, 0.5], ["0.25", "0.50"]),
    ],
)
def test_ticks_are_short_numbers(ticks, texts):
    assert tick_numbers(ticks) == texts


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.08, 1.2, [0.1, 1.0]),
        (0.2, 3.0, [0.2, 0.5, 1.0, 2.0]),
        (1e-8, 1e2, [1e-8, 1e-5, 1e-2, 1e1]),
        (0.9, 120.0, [1.0, 10.0, 100.0]),
    ],
)
def test_log_ticks(low, high, ticks):
    found = log_ticks(low, high)
    if high / low > 1e6:
        ratios = np.diff(np.log10(found))
        assert 3 <= len(found) <= 5
        assert ratios == pytest.approx(ratios[0])
    else:
        assert found == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("values", "decades", "wide"),
    [
        ([1.0, 0.09], 1, True),
        ([1.0, 0.11], 1, False),
        ([0.0, 1e9], 1, False),
        ([-1.0, 1e9], 1, False),
        ([1.0, np.inf], 1, False),
        ([1e-300, np.nan, 1e300], 2, True),
        ([], 1, False),
    ],
)
def test_spans(values, decades, wide):
    assert spans_more_than(np.array(values), decades) is wide


@pytest.mark.parametrize(
    ("schedule", "log"),
    [
        (ds.Exponential(1.0, 0.99), True),
        (ds.InverseTime(1.0, decay=0.1), True),
        (ds.Step(1.0, every=100), True),
        (ds.Polynomial(1.0, steps=500), False),
        (ds.Cosine(1.0, steps=500), False),
        (ds.OneCycle(1.0, steps=500), False),
        (ds.Cosine(1.0, steps=100, restarts=True), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_schedule_keeps_its_shape_unless_it_falls_by_factors(schedule, log):
    assert straighter_as_log(schedule(np.arange(499))) is log


@pytest.mark.parametrize("values", [[1e6, 1.0002e6], [1.7e9, 1.7001e9], [5 - 1e-8, 5 + 1e-8]])
def test_numbers_that_lie_close_together_fill_their_axis(values):
    low, high = limits_of(np.array(values), least=1e-9)
    assert (values[1] - values[0]) / (high - low) > 0.85
