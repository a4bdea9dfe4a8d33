from __future__ import annotations

import copy
import dataclasses
import doctest
import importlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

import downslope.schedules
from downslope.errors import InputError
from downslope.schedules import Constant, Cosine, InverseTime, Schedule, Step
from downslope.schedules.base import between

STEPS = [*range(120), 999, 12345, 10**6 + 3, 2**31, 2**40, 2**40 + 1, 2**53]


def test_a_number_and_the_element_of_an_array_have_the_same_bits(schedule):
    single = [schedule(k) for k in STEPS]
    assert all(type(rate) is float for rate in single)
    together = schedule(np.array(STEPS))
    assert together.dtype == np.float64
    assert [rate.hex() for rate in together.tolist()] == [rate.hex() for rate in single]
    assert all(rate >= 0.0 for rate in single)


def test_an_array_keeps_its_shape(schedule):
    grid = np.arange(12).reshape(3, 4)
    assert np.array_equal(schedule(grid).ravel(), schedule(np.arange(12)))
    for shape in [(), (0,), (2, 0), (1, 1, 1)]:
        rates = schedule(np.zeros(shape, dtype=np.int64))
        assert type(rates) is np.ndarray
        assert rates.shape == shape
        assert rates.dtype == np.float64
        assert (rates == schedule(0)).all()


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint64", ">i4"])
def test_every_integer_type_is_taken_as_a_whole_number(schedule, kind):
    assert schedule(np.array([0, 3, 100], dtype=kind)).tolist() == [schedule(0), schedule(3), schedule(100)]
    assert type(schedule(np.dtype(kind).type(100))) is float
    assert schedule(np.dtype(kind).type(100)) == schedule(100)


@pytest.mark.parametrize("k", [-1, 1.0, np.float64(2.0), True, "1", 1j, 10**400, 2**53 + 1, float("nan")])
def test_k_must_be_a_whole_number(schedule, k):
    with pytest.raises(InputError, match=r"^k must be .*\. Received: k="):
        schedule(k)


@pytest.mark.parametrize(
    "k",
    [
        np.array([0, -1]),
        np.array([1.0]),
        np.array([True]),
        np.array(["1"]),
        np.array([2**53 + 1]),
        np.array([2**64 - 1], dtype=np.uint64),
        [[1], [1, 2]],
        None,
    ],
)
def test_an_array_of_k_must_hold_whole_numbers(k):
    with pytest.raises(InputError, match=r"^k must be (an array of whole numbers at least 0|at most 2\*\*53)"):
        Constant(0.1)(k)


def test_messages_about_k():
    with pytest.raises(InputError) as caught:
        Constant(0.1)(-1)
    assert str(caught.value) == "k must be a whole number at least 0. Received: k=-1"
    with pytest.raises(InputError) as caught:
        Constant(0.1)(np.array([3, -1]))
    assert str(caught.value) == "k must be an array of whole numbers at least 0. Received: k=array([ 3, -1])"


def test_repr_is_code_that_builds_it_again(schedule):
    rebuilt = eval(repr(schedule), dict(vars(downslope.schedules)))
    assert rebuilt == schedule
    assert hash(rebuilt) == hash(schedule)


def test_copies_are_equal(schedule):
    assert copy.deepcopy(schedule) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule


def test_repr_leaves_out_defaults():
    assert repr(InverseTime(1, decay=0.001)) == "InverseTime(1.0, decay=0.001)"
    assert repr(Cosine(0.1, steps=9)) == "Cosine(0.1, steps=9)"
    assert repr(Cosine(0.1, 9, 0, True, 2)) == "Cosine(0.1, steps=9, restarts=True, period_factor=2)"


def test_equal_by_kind_and_settings():
    assert Step(1, every=np.int64(3)) == Step(1.0, 3, 0.1)
    assert Step(1.0, every=3) != Step(1.0, every=4)
    assert Constant(1.0) != InverseTime(1.0, decay=0.0)
    assert len({Constant(0.1), Constant(0.1), Constant(0.2)}) == 2


def test_it_never_changes(schedule):
    name = dataclasses.fields(schedule)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(schedule, name, 1.0)


def test_every_class_states_its_formula(schedule):
    assert type(schedule).formula.startswith("η_k = ")
    assert "Formula: η_k = " in type(schedule).__doc__


def test_the_base_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Schedule()


def test_a_schedule_of_ones_own():
    class Harmonic(Schedule):
        """The learning rate over the number of the update."""

        formula = "η_k = η / (k + 1)"
        base: float = downslope.schedules.base.number(above=0)

        def _rate(self, k):
            return self.base / (k + 1)

    assert Harmonic(1)(3) == 0.25
    assert Harmonic(1)(np.array([0, 1])).tolist() == [1.0, 0.5]
    assert Harmonic(1.0).for_steps(2).then(Harmonic(3.0))(2) == 3.0
    with pytest.raises(InputError, match="base must be above 0"):
        Harmonic(0)


def test_between_reaches_both_ends_exactly():
    assert (between(0.1, 0.7, 0.0), between(0.1, 0.7, 1.0)) == (0.1, 0.7)


@pytest.mark.parametrize("room", ["base", "decay", "cyclic", "composed", "named"])
def test_examples_in_docstrings(room):
    failed, tried = doctest.testmod(importlib.import_module(f"downslope.schedules.{room}"))
    assert tried > 0
    assert failed == 0


def test_importing_and_a_plain_schedule_load_no_numpy():
    code = (
        "import sys; from downslope.schedules import *; "
        "parse('exponential:rate=0.5,steps=3 for 4 then polynomial:steps=9,power=1.5', 0.1)(7); "
        "print('numpy' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "False\n"
