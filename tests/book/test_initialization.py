# ruff: noqa: NPY002 - the legacy generator is the chapter's

import subprocess
import sys

import numpy as np
import pytest

from downslope import book
from downslope.book.initialization import default_dtype, normals
from downslope.errors import InputError

pytestmark = pytest.mark.usefixtures("fresh")


def test_without_init_all_is_float64():
    assert default_dtype() == np.float64
    assert book.spiral_data(3, 2)[0].dtype == book.Layer_Dense(2, 3).weights.dtype == np.float64


def test_init_repeats_and_takes_another_seed():
    book.init()
    first = normals((4,))
    assert first.dtype == np.float32
    book.init()
    assert np.array_equal(normals((4,)), first)
    book.init(random_seed=1)
    assert not np.array_equal(normals((4,)), first)


def test_a_seed_set_in_the_script_counts():
    np.random.seed(9)
    expected = 0.01 * np.random.RandomState(9).standard_normal((2, 3))
    assert np.array_equal(book.Layer_Dense(2, 3).weights, expected)


def test_a_seed_of_none_leaves_the_generator_where_it_is():
    np.random.seed(4)
    normals((3,))
    book.init(random_seed=None, default_dtype="float64")
    assert np.array_equal(normals((2,)), np.random.RandomState(4).standard_normal(5)[3:])


def test_numpy_stays_as_it_is():
    """The functions that the original package replaces are NumPy's own afterwards, in a process of its own."""
    script = (
        "import numpy as np\n"
        "before = np.dot, np.zeros, np.eye, np.random.randn\n"
        "import downslope.book as nnfs\n"
        "nnfs.init(dot_precision_workaround=False)\n"
        "assert before == (np.dot, np.zeros, np.eye, np.random.randn)\n"
        "assert np.zeros(2).dtype == np.float64\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("wrong", ["float16", "int32", "no", None])
def test_a_wrong_type_is_one_sentence(wrong):
    with pytest.raises(InputError, match=r"^default_dtype must be float32 or float64\. Received: default_dtype="):
        book.init(default_dtype=wrong)
    assert default_dtype() == np.float64


@pytest.mark.parametrize("wrong", [-1, 2**32, 1.5, "0"])
def test_a_wrong_seed_is_one_sentence(wrong):
    with pytest.raises(InputError, match=r"^random_seed must be a whole number at least 0 and at most 4"):
        book.init(random_seed=wrong)
    assert default_dtype() == np.float64
