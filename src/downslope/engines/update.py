"""A rule's formula over whole arrays, by NumPy's broadcasting: the update as it is read."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.engines import vocabulary
from downslope.errors import DownslopeError
from downslope.rules import Optimizer

__all__ = ["FloatArray", "RuleError", "Slots", "apply_update", "cast_scalars", "new_slots"]

FloatArray: TypeAlias = NDArray[np.floating[Any]]
Slots: TypeAlias = dict[str, FloatArray]


class RuleError(DownslopeError):
    """A rule's own code is at fault: its formula cannot be run, or does not keep what every engine relies on."""


def new_slots(rule: Optimizer, parameters: FloatArray) -> Slots:
    """Return the slots `rule` uses, all zero, each in the parameters' shape and type."""
    return {name: np.zeros_like(parameters) for name in rule.slots_in_use()}


def cast_scalars(rule: Optimizer, step: int, dtype: np.dtype[Any]) -> list[Any]:
    """Return the scalars of one step: computed in float64, cast once to the parameters' type; flags stay flags."""
    with np.errstate(all="ignore"):  # 1e300 is infinite in float32
        return [value if isinstance(value, bool) else dtype.type(value) for value in rule.scalars(step)]


def apply_update(
    rule: Optimizer, step: int, parameters: FloatArray, gradient: FloatArray, slots: Slots
) -> tuple[FloatArray, Slots]:
    """Return the parameters and slots after one step of `rule`; nothing is changed in place.

    Parameters
    ----------
    rule : Optimizer
        The rule with its settings.
    step : int
        Which update this is, from 1.
    parameters, gradient : array
        Of one shape and one type, float32 or float64.
    slots : dict of arrays
        Those of `rule.slots_in_use()`, in the parameters' shape.
    """
    with np.errstate(all="ignore"):
        result = rule.update(
            vocabulary,
            parameters,
            gradient,
            *(slots.get(name) for name in rule.slots),
            *cast_scalars(rule, step, parameters.dtype),
        )
    new, *rest = result if isinstance(result, tuple) else (result,)
    return np.asarray(new), {
        name: np.asarray(value) for name, value in zip(rule.slots, rest, strict=True) if value is not None
    }
