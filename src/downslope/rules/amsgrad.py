"""AMSGrad: Adam whose denominator never shrinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["AMSGrad"]


class AMSGrad(Optimizer):
    """Steps divided by the root of the largest mean squared gradient so far.

    Formula
    -------
    m ← beta_1·m + (1 − beta_1)·g
    v ← beta_2·v + (1 − beta_2)·g²
    v_max ← max(v_max, v)
    θ ← θ − learning_rate·m / (√v_max + epsilon)

    State
    -----
    m and v as in Adam, without correction for their start at zero, and v_max, the largest v so far.

    Other frameworks
    ----------------
    This is the paper's form (epsilon added). PyTorch and Keras correct m and v for their start as Adam does, optax
    corrects before it takes the largest: three different rules under one name.

    References
    ----------
    Reddi, Kale and Kumar (2018), On the convergence of Adam and beyond, algorithm 2.
    """

    learning_rate = setting(0.001, above=0, meaning="size of a step", scheduled=True)
    beta_1 = setting(0.9, at_least=0, below=1, meaning="share of the mean gradient kept at each step")
    beta_2 = setting(0.999, at_least=0, below=1, meaning="share of the mean squared gradient kept at each step")
    epsilon = setting(1e-7, above=0, meaning="added to the denominator, against division by zero")
    slots = ("m", "v", "v_max")
    momentum_slots = ("m",)
    slot_family = "adam"
    steps_as_arrays = True

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return 1 − beta for both averages."""
        return {"one_minus_beta_1": 1 - self.beta_1, "one_minus_beta_2": 1 - self.beta_2}

    @staticmethod
    def update(
        xp: Any,
        parameter: Any,
        gradient: Any,
        m: Any,
        v: Any,
        v_max: Any,
        learning_rate: Any,
        beta_1: Any,
        one_minus_beta_1: Any,
        beta_2: Any,
        one_minus_beta_2: Any,
        epsilon: Any,
    ) -> Any:
        """Return the parameter and its slots after one step."""
        m = beta_1 * m + one_minus_beta_1 * gradient
        v = beta_2 * v + one_minus_beta_2 * (gradient * gradient)
        v_max = xp.maximum(v_max, v)
        return parameter - learning_rate * m / (xp.sqrt(v_max) + epsilon), m, v, v_max
