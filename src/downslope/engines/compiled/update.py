"""A rule's formula as one fused loop over all parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.errors import NumbaError

from downslope.engines.compiled import vocabulary
from downslope.engines.update import FloatArray, Slots, cast_scalars
from downslope.errors import RuleError
from downslope.rules import Optimizer

__all__ = ["fused_update"]

_LOOPS: dict[tuple[Any, ...], Callable[..., None]] = {}


def fused_update(
    rule: Optimizer,
    step: int,
    parameters: FloatArray,
    gradient: FloatArray,
    slots: Slots,
    age: int | None = None,
) -> None:
    """Make one step of `rule` in place: parameters and slots are read and written once, in one pass.

    Bit-identical to `engines.update.apply_update`, in float32 and float64. All arrays are flat, contiguous and of
    one type; `slots` holds those of `rule.slots_in_use()`. The first call for a rule and a type compiles, and raises
    RuleError where the formula cannot be compiled.
    """
    used = rule.slots_in_use()
    loop = _loop(type(rule), used)
    scalars = cast_scalars(rule, step, parameters.dtype, age)
    try:
        loop(parameters, gradient, *(slots[name] for name in used), *scalars)
    except (NumbaError, AttributeError) as error:
        raise RuleError(
            f"{type(rule).__name__}.update cannot be compiled for single numbers: {_reason(error)} "
            "Use + − × ÷ and xp's functions only."
        ) from error


def _loop(rule: type[Optimizer], used: tuple[str, ...]) -> Callable[..., None]:
    # Keyed by the function itself: a rule that is defined again never runs its old code.
    key = (rule.update, rule.slots, used)
    if key not in _LOOPS:
        names = {"update": numba.njit(rule.update, error_model="numpy"), "xp": vocabulary}
        exec(compile(_source(rule, used), f"<fused {rule.__name__}>", "exec"), names)
        # error_model: without it every division is checked for zero, which is 7 times slower and raises.
        _LOOPS[key] = numba.njit(names["loop"], error_model="numpy", nogil=True)
    return _LOOPS[key]


def _reason(error: NumbaError | AttributeError) -> str:
    """Return the line of Numba's long message that tells what it could not compile."""
    if isinstance(error, AttributeError):
        return f"xp has no {error.name}."
    if "setitem" in str(error):
        return "what it returns is not one number for the parameter and for each slot."
    lines = [line.strip(" >*-") for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Failed in", "During:", "[1] During", "File "))]
    known = ("Unknown attribute", "No implementation of function", "Cannot unify", "Unsupported", "Use of unsupported")
    return (
        next((line for line in told if line.startswith(known)), told[0] if told else type(error).__name__).rstrip(".:")
        + "."
    )


def _source(rule: type[Optimizer], used: tuple[str, ...]) -> str:
    """Write the loop: unused slots are passed as None, and their branches are pruned when it is compiled."""
    read = ", ".join(f"{name}[i]" if name in used else "None" for name in rule.slots)
    written = ", ".join(["parameter[i]", *(f"{name}[i]" if name in used else "_" for name in rule.slots)])
    arguments = ", ".join(["parameter", "gradient", *used, *rule.scalar_names])
    call = ", ".join(["xp", "parameter[i]", "gradient[i]", *([read] if read else []), *rule.scalar_names])
    return f"def loop({arguments}):\n    for i in range(parameter.size):\n        {written} = update({call})\n"
