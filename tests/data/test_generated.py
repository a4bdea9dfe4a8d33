from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from downslope.data import generated
from downslope.data.dataset import Dataset
from downslope.errors import InputError

MAKERS = {name: getattr(generated, name) for name in generated.__all__}

# The digests of the default sets: a change here changes everyone's results, and needs a reason in the changelog.
GOLDEN = {
    "spiral": "39dbe6153747f67f67cb5f838b1f2bb8",
    "moons": "bf145b963848fdf6e6587e38e6293132",
    "circles": "2da0472b1c02db9bbd1862a8a0ee96cb",
    "blobs": "1990bbf5b31d6ef7c9c93a147d1eb9d6",
    "xor": "a4ecede224d48dba40005ce39ac25da6",
    "line": "7b6356b7ca6f74ae1d4e344a1a6fffaf",
    "sine": "7e077715b37c222e2b36c9525846fedb",
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_gives_the_same_digits_for_ever(name: str) -> None:
    make = MAKERS[name]
    assert make().digest == GOLDEN[name]
    assert make(seed=np.int64(0)).digest == GOLDEN[name]
    assert make(seed=1).digest != GOLDEN[name]
    assert make(seed=1).seed == 1
    assert make(noise=0.3).digest != GOLDEN[name]
    assert not make().standardize
    assert make().name == name


@pytest.mark.parametrize(
    ("made", "rows", "kind"),
    [
        (generated.spiral(7, 5), 35, "classification"),
        (generated.spiral(1, 2), 2, "classification"),
        (generated.moons(7), 14, "classification"),
        (generated.circles(1), 2, "classification"),
        (generated.blobs(4, classes=6, features=3), 24, "classification"),
        (generated.xor(5), 10, "classification"),
        (generated.line(9), 9, "regression"),
        (generated.sine(1), 1, "regression"),
    ],
)
def test_samples_are_counted_per_class(made: Dataset, rows: int, kind: str) -> None:
    assert (len(made), made.kind) == (rows, kind)
    if made.classes is not None:
        assert set(np.bincount(made.targets)) == {rows // len(made.classes)}
        assert made.classes == tuple(str(k) for k in range(len(made.classes)))


@pytest.mark.parametrize(("samples", "classes"), [(100, 3), (1, 2), (37, 4)])
def test_the_chapters_spiral_is_the_chapters_computation(samples: int, classes: int) -> None:
    legacy = np.random.RandomState(0)
    points = np.zeros((samples * classes, 2), dtype=np.float32)
    labels = np.zeros(samples * classes, dtype="uint8")
    for k in range(classes):
        rows = range(samples * k, samples * (k + 1))
        radius = np.linspace(0.0, 1, samples)
        angle = np.linspace(k * 4, (k + 1) * 4, samples) + legacy.randn(samples).astype(np.float32) * 0.2
        points[rows] = np.c_[radius * np.sin(angle * 2.5), radius * np.cos(angle * 2.5)]
        labels[rows] = k
    made = generated.spiral(samples, classes, seed="chapter")
    assert np.array_equal(made.inputs, points.astype(np.float64))
    assert np.array_equal(made.targets, labels)
    assert made.seed == "chapter"
    assert made.normals_drawn == samples * classes
    assert generated.spiral(samples, classes).normals_drawn == 0


def test_an_ordinary_spiral_has_the_spirals_shape() -> None:
    made = generated.spiral(50, 3, seed=7, noise=0.0)
    radius, angle = (
        np.tile(np.linspace(0, 1, 50), 3),
        np.concatenate([np.linspace(4 * k, 4 * k + 4, 50) for k in range(3)]),
    )
    expected = np.column_stack([radius * np.sin(2.5 * angle), radius * np.cos(2.5 * angle)])
    assert np.allclose(made.inputs, expected, rtol=0, atol=1e-14)


def test_shapes_without_noise() -> None:
    x, y = generated.moons(50, noise=0).inputs.T
    assert np.allclose(x[:50] ** 2 + y[:50] ** 2, 1)
    assert y[:50].min() > -1e-15
    assert np.allclose((1 - x[50:]) ** 2 + (0.5 - y[50:]) ** 2, 1)
    radii = np.hypot(*generated.circles(40, noise=0).inputs.T)
    assert np.allclose(radii, np.repeat([1.0, 0.5], 40))
    crossed = generated.xor(101, noise=0)
    assert np.array_equal(crossed.targets, (crossed.inputs[:, 0] * crossed.inputs[:, 1] < 0).astype(int))
    assert {tuple(np.sign(point)) for point in crossed.inputs} == {(1, 1), (-1, -1), (1, -1), (-1, 1)}
    clouds = generated.blobs(3, classes=4, features=5, noise=0)
    assert len(np.unique(clouds.inputs, axis=0)) == 4
    assert np.abs(clouds.inputs).max() <= 5
    assert clouds.features == ("x1", "x2", "x3", "x4", "x5")
    straight, wave = generated.line(21, noise=0), generated.sine(21, noise=0)
    assert np.allclose(straight.targets, 2 * straight.inputs - 1)
    assert np.allclose(wave.targets, np.sin(2 * np.pi * wave.inputs))


@pytest.mark.parametrize("make", [generated.line, generated.sine])
def test_noise_is_the_standard_deviation(make: Callable[..., Dataset]) -> None:
    rest = make(samples=20_000, noise=0.5).targets - make(samples=20_000, noise=0).targets
    assert abs(rest.std() - 0.5) < 0.02
    assert abs(rest.mean()) < 0.02


@pytest.mark.parametrize(
    ("make", "settings", "said"),
    [
        (generated.spiral, {"samples": 0}, "samples must be a whole number at least 1"),
        (generated.spiral, {"samples": 2.5}, "samples must be a whole number"),
        (generated.spiral, {"samples": 10**9}, "samples must be"),
        (generated.spiral, {"classes": 1}, "classes must be a whole number at least 2"),
        (generated.spiral, {"seed": "Chapter"}, 'seed must be a whole number at least 0, or "chapter"'),
        (generated.spiral, {"seed": -1}, "seed must be a whole number at least 0"),
        (generated.spiral, {"seed": True}, "seed must be a whole number"),
        (generated.moons, {"seed": "chapter"}, "draws the chapter's own spiral, and no other set"),
        (generated.line, {"seed": "chapter"}, "draws the chapter's own spiral, and no other set"),
        (generated.circles, {"noise": -0.1}, "noise must be at least 0"),
        (generated.xor, {"noise": float("nan")}, "noise must be a finite number"),
        (generated.sine, {"noise": "much"}, "noise must be a number"),
        (generated.blobs, {"features": 0}, "features must be a whole number at least 1"),
    ],
)
def test_wrong_settings_are_refused(make: Callable[..., Dataset], settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make(**settings)


def test_the_widest_settings_stay_finite() -> None:
    assert np.isfinite(generated.spiral(3, 1_000, noise=1_000).inputs).all()
