"""RMSprop: steps divided by the root of a moving average of squared gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Steps divided by the root of a moving average of squared gradients, optionally centred and with momentum.

    Formula
    -------
    cache ← rho·cache + (1 − rho)·g²
    spread ← cache                                        if not centered
    mean ← rho·mean + (1 − rho)·g                         if centered
    spread ← |cache − mean²|                              if centered
    step ← learning_rate·g / (√spread + epsilon)
    velocity ← momentum·velocity + step
    θ ← θ − velocity

    State
    -----
    cache: moving average of squared gradients. mean, only where centred: moving average of gradients; cache − mean²
    is then a variance (the absolute value only guards its rounding). velocity, only where momentum is above 0.

    Other frameworks
    ----------------
    PyTorch, and optax with `eps_in_sqrt=False`, compute the same without momentum; Keras puts epsilon under the
    root. With momentum, Keras and optax keep the rate inside the velocity as here, PyTorch outside.

    References
    ----------
    Tieleman and Hinton (2012), Neural networks for machine learning, lecture 6e.
    Graves (2013), Generating sequences with recurrent neural networks, equations 38 to 45 (centred, with momentum;
    epsilon is under the root there).
    """

    learning_rate = setting(0.001, above=0, meaning="size of a step", scheduled=True)
    rho = setting(0.9, at_least=0, below=1, meaning="share of the moving averages kept at each step")
    epsilon = setting(1e-7, above=0, meaning="added to the denominator, against division by zero")
    momentum = setting(0.0, at_least=0, below=1, meaning="share of the last step kept in the next", scheduled=True)
    centered = setting(False, meaning="divide by the spread around the mean gradient instead of around zero")
    slots = ("cache", "mean", "velocity")
    momentum_slots = ("velocity",)
    steps_as_arrays = True

    def slots_in_use(self) -> tuple[str, ...]:
        """Return `mean` only where centred, `velocity` only with momentum."""
        return ("cache", *(["mean"] if self.centered else []), *(["velocity"] if self.momentum else []))

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return 1 − rho."""
        return {"one_minus_rho": 1 - self.rho}

    @staticmethod
    def update(
        xp: Any,
        parameter: Any,
        gradient: Any,
        cache: Any,
        mean: Any,
        velocity: Any,
        learning_rate: Any,
        rho: Any,
        one_minus_rho: Any,
        epsilon: Any,
        momentum: Any,
    ) -> Any:
        """Return the parameter and its slots after one step."""
        cache = rho * cache + one_minus_rho * (gradient * gradient)
        spread = cache
        if mean is not None:
            mean = rho * mean + one_minus_rho * gradient
            spread = xp.absolute(cache - mean * mean)
        step = learning_rate * gradient / (xp.sqrt(spread) + epsilon)
        if velocity is not None:
            velocity = momentum * velocity + step
            step = velocity
        return parameter - step, cache, mean, velocity
