"""RAdam: Adam that waits with its adaptive denominator until enough gradients were seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.exact import power, sqrt, where
from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Adam that trusts its denominator only once enough gradients were seen (rectified Adam).

    Formula
    -------
    m ← beta_1·m + (1 − beta_1)·g
    v ← beta_2·v + (1 − beta_2)·g²
    m̂ ← m / (1 − beta_1^t)
    v̂ ← v / (1 − beta_2^t)
    rho_max ← 2 / (1 − beta_2) − 1
    rho_t ← rho_max − 2·t·beta_2^t / (1 − beta_2^t)
    r ← √((rho_t − 4)·(rho_t − 2)·rho_max / ((rho_max − 4)·(rho_max − 2)·rho_t))     if rho_t > 4
    θ ← θ − learning_rate·r·m̂ / (√v̂ + epsilon)           if rho_t > 4
    θ ← θ − learning_rate·m̂                              if rho_t <= 4

    State
    -----
    m and v as in Adam; t counts steps from 1. rho_t estimates how many gradients v has averaged; until it passes 4
    (at step 5 with the default beta_2) the rule is momentum without a denominator.

    Other frameworks
    ----------------
    PyTorch and optax wait until rho_t passes 5, one step longer with the default beta_2; PyTorch also adds epsilon
    to √v before v is corrected.

    References
    ----------
    Liu et al. (2020), On the variance of the adaptive learning rate and beyond, algorithm 2
    (epsilon added).
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
        """Return 1 − beta for both averages, their corrections, whether v is trusted, and the rectification r."""
        decayed = power(self.beta_2, step)
        rho_max = 2 / (1 - self.beta_2) - 1
        rho = rho_max - 2 * step * decayed / (1 - decayed)
        trusted = rho > 4
        rho, rho_max = where(trusted, rho, 5.0), where(trusted, rho_max, 5.0)  # no division by 0; r is 1 there
        square = (rho - 4) * (rho - 2) * rho_max / ((rho_max - 4) * (rho_max - 2) * rho)
        return {
            "one_minus_beta_1": 1 - self.beta_1,
            "one_minus_beta_2": 1 - self.beta_2,
            "correction_1": 1 - power(self.beta_1, step),
            "correction_2": 1 - decayed,
            "trusted": trusted,
            "rectification": sqrt(square),
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
        trusted: Any,
        rectification: Any,
        epsilon: Any,
    ) -> Any:
        """Return the parameter and its slots after one step."""
        m = beta_1 * m + one_minus_beta_1 * gradient
        v = beta_2 * v + one_minus_beta_2 * (gradient * gradient)
        step = learning_rate * (m / correction_1)
        rectified = rectification * step / (xp.sqrt(v / correction_2) + epsilon)
        return parameter - xp.where(trusted, rectified, step), m, v
