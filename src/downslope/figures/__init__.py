"""Pictures of what a run recorded. Matplotlib is loaded when the first one is drawn."""

from __future__ import annotations

from downslope.figures.picture import PICTURES, training_picture

__all__ = ["PICTURES", "training_picture"]
