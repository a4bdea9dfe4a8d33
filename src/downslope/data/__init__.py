"""The spiral and other sets, tables from files and data frames, splits and standardization."""

from downslope.data.arrays import arrays
from downslope.data.catalogue import SETS, NamedSet, named
from downslope.data.dataset import Dataset
from downslope.data.generated import blobs, circles, line, moons, sine, spiral, xor
from downslope.data.preparation import Standardization, split
from downslope.data.sklearn_sets import breast_cancer, diabetes, digits, iris, wine
from downslope.data.tables import DataWarning, features_of, read

__all__ = [
    "SETS",
    "DataWarning",
    "Dataset",
    "NamedSet",
    "Standardization",
    "arrays",
    "blobs",
    "breast_cancer",
    "circles",
    "diabetes",
    "digits",
    "features_of",
    "iris",
    "line",
    "moons",
    "named",
    "read",
    "sine",
    "spiral",
    "split",
    "wine",
    "xor",
]
