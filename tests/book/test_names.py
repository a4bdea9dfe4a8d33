import subprocess
import sys

import pytest

from downslope import book

NAMES = {
    "init", "spiral_data", "Layer_Dense", "Activation_ReLU", "Activation_Softmax", "Loss",
    "Loss_CategoricalCrossentropy", "Activation_Softmax_Loss_CategoricalCrossentropy",
    "Optimizer_SGD", "Optimizer_Adagrad", "Optimizer_RMSprop", "Optimizer_Adam",
}  # fmt: skip


def test_a_star_brings_the_chapters_names_and_nothing_else():
    space = {}
    exec("from downslope.book import *", space)  # a star import may not stand inside a function
    assert set(space) - {"__builtins__"} == set(book.__all__) == NAMES


def test_names_are_found_on_the_module_and_nothing_is_made_up():
    assert book.datasets.spiral_data is book.spiral_data
    assert NAMES | {"datasets"} == set(dir(book))
    with pytest.raises(AttributeError, match="no attribute 'Optimizer_Nadam'"):
        _ = book.Optimizer_Nadam


def test_the_room_starts_without_numpy():
    script = "import downslope.book, sys; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_list_for_editors_is_the_list_at_run_time():
    assert {name for names in book._HOMES.values() for name in names} == NAMES
