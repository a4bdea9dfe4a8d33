from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import mpmath
import numba
import numpy as np
import pytest
from numba import types

from downslope.engines.compiled import elementary

# The largest error allowed, in units in the last place, in float32 and float64.
LIMITS = {
    "exp": (1.1, 1.1),
    "log": (0.9, 0.9),
    "log1p": (1.5, 1.5),
    "expm1": (1.8, 2.5),
    "tanh": (3.0, 3.0),
    "sigmoid": (2.5, 2.5),
    "softplus": (2.0, 2.0),
}
EXACT = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "expm1": mpmath.expm1,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
}
IN_FLOAT64 = {
    **{name: getattr(np, name) for name in ("exp", "log", "log1p", "expm1", "tanh")},
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}
DTYPES = [np.float32, np.float64]
every_function = pytest.mark.parametrize("name", LIMITS)
either_type = pytest.mark.parametrize("dtype", DTYPES)


@lru_cache
def compiled(name):
    function = getattr(elementary, name)

    @numba.njit(error_model="numpy")
    def loop(x, out):
        for r in range(x.size):
            out[r] = function(x[r])

    return loop


def values(name, x):
    out = np.empty_like(x)
    compiled(name)(x, out)
    return out


def unit(exact, dtype):
    """Return the distance of neighbouring numbers of the type around given float64 or longdouble numbers."""
    _, exponent = np.frexp(exact)
    digits, least = (24, -149) if dtype is np.float32 else (53, -1074)
    return np.ldexp(np.ones_like(exact), np.maximum(exponent - digits, least))


def arguments(name, dtype):
    """Return arguments of every size and sign, and many where range reductions change over."""
    random = np.random.default_rng(1)
    sizes = 2.0 ** np.arange(*((-149, 128, 0.37) if dtype is np.float32 else (-1074, 1024, 1.73)))
    near = [random.uniform(-width, width, 400) for width in (0.01, 0.5, 1.5, 5.0, 25.0, 110.0, 750.0)]
    breaks = (np.arange(-40, 40, 0.5)[:, None] * np.log(2) + 1e-6 * np.arange(-2, 3)).ravel()
    powers = (2.0 ** np.arange(-20, 20, 0.5)[:, None] * (1 + 1e-6 * np.arange(-2, 3))).ravel()
    x = np.concatenate([sizes, -sizes, *near, breaks, powers, powers - 1, -powers]).astype(dtype)
    return x[{"log": x > 0, "log1p": x > -1}.get(name, slice(None))]


@every_function
@either_type
def test_error_in_units_in_the_last_place(name, dtype):
    x = arguments(name, dtype)
    out = values(name, x)
    exact = EXACT[name]
    limit = LIMITS[name][DTYPES.index(dtype)]
    with mpmath.workprec(200):
        for given, got in zip(x.tolist(), out.tolist(), strict=True):
            # e^1e300 has too many digits to write down, and e^−1e300 is 0 to any.
            true = exact(mpmath.mpf(min(max(given, -2000.0), 2000.0) if name not in ("log", "log1p") else given))
            if name == "softplus" and given > 2000.0:
                true = mpmath.mpf(given)
            with np.errstate(over="ignore"):
                rounded = dtype(float(true))
            if np.isinf(rounded):
                assert got == rounded, given
            else:
                error = abs(mpmath.mpf(got) - true) / float(unit(np.float64(true), dtype))
                assert error <= limit, (given, got, float(error))


