"""A rule's formula over whole arrays, by NumPy's broadcasting: the update as it is read."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.engines import vocabulary
from downslope.errors import RuleError
from downslope.rules import Optimizer

__all__ = ["FloatArray", "Slots", "apply_update", "cast_scalars", "new_slots"]

FloatArray: TypeAlias = NDArray[np.floating[Any]]
Slots: TypeAlias = dict[str, FloatArray]


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

    Raises
    ------
    RuleError
        If the rule's own code fails, or returns other slots than it declares, another type or another shape.
    """
    try:
        with np.errstate(all="ignore"):
            result = rule.update(
                vocabulary,
                parameters,
                gradient,
                *(slots.get(name) for name in rule.slots),
                *cast_scalars(rule, step, parameters.dtype),
            )
        values = result if isinstance(result, tuple) else (result,)
        pairs = zip(("parameter", *rule.slots), values, strict=True)
        after = {name: np.asarray(value) for name, value in pairs if value is not None}
    except Exception as error:  # the rule's own code may raise anything
        raise RuleError(f"{type(rule).__name__}.update failed: {type(error).__name__}: {error}") from error
    for name, value in after.items():
        if value.dtype != parameters.dtype or value.shape != parameters.shape:
            raise RuleError(
                f"{type(rule).__name__}.update must keep type and shape, {parameters.dtype} {parameters.shape}. "
                f"Received: {value.dtype} {value.shape} for the new {name}"
            )
    return after.pop("parameter"), after
