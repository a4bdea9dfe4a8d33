"""The chapter's optimizers: settings that may be changed at any time, and slots that live on the layer.

The formulas are those of `downslope.rules`. Each call of `update_params` reads the settings as they are, takes the
slots from the layer and puts them back.
"""

# ruff: noqa: N801 - the names are the chapter's

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from downslope import checks, rules
from downslope.book.layers import numbers
from downslope.engines.update import apply_update
from downslope.errors import InputError
from downslope.network.parts import Array
from downslope.rules import Optimizer
from downslope.schedules.decay import inverse_time

__all__ = ["Optimizer_Adagrad", "Optimizer_Adam", "Optimizer_RMSprop", "Optimizer_SGD"]


class _AdamByPower(rules.Adam):
    """Adam whose corrections take Python's own power, as the chapter does: the last bit of a float64 depends on it."""

    steps_as_arrays = False

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return 1 − beta for both averages and 1 − beta^t, their corrections."""
        return {
            **super().per_step(1),
            "correction_1": 1 - self.beta_1**step,
            "correction_2": 1 - self.beta_2**step,
        }


class _Updates:
    """What the chapter's optimizers share.

    A subclass names the rule, the settings it reads beside the learning rate, and for each slot of the rule the second
    half of its name on the layer: the velocity of SGD is `weight_momentums` and `bias_momentums`.
    """

    _rule: ClassVar[Optimizer]
    _settings: ClassVar[tuple[str, ...]] = ()
    _slots: ClassVar[dict[str, str]]
    _made_anew_without: ClassVar[str] = ""
    _into_slots: ClassVar[bool] = False

    learning_rate: float
    current_learning_rate: float
    decay: float
    iterations: int

    def __init__(self, learning_rate: float, decay: float, **settings: float) -> None:
        self.learning_rate = self.current_learning_rate = learning_rate
        self.decay = decay
        self.iterations = 0
        for name, value in settings.items():
            setattr(self, name, value)
        for name in ("learning_rate", "decay", *settings):
            checks.real(name, getattr(self, name))

    def pre_update_params(self) -> None:
        """Set `current_learning_rate` = learning_rate / (1 + decay·iterations); with a decay of 0 it stays as it is."""
        if self.decay:
            rate, decay = checks.real("learning_rate", self.learning_rate), checks.real("decay", self.decay)
            try:  # not by `InverseTime`, which takes no decay below 0; the chapter's rate then rises
                self.current_learning_rate = inverse_time(rate, decay, self._done())
            except ZeroDivisionError:
                rule = "decay must leave the learning rate finite: 1 + decay·iterations is 0"
                raise InputError(f"{rule}. Received: decay={decay!r} at iterations={self.iterations}") from None

    def update_params(self, layer: Any) -> None:
        """Update the weights and biases of a layer, in place, by one step.

        Parameters
        ----------
        layer : object
            With `weights`, `biases`, `dweights` and `dbiases`, of any shapes. Slots that it lacks are made of zeros.

        Raises
        ------
        InputError
            If one of the four is missing, no number, or does not fit; if weights or biases are read-only; or a setting
            is no finite number.
        """
        rule = self._current_rule()
        slots = {slot: self._slots[slot] for slot in rule.slots_in_use()}
        anew = bool(self._made_anew_without) and not hasattr(layer, "weight_" + self._made_anew_without)
        pairs = [_Pair(layer, "weights", "weight_"), _Pair(layer, "biases", "bias_")]
        for pair in pairs:
            pair.take(slots.values(), anew)
        if len({values.dtype for pair in pairs for values in pair.arrays}) == 1:
            self._step(rule, pairs, slots)  # in one go: each element is on its own, and a call costs more than joining
        else:
            for pair in pairs:
                self._step(rule, [pair], slots)

    def post_update_params(self) -> None:
        """Count the step: iterations + 1."""
        self.iterations += 1

    def _step(self, rule: Optimizer, pairs: Sequence[_Pair], slots: Mapping[str, str]) -> None:
        """Take one step with all of `pairs`, and put parameters and slots back onto the layer."""
        parts = zip(*(pair.arrays for pair in pairs), strict=True)
        parameters, gradient, *held = (np.concatenate([part.ravel() for part in of_all]) for of_all in parts)
        dtype = np.result_type(parameters, gradient, *held)
        parameters, gradient, *held = (values.astype(dtype, copy=False) for values in (parameters, gradient, *held))
        parameters, after = apply_update(
            rule, self._done() + 1, parameters, gradient, dict(zip(slots, held, strict=True))
        )
        start = 0
        for pair in pairs:
            part = slice(start, start + pair.size)
            for slot, name in slots.items():
                pair.put(pair.prefix + name, after[slot][part], into=self._into_slots)
            pair.put(pair.name, parameters[part], into=True)
            start = part.stop

    def _done(self) -> int:
        return checks.whole("iterations", self.iterations)

    def _current_rule(self) -> Optimizer:
        """Return the rule with the settings of this moment.

        They need only be finite numbers: the chapter's classes have no limits, and a rate of 0 or a momentum of 1 is
        there to be tried.
        """
        now = {name: checks.real(name, getattr(self, name)) for name in self._settings}
        now["learning_rate"] = checks.real("current_learning_rate", self.current_learning_rate)
        return self._rule.unchecked(now)


class _Pair:
    """One parameter of a layer with its gradient and its slots, as the layer has them at this moment.

    `arrays` holds the three, in this order, slots as the rule names them.
    """

    def __init__(self, layer: Any, name: str, prefix: str) -> None:
        self.layer, self.name, self.prefix = layer, name, prefix
        parameter = self._numbers(name, "f", "floating-point numbers")
        if not parameter.flags.writeable and isinstance(getattr(layer, name), np.ndarray):
            raise InputError(f"{name} must be an array that can be changed. Received: {name} that are read-only")
        self.shape, self.size = parameter.shape, parameter.size
        self.arrays = [parameter, self._fitting("d" + name)]

    def take(self, slots: Iterable[str], anew: bool) -> None:
        """Add the slots to `arrays`; those that the layer lacks (or all, `anew`) are given to it first, of zeros."""
        for slot in slots:
            name = self.prefix + slot
            if anew or not hasattr(self.layer, name):
                setattr(self.layer, name, np.zeros_like(self.arrays[0]))
            self.arrays.append(self._fitting(name))

    def put(self, name: str, elements: Array, *, into: bool) -> None:
        """Set an attribute of the layer: `into` the array that is there, as `+=` does, or as a new array."""
        values = elements.reshape(self.shape)
        there = getattr(self.layer, name) if into else None
        if isinstance(there, np.ndarray) and there.flags.writeable and there.shape == self.shape:
            there[...] = values
            values = there
        setattr(self.layer, name, values)

    def _numbers(self, name: str, kinds: str = "fiu", rule: str = "real numbers") -> Array:
        try:
            values = getattr(self.layer, name)
        except AttributeError:
            wanted = f"layer must have {name}{', set by backward' if name.startswith('d') else ''}, to be updated"
            raise InputError(f"{wanted}. Received: {type(self.layer).__name__} without it") from None
        return numbers(name, values, kinds, rule)

    def _fitting(self, name: str) -> Array:
        """Return a gradient or slot in the parameter's shape; a row of biases' gradients may lack its first axis."""
        values = self._numbers(name)
        if values.shape == self.shape:
            return values
        try:
            return np.broadcast_to(values, self.shape)
        except ValueError:
            rule = f"{name} must have the shape of {self.name}, {self.shape}"
            raise InputError(f"{rule}. Received: shape {values.shape}") from None


class Optimizer_SGD(_Updates):
    """Stochastic gradient descent, with momentum where `momentum` is not 0 (see `downslope.rules.SGD`).

    w ← w − lr·g; with momentum v ← momentum·v − lr·g, w ← w + v, and the layer has v as `weight_momentums` and
    `bias_momentums`.

    Parameters
    ----------
    learning_rate : float, default 1
        lr at the first step.
    decay : float, default 0
        lr at iteration k is learning_rate / (1 + decay·k); below 0 it rises.
    momentum : float, default 0
        Share of the last step kept in the next.

    Attributes
    ----------
    current_learning_rate : float
        lr of the next `update_params`; may be assigned.
    iterations : int
        Steps made, as counted by `post_update_params`.
    """

    _rule = rules.SGD()
    _settings = ("momentum",)
    _slots: ClassVar = {"velocity": "momentums"}

    momentum: float

    def __init__(self, learning_rate: float = 1.0, decay: float = 0.0, momentum: float = 0.0) -> None:
        super().__init__(learning_rate, decay, momentum=momentum)


class Optimizer_Adagrad(_Updates):
    """AdaGrad: c ← c + g²; w ← w − lr·g / (√c + epsilon) (see `downslope.rules.Adagrad`).

    The layer has c as `weight_cache` and `bias_cache`.

    Parameters
    ----------
    learning_rate : float, default 1
        lr at the first step.
    decay : float, default 0
        lr at iteration k is learning_rate / (1 + decay·k); below 0 it rises.
    epsilon : float, default 1e-7
        Added to the denominator.

    Attributes
    ----------
    current_learning_rate : float
        lr of the next `update_params`; may be assigned.
    iterations : int
        Steps made, as counted by `post_update_params`.
    """

    _rule = rules.Adagrad()
    _settings = ("epsilon",)
    _slots: ClassVar = {"cache": "cache"}
    _into_slots = True  # the chapter adds to the cache that is there; its other optimizers make new arrays

    epsilon: float

    def __init__(self, learning_rate: float = 1.0, decay: float = 0.0, epsilon: float = 1e-7) -> None:
        super().__init__(learning_rate, decay, epsilon=epsilon)


class Optimizer_RMSprop(_Updates):
    """RMSprop: c ← rho·c + (1 − rho)·g²; w ← w − lr·g / (√c + epsilon) (see `downslope.rules.RMSprop`).

    The layer has c as `weight_cache` and `bias_cache`.

    Parameters
    ----------
    learning_rate : float, default 0.001
        lr at the first step.
    decay : float, default 0
        lr at iteration k is learning_rate / (1 + decay·k); below 0 it rises.
    epsilon : float, default 1e-7
        Added to the denominator.
    rho : float, default 0.9
        Share of the cache kept at each step.

    Attributes
    ----------
    current_learning_rate : float
        lr of the next `update_params`; may be assigned.
    iterations : int
        Steps made, as counted by `post_update_params`.
    """

    _rule = rules.RMSprop()
    _settings = ("epsilon", "rho")
    _slots: ClassVar = {"cache": "cache"}

    epsilon: float
    rho: float

    def __init__(
        self, learning_rate: float = 0.001, decay: float = 0.0, epsilon: float = 1e-7, rho: float = 0.9
    ) -> None:
        super().__init__(learning_rate, decay, epsilon=epsilon, rho=rho)


class Optimizer_Adam(_Updates):
    """Adam: momentum and RMSprop together, both corrected for their start at zero (see `downslope.rules.Adam`).

    The layer has the averages as `weight_momentums`, `bias_momentums`, `weight_cache` and `bias_cache`; t is
    iterations + 1. On a layer without `weight_cache` all four begin at zero: what SGD leaves as momentums is another
    quantity.

    Parameters
    ----------
    learning_rate : float, default 0.001
        lr at the first step.
    decay : float, default 0
        lr at iteration k is learning_rate / (1 + decay·k); below 0 it rises.
    epsilon : float, default 1e-7
        Added to the denominator.
    beta_1, beta_2 : float, defaults 0.9 and 0.999
        Shares of the mean gradient and of the mean squared gradient kept at each step.

    Attributes
    ----------
    current_learning_rate : float
        lr of the next `update_params`; may be assigned.
    iterations : int
        Steps made, as counted by `post_update_params`.
    """

    _rule = _AdamByPower()
    _settings = ("epsilon", "beta_1", "beta_2")
    _slots: ClassVar = {"m": "momentums", "v": "cache"}
    _made_anew_without = "cache"

    epsilon: float
    beta_1: float
    beta_2: float

    def __init__(
        self,
        learning_rate: float = 0.001,
        decay: float = 0.0,
        epsilon: float = 1e-7,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
    ) -> None:
        super().__init__(learning_rate, decay, epsilon=epsilon, beta_1=beta_1, beta_2=beta_2)
