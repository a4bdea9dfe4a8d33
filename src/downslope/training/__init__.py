"""A run: training in pieces, steered and watched, its history and its log. It emits events; it draws nothing."""

from __future__ import annotations

from downslope.training.guard import Guard
from downslope.training.history import History
from downslope.training.log import Entry, Log
from downslope.training.plateau import ReduceOnPlateau
from downslope.training.rate_test import RateTest, find_rate
from downslope.training.run import Run
from downslope.training.setup import output_width

__all__ = ["Entry", "Guard", "History", "Log", "RateTest", "ReduceOnPlateau", "Run", "find_rate", "output_width"]
