"""From a kernel written in Python to object code, by Numba. Imported only where something has to be compiled."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types
from numba.core import compiler
from numba.core.errors import NumbaError, UnsupportedError
from numba.core.registry import cpu_target

from downslope.engines.compiled import (
    activations,
    biases,
    lanes,
    losses,
    masks,
    products,
    stepping,
    training,
    vocabulary,
    weight_gradients,
)
from downslope.engines.compiled.machine import target_machine
from downslope.errors import RuleError
from downslope.rules import Optimizer

__all__ = ["build_kernel", "build_update", "compiled_module", "update_module"]

if "NUMBA_CPU_NAME" in os.environ and "NUMBA_CPU_FEATURES" not in os.environ:
    numba.config.CPU_FEATURES = ""  # that processor's own, as in `machine`, and not this one's

HOMES = (training, stepping, products, weight_gradients, biases, activations, losses, masks)


def build_kernel(name: str, signature: str, dtype: str) -> tuple[str, bytes]:
    """Return symbol and object code of the kernel of that name."""
    home = next(home for home in HOMES if name in home.__all__)
    symbol, module = compiled_module(getattr(home, name).py_func, signature, dtype)
    return symbol, target_machine().emit_object(module)


def build_update(
    rule: type[Optimizer], used: tuple[str, ...], flags: tuple[str, ...], signature: str, dtype: str
) -> tuple[str, bytes]:
    """Return symbol and object code of a rule's formula as one loop over many parameters."""
    symbol, module = update_module(rule, used, flags, signature, dtype)
    return symbol, target_machine().emit_object(module)


def update_module(
    rule: type[Optimizer], used: tuple[str, ...], flags: tuple[str, ...], signature: str, dtype: str
) -> tuple[str, Any]:
    """Return symbol and optimized code of a rule's loop, as LLVM's own text shows it."""
    names = {
        "formula": numba.njit(rule.update, error_model="numpy"),
        "xp": vocabulary,
        "shift": lanes.shift,
        "pointer_at": lanes.pointer_at,
    }
    exec(compile(_source(rule, used, flags), f"<fused {rule.__name__}>", "exec"), names)
    try:
        return compiled_module(names["loop"], signature, dtype)
    except (NumbaError, AttributeError) as error:
        raise RuleError(
            f"{rule.__name__}.update cannot be compiled for single numbers: {_reason(error)} "
            "Use + − × ÷ and xp's functions only."
        ) from error


def compiled_module(function: Callable[..., Any], signature: str, dtype: str) -> tuple[str, Any]:
    """Return symbol and optimized code of a function over raw memory; `signature` as in `kernels`."""
    number = getattr(types, dtype)
    known = {
        "x": types.CPointer(number),
        "i": types.CPointer(types.int64),
        "u": types.CPointer(types.uint64),
        "d": types.CPointer(types.float64),
        "n": types.int64,
        "f": types.float64,
    }
    flags = compiler.Flags()
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    # Without it every division is checked for zero, which is 7 times slower and raises.
    flags.error_model = "numpy"
    flags.nrt = False
    result = compiler.compile_extra(
        cpu_target.typing_context,
        cpu_target.target_context,
        function,
        tuple(known[letter] for letter in signature),
        types.none,
        flags,
        {},
    )
    module = llvm.parse_assembly(result.library.get_llvm_str())
    _check_alone(module)
    return result.fndesc.llvm_func_name, module


def _check_alone(module: Any) -> None:
    """Raise UnsupportedError where code needs what a process without Numba lacks, or would end with an error unseen."""
    for function in module.functions:
        if function.is_declaration and function.name.startswith(("numba_", "NRT_", "Py", "_Py")):
            raise UnsupportedError(f"Unsupported call of {function.name}")
    if any(variable.name.startswith(".const.picklebuf") for variable in module.global_variables):
        raise UnsupportedError("Unsupported raise or assert")


def _source(rule: type[Optimizer], used: tuple[str, ...], flags: tuple[str, ...]) -> str:
    """Write the loop: unused slots are passed as None, and their branches are pruned when it is compiled."""
    read = ", ".join(f"{name}[i]" if name in used else "None" for name in rule.slots)
    written = ", ".join(["parameter[i]", *(f"{name}[i]" if name in used else "_" for name in rule.slots)])
    call = ", ".join(["xp", "parameter[i]", "gradient[i]", *([read] if read else []), *rule.scalar_names])
    slots = [f"{name} = shift(pointer_at(addresses, {k}, at), start)" for k, name in enumerate(used)]
    scalars = [f"{name} = scalars[{k}]{' != 0' * (name in flags)}" for k, name in enumerate(rule.scalar_names)]
    lines = [
        "def loop(at, slope, addresses, start, scalars, count):",
        "    parameter, gradient = shift(at, start), shift(slope, start)",
        *(f"    {line}" for line in (*slots, *scalars)),
        "    for i in range(count):",
        f"        {written} = formula({call})",
    ]
    return "\n".join(lines) + "\n"


def _reason(error: NumbaError | AttributeError) -> str:
    """Return the line of Numba's long message that tells what it could not compile."""
    if isinstance(error, AttributeError):
        return f"xp has no {error.name}."
    if "setitem" in str(error) or "Cannot cast UniTuple" in str(error) or "Cannot cast Tuple" in str(error):
        return "what it returns is not one number for the parameter and for each slot."
    lines = [line.strip(" >*-") for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Failed in", "During:", "[1] During", "File "))]
    known = ("Unknown attribute", "No implementation of function", "Cannot unify", "Unsupported", "Use of unsupported")
    return (
        next((line for line in told if line.startswith(known)), told[0] if told else type(error).__name__).rstrip(".:")
        + "."
    )
