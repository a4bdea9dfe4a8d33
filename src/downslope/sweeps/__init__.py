"""Populations of runs: a network trained over ranges of settings and several seeds, its map, its best settings."""

from __future__ import annotations

from downslope.sweeps.comparison import Comparison, compare
from downslope.sweeps.driver import execute, sweep
from downslope.sweeps.job import Job, plan
from downslope.sweeps.ranges import Range, linear, log, parse_range, values
from downslope.sweeps.result import SweepResult, open_sweep

__all__ = [
    "Comparison",
    "Job",
    "Range",
    "SweepResult",
    "compare",
    "execute",
    "linear",
    "log",
    "open_sweep",
    "parse_range",
    "plan",
    "sweep",
    "values",
]
