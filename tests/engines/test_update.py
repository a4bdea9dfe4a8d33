from __future__ import annotations

import ast
import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from downslope.engines import vocabulary
from downslope.engines.compiled import fused_update
from downslope.engines.compiled import vocabulary as compiled_vocabulary
from downslope.engines.update import apply_update, cast_scalars, new_slots
from downslope.errors import RuleError
from downslope.rules import RULES, SGD, Adam, Optimizer, RMSprop, setting

EACH = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e-41, -1e-310, 3e38, -1e308, math.inf, -math.inf, math.nan]


def descent(update, slots=(), **body):
    """An instance of a rule with this formula."""
    rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)
    return type("Mine", (Optimizer,), {"learning_rate": rate, "slots": slots, "update": update, **body})()


def bits(array):
    array = np.where(np.isnan(array), array.dtype.type(math.nan), array)
    return array.view(np.uint32 if array.dtype == np.float32 else np.uint64).tolist()


def numbers(dtype, count):
    """Random numbers of every size and kind."""
    return hnp.arrays(dtype, count, elements=st.floats(width=np.finfo(dtype).bits))


@EACH
@TYPES
@hypothesis_settings(max_examples=20)
@given(data=st.data())
def test_numpy_and_the_loop_agree_on_any_numbers(rule, dtype, data):
    one = rule(data.draw(st.floats(1e-6, 1e3)))
    step = data.draw(st.integers(1, 50))
    count = data.draw(st.sampled_from([0, 1, 5, 37]))
    parameters, gradient, *slots = (data.draw(numbers(dtype, count)) for _ in range(2 + len(one.slots_in_use())))
    slots = dict(zip(one.slots_in_use(), slots, strict=True))
    new, new_ones = apply_update(one, step, parameters, gradient, slots)
    fused_update(one, step, parameters, gradient, slots)
    assert bits(parameters) == bits(new)
    assert {name: bits(slot) for name, slot in slots.items()} == {name: bits(slot) for name, slot in new_ones.items()}


@TYPES
@pytest.mark.parametrize("name", [name for name in vocabulary.__all__ if name != "where"])
def test_both_vocabularies_give_the_same_bits(name, dtype):
    two = name in {"maximum", "minimum"}
    with np.errstate(all="ignore"):
        a, b = (one.ravel() for one in np.meshgrid(np.array(SPECIAL, dtype), np.array(SPECIAL, dtype)))
        expected = getattr(vocabulary, name)(*((a, b) if two else (a,)))

    source = f"def update(xp, parameter, gradient, learning_rate): return xp.{name}(parameter{', gradient' * two})"
    names = {}
    exec(source, names)
    fused_update(descent(names["update"]), 1, a, b, {})
    assert bits(a) == bits(np.asarray(expected))
    assert np.asarray(expected).dtype == dtype


def test_the_vocabularies_have_the_same_words():
    assert vocabulary.__all__ == compiled_vocabulary.__all__
    for name in vocabulary.__all__:
        assert getattr(vocabulary, name).__doc__.split()[0] == "Return"
        twin = getattr(compiled_vocabulary, name)
        assert list(inspect.signature(getattr(twin, "py_func", twin)).parameters) == list(
            inspect.signature(getattr(vocabulary, name)).parameters
        )


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("maximum", (1.0, 2.0), 2.0),
        ("maximum", (math.nan, 2.0), math.nan),
        ("maximum", (2.0, math.nan), math.nan),
        ("minimum", (1.0, 2.0), 1.0),
        ("minimum", (math.nan, 2.0), math.nan),
        ("minimum", (2.0, math.nan), math.nan),
        ("sign", (-3.0,), -1.0),
        ("sign", (1e-320,), 1.0),
        ("sign", (-0.0,), -0.0),
        ("sign", (math.nan,), math.nan),
        ("absolute", (-0.0,), 0.0),
        ("sqrt", (2.25,), 1.5),
        ("where", (True, 1.0, 2.0), 1.0),
        ("where", (False, 1.0, 2.0), 2.0),
    ],
)
def test_what_the_words_mean(name, arguments, result):
    value = getattr(vocabulary, name)(*map(np.asarray, arguments))
    assert bits(np.asarray(value)) == bits(np.asarray(result))


@EACH
@TYPES
def test_nothing_is_changed_in_place(rule, dtype):
    one = rule()
    parameters, gradient = np.full((2, 3), 0.5, dtype), np.full((2, 3), 0.25, dtype)
    slots = new_slots(one, parameters)
    assert set(slots) == set(one.slots_in_use())
    for array in (parameters, gradient, *slots.values()):
        array.flags.writeable = False
    new, new_ones = apply_update(one, 1, parameters, gradient, slots)
    assert set(new_ones) == set(slots)
    for array in (new, *new_ones.values()):
        assert array.shape == (2, 3)
        assert array.dtype == dtype
    assert (new < parameters).all()


def test_unused_slots_are_neither_made_nor_returned():
    one = RMSprop(momentum=0.5)
    parameters = np.ones(2)
    assert list(new_slots(one, parameters)) == ["cache", "velocity"]
    assert list(apply_update(one, 1, parameters, parameters, new_slots(one, parameters))[1]) == ["cache", "velocity"]
    assert new_slots(SGD(), parameters) == {}


