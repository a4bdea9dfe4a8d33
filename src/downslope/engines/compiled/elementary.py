"""Elementary functions of one number inside a compiled loop, with the same bits on every processor.

They are made of + − × ÷, comparisons, selections and shifts of the bit pattern alone: no branch, no call, no table and
no contraction to a fused multiply-add, so a plain loop over them is vectorized on every processor and gives the same
bits at every vector width. The type of the argument (float32 or float64) is the type of everything in between.

Each is a range reduction and a polynomial fitted for the smallest largest error (Remez's exchange). Largest errors
seen, in units in the last place: float32 over all numbers, float64 over some million each.

========  =====  =====  =====  =====  =====  =======  ========
type      exp    log    log1p  expm1  tanh   sigmoid  softplus
========  =====  =====  =====  =====  =====  =======  ========
float32   1.03   0.84   1.40   1.72   2.61   2.41     1.68
float64   1.00   0.84   1.26   2.21   2.56   2.27     1.67
========  =====  =====  =====  =====  =====  =======  ========

A NaN gives NaN. Results below the normal range are rounded gradually, and such arguments are taken exactly.

References: Muller (2016), "Elementary Functions", chapters 3 and 11; Tang (1989), "Table-driven implementation of the
exponential function in IEEE floating-point arithmetic", for the two-part ln 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import overload

from downslope import exact

__all__ = ["exp", "expm1", "log", "log1p", "sigmoid", "softplus", "tanh"]


# Numba declares an intrinsic with the arguments of its typing function; it is called with one less.
intrinsic: Any = numba_intrinsic


class _Format(NamedTuple):
    """What differs between float32 and float64 outside the numbers themselves."""

    llvm: Any
    bits: Any
    fraction_bits: int
    bias: int
    root_of_half: int

    def whole(self, value: int) -> ir.Constant:
        """Return an integer as wide as the number, modulo 2 to that width."""
        return ir.Constant(self.bits, value & (2**self.bits.width - 1))

    @property
    def one(self) -> int:
        """Return the bit pattern of 1."""
        return self.bias << self.fraction_bits

    @property
    def sign(self) -> int:
        """Return the bit pattern of the sign."""
        return 1 << int(self.bits.width - 1)


_FORMATS = {
    types.float32: _Format(ir.FloatType(), ir.IntType(32), 23, 127, 0x3F3504F3),
    types.float64: _Format(ir.DoubleType(), ir.IntType(64), 52, 1023, 0x3FE6A09E667F3BCD),
}


class _Numbers(NamedTuple):
    """The constants, each of one float type."""

    zero: Any
    one: Any
    two: Any
    half: Any
    infinity: Any
    nan: Any
    inverse_ln2: Any
    ln2_head: Any
    ln2_tail: Any
    shifter: Any
    exp_least: Any
    exp_most: Any
    expm1_least: Any
    tanh_most: Any
    least_normal: Any
    lift: Any
    lift_exponent: Any
    large: Any


def _numbers(dtype: Any, **given: float) -> _Numbers:
    common = {
        "zero": 0,
        "one": 1,
        "two": 2,
        "half": 0.5,
        "infinity": np.inf,
        "nan": np.nan,
        "inverse_ln2": 1.4426950408889634,
        "expm1_least": -40,
        "large": 2.0**60,
    }
    return _Numbers(**{name: dtype(value) for name, value in (common | given).items()})


# ln 2 is a head with so many trailing zero bits that its product with any exponent is exact, and the rest of it.
# The shifter carries twice the bias of the exponent, so that half of it is left when the exponent is halved.
# e^x is zero below exp_least and infinite above exp_most, e^x − 1 is −1 below expm1_least, tanh x is 1 above tanh_most.
_FLOAT32 = _numbers(
    np.float32, ln2_head=0.693145751953125, ln2_tail=1.42860682030941723212e-06, shifter=3 * 2**22 + 2 * 127,
    exp_least=-104.0, exp_most=89.0, tanh_most=10.0, least_normal=2.0**-126, lift=2.0**23, lift_exponent=23.0,
)  # fmt: skip
_FLOAT64 = _numbers(
    np.float64, ln2_head=exact.LN2_HEAD, ln2_tail=exact.LN2_TAIL, shifter=3 * 2**51 + 2 * 1023,
    exp_least=-746.0, exp_most=710.0, tanh_most=20.0, least_normal=2.0**-1022, lift=2.0**52, lift_exponent=52.0,
)  # fmt: skip


def _inlined(function: Callable[..., Any]) -> Any:
    """Compile a function so that it dissolves in its caller, where the loop is vectorized."""
    return numba.njit(error_model="numpy", forceinline=True)(function)


def _constants(x: Any) -> Any:
    """Return the constants of x's type."""
    raise NotImplementedError("only inside compiled code")


