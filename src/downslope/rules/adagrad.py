"""AdaGrad: every parameter's own rate, falling with its summed squared gradients."""

from __future__ import annotations

from typing import Any

from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Steps divided by the root of all squared gradients so far.

    Formula
    -------
    cache ← cache + g²
    θ ← θ − learning_rate·g / (√cache + epsilon)

    State
    -----
    cache: the sum of squared gradients; it only grows, so learning slows down and can come to a halt.

    Other frameworks
    ----------------
    PyTorch's `Adagrad(lr_decay=…, eps=1e-7)` computes the same. Keras and optax put epsilon under the root and
    start the cache at 0.1: no settings make them equal.

    References
    ----------
    Duchi, Hazan and Singer (2011), Adaptive subgradient methods for online learning and stochastic optimization.
    """

    learning_rate = setting(1.0, above=0, meaning="size of the first steps", scheduled=True)
    epsilon = setting(1e-7, above=0, meaning="added to the denominator, against division by zero")
    slots = ("cache",)

    @staticmethod
    def update(xp: Any, parameter: Any, gradient: Any, cache: Any, learning_rate: Any, epsilon: Any) -> Any:
        """Return the parameter and its cache after one step."""
        cache = cache + gradient * gradient
        return parameter - learning_rate * gradient / (xp.sqrt(cache) + epsilon), cache
