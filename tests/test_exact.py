from __future__ import annotations

import math
import random
import subprocess
import sys
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from downslope import exact

MOST_ULPS = 1.1  # the module promises 2
REFERENCES = {"exp": mpmath.exp, "log": mpmath.log, "sin": mpmath.sin, "cos": mpmath.cos}
RANGES = {
    "exp": [(-745.1, 709.78), (-745.13, -708.0), (709.0, 709.7827), (-1.0, 1.0), (-1e-3, 1e-3), (0.34, 0.36)],
    "log": [
        (5e-324, 1e-300),
        (1e-9, 1e9),
        (0.5, 2.0),
        (0.99, 1.01),
        (1 - 1e-8, 1 + 1e-8),
        (0.70, 0.72),
        (1e300, 1.7e308),
    ],
    "sin": [(-1e5, 1e5), (-10.0, 10.0), (-1.0, 1.0), (-1e-3, 1e-3), (0.78, 0.79), (3.141, 3.142), (1.57, 1.571)],
    "cos": [(-1e5, 1e5), (-10.0, 10.0), (-1.0, 1.0), (-1e-3, 1e-3), (0.78, 0.79), (3.141, 3.142), (1.57, 1.571)],
}


def sample(low, high, count=250):
    draw = random.Random(f"{low} {high}")
    return [low, high, *(draw.uniform(low, high) for _ in range(count))]


def ulps(got, true):
    """Return the distance from the true value in units of its last place."""
    return abs(mpmath.mpf(got) - true) / mpmath.mpf(math.ulp(float(true)))


@pytest.mark.parametrize(("name", "low", "high"), [(name, *ends) for name in RANGES for ends in RANGES[name]])
def test_within_about_one_unit_in_the_last_place(name, low, high):
    function, reference = getattr(exact, name), REFERENCES[name]
    points = sample(low, high)
    together = function(np.array(points))
    with mpmath.workdps(50):
        for x, from_array in zip(points, together.tolist(), strict=True):
            single = function(x)
            assert type(single) is float
            assert single.hex() == from_array.hex()
            assert ulps(single, reference(mpmath.mpf(x))) < MOST_ULPS, x


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_next_to_multiples_of_a_quarter_of_pi(name):
    function, reference = getattr(exact, name), REFERENCES[name]
    with mpmath.workdps(50):
        for multiple in [*range(1, 20), *range(100, 127_000, 997)]:
            nearest = float(multiple * mpmath.pi / 4)
            for x in (nearest, -nearest, math.nextafter(nearest, 0.0)):
                assert ulps(function(x), reference(mpmath.mpf(x))) < MOST_ULPS, x


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", 0.0, 1.0),
        ("exp", -0.0, 1.0),
        ("exp", 1e-320, 1.0),
        ("exp", math.inf, math.inf),
        ("exp", -math.inf, 0.0),
        ("exp", math.nan, math.nan),
        ("exp", 1e308, math.inf),
        ("exp", -1e308, 0.0),
        ("exp", math.nextafter(exact.EXP_MAX, math.inf), math.inf),
        ("exp", -745.13, 5e-324),
        ("exp", -745.14, 0.0),
        ("exp", -745.2, 0.0),
        ("exp", -745.3, 0.0),
        ("log", 1.0, 0.0),
        ("log", 0.0, -math.inf),
        ("log", -0.0, -math.inf),
        ("log", math.inf, math.inf),
        ("log", -math.inf, math.nan),
        ("log", -1.0, math.nan),
        ("log", -5e-324, math.nan),
        ("log", math.nan, math.nan),
        ("sin", 0.0, 0.0),
        ("sin", 5e-324, 5e-324),
        ("cos", 0.0, 1.0),
        ("cos", 1e-310, 1.0),
        ("cos", math.pi, -1.0),
        ("sin", math.pi / 2, 1.0),
    ],
)
def test_special_values(name, x, expected):
    function = getattr(exact, name)
    for value in (function(x), function(np.array([0.5, x]))[1], function(np.array(x))):
        np.testing.assert_array_equal(value, expected)


def test_exp_is_finite_up_to_the_largest_number():
    for value in (exact.exp(exact.EXP_MAX), float(exact.exp(np.array(exact.EXP_MAX)))):
        assert 1.79769313486e308 < value < math.inf


@pytest.mark.parametrize("x", [math.inf, -math.inf, math.nan, 100_000.1, -1e300])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_out_of_range_are_refused(name, x):
    with pytest.raises(ValueError, match="finite angles of at most 100,000 radians"):
        getattr(exact, name)(x)
    with pytest.raises(ValueError, match="finite angles of at most 100,000 radians"):
        getattr(exact, name)(np.array([0.0, x]))


@pytest.mark.parametrize("name", ["exp", "log", "sin", "cos"])
def test_shapes_and_types(name):
    function = getattr(exact, name)
    for shape in [(0,), (2, 3), (1, 0, 2), ()]:
        value = function(np.ones(shape))
        assert value.shape == shape
        assert value.dtype == np.float64
    assert function(np.ones(2, dtype=np.float32)).dtype == np.float64
    assert function(np.array([1, 2])).tolist() == [function(1), function(2)] == [function(1.0), function(2.0)]


