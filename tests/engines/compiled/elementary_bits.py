"""Print, for each elementary function and type: the hash of many results, how many numbers one instruction takes, and
how many foreign functions, allocations and fused multiply-adds its code has, here and on Arm.

Run by test_elementary.py.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import sys

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import types

from downslope.engines.compiled import elementary

FOREIGN = r"call (?:float|double) @(?!llvm\.)|call .*NRT_|\bfma\b|fmuladd|\bfast\b|\bcontract\b"


def loop_over_pointers(function, number):
    def loop(n, x, out):
        for r in range(n):
            out[r] = function(x[r])

    pointer = types.CPointer(number)
    return numba.cfunc(types.void(types.int64, pointer, pointer), error_model="numpy")(loop)


def arm_assembly(code):
    triple = "aarch64-unknown-linux-gnu"
    module = llvm.parse_assembly(re.sub(r"target (triple|datalayout) = .*", "", code))
    module.triple = triple
    return llvm.Target.from_triple(triple).create_target_machine(cpu="neoverse-n1", opt=3).emit_assembly(module)


def main():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    steps = np.arange(200_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    places = np.arange(-100_000, 100_000)
    for name in elementary.__all__:
        for number, patterns in (
            (types.float32, (steps >> np.uint64(32)).astype(np.uint32).view(np.float32)),
            (types.float64, steps.view(np.float64)),
        ):
            near = [(places / share).astype(patterns.dtype) for share in (2**13, 2**7)]
            x = np.concatenate([patterns, *near])
            out = np.empty_like(x)
            loop = loop_over_pointers(getattr(elementary, name), number)
            kind = ctypes.POINTER(np.ctypeslib.as_ctypes_type(x.dtype))
            loop.ctypes(x.size, *(array.ctypes.data_as(kind) for array in (x, out)))
            out[np.isnan(out)] = np.nan  # the sign of a NaN may differ between families of processors
            digest = hashlib.blake2b(out.tobytes(), digest_size=8).hexdigest()
            code = loop.inspect_llvm()
            widths = re.findall(rf"fmul <(\d+) x {'float' if number == types.float32 else 'double'}>", code)
            fused = re.findall(r"\bfml[as]\b|\bfn?m(?:add|sub)\b", arm_assembly(code))
            foreign = len(re.findall(FOREIGN, code)) + len(fused)
            sys.stdout.write(f"{name} {number} {digest} {max(map(int, widths), default=1)} {foreign}\n")


main()