@overload(_constants, jit_options={"forceinline": True})
def _constants_of(x):  # Numba compares this signature with the body's
    numbers = _FLOAT32 if x == types.float32 else _FLOAT64
    return lambda x: numbers


@intrinsic
def _select(typing_context, condition, a, b):
    """Return a if the condition holds, else b, without a branch."""

    def code(context, builder, signature, arguments):
        condition, a, b = arguments
        return builder.select(condition, a, b)

    return (a(types.boolean, a, a) if a == b else None), code


@intrinsic
def _magnitude(typing_context, x):
    """Return |x|."""
    form = _FORMATS[x]

    def code(context, builder, signature, arguments):
        pattern = builder.bitcast(arguments[0], form.bits)
        return builder.bitcast(builder.and_(pattern, form.whole(~form.sign)), form.llvm)

    return x(x), code


@intrinsic
def _signed(typing_context, value, x):
    """Return a value that is not above 0 where x is not, with the sign of x even if it is 0."""
    form = _FORMATS[x]

    def code(context, builder, signature, arguments):
        pattern, sign = (builder.bitcast(argument, form.bits) for argument in arguments)
        return builder.bitcast(builder.or_(pattern, builder.and_(sign, form.whole(form.sign))), form.llvm)

    return x(x, x), code


@intrinsic
def _power(typing_context, t):
    """Return 2^n for t = n + shifter, where it is a normal number."""
    form = _FORMATS[t]

    def code(context, builder, signature, arguments):
        whole = builder.sub(builder.bitcast(arguments[0], form.bits), form.whole(form.bias))
        return builder.bitcast(builder.shl(whole, form.whole(form.fraction_bits)), form.llvm)

    return t(t), code


@intrinsic
def _halves(typing_context, t):
    """Return (2^⌊n/2⌋, 2^⌈n/2⌉) for t = n + shifter."""
    form = _FORMATS[t]

    def code(context, builder, signature, arguments):
        whole = builder.bitcast(arguments[0], form.bits)
        low = builder.lshr(whole, form.whole(1))
        # Only the lowest bits of the shifter's pattern stay: one bias in each half.
        parts = [builder.shl(part, form.whole(form.fraction_bits)) for part in (low, builder.sub(whole, low))]
        return context.make_tuple(builder, signature.return_type, [builder.bitcast(p, form.llvm) for p in parts])

    return types.UniTuple(t, 2)(t), code


@intrinsic
def _inverse(typing_context, power):
    """Return 1 / power for a power of two."""
    form = _FORMATS[power]

    def code(context, builder, signature, arguments):
        pattern = builder.bitcast(arguments[0], form.bits)
        return builder.bitcast(builder.sub(form.whole(2 * form.one), pattern), form.llvm)

    return power(power), code


