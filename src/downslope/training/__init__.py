"""A run: settings, training in pieces, history, predictions. It emits events; it draws nothing."""

from __future__ import annotations

from downslope.training.history import History
from downslope.training.run import Run
from downslope.training.setup import output_width

__all__ = ["History", "Run", "output_width"]
