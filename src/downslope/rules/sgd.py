"""Stochastic gradient descent: plain, with momentum, and Nesterov's."""

from __future__ import annotations

from typing import Any

from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, optionally with (Nesterov) momentum.

    Formula
    -------
    velocity ← momentum·velocity − learning_rate·g
    θ ← θ + velocity                                      if not nesterov
    θ ← θ + momentum·velocity − learning_rate·g           if nesterov

    State
    -----
    velocity, only where momentum is above 0: a decaying sum of past steps. The learning rate is inside it, so a change
    of rate does not rescale what is already moving.

    Other frameworks
    ----------------
    Keras computes the same. PyTorch and optax keep the rate outside the velocity: equal at a constant rate only.

    References
    ----------
    Robbins and Monro (1951), A stochastic approximation method.
    Polyak (1964), Some methods of speeding up the convergence of iteration methods (momentum).
    Sutskever et al. (2013), On the importance of initialization and momentum in deep learning (Nesterov's form).
    """

    learning_rate = setting(1.0, above=0, meaning="size of a step", scheduled=True)
    momentum = setting(0.0, at_least=0, below=1, meaning="share of the last step kept in the next", scheduled=True)
    nesterov = setting(False, meaning="look ahead: apply the momentum once more to the new velocity")
    slots = ("velocity",)
    momentum_slots = ("velocity",)

    def slots_in_use(self) -> tuple[str, ...]:
        """Return no slot where momentum is 0: the velocity would only repeat the last step."""
        return self.slots if self.momentum else ()

    @staticmethod
    def update(
        xp: Any, parameter: Any, gradient: Any, velocity: Any, learning_rate: Any, momentum: Any, nesterov: Any
    ) -> Any:
        """Return the parameter and its velocity after one step."""
        if velocity is None:
            return parameter - learning_rate * gradient, None
        velocity = momentum * velocity - learning_rate * gradient
        step = xp.where(nesterov, momentum * velocity - learning_rate * gradient, velocity)
        return parameter + step, velocity
