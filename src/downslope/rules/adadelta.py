"""Adadelta: RMSprop whose rate is the size of its own recent steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Steps in the parameters' own units, from the ratio of two moving averages.

    Formula
    -------
    cache ← rho·cache + (1 − rho)·g²
    step ← √(steps + epsilon) / √(cache + epsilon)·g
    steps ← rho·steps + (1 − rho)·step²
    θ ← θ − learning_rate·step

    State
    -----
    cache: moving average of squared gradients. steps: moving average of squared steps, from 0; epsilon alone sets
    off the first of them, so a start is slow.

    References
    ----------
    Zeiler (2012), ADADELTA: an adaptive learning rate method, algorithm 1 (learning_rate is 1 there).
    """

    learning_rate = setting(1.0, above=0, meaning="factor on every step", scheduled=True)
    rho = setting(0.95, at_least=0, below=1, meaning="share of the moving averages kept at each step")
    epsilon = setting(1e-6, above=0, meaning="added under both roots; it also sets off the first steps")
    slots = ("cache", "steps")
    steps_as_arrays = True

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return 1 − rho."""
        return {"one_minus_rho": 1 - self.rho}

    @staticmethod
    def update(
        xp: Any,
        parameter: Any,
        gradient: Any,
        cache: Any,
        steps: Any,
        learning_rate: Any,
        rho: Any,
        one_minus_rho: Any,
        epsilon: Any,
    ) -> Any:
        """Return the parameter and its slots after one step."""
        cache = rho * cache + one_minus_rho * (gradient * gradient)
        step = xp.sqrt(steps + epsilon) / xp.sqrt(cache + epsilon) * gradient
        steps = rho * steps + one_minus_rho * (step * step)
        return parameter - learning_rate * step, cache, steps
