"""AdamW: Adam with weight decay that the adaptive denominator does not touch."""

from __future__ import annotations

from typing import Any

from downslope.rules.adam import Adam
from downslope.rules.settings import setting

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam with decoupled weight decay.

    Formula
    -------
    m ← beta_1·m + (1 − beta_1)·g
    v ← beta_2·v + (1 − beta_2)·g²
    m̂ ← m / (1 − beta_1^t)
    v̂ ← v / (1 − beta_2^t)
    θ ← θ − learning_rate·(m̂ / (√v̂ + epsilon) + weight_decay·θ)

    State
    -----
    As Adam's: m and v, moving averages of the gradient and of its square.

    Other frameworks
    ----------------
    optax, and PyTorch up to rounding, compute the same with their epsilon set to 1e-7; the decay is multiplied by
    the learning rate in all three. Keras corrects epsilon too: not equal. Every parameter decays, biases too.

    References
    ----------
    Loshchilov and Hutter (2019), Decoupled weight decay regularization, algorithm 2 (the decay is multiplied there by
    the schedule's factor alone; here by the whole learning rate, as everywhere in practice).
    """

    weight_decay = setting(0.01, at_least=0, meaning="share of every parameter, times the rate, taken off each step")

    @staticmethod
    def update(  # type: ignore[override] # one scalar more than Adam's: engines read its names
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
        correction_1: Any,
        correction_2: Any,
        epsilon: Any,
        weight_decay: Any,
    ) -> Any:
        """Return the parameter and its slots after one step."""
        m = beta_1 * m + one_minus_beta_1 * gradient
        v = beta_2 * v + one_minus_beta_2 * (gradient * gradient)
        m_hat = m / correction_1
        v_hat = v / correction_2
        return parameter - learning_rate * (m_hat / (xp.sqrt(v_hat) + epsilon) + weight_decay * parameter), m, v
