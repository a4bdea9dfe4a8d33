"""Lion: steps of one size, in the direction of a mixed momentum's sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["Lion"]


class Lion(Optimizer):
    """Steps of one size, by the sign of a mixture of momentum and gradient (evolved sign momentum).

    Formula
    -------
    direction ← sign(beta_1·m + (1 − beta_1)·g)
    θ ← θ − learning_rate·(direction + weight_decay·θ)
    m ← beta_2·m + (1 − beta_2)·g

    State
    -----
    m: moving average of the gradient, updated after the step with its own, slower beta_2. Every parameter moves by
    the learning rate, so a rate 3 to 10 times below Adam's is usual.

    References
    ----------
    Chen et al. (2023), Symbolic discovery of optimization algorithms, algorithm 2.
    """

    learning_rate = setting(0.0001, above=0, meaning="size of a step", scheduled=True)
    beta_1 = setting(0.9, at_least=0, below=1, meaning="share of the mean gradient in the step's direction")
    beta_2 = setting(0.99, at_least=0, below=1, meaning="share of the mean gradient kept at each step")
    weight_decay = setting(0.0, at_least=0, meaning="share of every parameter, times the rate, taken off each step")
    slots = ("m",)
    momentum_slots = ("m",)
    steps_as_arrays = True

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return 1 − beta for both mixtures."""
        return {"one_minus_beta_1": 1 - self.beta_1, "one_minus_beta_2": 1 - self.beta_2}

    @staticmethod
    def update(
        xp: Any,
        parameter: Any,
        gradient: Any,
        m: Any,
        learning_rate: Any,
        beta_1: Any,
        one_minus_beta_1: Any,
        beta_2: Any,
        one_minus_beta_2: Any,
        weight_decay: Any,
    ) -> Any:
        """Return the parameter and its momentum after one step."""
        direction = xp.sign(beta_1 * m + one_minus_beta_1 * gradient)
        m = beta_2 * m + one_minus_beta_2 * gradient
        return parameter - learning_rate * (direction + weight_decay * parameter), m
