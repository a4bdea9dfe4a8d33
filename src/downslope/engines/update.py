"""A rule's formula over whole arrays, by NumPy's broadcasting: the update as it is read."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.engines import vocabulary
from downslope.errors import DownslopeError, InputError, RuleError
from downslope.rules import Optimizer

__all__ = ["FloatArray", "Slots", "apply_update", "cast_scalars", "check_slots", "new_slots"]

FloatArray: TypeAlias = NDArray[np.floating[Any]]
Slots: TypeAlias = dict[str, FloatArray]


def new_slots(rule: Optimizer, parameters: FloatArray) -> Slots:
    """Return the slots `rule` uses, all zero, each in the parameters' shape and type."""
    return {name: np.zeros_like(parameters) for name in rule.slots_in_use()}


def check_slots(rule: Optimizer, slots: Slots) -> None:
    """Raise InputError unless the slots are those `rule` uses with its settings."""
    used = rule.slots_in_use()
    if set(slots) != set(used):
        listed = ", ".join(slots) or "none"
        raise InputError(f"slots must be those {rule!r} uses: {', '.join(used) or 'none'}. Received: {listed}")


def cast_scalars(rule: Optimizer, step: int, dtype: np.dtype[Any], age: int | None = None) -> list[Any]:
    """Return the scalars of one step: computed in float64, cast once to the parameters' type; flags stay flags."""
    with np.errstate(all="ignore"):  # 1e300 is infinite in float32
        return [value if isinstance(value, bool) else dtype.type(value) for value in rule.scalars(step, age)]


def apply_update(
    rule: Optimizer,
    step: int,
    parameters: FloatArray,
    gradient: FloatArray,
    slots: Slots,
    age: int | None = None,
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
    age : int, optional
        Which update it is since the slots were zero; left out, `step`.

    Raises
    ------
    RuleError
        If the rule's own code fails, or returns other slots than it declares, another type or another shape.
    InputError
        If the slots are not those these settings use, or a schedule gives a value that is not legal.
    """
    check_slots(rule, slots)
    name = type(rule).__name__
    try:
        scalars = cast_scalars(rule, step, parameters.dtype, age)
        with np.errstate(all="ignore"):
            taken = [slots.get(slot) for slot in rule.slots]
            result = rule.update(vocabulary, parameters, gradient, *taken, *scalars)
        values = result if isinstance(result, tuple) else (result,)
        pairs = zip(("parameter", *rule.slots), values, strict=True)
        after = {slot: np.asarray(value) for slot, value in pairs if value is not None}
    except DownslopeError:
        raise
    except Exception as error:  # the rule's own code may raise anything
        raise RuleError(f"{name}.update failed: {type(error).__name__}: {error}") from error
    for slot, value in after.items():
        if value.dtype != parameters.dtype or value.shape != parameters.shape:
            raise RuleError(
                f"{name}.update must keep type and shape, {parameters.dtype} {parameters.shape}. "
                f"Received: {value.dtype} {value.shape} for the new {slot}"
            )
    return after.pop("parameter"), after