def test_scalars_are_computed_in_float64_and_rounded_once():
    rate, beta = cast_scalars(Adam(beta_1=0.1), 1, np.dtype(np.float32))[:2]
    assert rate == np.float32(0.001)
    assert type(rate) is type(beta) is np.float32
    _, beta, one_minus = cast_scalars(Adam(beta_1=0.999), 1, np.dtype(np.float32))[:3]
    assert one_minus == np.float32(1 - 0.999)
    assert one_minus != np.float32(1) - beta
    assert cast_scalars(SGD(1e300), 1, np.dtype(np.float32))[0] == math.inf
    assert cast_scalars(SGD(nesterov=True), 1, np.dtype(np.float32))[2] is True


def test_a_schedule_is_followed_step_by_step():
    one = SGD(learning_rate=lambda k: 1.0 / (1.0 + 0.5 * k), momentum=lambda k: 0.25 * k)
    x, fused = np.zeros(1), np.zeros(1)
    slots, fused_slots = new_slots(one, x), new_slots(one, x)
    path = []
    for step in (1, 2, 3):
        x, slots = apply_update(one, step, x, np.ones(1), slots)
        fused_update(one, step, fused, np.ones(1), fused_slots)
        path.append(x.item())
        assert fused.tolist() == x.tolist()
    first, second = -1.0, 0.25 * -1.0 - 1 / 1.5
    assert path == pytest.approx([first, first + second, first + second + 0.5 * second - 0.5], rel=1e-15)


def test_an_edited_rule_runs_its_new_code():
    results = []
    for sign in "-+":
        names = {}
        exec(f"def update(xp, parameter, gradient, learning_rate): return parameter {sign} gradient", names)
        x = np.ones(3)
        fused_update(descent(names["update"]), 1, x, np.ones(3), {})
        results.append(x.tolist())
    assert results == [[0.0] * 3, [2.0] * 3]

    rule = type(descent(names["update"]))
    rule.update = staticmethod(lambda xp, parameter, gradient, learning_rate: gradient)
    x = np.ones(3)
    fused_update(rule(), 1, x, np.full(3, 7.0), {})
    assert x.tolist() == [7.0] * 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("parameter - learning_rate * xp.max(gradient, gradient)", "xp has no max"),
        ("parameter - learning_rate * gradient.sum()", "Unknown attribute 'sum' of type float"),
        ("parameter, gradient", "what it returns is not one number for the parameter and for each slot"),
        ("parameter - learning_rate * xp.maximum(gradient)", "Cannot bind|missing a required argument"),
    ],
)
def test_a_formula_that_cannot_be_compiled_is_told_in_one_sentence(body, reason):
    names = {}
    exec(f"def update(xp, parameter, gradient, learning_rate): return {body}", names)
    with pytest.raises(
        RuleError, match=rf"^Mine\.update cannot be compiled for single numbers: .*({reason})"
    ) as caught:
        fused_update(descent(names["update"]), 1, np.ones(3), np.ones(3), {})
    assert caught.value.__cause__ is not None
    assert "\n" not in str(caught.value)


def packed(rule, dtype):
    """Whether the compiled loop of `rule` works on several numbers at once."""
    from downslope.engines.compiled import build, kernels

    _, code = build.update_module(type(rule), rule.slots_in_use(), (), kernels.UPDATE, np.dtype(dtype).name)
    return f"x {'float' if dtype is np.float32 else 'double'}>" in str(code)


@pytest.mark.parametrize(
    "rule",
    [*(rule() for rule in RULES.values()), SGD(momentum=0.5, nesterov=True), RMSprop(momentum=0.5, centered=True)],
    ids=repr,
)
@TYPES
def test_the_loop_is_vectorized(rule, dtype):
    assert packed(rule, dtype)


def test_a_loop_that_is_not_vectorized_would_be_noticed():
    def update(xp, parameter, gradient, learning_rate):
        while gradient > learning_rate:
            gradient = gradient - learning_rate
        return parameter - gradient

    assert not packed(descent(update), np.float64)


@EACH
def test_no_number_stands_in_a_formula(rule):
    body = ast.parse(inspect.cleandoc(inspect.getsource(rule.update)))
    literals = [node.value for node in ast.walk(body) if isinstance(node, ast.Constant)]
    assert not [value for value in literals if isinstance(value, (int, float))]


@pytest.mark.parametrize(
    ("update", "slots", "sentence"),
    [
        (lambda xp, parameter, gradient, learning_rate: parameter.no, (), r"Mine\.update failed: AttributeError: .*no"),
        (lambda xp, parameter, gradient, learning_rate: xp.tan(gradient), (), r"Mine\.update failed: AttributeError"),
        (lambda xp, parameter, gradient, m, learning_rate: parameter, ("m",), r"Mine\.update failed: ValueError: zip"),
        (
            lambda xp, parameter, gradient, learning_rate: parameter * np.float64(2),
            (),
            r"Mine\.update must keep type and shape, float32 \(3,\)\. Received: float64 \(3,\) for the new parameter",
        ),
        (
            lambda xp, parameter, gradient, m, learning_rate: (parameter, m[:1]),
            ("m",),
            r"Received: float32 \(1,\) for the new m",
        ),
    ],
)
def test_a_rule_whose_own_code_is_at_fault_is_one_sentence(update, slots, sentence):
    one = descent(update, slots)
    parameters = np.ones(3, np.float32)
    with pytest.raises(RuleError, match=sentence):
        apply_update(one, 1, parameters, parameters, new_slots(one, parameters))
