r"""Penalties on the size of parameters, added to the data loss.

For one array of parameters w: penalty = λ₁·Σ|w| + λ₂·Σw², gradient λ₁·sign(w) + 2·λ₂·w. At w = 0 the first term has no
derivative; its subgradient 0 is taken, so that a weight that is exactly zero is left there.

Reference: Goodfellow, Bengio & Courville (2016), "Deep Learning", section 7.1 (there the second term is λ/2·Σw²).
"""

from __future__ import annotations

import numpy as np

from downslope.network.parts import Array

__all__ = ["penalty", "penalty_gradient"]


def penalty(values: Array, l1: float, l2: float) -> float:
    """Return l1·Σ|w| + l2·Σw², summed in float64."""
    wide = values.astype(np.float64, copy=False)
    return l1 * float(np.sum(np.abs(wide))) + l2 * float(np.sum(wide * wide))


def penalty_gradient(values: Array, l1: float, l2: float) -> Array:
    """Return l1·sign(w) + 2·l2·w, in the dtype and shape of `values`."""
    gradient: Array = l1 * np.sign(values) + (2.0 * l2) * values
    return gradient
