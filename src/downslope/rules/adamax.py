"""Adamax: Adam with the largest recent gradient in place of the root mean square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.exact import power
from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adam on the infinity norm.

    Formula
    -------
    m ← beta_1·m + (1 − beta_1)·g
    u ← max(beta_2·u, |g|)
    θ ← θ − learning_rate·(m / (1 − beta_1^t)) / (u + epsilon)

    State
    -----
    m as in Adam; u, a slowly forgotten largest gradient; t counts steps from 1.

    Other frameworks
    ----------------
    The paper has no epsilon and divides 0 by 0 where a gradient was always 0. Keras adds it to u as here; PyTorch
    and optax add it to |g| inside the maximum.

    References
    ----------
    Kingma and Ba (2015), Adam: a method for stochastic optimization, section 7.1, algorithm 2.
    """

    learning_rate = setting(0.002, above=0, meaning="size of a step", scheduled=True)
    beta_1 = setting(0.9, at_least=0, below=1, meaning="share of the mean gradient kept at each step")
    beta_2 = setting(0.999, at_least=0, below=1, meaning="share of the largest gradient kept at each step")
    epsilon = setting(1e-7, above=0, meaning="added to the denominator, against division by zero")
    slots = ("m", "u")
    momentum_slots = ("m",)
    steps_as_arrays = True

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return 1 − beta_1 and the correction of m."""
        return {"one_minus_beta_1": 1 - self.beta_1, "correction_1": 1 - power(self.beta_1, step)}

    @staticmethod
    def update(
        xp: Any,
        parameter: Any,
        gradient: Any,
        m: Any,
        u: Any,
        learning_rate: Any,
        beta_1: Any,
        one_minus_beta_1: Any,
        beta_2: Any,
        correction_1: Any,
        epsilon: Any,
    ) -> Any:
        """Return the parameter and its slots after one step."""
        m = beta_1 * m + one_minus_beta_1 * gradient
        u = xp.maximum(beta_2 * u, xp.absolute(gradient))
        return parameter - learning_rate * (m / correction_1) / (u + epsilon), m, u
