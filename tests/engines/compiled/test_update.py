"""A rule's formula as one loop: the bits of the formula that is read, and no other arrays than described."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope.engines.compiled import fused_update
from downslope.engines.update import apply_update, new_slots
from downslope.errors import InputError
from downslope.streams import Stream

_spec = importlib.util.spec_from_file_location("engine_bits", Path(__file__).with_name("engine_bits.py"))
bits = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bits)

RULES = bits.rules()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (37,), (1000, 3), ()])
def test_many_steps_have_the_bits_of_the_formula(rule, dtype, shape):
    draw = Stream(1, "data")
    count = int(np.prod(shape))
    parameters = draw.normal(count).reshape(shape).astype(dtype)
    expected, slots = parameters.copy(), new_slots(rule, parameters)
    fused = {name: slot.copy() for name, slot in slots.items()}
    for step in range(1, 12):
        gradient = draw.normal(count).reshape(shape).astype(dtype)
        age = step if step < 6 else step - 4
        expected, slots = apply_update(rule, step, expected, gradient, slots, age)
        fused_update(rule, step, parameters, gradient, fused, age)
        assert parameters.tobytes() == expected.tobytes()
        assert {name: slot.tobytes() for name, slot in fused.items()} == {
            name: slot.tobytes() for name, slot in slots.items()
        }


def call(change, rule=None, dtype=np.float32):
    arrays = {"parameters": np.ones(4, dtype), "gradient": np.full(4, 0.5, dtype)}
    rule = rule or ds.Adam(0.1)
    slots = {name: np.zeros(4, dtype) for name in rule.slots_in_use()}
    change(arrays, slots)
    fused_update(rule, 1, arrays["parameters"], arrays["gradient"], slots)


def other_type(arrays, slots):
    arrays["parameters"] = np.ones(4, np.float16)


def whole_numbers(arrays, slots):
    arrays["gradient"] = np.ones(4, np.int64)


def a_list(arrays, slots):
    arrays["gradient"] = [0.5] * 4


def two_types(arrays, slots):
    arrays["gradient"] = np.ones(4, np.float64)


def short_gradient(arrays, slots):
    arrays["gradient"] = np.ones(3, np.float32)


def another_shape(arrays, slots):
    arrays["gradient"] = np.ones((2, 2), np.float32)


def short_slot(arrays, slots):
    slots["v"] = np.zeros(3, np.float32)


def two_types_of_slot(arrays, slots):
    slots["m"] = np.zeros(4, np.float64)


def no_slot(arrays, slots):
    del slots["v"]


def gaps(arrays, slots):
    arrays["parameters"] = np.ones(8, np.float32)[::2]


def gaps_in_the_gradient(arrays, slots):
    arrays["gradient"] = np.ones(8, np.float32)[::2]


def backwards(arrays, slots):
    slots["m"] = np.zeros(4, np.float32)[::-1]


def read_only(arrays, slots):
    arrays["parameters"].flags.writeable = False


def read_only_slot(arrays, slots):
    slots["v"].flags.writeable = False


def swapped(arrays, slots):
    arrays["gradient"] = np.ones(4, ">f4")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (other_type, "parameters must be an array of float32 or float64. Received: float16"),
        (whole_numbers, "gradient must be an array of float32 or float64. Received: int64"),
        (a_list, "gradient must be an array of float32 or float64. Received: list"),
        (two_types, "gradient must be of the parameters' type and shape, float32 (4,). Received: float64 (4,)"),
        (short_gradient, "gradient must be of the parameters' type and shape, float32 (4,). Received: float32 (3,)"),
        (another_shape, "gradient must be of the parameters' type and shape, float32 (4,). Received: float32 (2, 2)"),
        (short_slot, "v must be of the parameters' type and shape, float32 (4,). Received: float32 (3,)"),
        (two_types_of_slot, "m must be of the parameters' type and shape, float32 (4,). Received: float64 (4,)"),
        (no_slot, "slots must hold m, v. Received: no v"),
        (gaps, "parameters must be contiguous and writable. Received: an array that is not"),
        (gaps_in_the_gradient, "gradient must be contiguous. Received: an array that is not"),
        (backwards, "m must be contiguous and writable. Received: an array that is not"),
        (read_only, "parameters must be contiguous and writable. Received: an array that is not"),
        (read_only_slot, "v must be contiguous and writable. Received: an array that is not"),
        (swapped, "gradient must be an array of float32 or float64. Received: >f4"),
    ],
)
def test_arrays_that_machine_code_may_not_touch(change, sentence):
    with pytest.raises(InputError) as caught:
        call(change)
    assert str(caught.value) == sentence


def test_a_read_only_gradient_is_only_read():
    def change(arrays, slots):
        arrays["gradient"].flags.writeable = False
        slots["more"] = "slots that are not used stay as they are"

    call(change)


def test_a_schedule_is_asked_for_the_step_that_is_made():
    asked = []

    def schedule(k):
        asked.append(k)
        return 0.5

    x = np.ones(3)
    fused_update(ds.SGD(schedule), 70, x, np.ones(3), {})
    assert x.tolist() == [0.5] * 3
    assert set(asked) == {69}


@pytest.mark.parametrize("offset", [0, 3])
@pytest.mark.parametrize("count", [1, 15, 17, 999, 1000, 1007])
def test_pieces_cover_every_element_once_wherever_the_arrays_begin(offset, count, monkeypatch):
    monkeypatch.setattr("downslope.engines.compiled.update.MANY", 1000)
    monkeypatch.setattr("downslope.engines.compiled.update.cores", lambda: 2)
    room = [np.linspace(-1, 1, count + offset, dtype=np.float32)[offset:] for _ in range(2)]
    rule = ds.Adam()
    parameters, gradient = room
    slots = {name: np.full(count + offset, 0.25, dtype=np.float32)[offset:] for name in ("m", "v")}
    expected, after = apply_update(rule, 3, parameters.copy(), gradient, {k: v.copy() for k, v in slots.items()})
    fused_update(rule, 3, parameters, gradient, slots)
    assert np.array_equal(parameters, expected)
    assert all(np.array_equal(slots[name], after[name]) for name in slots)
