# ruff: noqa: N806 - the chapter calls its inputs X

import numpy as np
import pytest

import downslope as ds
from downslope import book
from downslope.book import datasets
from downslope.errors import InputError

pytestmark = pytest.mark.usefixtures("fresh")


@pytest.mark.parametrize(("samples", "classes"), [(100, 3), (1, 1), (7, 5), (100, 2)])
@pytest.mark.parametrize("name", ["spiral_data", "vertical_data"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_data_has_the_bits_of_plain_numpy(plain, name, dtype, samples, classes):
    seen = []
    for module in (plain, book):
        module.init(default_dtype=dtype, random_seed=2)
        X, y = getattr(module.datasets, name)(samples, classes)
        X_2, _ = getattr(module.datasets, name)(samples=samples, classes=classes)
        seen.append((X.dtype, X.shape, X.tobytes(), y.dtype, y.tobytes(), X_2.tobytes()))
    assert seen[0] == seen[1]
    assert seen[1][0] == dtype
    assert samples == 1 or seen[1][2] != seen[1][5]


def test_after_init_the_spiral_is_the_packages_chapter_spiral():
    book.init()
    X, y = book.spiral_data(100, 3)
    theirs = ds.data.spiral(samples=100, classes=3, seed="chapter")
    assert np.array_equal(X, theirs.inputs)
    assert X.dtype == np.float32
    assert np.array_equal(y, theirs.targets)


def test_data_then_weights_come_from_one_stream():
    book.init()
    book.spiral_data(100, 3)
    one = book.Layer_Dense(2, 64)
    flat = ds.MLP([2, 64, 3]).initial_parameters("chapter", skip_normals=300)
    assert np.array_equal(one.weights.ravel(), flat[:128])


def test_labels_of_more_than_256_classes_do_not_wrap():
    _, y = book.spiral_data(1, 300)
    assert y.tolist() == list(range(300))
    assert book.spiral_data(1, 256)[1].dtype == np.uint8


@pytest.mark.parametrize("make", [datasets.spiral_data, datasets.vertical_data])
def test_wrong_counts_are_one_sentence(make):
    with pytest.raises(InputError, match=r"^samples must be a whole number at least 1\. Received: samples=0$"):
        make(0, 3)
    with pytest.raises(InputError, match=r"^classes must be a whole number at least 1\. Received: classes=2\.5$"):
        make(10, 2.5)