GOLDEN = {
    ("exp", 1.0): "0x1.5bf0a8b14576ap+1",
    ("exp", -17.3): "0x1.0772c096d61b7p-25",
    ("log", 10.0): "0x1.26bb1bbb55516p+1",
    ("log", 0.3): "-0x1.34378fcbda721p+0",
    ("sin", 1.0): "0x1.aed548f090ceep-1",
    ("sin", 1234.5): "0x1.29c531dfd031bp-3",
    ("cos", 1.0): "0x1.14a280fb5068cp-1",
    ("cos", -98765.4): "0x1.fff93d6384541p-1",
}


@pytest.mark.parametrize(("name", "x"), GOLDEN)
def test_the_same_bits_on_every_machine(name, x):
    assert getattr(exact, name)(x).hex() == GOLDEN[name, x]


def test_power_of_numbers():
    assert exact.power(3, 0) == 1
    assert [exact.power(-3, n) for n in range(9)] == [(-3) ** n for n in range(9)]
    assert exact.power(7, 1000) == 7**1000
    assert exact.power(Fraction(2, 3), 7) == Fraction(128, 2187)
    assert exact.power(0.0, 0) == 1.0
    assert exact.power(0.5, 1074) == 5e-324
    assert exact.power(0.5, 10**9) == 0.0
    assert exact.power(2.0, 1024) == math.inf


def test_power_multiplies_in_a_fixed_order():
    x = 0.9
    assert exact.power(x, 1) == x
    assert exact.power(x, 3) == x * (x * x)
    assert exact.power(x, 6) == (x * x) * ((x * x) * (x * x))
    with mpmath.workdps(50):
        for exponent in (2, 10, 999, 4095):
            assert ulps(exact.power(x, exponent), mpmath.mpf(x) ** exponent) < exponent


def test_power_of_arrays_and_symbols():
    bases = np.array([0.9, -1.5, 0.0])
    assert exact.power(bases, 7).tolist() == [exact.power(base, 7) for base in bases.tolist()]
    assert exact.power(bases, 0).tolist() == [1.0, 1.0, 1.0]
    symbol = sympy.Symbol("beta")
    assert exact.power(symbol, 5) == symbol**5


def test_power_refuses_a_negative_exponent():
    with pytest.raises(ValueError, match="whole exponent of at least 0, not -1"):
        exact.power(2.0, -1)
    with pytest.raises(ValueError, match="whole exponents of at least 0, not -2"):
        exact.power(2.0, np.array([3, -1, -2]))


@given(
    st.floats(-2.0, 2.0),
    st.one_of(st.integers(0, 100), st.integers(0, 2**53)),
    st.sampled_from([0, 1, 2, 7, 300, 5000]),
    st.sampled_from([1, 3, 2**20]),
)
def test_power_of_an_array_multiplies_as_for_one_number(base, first, count, apart):
    exponents = first + apart * np.arange(count)
    together = exact.power(base, exponents)
    assert together.dtype == np.float64
    for i in {0, 1, 2, 63, 64, 255, 256, 299, 4095, 4096, count - 1} & set(range(count)):
        assert together[i].hex() == exact.power(base, int(exponents[i])).hex()


def test_power_of_arrays_of_bases_and_exponents():
    bases, exponents = np.array([0.9, -1.5, 0.0, 2.0]), np.array([7, 3, 0, 2**40 + 1])
    with np.errstate(over="ignore"):
        together = exact.power(bases, exponents).tolist()
    assert together == [exact.power(base, one) for base, one in zip(bases.tolist(), exponents.tolist(), strict=True)]
    assert exact.power(0.5, np.array(3)) == 0.125
    assert exact.power(0.5, np.array([], dtype=np.int64)).shape == (0,)
    assert exact.power(0.5, np.array([[1, 2], [3, 0]])).tolist() == [[0.5, 0.25], [0.125, 1.0]]


def test_choices_serve_numbers_and_arrays():
    assert (exact.where(True, 1, 2), exact.where(False, 1, 2)) == (1, 2)
    assert (exact.minimum(3, 5), exact.minimum(5, 3), exact.maximum(3, 5), exact.maximum(5, 3)) == (3, 3, 5, 5)
    array = np.array([1, 4])
    assert exact.where(array > 2, array, 7).tolist() == [7, 4]
    assert exact.minimum(array, 3).tolist() == [1, 3]
    assert exact.maximum(array, 3).tolist() == [3, 4]
    assert exact.sqrt(2.0).hex() == exact.sqrt(np.array([2.0]))[0].hex() == math.sqrt(2.0).hex()


@given(st.floats(0.0, 0.9999), st.lists(st.one_of(st.integers(0, 20_000), st.integers(0, 50)), min_size=1, max_size=6))
def test_products_are_multiplied_from_the_first_on_whatever_is_asked(share, asked):
    def factor(n):
        return share * (n / (n + 1))

    product = exact.Products(factor)
    together = exact.Products(factor)(np.array(asked)).tolist()
    for n, from_array in zip(asked, together, strict=True):
        expected = math.prod(map(factor, range(1, n + 1)), start=1.0)
        assert product(n) == from_array
        assert 1 - from_array == 1 - expected
        assert from_array == expected or expected < 2.0**-60
        assert product(np.array([n, 0])).tolist() == [from_array, 1.0]
    if share < 0.99:
        assert len(product._kept) < 5000  # what no longer counts is not kept


def test_numbers_load_no_numpy():
    code = (
        "import sys; from downslope import exact; exact.exp(0.3); exact.exp(-800); exact.log(2); exact.log(0.0); "
        "exact.power(0.9, 1000); exact.sqrt(2.0); exact.where(True, 1, 2); exact.minimum(1, 2); "
        "exact.Products(lambda n: 0.5)(9); print('numpy' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "False\n"
