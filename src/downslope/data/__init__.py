"""The spiral and other sets, tables from files and data frames, splits and standardization."""

from downslope.data.dataset import Dataset
from downslope.data.generated import blobs, circles, line, moons, sine, spiral, xor
from downslope.data.preparation import Standardization, split

__all__ = [
    "Dataset",
    "Standardization",
    "blobs",
    "circles",
    "line",
    "moons",
    "sine",
    "spiral",
    "split",
    "xor",
]