@every_function
def test_float32_over_all_bit_patterns(name):
    x = np.arange(0, 2**32, 1009, dtype=np.uint64).astype(np.uint32).view(np.float32)
    out = values(name, x)
    with np.errstate(all="ignore"):
        exact = IN_FLOAT64[name](x.astype(np.float64))
        rounded = exact.astype(np.float32)
        inside = np.isfinite(rounded) & np.isfinite(out)
        error = np.abs(out[inside] - exact[inside]) / unit(exact[inside], np.float32)
    assert error.max() <= LIMITS[name][0]
    assert np.array_equal(out[~inside], rounded[~inside], equal_nan=True)


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("name", "pairs"),
    {
        "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e4, INF), (-1e4, 0.0)],
        "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (-1.0, NAN), (-1e-40, NAN), (-INF, NAN), (INF, INF)],
        "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-1.5, NAN), (-INF, NAN), (INF, INF)],
        "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (1e4, INF), (-1e4, -1.0)],
        "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (1e30, 1.0), (-25.0, -1.0)],
        "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (1e30, 1.0), (-1e30, 0.0)],
        "softplus": [(INF, INF), (-INF, 0.0), (1e30, 1e30), (-1e30, 0.0)],
    }.items(),
)
@either_type
def test_special_values(name, pairs, dtype):
    given, wanted = np.array([*pairs, (NAN, NAN)], dtype=dtype).T.copy()
    out = values(name, given)
    assert np.array_equal(out, wanted, equal_nan=True)
    numbers = ~np.isnan(wanted)
    assert np.array_equal(np.signbit(out[numbers]), np.signbit(wanted[numbers]))


@either_type
def test_results_below_the_normal_range_are_rounded_gradually(dtype):
    tiny = np.finfo(dtype)
    x = np.log(np.longdouble(tiny.smallest_normal)) - np.linspace(0, 14, 200)
    x = x.astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    assert np.abs(values("exp", x) - exact).max() <= 1.0 * tiny.smallest_subnormal
    small = (np.arange(1, 200) * tiny.smallest_subnormal).astype(dtype)
    for name in ("log1p", "expm1", "tanh"):
        assert np.array_equal(values(name, small), small)
        assert np.array_equal(values(name, -small), -small)
    assert np.allclose(values("log", small), np.log(small.astype(np.longdouble)).astype(dtype), rtol=tiny.eps, atol=0)


@either_type
def test_tanh_is_odd_and_sigmoid_of_opposites_sums_to_one(dtype):
    x = np.linspace(-30, 30, 10_001).astype(dtype)
    assert np.array_equal(values("tanh", -x), -values("tanh", x))
    assert np.abs(values("sigmoid", x) + values("sigmoid", -x) - 1).max() <= np.finfo(dtype).eps


@every_function
def test_calls_with_single_numbers_keep_the_type(name):
    @numba.njit(error_model="numpy")
    def one(x):
        return elementary_function(x)

    elementary_function = getattr(elementary, name)
    for dtype, number in ((np.float32, types.float32), (np.float64, types.float64)):
        one(dtype(0.3))
        assert one.overloads[(number,)].signature.return_type == number


# The hash of 600,000 results each, with every NaN alike: the same on every processor.
DIGESTS = {
    ("exp", "float32"): "b2740fb196783e0a",
    ("exp", "float64"): "670eb9dd15d42110",
    ("expm1", "float32"): "9121a9580aa6a499",
    ("expm1", "float64"): "9f94f0fd223641db",
    ("log", "float32"): "31eb9ebe9de43b76",
    ("log", "float64"): "a893d05960331f94",
    ("log1p", "float32"): "45c168f000dba7d2",
    ("log1p", "float64"): "cdcc83e9066b2cb2",
    ("sigmoid", "float32"): "dd1fd412726c9155",
    ("sigmoid", "float64"): "0210c0accf31896c",
    ("softplus", "float32"): "5b37641184ee4689",
    ("softplus", "float64"): "bd25f0186f5bd5c3",
    ("tanh", "float32"): "1a107e1b297bb136",
    ("tanh", "float64"): "89e87f1857ebc830",
}


def test_same_bits_and_vectorized_on_every_processor(run_as):
    told = [line.split() for line in run_as(Path(__file__).with_name("elementary_bits.py"))]
    assert {(name, dtype): digest for name, dtype, digest, *_ in told} == DIGESTS
    for name, dtype, _, width, foreign in told:
        assert int(width) >= (4 if dtype == "float32" else 2), (name, dtype)
        assert int(foreign) == 0, (name, dtype)
