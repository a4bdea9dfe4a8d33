"""AdEMAMix: Adam with a second, much slower mean gradient beside the first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.exact import exp, log, minimum, power, where
from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["AdEMAMix"]


class AdEMAMix(Optimizer):
    """A mixture of a fast and a slow moving average of the gradient.

    Formula
    -------
    m ← beta_1·m + (1 − beta_1)·g
    m_slow ← beta_3(t)·m_slow + (1 − beta_3(t))·g
    v ← beta_2·v + (1 − beta_2)·g²
    m̂ ← m / (1 − beta_1^t)
    v̂ ← v / (1 − beta_2^t)
    θ ← θ − learning_rate·((m̂ + alpha(t)·m_slow) / (√v̂ + epsilon) + weight_decay·θ)

    Where
    -----
    alpha(t) = alpha·t/warmup                                                          if t < warmup
    alpha(t) = alpha                                                                   if t >= warmup
    slower(s) = exp(log(beta_1)·log(beta_3) / ((1 − s)·log(beta_3) + s·log(beta_1)))
    beta_3(t) = min(beta_3, slower(t/warmup))                                          if t < warmup
    beta_3(t) = beta_3                                                                 if t >= warmup

    State
    -----
    m and v as in Adam; m_slow, a mean over about 1/(1 − beta_3) gradients, not corrected for its start at zero.

    References
    ----------
    Pagliardini, Ablin and Grangier (2024), The AdEMAMix optimizer: better, faster, older, algorithm 1.
    """

    learning_rate = setting(0.001, above=0, meaning="size of a step", scheduled=True)
    beta_1 = setting(0.9, above=0, below=1, meaning="share of the fast mean gradient kept at each step")
    beta_2 = setting(0.999, at_least=0, below=1, meaning="share of the mean squared gradient kept at each step")
    beta_3 = setting(0.9999, above=0, below=1, meaning="share of the slow mean gradient kept at each step")
    alpha = setting(5.0, at_least=0, meaning="weight of the slow mean gradient")
    epsilon = setting(1e-8, above=0, meaning="added to the denominator, against division by zero")
    weight_decay = setting(0.0, at_least=0, meaning="share of every parameter, times the rate, taken off each step")
    warmup = setting(0, at_least=0, meaning="updates over which alpha and beta_3 rise to their values", unit="steps")
    slots = ("m", "m_slow", "v")
    momentum_slots = ("m", "m_slow")
    slot_family = "adam"
    steps_as_arrays = True

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return alpha and beta_3 at this step, 1 − beta for the averages, and the corrections of m and v."""
        alpha, beta_3 = self.alpha, self.beta_3
        if self.warmup:
            rising = step < self.warmup
            share = where(rising, step / self.warmup, 1)
            fast, slow = log(float(self.beta_1)), log(float(beta_3))
            alpha = alpha * share
            slower = exp(fast * slow / ((1 - share) * slow + share * fast))
            beta_3 = where(rising, minimum(slower, float(beta_3)), beta_3)
        return {
            "alpha": alpha,
            "beta_3": beta_3,
            "one_minus_beta_1": 1 - self.beta_1,
            "one_minus_beta_2": 1 - self.beta_2,
            "one_minus_beta_3": 1 - beta_3,
            "correction_1": 1 - power(self.beta_1, step),
            "correction_2": 1 - power(self.beta_2, step),
        }

    @staticmethod
    def update(
        xp: Any,
        parameter: Any,
        gradient: Any,
        m: Any,
        m_slow: Any,
        v: Any,
        learning_rate: Any,
        beta_1: Any,
        one_minus_beta_1: Any,
        beta_2: Any,
        one_minus_beta_2: Any,
        beta_3: Any,
        one_minus_beta_3: Any,
        alpha: Any,
        correction_1: Any,
        correction_2: Any,
        epsilon: Any,
        weight_decay: Any,
    ) -> Any:
        """Return the parameter and its slots after one step."""
        m = beta_1 * m + one_minus_beta_1 * gradient
        m_slow = beta_3 * m_slow + one_minus_beta_3 * gradient
        v = beta_2 * v + one_minus_beta_2 * (gradient * gradient)
        step = (m / correction_1 + alpha * m_slow) / (xp.sqrt(v / correction_2) + epsilon)
        return parameter - learning_rate * (step + weight_decay * parameter), m, m_slow, v
