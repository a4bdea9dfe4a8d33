"""Adam: momentum and RMSprop together, both corrected for their start at zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.exact import power
from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["Adam"]


class Adam(Optimizer):
    """Momentum and RMSprop together, both corrected for their start at zero.

    Formula
    -------
    m ← beta_1·m + (1 − beta_1)·g
    v ← beta_2·v + (1 − beta_2)·g²
    m̂ ← m / (1 − beta_1^t)
    v̂ ← v / (1 − beta_2^t)
    θ ← θ − learning_rate·m̂ / (√v̂ + epsilon)

    State
    -----
    m and v: moving averages of the gradient and of its square; t counts steps from 1.

    Other frameworks
    ----------------
    PyTorch and optax compute the same with their epsilon set to 1e-7. Keras corrects epsilon too: not equal.

    References
    ----------
    Kingma and Ba (2015), Adam: a method for stochastic optimization, algorithm 1.
    """

    learning_rate = setting(0.001, above=0, meaning="size of a step", scheduled=True)
    beta_1 = setting(0.9, at_least=0, below=1, meaning="share of the mean gradient kept at each step")
    beta_2 = setting(0.999, at_least=0, below=1, meaning="share of the mean squared gradient kept at each step")
    epsilon = setting(1e-7, above=0, meaning="added to the denominator, against division by zero")
    slots = ("m", "v")
    momentum_slots = ("m",)
    slot_family = "adam"
    steps_as_arrays = True

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return 1 − beta for both averages and 1 − beta^t, their corrections."""
        return {
            "one_minus_beta_1": 1 - self.beta_1,
            "one_minus_beta_2": 1 - self.beta_2,
            "correction_1": 1 - power(self.beta_1, step),
            "correction_2": 1 - power(self.beta_2, step),
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
        correction_1: Any,
        correction_2: Any,
        epsilon: Any,
    ) -> Any:
        """Return the parameter and its slots after one step."""
        m = beta_1 * m + one_minus_beta_1 * gradient
        v = beta_2 * v + one_minus_beta_2 * (gradient * gradient)
        m_hat = m / correction_1
        v_hat = v / correction_2
        return parameter - learning_rate * m_hat / (xp.sqrt(v_hat) + epsilon), m, v
