import os
import subprocess
import sys

import llvmlite.binding as llvm
import numpy as np
import pytest

from downslope.engines.compiled import blas_library
from downslope.engines.compiled.blas_library import library, slow_kernels

ASK = "from downslope.engines.compiled.blas_library import library; print(*library(), sep='|')"
BUILT = np.show_config(mode="dicts")["Build Dependencies"]["blas"]


@pytest.mark.skipif("openblas" not in BUILT["name"] or sys.platform == "win32", reason="only OpenBLAS can be asked")
def test_the_library_tells_what_its_environment_asks_for():
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    if llvm.get_process_triple().startswith("x86_64"):
        environment["OPENBLAS_CORETYPE"] = "Nehalem"
    told = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    name, version, kernels, threads = told.stdout.strip().split("|")
    assert (name, version, threads) == (BUILT["name"], BUILT["version"], "1")
    assert kernels == environment.get("OPENBLAS_CORETYPE", library().kernels)


def test_a_library_that_cannot_be_asked(monkeypatch):
    monkeypatch.setattr(blas_library, "SPELLINGS", ("no_such_{}",))
    assert library().kernels is library().threads is None
    assert slow_kernels(None) is None


def test_slow_kernels_are_those_without_avx512_where_it_is(monkeypatch):
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: dict.fromkeys(blas_library.AVX512, True))
    assert slow_kernels("SkylakeX") is None
    assert "uses its Haswell kernels" in slow_kernels("Haswell")
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: {"avx512f": True, "avx2": True})
    assert slow_kernels("Haswell") is None
