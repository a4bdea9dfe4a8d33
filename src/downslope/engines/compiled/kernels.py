"""The compiled functions the engines call, each built or loaded the first time it is asked for."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from downslope.engines.compiled import machine
from downslope.rules import Optimizer

__all__ = ["Kernel", "announce", "kernel", "update_kernel"]

# What each takes: x, i, u, d: pointers to numbers of the parameters' type, int64, uint64, float64; n, f: an int64, a
# float64.
SIGNATURES = {
    "train": "idididxxxixxxiiuxxxdiiddddddnnnn",
    "measure": "idididxxnxnxd",
    "product": "xnnxnnxnxnnnn",
    "weight_gradient": "xnnxnnnxnnxn",
    "row_sums": "xnnnx",
    "activate": "nfxxn",
    "activate_back": "nfxxn",
    "loss_pass": "nfxnnnnxnfxd",
    "fill_masks": "idnnnnnnx",
    "shuffle": "nnniiu",
    "take_step": "iidxxnxixfdddd",
    "weigh": "iidxd",
    "add_biases": "xnnxn",
}
UPDATE = "xxinxn"
PLAIN: dict[str, Any] = {"n": ctypes.c_int64, "f": ctypes.c_double}


class Kernel(NamedTuple):
    """A compiled function: to be called with addresses and numbers, and where it lies."""

    function: Callable[..., int]
    address: int


_KERNELS: dict[tuple[Any, ...], Kernel] = {}
_BUILDING = threading.RLock()
_ANNOUNCED: list[str] = []


def announce(sentence: str) -> None:
    """Say on stderr that something is being compiled, to whoever waits there: in a terminal or a notebook."""
    if sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules):
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - a sentence to whoever waits


def kernel(name: str, dtype: np.dtype[Any]) -> Kernel:
    """Return the kernel of that name for float32 or float64."""
    return _kernel((name, dtype.name), f"{name}-{dtype.name}", "", SIGNATURES[name], lambda: _build(name, dtype))


def update_kernel(rule: Optimizer, dtype: np.dtype[Any], step: int = 1) -> Kernel:
    """Return a rule's formula as one loop over parameters and slots.

    Which of its scalars are flags is asked at `step`, one at which its schedules have values.

    Raises RuleError where the formula cannot be compiled for single numbers.
    """
    from downslope.fingerprint import code_fingerprint

    kind, used = type(rule), rule.slots_in_use()
    scalars = zip(rule.scalar_names, rule.scalars(step), strict=True)
    flags = tuple(name for name, value in scalars if isinstance(value, bool))
    # Keyed by what the formula does, not by its name: a rule that was edited never runs its old code.
    behaviour = code_fingerprint(kind.update)
    told = None if behaviour is None else repr((behaviour, kind.slots, used, kind.scalar_names, flags))

    def build() -> tuple[str, bytes]:
        from downslope.engines.compiled.build import build_update

        announce(f"Compiling {kind.__name__} for this processor ...")
        code: tuple[str, bytes] = build_update(kind, used, flags, UPDATE, dtype.name)
        return code

    memory = (told or kind.update, kind.slots, used, flags, dtype.name)
    return _kernel(memory, f"update-{kind.name()}-{dtype.name}", told, UPDATE, build)


def _build(name: str, dtype: np.dtype[Any]) -> tuple[str, bytes]:
    from downslope.engines.compiled.build import build_kernel

    if not _ANNOUNCED:
        _ANNOUNCED.append(name)
        announce("Compiling the engine for this processor, once; later starts take it from disk ...")
    return build_kernel(name, SIGNATURES[name], dtype.name)


def _kernel(
    memory: tuple[Any, ...], name: str, key: str | None, signature: str, build: Callable[[], tuple[str, bytes]]
) -> Kernel:
    found = _KERNELS.get(memory)
    if found is None:
        with _BUILDING:
            found = _KERNELS.get(memory)
            if found is None:
                taken = [PLAIN.get(letter, ctypes.c_void_p) for letter in signature]
                found = _KERNELS[memory] = Kernel(*machine.load(*machine.stored(name, key, build), taken))
    return found
