"""A rule's formula as one fused loop over all parameters, for whoever holds the arrays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from downslope.engines.compiled.kernels import update_kernel
from downslope.engines.compiled.tables import LANE_BYTES
from downslope.engines.update import FloatArray, Slots, cast_scalars
from downslope.errors import InputError
from downslope.processors import cores
from downslope.rules import Optimizer

__all__ = ["fused_update"]

# From so many parameters on a second thread gains more than the third of a millisecond that calling it costs; more
# threads would wait for the same memory.
MANY, MOST_THREADS = 1 << 23, 2


def fused_update(
    rule: Optimizer,
    step: int,
    parameters: FloatArray,
    gradient: FloatArray,
    slots: Slots,
    age: int | None = None,
) -> None:
    """Make one step of `rule` in place: parameters and slots are read and written once, in one pass.

    Bit-identical to `engines.update.apply_update`, in float32 and float64. The first call for a rule and a type
    compiles, or loads what an earlier process compiled.

    Parameters
    ----------
    rule : Optimizer
        The rule with its settings.
    step : int
        Which update this is, from 1.
    parameters, gradient : array
        Of one shape and one type, float32 or float64, contiguous.
    slots : dict of arrays
        Those of `rule.slots_in_use()`, likewise.
    age : int, optional
        Which update it is since the slots were zero; left out, `step`.

    Raises
    ------
    InputError
        If an array is missing, or is not as described.
    RuleError
        If the formula cannot be compiled for single numbers.
    """
    used = rule.slots_in_use()
    if missing := [name for name in used if name not in slots]:
        raise InputError(f"slots must hold {', '.join(used)}. Received: no {', '.join(missing)}")
    kept = [slots[name] for name in used]
    for name, array in zip(("parameters", "gradient", *used), (parameters, gradient, *kept), strict=True):
        _check(name, array, parameters, written=name != "gradient")
    scalars = np.array([*cast_scalars(rule, step, parameters.dtype, age), 0], dtype=parameters.dtype)
    addresses = np.array([*(slot.ctypes.data for slot in kept), 0], dtype=np.int64)
    update = update_kernel(rule, parameters.dtype, step).function
    places = parameters.ctypes.data, gradient.ctypes.data, addresses.ctypes.data

    def make(start: int, stop: int) -> None:
        update(*places, start, scalars.ctypes.data, stop - start)

    # From a cache line's beginning on, so that no load or store lies across two; every element is its own.
    lanes = LANE_BYTES // parameters.itemsize
    head = min(parameters.size, -parameters.ctypes.data % LANE_BYTES // parameters.itemsize)
    threads = min(cores(), MOST_THREADS) if parameters.size >= MANY else 1
    share = -(-(parameters.size - head) // (threads * lanes)) * lanes
    cuts = [head, *(min(head + share * k, parameters.size) for k in range(1, threads)), parameters.size]
    make(0, head)
    others = [_helpers().submit(make, start, stop) for start, stop in pairwise(cuts[1:])]
    make(*cuts[:2])
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="update")


def _check(name: str, array: Any, kin: Any, *, written: bool) -> None:
    """Raise InputError unless machine code may read, and where it does write, this array."""
    if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.float64):
        got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise InputError(f"{name} must be an array of float32 or float64. Received: {got}")
    if array.dtype != kin.dtype or array.shape != kin.shape:
        raise InputError(
            f"{name} must be of the parameters' type and shape, {kin.dtype} {kin.shape}. "
            f"Received: {array.dtype} {array.shape}"
        )
    if not array.flags.c_contiguous or (written and not array.flags.writeable):
        raise InputError(
            f"{name} must be contiguous{' and writable' if written else ''}. Received: an array that is not"
        )
