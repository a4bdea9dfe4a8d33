from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

# What a processor of each name must have, so that code made for it runs here.
HASWELL = {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"}
SKYLAKE = HASWELL | {"adx", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl", "clflushopt"}
ZEN4 = SKYLAKE | {"avx512bf16", "avx512vbmi", "avx512vbmi2", "avx512vnni", "gfni", "sha", "sse4a", "vaes"}
NEEDS = {"x86-64": set(), "haswell": HASWELL, "skylake-avx512": SKYLAKE, "znver4": ZEN4}


@pytest.fixture(params=NEEDS)
def run_as(request):
    """Run a script in a process whose compiled code is made for another processor; return the lines it prints."""
    if not llvm.get_process_triple().startswith("x86_64"):
        pytest.skip("only an x86-64 processor runs this code")
    here = llvm.get_host_cpu_features()
    if missing := sorted(name for name in NEEDS[request.param] if not here.get(name)):
        pytest.skip(f"this processor lacks {', '.join(missing)}")

    def run(script: Path) -> list[str]:
        # Without the second variable Numba would still use every instruction this processor has.
        environment = {**os.environ, "NUMBA_CPU_NAME": request.param, "NUMBA_CPU_FEATURES": ""}
        told = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        return told.stdout.splitlines()

    return run


@pytest.fixture(scope="session", autouse=True)
def compiled_cache(tmp_path_factory):
    """Compiled code is kept beside the tests, once for all of them and their subprocesses."""
    with pytest.MonkeyPatch.context() as patch:
        if "DOWNSLOPE_CACHE" not in os.environ:
            patch.setenv("DOWNSLOPE_CACHE", str(tmp_path_factory.mktemp("compiled")))
        yield Path(os.environ["DOWNSLOPE_CACHE"])


@pytest.fixture(scope="session")
def processors():
    """The names of the processors whose code runs here, and of those whose code does not with what is lacking."""
    if not llvm.get_process_triple().startswith("x86_64"):
        return dict.fromkeys(NEEDS, "an x86-64 processor")
    here = llvm.get_host_cpu_features()
    return {name: ", ".join(sorted(each for each in needs if not here.get(each))) for name, needs in NEEDS.items()}