@intrinsic
def _split(typing_context, total, x):
    """Return (k, x·2^−k, 2^−k) with total = 2^k·m and √½ ≤ m < √2, for a normal total above 0."""
    form = _FORMATS[x]

    def code(context, builder, signature, arguments):
        pattern, scaled = (builder.bitcast(argument, form.bits) for argument in arguments)
        shifted = builder.add(pattern, form.whole(form.one - form.root_of_half))
        # A whole number in the last bits of 2^fraction_bits is that number more: no conversion is needed.
        exponent = builder.or_(
            builder.lshr(shifted, form.whole(form.fraction_bits)),
            form.whole((form.bias + form.fraction_bits) << form.fraction_bits),
        )
        base = ir.Constant(form.llvm, float(2**form.fraction_bits + form.bias))
        k = builder.fsub(builder.bitcast(exponent, form.llvm), base)
        whole = builder.sub(builder.and_(shifted, form.whole(-1 << form.fraction_bits)), form.whole(form.one))
        parts = [builder.sub(scaled, whole), builder.sub(form.whole(form.one), whole)]
        parts = [k, *(builder.bitcast(part, form.llvm) for part in parts)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(x, 3)(x, x), code


def _polynomial(float32: list[float], float64: list[float]) -> Any:
    """Return a function of x: the polynomial of x's type in Horner's form, lowest power first in the lists."""

    @intrinsic
    def polynomial(typing_context, x):
        terms = float32 if x == types.float32 else float64

        def code(context, builder, signature, arguments):
            constants = [context.get_constant(x, term) for term in terms[::-1]]
            total = constants[0]
            for constant in constants[1:]:
                total = builder.fadd(builder.fmul(total, arguments[0]), constant)
            return total

        return x(x), code

    return polynomial


# (e^r − 1 − r)/r² for |r| ≤ ln(2)/2, relative to e^r − 1.
_exp_terms = _polynomial(
    [0.49999997, 0.16666542, 0.041667204, 0.008366646, 0.0013882493],
    [0.5000000000000006, 0.16666666666666588, 0.04166666666657539, 0.008333333333390376, 0.0013888888932049926,
     0.00019841269717698652, 2.4801504652356303e-05, 2.7557408124228443e-06, 2.7626298066974696e-07,
     2.505381243709498e-08],
)  # fmt: skip
# (2·artanh(s)/s − 2)/s² as a polynomial in s² for s = f/(2 + f), √½ ≤ 1 + f ≤ √2.
_log_terms = _polynomial(
    [0.66666776, 0.39977542, 0.2987173],
    [0.6666666666666734, 0.3999999999941468, 0.285714287423865, 0.22222198573337001, 0.18183564316966852,
     0.15314050806553206, 0.14795947016138308],
)  # fmt: skip


@_inlined
def _reduced(x: Any) -> Any:
    """Return (t, r) with x = n·ln 2 + r, |r| ≤ ln(2)/2 and t = n + shifter."""
    c = _constants(x)
    t = x * c.inverse_ln2 + c.shifter
    n = t - c.shifter
    return t, (x - n * c.ln2_head) - n * c.ln2_tail


@_inlined
def _expm1_near_zero(r: Any) -> Any:
    """Return e^r − 1 for |r| ≤ ln(2)/2."""
    return r + r * r * _exp_terms(r)


@_inlined
def _exp_within(x: Any) -> Any:
    """Return e^x for exp_least ≤ x ≤ exp_most, as 2^n·e^r; the factor in two halves, which never overflow."""
    c = _constants(x)
    t, r = _reduced(x)
    low, high = _halves(t)
    return (c.one + _expm1_near_zero(r)) * low * high


@_inlined
def exp(x: Any) -> Any:
    """Return e to the power x."""
    c = _constants(x)
    x = _select(x > c.exp_most, c.exp_most, x)
    return _exp_within(_select(x < c.exp_least, c.exp_least, x))


@_inlined
def _log_near_one(f: Any, k: Any) -> Any:
    """Return ln(2^k·(1 + f)), k whole, √½ ≤ 1 + f ≤ √2: f is exact or nearly so, only a small correction is rounded."""
    c = _constants(f)
    s = f / (c.two + f)
    square = s * s
    half_square = c.half * f * f
    rest = s * (half_square + square * _log_terms(square))
    return k * c.ln2_head - ((half_square - (rest + k * c.ln2_tail)) - f)


@_inlined
def log(x: Any) -> Any:
    """Return the natural logarithm of x: −inf at 0, NaN below."""
    c = _constants(x)
    small = x < c.least_normal
    lifted = _select(small, x * c.lift, x)
    k, m, _ = _split(lifted, lifted)
    value = _log_near_one(m - c.one, k - _select(small, c.lift_exponent, c.zero))
    value = _select(x < c.infinity, value, x)  # +inf and NaN
    return _select(x > c.zero, value, _select(x == c.zero, -c.infinity, c.nan))


@_inlined
def log1p(x: Any) -> Any:
    """Return ln(1 + x), accurate near 0: −inf at −1, NaN below."""
    c = _constants(x)
    k, near, scale = _split(c.one + x, x)
    # 2^−k − 1 is −1 to the last bit where x is large, and there 2^−k may be too small for a normal number.
    value = _log_near_one(near + _select(x > c.large, -c.one, scale - c.one), k)
    value = _select(x < c.infinity, _signed(value, x), x)
    return _select(x > -c.one, value, _select(x == -c.one, -c.infinity, c.nan))


@_inlined
def expm1(x: Any) -> Any:
    """Return e^x − 1, accurate near 0."""
    c = _constants(x)
    within = _select(x > c.exp_most, c.exp_most, x)
    t, r = _reduced(_select(within < c.expm1_least, c.expm1_least, within))
    low, high = _halves(t)
    return _signed((_expm1_near_zero(r) * low + (low - _inverse(high))) * high, x)


@_inlined
def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of x, as (e^2|x| − 1)/(e^2|x| + 1) with the sign of x."""
    c = _constants(x)
    size = _magnitude(x)
    t, r = _reduced(c.two * _select(size > c.tanh_most, c.tanh_most, size))
    power = _power(t)
    above = _expm1_near_zero(r) * power + (power - c.one)
    return _signed(above / (above + c.two), x)


@_inlined
def _exp_of_minus_size(x: Any) -> Any:
    """Return e^−|x|."""
    c = _constants(x)
    least = -c.exp_least
    size = _magnitude(x)
    return _exp_within(-_select(size > least, least, size))


@_inlined
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e^−x); only e^−|x| is taken, so nothing overflows."""
    c = _constants(x)
    e = _exp_of_minus_size(x)
    return _select(x >= c.zero, c.one, e) / (c.one + e)


@_inlined
def softplus(x: Any) -> Any:
    """Return ln(1 + e^x) as max(x, 0) + ln(1 + e^−|x|), so nothing overflows."""
    c = _constants(x)
    e = _exp_of_minus_size(x)
    k, near, scale = _split(c.one + e, e)
    return _select(x < c.zero, c.zero, x) + _log_near_one(near + (scale - c.one), k)
