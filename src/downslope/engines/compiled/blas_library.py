"""Which BLAS NumPy multiplies with, which of its kernels that chose for this processor, and on how many threads."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np

from downslope.engines.compiled.kernels import announce

__all__ = ["Library", "library", "slow_kernels", "tell_of_slow_kernels"]

# How OpenBLAS's functions may be called: as built for NumPy, with 64-bit and with 32-bit integers, and by itself.
SPELLINGS = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")
AVX512_KERNELS = {"SkylakeX", "Cooperlake", "Sapphirerapids"}
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")  # what these kernels need


class Library(NamedTuple):
    """NumPy's BLAS, as far as it can be told: on this decide the bits of a matrix product.

    Attributes
    ----------
    name, version : str
        As NumPy was built with it, such as scipy-openblas.
    kernels : str or None
        The kind of processor whose kernels are used, such as SkylakeX; None where the library cannot be asked.
    threads : int or None
        On how many threads it multiplies, likewise.
    """

    name: str
    version: str
    kernels: str | None
    threads: int | None


def library() -> Library:
    """Return NumPy's BLAS as it is now."""
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    corename, threads = _function("get_corename", ctypes.c_char_p), _function("get_num_threads", ctypes.c_int)
    return Library(
        str(built.get("name", "unknown")),
        str(built.get("version", "unknown")),
        None if corename is None else corename().decode(),
        None if threads is None else int(threads()),
    )


def slow_kernels(kernels: str | None) -> str | None:
    """Return a sentence where OpenBLAS chose kernels of 32-byte vectors on a processor that has 64-byte ones.

    OpenBLAS looks processors up in a list, which lacked AMD's Zen 5 until its pull request 6033 of September 2026. It
    chooses once, when NumPy is loaded, so only the environment of the process can correct it.
    """
    if kernels is None or kernels in AVX512_KERNELS or not all(llvm.get_host_cpu_features().get(has) for has in AVX512):
        return None
    return (
        f"NumPy's OpenBLAS uses its {kernels} kernels though this processor has AVX-512: OPENBLAS_CORETYPE=SkylakeX in "
        "the environment, set before Python starts, can double the speed of large layers."
    )


@lru_cache(maxsize=1)
def tell_of_slow_kernels() -> None:
    """Say so on stderr, once, where somebody may be reading."""
    sentence = slow_kernels(library().kernels)
    if sentence is not None:
        announce(sentence)


def _function(name: str, result: type) -> Any:
    """Return a function of the OpenBLAS that NumPy has loaded; None where it has another library, or hides it."""
    try:
        place = import_module("numpy._core._multiarray_umath").__file__
        loaded = ctypes.CDLL(place)  # finds what this was linked with, too
    except (ImportError, OSError):
        return None
    for spelling in SPELLINGS:
        function = getattr(loaded, spelling.format(name), None)
        if function is not None:
            function.restype, function.argtypes = result, []
            return function
    return None
