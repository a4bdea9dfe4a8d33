"""Pictures of what runs recorded. Matplotlib is loaded when the first one is drawn."""

from __future__ import annotations

from downslope.figures.drawing import PICTURES
from downslope.figures.map import MapAxis, map_picture
from downslope.figures.picture import training_picture
from downslope.figures.schedule import schedule_picture

__all__ = ["PICTURES", "MapAxis", "map_picture", "schedule_picture", "training_picture"]
