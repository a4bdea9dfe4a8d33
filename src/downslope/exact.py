"""Elementary functions from + − × ÷ (and √) alone, so that they give the same bits on every processor.

A library's `exp` or `cos` may take another path on another processor and differ in the last bit; a long training
then ends elsewhere. These are a range reduction and a Taylor polynomial in Horner's form, in float64. Largest error
seen against 50-digit values: below 2 units in the last place (tests/test_exact.py). A Python number gives a Python
float without loading NumPy; an array gives an array, with the same bits in every element.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Callable
from typing import Any

__all__ = ["Products", "cos", "exp", "log", "maximum", "minimum", "power", "sin", "sqrt", "where"]

# ln 2 and π/2 as a head with trailing zero bits (so that a small multiple of it is exact) and its remainder.
LN2_HEAD, LN2_TAIL = 6.93147180369123816490e-01, 1.90821492927058770002e-10
HALF_PI_HEAD, HALF_PI_MIDDLE, HALF_PI_TAIL = (
    1.57079632673412561417e00,
    6.07710050630396597660e-11,
    2.02226624879595063154e-21,
)
SQRT_HALF = 0.7071067811865476
# e^x is finite up to the first, and rounds to zero below the second.
EXP_MAX, EXP_MIN = 709.782712893384, -745.2
# A running product below the first no longer changes 1 − product; products are made so many at a time.
NEGLIGIBLE, BLOCK = 2.0**-60, 4096
# Tables of powers have at most 2¹⁶ entries.
TABLE_BITS = 16

EXP_TERMS = tuple(1.0 / math.factorial(n) for n in range(13, -1, -1))
LOG_TERMS = tuple(2.0 / (2 * n + 1) for n in range(11, 0, -1))
SIN_TERMS = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(8, 0, -1))
COS_TERMS = tuple((-1.0) ** n / math.factorial(2 * n) for n in range(8, 1, -1))


def exp(x: Any) -> Any:
    """Return e to the power x: e^x = 2^k · e^r with |r| ≤ ln(2)/2."""
    if not _is_scalar(x):
        return _exp_array(x)
    if math.isnan(x) or x == -math.inf:
        return 0.0 if x == -math.inf else x
    if x > EXP_MAX:
        return math.inf
    if x < EXP_MIN:
        return 0.0
    k = round(x / LN2_HEAD)
    return math.ldexp(_horner(EXP_TERMS, (x - k * LN2_HEAD) - k * LN2_TAIL), k)


def log(x: Any) -> Any:
    """Return the natural logarithm: ln(2^k · m) = k·ln 2 + 2·artanh((m − 1)/(m + 1)), m near 1."""
    if not _is_scalar(x):
        return _log_array(x)
    if x == 0.0:
        return -math.inf
    if not x > 0.0 or x == math.inf:
        return math.inf if x == math.inf else math.nan
    mantissa, exponent = math.frexp(x)
    if mantissa < SQRT_HALF:
        mantissa, exponent = 2.0 * mantissa, exponent - 1
    return _log_near_one(mantissa, exponent)


def sin(x: Any) -> Any:
    """Return the sine of x in radians, |x| ≤ 100,000."""
    return _sine_or_cosine(x, 0)


def cos(x: Any) -> Any:
    """Return the cosine of x in radians, |x| ≤ 100,000."""
    return _sine_or_cosine(x, 1)


def power(base: Any, exponent: Any) -> Any:
    """Return base to a whole power ≥ 0 by repeated squaring (symbols and fractions work too).

    An array of exponents gives an array, by the same multiplications for each.
    """
    if not isinstance(exponent, int):
        return _power_array(base, exponent)
    if exponent < 0:
        raise ValueError(f"power takes a whole exponent of at least 0, not {exponent}")
    result, square = base**0, base
    while exponent > 0:
        if exponent & 1:
            result = result * square
        exponent >>= 1
        if exponent:
            square = square * square
    return result


def sqrt(x: Any) -> Any:
    """Return √x, which every processor rounds correctly; x at least 0."""
    if not hasattr(x, "dtype"):
        return math.sqrt(x)
    import numpy as np

    return np.sqrt(x)


def where(condition: Any, chosen: Any, otherwise: Any) -> Any:
    """Return `chosen` where the condition holds and `otherwise` elsewhere."""
    if not hasattr(condition, "dtype"):
        return chosen if condition else otherwise
    import numpy as np

    return np.where(condition, chosen, otherwise)


def minimum(a: Any, b: Any) -> Any:
    """Return the smaller of two."""
    return where(a < b, a, b)


def maximum(a: Any, b: Any) -> Any:
    """Return the larger of two."""
    return where(a > b, a, b)


class Products:
    """The running products p(n) = f(1)·f(2)·…·f(n) of factors from 0 to below 1, as far as 1 − p(n) tells them apart.

    They are multiplied from the first on, so the digits do not depend on which is asked for first, and are kept. Below
    2⁻⁶⁰, where 1 − p(n) has long been 1, the last one kept stands for all that follow, so that few are kept.

    Parameters
    ----------
    factor : callable
        f, for a whole number and for an array of them, with the same bits.

    Examples
    --------
    >>> product = Products(lambda n: n / (n + 1))
    >>> product(0), product(3)
    (1.0, 0.25)
    """

    def __init__(self, factor: Callable[[Any], Any]) -> None:
        self._factor = factor
        self._kept = array("d", [1.0])
        self._lock = threading.Lock()

    def __call__(self, n: Any) -> Any:
        """Return p(n) for a whole number or an array of them, each at least 0."""
        with self._lock:
            if not hasattr(n, "dtype"):
                while len(self._kept) <= n and self._kept[-1] >= NEGLIGIBLE:
                    self._kept.append(self._kept[-1] * float(self._factor(len(self._kept))))
                return self._kept[min(n, len(self._kept) - 1)]
            import numpy as np

            highest = int(n.max(initial=0))
            while len(self._kept) <= highest and self._kept[-1] >= NEGLIGIBLE:
                following = np.arange(len(self._kept), min(len(self._kept) + BLOCK, highest + 1))
                products = np.multiply.accumulate([self._kept[-1], *self._factor(following).tolist()])[1:]
                kept = np.flatnonzero(products < NEGLIGIBLE)
                self._kept.extend(products[: int(kept[0]) + 1 if len(kept) else None].tolist())
            return np.array(self._kept)[np.minimum(n, len(self._kept) - 1)]


def _power_array(base: Any, exponents: Any) -> Any:
    import numpy as np

    if (exponents < 0).any():
        raise ValueError(f"power takes whole exponents of at least 0, not {exponents.min()}")
    if not isinstance(base, float):
        result: Any = 1.0
        while (exponents > 0).any():
            result = np.where(exponents % 2 == 1, result * base, result)
            base, exponents = base * base, exponents // 2
        return result
    # The product of an exponent is that of the exponent without its highest bit, times one square more: so a table of
    # the products of all low bits takes one multiplication each, and only the bits above it are left.
    bits = int(exponents.max(initial=0)).bit_length()
    low = min(bits, int(exponents.size).bit_length(), TABLE_BITS)
    table = np.ones(2**low)
    with np.errstate(over="ignore", under="ignore"):
        for bit in range(low):
            np.multiply(table[: 2**bit], base, out=table[2**bit : 2 ** (bit + 1)])
            base = base * base
        result = table[exponents & (2**low - 1)]
        for bit in range(low, bits):
            result = np.where(exponents >> bit & 1, result * base, result)
            base = base * base
    return result


def _is_scalar(x: Any) -> bool:
    return isinstance(x, (int, float)) and not hasattr(x, "dtype")


def _horner(terms: tuple[float, ...], x: Any) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total * x + term
    return total


def _log_near_one(mantissa: Any, exponent: Any) -> Any:
    # ln m = f − s·(f − R) with f = m − 1: f is exact, so only the small correction is rounded.
    f = mantissa - 1.0
    s = f / (2.0 + f)
    square = s * s
    rest = square * _horner(LOG_TERMS, square)
    return exponent * LN2_HEAD - ((s * (f - rest) - exponent * LN2_TAIL) - f)


def _exp_array(x: Any) -> Any:
    import numpy as np

    x = np.asarray(x, dtype=np.float64)
    inside = np.where((x <= EXP_MAX) & (x >= EXP_MIN), x, 0.0)
    k = np.rint(inside / LN2_HEAD)
    with np.errstate(under="ignore"):
        value = np.ldexp(_horner(EXP_TERMS, (inside - k * LN2_HEAD) - k * LN2_TAIL), k.astype(np.int32))
    value = np.where(x < EXP_MIN, 0.0, np.where(x > EXP_MAX, np.inf, value))
    return np.where(np.isnan(x), np.nan, value)


def _log_array(x: Any) -> Any:
    import numpy as np

    x = np.asarray(x, dtype=np.float64)
    mantissa, exponent = np.frexp(np.where((x > 0) & np.isfinite(x), x, 1.0))
    low = mantissa < SQRT_HALF
    mantissa = np.where(low, 2.0 * mantissa, mantissa)
    value = _log_near_one(mantissa, (exponent - low).astype(np.float64))
    value = np.where(x == 0, -np.inf, np.where(x == np.inf, np.inf, value))
    return np.where((x < 0) | np.isnan(x), np.nan, value)


def _sine_or_cosine(x: Any, quarter: int) -> Any:
    import numpy as np

    x_array = np.asarray(x, dtype=np.float64)
    if not (np.abs(x_array) <= 1e5).all():
        raise ValueError("sin and cos take finite angles of at most 100,000 radians")
    k = np.rint(x_array / (HALF_PI_HEAD + HALF_PI_MIDDLE))
    head = x_array - k * HALF_PI_HEAD
    r = head - k * HALF_PI_MIDDLE
    r_tail = ((head - r) - k * HALF_PI_MIDDLE) - k * HALF_PI_TAIL
    square = r * r
    sine = r + (r * square * _horner(SIN_TERMS, square) + r_tail)
    half = 0.5 * square
    head_cosine = 1.0 - half
    cosine = head_cosine + (((1.0 - head_cosine) - half) + (square * square * _horner(COS_TERMS, square) - r * r_tail))
    turn = (k.astype(np.int64) + quarter) % 4
    value = np.where(turn % 2 == 0, sine, cosine) * np.where(turn >= 2, -1.0, 1.0)
    return float(value) if _is_scalar(x) else value
