"""Five well-known tables that come with scikit-learn; nothing is downloaded. All are standardized by default."""

from __future__ import annotations

from typing import Any

import numpy as np

from downslope.data.dataset import Dataset
from downslope.errors import MissingExtraError

__all__ = ["breast_cancer", "diabetes", "digits", "iris", "wine"]


def iris() -> Dataset:
    """Return 150 iris flowers: 4 measures in cm, 3 species (Fisher 1936).

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    """
    return _classified("iris", "species")


def wine() -> Dataset:
    """Return 178 wines: 13 chemical measures, 3 cultivars (Forina et al. 1991).

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    """
    return _classified("wine", "class")


def breast_cancer() -> Dataset:
    """Return 569 biopsies: 30 measures of cell nuclei, malignant or benign (Street, Wolberg and Mangasarian 1993).

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    """
    return _classified("breast_cancer", "diagnosis")


def digits() -> Dataset:
    """Return 1,797 handwritten digits: 8 × 8 pixels from 0 to 16, 10 classes (Alpaydin and Kaynak 1998).

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    """
    return _classified("digits", "digit")


def diabetes() -> Dataset:
    """Return 442 patients: 10 measures as taken, and the disease's progression a year later (Efron et al. 2004).

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    """
    bunch = _load("diabetes", scaled=False)
    outputs = np.asarray(bunch.target, dtype=np.float64)[:, None]
    return Dataset(
        "diabetes", bunch.data, outputs, tuple(bunch.feature_names), None, ("progression",), standardize=True
    )


def _classified(name: str, target: str) -> Dataset:
    bunch = _load(name)
    features = tuple(str(feature) for feature in bunch.feature_names)
    classes = tuple(str(one) for one in bunch.target_names)
    return Dataset(name, bunch.data, bunch.target, features, classes, (target,), standardize=True)


def _load(name: str, **options: Any) -> Any:
    try:
        from sklearn import datasets
    except ImportError:
        raise MissingExtraError(f"the {name} data set", "sklearn") from None
    return getattr(datasets, f"load_{name}")(**options)
