from __future__ import annotations

import sys

import pytest

from downslope.data import sklearn_sets
from downslope.errors import MissingExtraError


@pytest.mark.parametrize(
    ("name", "shape", "feature", "outcome"),
    [
        ("iris", (150, 4), "sepal length (cm)", ("setosa", "versicolor", "virginica")),
        ("wine", (178, 13), "alcohol", ("class_0", "class_1", "class_2")),
        ("breast_cancer", (569, 30), "mean radius", ("malignant", "benign")),
        ("digits", (1797, 64), "pixel_0_0", tuple("0123456789")),
        ("diabetes", (442, 10), "age", None),
    ],
)
def test_sets_come_with_their_real_names(
    name: str, shape: tuple[int, int], feature: str, outcome: tuple[str, ...] | None
) -> None:
    loaded = getattr(sklearn_sets, name)()
    assert loaded.name == name
    assert loaded.inputs.shape == shape
    assert loaded.features[0] == feature
    assert loaded.classes == outcome
    assert loaded.standardize
    assert loaded.seed is None
    assert loaded.kind == ("regression" if outcome is None else "classification")


def test_diabetes_keeps_its_units() -> None:
    loaded = sklearn_sets.diabetes()
    assert loaded.inputs[0, 0] == 59
    assert loaded.targets[:2].tolist() == [[151.0], [75.0]]


@pytest.mark.parametrize("name", sklearn_sets.__all__)
def test_without_scikit_learn_the_install_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=rf"the {name} data set needs .* 'downslope\[sklearn\]'"):
        getattr(sklearn_sets, name)()
