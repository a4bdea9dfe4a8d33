"""The line every benchmark begins with: processor, cores, and the versions that decide the figures."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def describe_machine(*packages: str) -> str:
    """Return processor, cores, system, Python and the versions of NumPy, Numba and `packages`."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line.split(":", 1)[1].strip() for line in information.open() if line.startswith("model name")]
        processor = names[0] if names else processor
    versions = []
    for package in ("downslope", "numpy", "numba", *packages):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} missing")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor}, {cores} cores, {platform.system()}; Python {platform.python_version()}, {', '.join(versions)}"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(describe_machine())
