"""What a rule's formula may call, for single numbers inside a compiled loop: the twins of `engines/vocabulary.py`.

Plain comparisons keep the loop vectorized; `max`, `min` and `np.where` would not.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

__all__ = ["absolute", "maximum", "minimum", "sign", "sqrt", "where"]


@numba.njit
def sqrt(x: Any) -> Any:
    """Return √x, correctly rounded; NaN below zero."""
    return math.sqrt(x)


@numba.njit
def absolute(x: Any) -> Any:
    """Return |x|."""
    return math.fabs(x)


@numba.njit
def maximum(a: Any, b: Any) -> Any:
    """Return the larger of a and b; NaN where either is NaN."""
    return a if (a >= b or a != a) else b  # noqa: PLR0124 - a != a tells NaN


@numba.njit
def minimum(a: Any, b: Any) -> Any:
    """Return the smaller of a and b; NaN where either is NaN."""
    return a if (a <= b or a != a) else b  # noqa: PLR0124 - a != a tells NaN


@numba.njit
def where(condition: Any, a: Any, b: Any) -> Any:
    """Return `a` if the condition holds, else `b`."""
    return a if condition else b


def sign(x: Any) -> Any:
    """Return 1 above zero, −1 below; zero and NaN stay as they are."""
    raise NotImplementedError("only inside a compiled loop")


@overload(sign)
def _sign(x):  # Numba compares this signature with the body's, annotations included
    # A literal 1 in the body would turn float32 into float64.
    one = np.float32(1) if x == types.float32 else np.float64(1)
    return lambda x: one if x > 0 else (-one if x < 0 else x)
