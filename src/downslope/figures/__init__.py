"""Pictures of what runs recorded. Matplotlib is loaded when the first one is drawn."""

from __future__ import annotations

from downslope.figures.animation import training_animation
from downslope.figures.comparison import comparison_picture
from downslope.figures.descent import descent_picture, landscape_picture, rates_picture
from downslope.figures.descent_movie import descent_animation
from downslope.figures.drawing import PICTURES
from downslope.figures.find_rate import find_rate_picture
from downslope.figures.map import MapAxis, map_picture
from downslope.figures.picture import training_picture
from downslope.figures.schedule import schedule_picture

__all__ = [
    "PICTURES",
    "MapAxis",
    "comparison_picture",
    "descent_animation",
    "descent_picture",
    "find_rate_picture",
    "landscape_picture",
    "map_picture",
    "rates_picture",
    "schedule_picture",
    "training_animation",
    "training_picture",
]
