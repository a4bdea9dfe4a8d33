"""NAdam: Adam with Nesterov's look ahead and a momentum that rises over the first steps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from downslope.exact import Products, exp, log, power
from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["NAdam"]


def _momentum(beta_1: float, momentum_decay: float, step: Any) -> Any:
    return beta_1 * (1.0 - 0.5 * exp(step * momentum_decay * log(0.96)))


@lru_cache(maxsize=64)
def _products(beta_1: float, momentum_decay: float) -> Products:
    """Return the running products of μ₁ … μₜ."""
    return Products(lambda step: _momentum(beta_1, momentum_decay, step))


class NAdam(Optimizer):
    """Adam with Nesterov momentum.

    Formula
    -------
    m ← beta_1·m + (1 − beta_1)·g
    v ← beta_2·v + (1 − beta_2)·g²
    m̂ ← mu(t + 1)·m / (1 − product(t + 1)) + (1 − mu(t))·g / (1 − product(t))
    v̂ ← v / (1 − beta_2^t)
    θ ← θ − learning_rate·m̂ / (√v̂ + epsilon)

    Where
    -----
    mu(t) = beta_1·(1 − 0.96^(t·momentum_decay)/2)
    product(t) = product(t − 1)·mu(t)                     if t > 0
    product(t) = 1                                        if t = 0

    State
    -----
    m and v as in Adam; t counts steps from 1.

    Other frameworks
    ----------------
    PyTorch computes this with its epsilon set to 1e-7, Keras with momentum_decay=1. optax keeps mu at beta_1: not
    equal.

    References
    ----------
    Dozat (2016), Incorporating Nesterov momentum into Adam, algorithm 2 (there m is averaged by mu(t), and
    v̂ multiplied by beta_2; here as in PyTorch and Keras).
    """

    learning_rate = setting(0.002, above=0, meaning="size of a step", scheduled=True)
    beta_1 = setting(0.9, at_least=0, below=1, meaning="share of the mean gradient kept at each step")
    beta_2 = setting(0.999, at_least=0, below=1, meaning="share of the mean squared gradient kept at each step")
    epsilon = setting(1e-7, above=0, meaning="added to the denominator, against division by zero")
    momentum_decay = setting(0.004, at_least=0, meaning="how soon the look ahead rises from half of beta_1 to beta_1")
    slots = ("m", "v")
    momentum_slots = ("m",)
    slot_family = "adam"
    steps_as_arrays = True

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return 1 − beta for both averages, the correction of v, and the weights of m and g in the look ahead."""
        beta_1, decay = float(self.beta_1), float(self.momentum_decay)
        product = _products(beta_1, decay)
        return {
            "one_minus_beta_1": 1 - self.beta_1,
            "one_minus_beta_2": 1 - self.beta_2,
            "correction_2": 1 - power(self.beta_2, step),
            "weight_of_m": _momentum(beta_1, decay, step + 1) / (1 - product(step + 1)),
            "weight_of_g": (1 - _momentum(beta_1, decay, step)) / (1 - product(step)),
        }

    @staticmethod
    def update(
        xp: Any,
        parameter: Any,
        gradient: Any,
        m: Any,
        v: Any,
        learning_rate: Any,
        beta_1: Any,
        one_minus_beta_1: Any,
        beta_2: Any,
        one_minus_beta_2: Any,
        correction_2: Any,
        weight_of_m: Any,
        weight_of_g: Any,
        epsilon: Any,
    ) -> Any:
        """Return the parameter and its slots after one step."""
        m = beta_1 * m + one_minus_beta_1 * gradient
        v = beta_2 * v + one_minus_beta_2 * (gradient * gradient)
        m_hat = weight_of_m * m + weight_of_g * gradient
        v_hat = v / correction_2
        return parameter - learning_rate * m_hat / (xp.sqrt(v_hat) + epsilon), m, v
