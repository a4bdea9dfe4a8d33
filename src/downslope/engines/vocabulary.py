"""What a rule's formula may call, for NumPy arrays. `compiled/vocabulary.py` holds the twins for single numbers.

Each function is defined by comparisons, down to NaN and signed zeros, so that both twins give the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["absolute", "maximum", "minimum", "sign", "sqrt", "where"]


def sqrt(x: Any) -> Any:
    """Return √x, correctly rounded; NaN below zero."""
    return np.sqrt(x)


def absolute(x: Any) -> Any:
    """Return |x|."""
    return np.absolute(x)


def maximum(a: Any, b: Any) -> Any:
    """Return the larger of a and b; NaN where either is NaN."""
    return np.where((a >= b) | (a != a), a, b)  # noqa: PLR0124 - a != a tells NaN


def minimum(a: Any, b: Any) -> Any:
    """Return the smaller of a and b; NaN where either is NaN."""
    return np.where((a <= b) | (a != a), a, b)  # noqa: PLR0124 - a != a tells NaN


def sign(x: Any) -> Any:
    """Return 1 above zero, −1 below; zero and NaN stay as they are."""
    x = np.asarray(x)
    one = x.dtype.type(1)
    return np.where(x > 0, one, np.where(x < 0, -one, x))


def where(condition: Any, a: Any, b: Any) -> Any:
    """Return `a` where the condition holds, else `b`."""
    return np.where(condition, a, b)
