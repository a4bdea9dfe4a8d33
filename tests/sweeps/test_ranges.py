import math
from decimal import Decimal

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.errors import InputError
from downslope.sweeps import Range, linear, log, parse_range, values
from downslope.sweeps.ranges import as_range

SMALL = st.floats(min_value=1e-12, max_value=1e12)


def test_values_are_the_decimal_numbers_one_would_write():
    assert linear(0, 0.9, 10).values == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert log(1e-3, 10, 5).values == (0.001, 0.01, 0.1, 1.0, 10.0)
    assert log(16, 256, 5).values == (16.0, 32.0, 64.0, 128.0, 256.0)
    assert linear(-1, 1, 3).values == (-1.0, 0.0, 1.0)


@pytest.mark.parametrize(("low", "high", "count"), [(1e-3, 10, 32), (0.3, 0.7, 11), (1e-300, 1e300, 9)])
def test_log_values_are_rounded_once(low, high, count):
    with mpmath.workdps(60):
        first, last = mpmath.mpf(repr(low)), mpmath.mpf(repr(high))
        wanted = [float(first * (last / first) ** (mpmath.mpf(place) / (count - 1))) for place in range(count)]
    assert log(low, high, count).values == tuple(wanted)


@settings(max_examples=40)
@given(SMALL, SMALL, st.integers(3, 40))
def test_a_log_range_ascends_by_one_factor_between_exact_ends(one, other, count):
    low, high = sorted([one, other])
    if high / low < 1 + 1e-6:
        return
    got = log(low, high, count)
    assert (got.values[0], got.values[-1], len(got), got.log) == (low, high, count, True)
    assert all(a < b for a, b in zip(got.values, got.values[1:], strict=False))
    wanted = Decimal(low) * (Decimal(high) / Decimal(low)) ** (Decimal(1) / Decimal(count - 1))
    assert got.values[1] == pytest.approx(float(wanted), rel=1e-15)


def test_one_value_and_kinds():
    assert linear(2, 2, 1).values == (2.0,)
    assert values([16, np.int64(32), np.float64(0.5), 7.0]).values == (16, 32, 0.5, 7.0)
    assert [type(one) for one in values([16, np.int64(32), 7.0]).values] == [int, int, float]
    assert values([True, np.False_]).values == (True, False)
    assert [values(given).log for given in ([0.001, 1], [0.1, 1], [0, 1000], [-1, 5])] == [True, False, False, False]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("log:1e-3:10:5", (0.001, 0.01, 0.1, 1.0, 10.0)),
        ("linear:0:1:3", (0.0, 0.5, 1.0)),
        (" 0 : 1 : 3 ", (0.0, 0.5, 1.0)),
        ("0.1, 0.2,0.5", (0.1, 0.2, 0.5)),
        ("32", (32,)),
        ("true,False", (True, False)),
    ],
)
def test_parse_range(text, wanted):
    assert parse_range(text).values == wanted


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: log(0, 1, 3), "low must be above 0. Received: low=0"),
        (lambda: log(-1, 1, 3), "low must be above 0. Received: low=-1"),
        (lambda: linear(1, 0, 3), "high must be above low. Received: low=1, high=0"),
        (lambda: linear(1, 1, 2), "high must be above low. Received: low=1, high=1"),
        (lambda: linear(0, 1, 1), "count must be at least 2 where low and high differ. Received: count=1"),
        (lambda: linear(0, 1, 0), "count must be a whole number at least 1 and at most 100000. Received: count=0"),
        (lambda: linear(0, 1, 10**7), "count must be a whole number at least 1 and at most 100000. "),
        (lambda: linear(0, 1, 2.5), "count must be a whole number"),
        (lambda: linear(0, math.nan, 3), "high must be a finite number. Received: high=nan"),
        (lambda: log(math.inf, math.inf, 3), "low must be a finite number"),
        (lambda: linear(1, math.nextafter(1, 2), 3), "count must leave values that differ. Received: 3 from 1.0 to 1"),
        (lambda: values([]), "values must hold at least 1 and at most 100,000 numbers. Received: 0"),
        (lambda: values([0.1, 0.2, 0.1]), "values must differ from one another. Received: 0.1 more than once"),
        (lambda: values([1, 1.0]), "values must differ from one another. Received: 1.0 more than once"),
        (lambda: values([0.1, math.nan]), "values[1] must be a finite number"),
        (lambda: values(["a"]), "values[0] must be a finite number. Received: values[0]='a'"),
        (lambda: values("0.1"), "values must be a list of numbers. Received: values='0.1'"),
        (lambda: values(3), "values must be a list of numbers"),
        (lambda: parse_range("lin:0:1:3", "momentum"), "momentum must be LOW:HIGH:COUNT, log:LOW:HIGH:COUNT or a list"),
        (lambda: parse_range("0:1", "momentum"), "momentum must be LOW:HIGH:COUNT"),
        (lambda: parse_range("", "momentum"), "momentum must be LOW:HIGH:COUNT"),
        (lambda: parse_range("0:1:three", "momentum"), "momentum must be LOW:HIGH:COUNT"),
        (lambda: parse_range("log:0:1:3", "learning_rate"), "learning_rate: low must be above 0. Received: low=0"),
        (lambda: parse_range("0:1:2.5", "x"), "x: count must be a whole number"),
        (lambda: parse_range("0.1,nan", "x"), "x: values[1] must be a finite number"),
        (
            lambda: as_range("momentum", 0.5),
            "momentum must be a range such as linear(0, 0.99, 32), or a list of values",
        ),
        (lambda: as_range("momentum", [0.5, 0.5]), "momentum: values must differ from one another"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_whole_settings_take_whole_numbers():
    def whole(given):
        return given.checked("batch_size", int, whole=True).values

    assert whole(log(10, 300, 4)) == (10, 31, 97, 300)
    assert whole(values([16.0, 32])) == (16, 32)
    assert values([0.5]).checked("batch_size", lambda value: value, whole=True).values == (0.5,)  # its check refuses it
    with pytest.raises(InputError, match=r"batch_size must take whole numbers that differ. .* several round to 1$"):
        whole(log(1, 4, 10))


def test_repr_is_short():
    assert repr(log(0.001, 10, 32)) == "<Range of 32 by factors: 0.001, 0.00134596, 0.00181161, …, 10>"
    assert repr(Range((1, 2))) == "<Range of 2: 1, 2>"
