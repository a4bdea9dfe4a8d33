"""A run ends where it is told to, or at the first number that is not finite, and keeps all that came before."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope.engines.problem import Control, Part
from downslope.errors import InputError, NonFiniteError, RuleError
from downslope.network import Dense, Network, activation
from downslope.rules import Optimizer, setting

_spec = importlib.util.spec_from_file_location("engine_problems", Path(__file__).with_name("engine_problems.py"))
own = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(own)

FOR_EVER = 10**12


def small(batch_size=None):
    return own.problem(own.network([3, 8, 2], ["tanh"]), rows=40, batch_size=batch_size)


def test_another_thread_stops_a_run_and_sees_where_it_is():
    control, seen = Control(), []

    def watch():
        while len(seen) < 50:
            if not seen or control.cells[1] > seen[-1]:
                seen.append(int(control.cells[1]))
            time.sleep(0)
        control.stop()

    thread = threading.Thread(target=watch)
    thread.start()
    trained = own.train("compiled", small(), ds.SGD(1e-6), FOR_EVER, control=control)
    thread.join()
    # It moved within calls into machine code, too: there were more steps seen than states kept.
    assert len(set(seen) - {state.step for state in trained.states}) > 25
    assert seen[-1] <= trained.last.step == trained.cells[1] < FOR_EVER
    assert trained.error is None


def test_a_stop_before_the_start_makes_no_step():
    control = Control()
    control.stop()
    trained = own.train("compiled", small(), ds.SGD(0.1), 10, control=control)
    assert len(trained.states) == 1


def test_a_pause_lets_a_long_step_be_made():
    own.makes_steps_though_paused_often("compiled")


def test_python_runs_on_meanwhile():
    """One step of many seconds would hold up everything if the lock were kept."""
    control, counted = Control(), [0]

    def count():
        while not control.stopping:
            counted[0] += 1
            time.sleep(0)
            if counted[0] > 1000 and control.cells[1] > 0:
                control.stop()

    thread = threading.Thread(target=count)
    thread.start()
    large = own.problem(own.network([64, 512, 2], ["gelu"]), rows=2000)
    own.train("compiled", large, ds.SGD(1e-6), FOR_EVER, control=control)
    thread.join()
    assert counted[0] > 1000


def test_a_slow_schedule_is_asked_in_small_portions():
    control, asked = Control(), []

    def slow(k):
        asked.append(k)
        time.sleep(0.001)
        if len(asked) > 400:
            control.stop()
        return 1e-6

    trained = own.train("compiled", small(), ds.SGD(slow), FOR_EVER, control=control)
    assert len(asked) < 2000
    assert trained.last.step < 2000


PROGRAM = """
import hashlib, json, signal, sys, threading, time
import warnings
import downslope as ds
from downslope.errors import GuardWarning

warnings.simplefilter("ignore", GuardWarning)  # a run as long as this one does not get better any more
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored

def make():
    net = ds.MLP([2, 16, 3], dropout=0.1)
    return ds.Run(net, ds.data.spiral(), ds.Adam(0.001), batch_size=64, validation=0.2, engine="compiled")

def digest(run):
    whole = [run.parameters, run.state.last_update, *run.state.slots.values()]
    whole += [getattr(run.history, name) for name in run.history.names]
    return hashlib.sha256(b"".join(array.tobytes() for array in whole)).hexdigest()

run = make()

def tell():
    while run.epoch < 100:
        time.sleep(0.001)
    print("ready", flush=True)

threading.Thread(target=tell, daemon=True).start()
try:
    run.train(1_000_000_000)
except KeyboardInterrupt:
    step, epoch, rows = run.step, run.epoch, len(run.history)
    run.train(5)
    straight = make()
    straight.train(epoch + 5)
    print(json.dumps([step, epoch, rows, digest(run) == digest(straight), run.epoch]))
    raise SystemExit(130)
"""


def test_ctrl_c_leaves_a_whole_run():
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    try:
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=300)
    finally:
        program.kill()
        program.wait()
    assert (program.returncode, err) == (130, "")
    step, epoch, rows, same, trained = json.loads(out)
    assert 100 <= epoch == rows == step // 4
    assert same
    assert trained == epoch + 5


def both(given, rule, steps, state=None):
    """Return how each engine ends, which must be alike: the same sentence, the same step, the same last good state."""
    seen, expected = (own.train(name, given, rule, steps, state) for name in ("compiled", "reference"))
    assert type(seen.error) is type(expected.error)
    assert str(seen.error) == str(expected.error)
    assert (seen.last.step, seen.last.epoch, seen.last.batch) == (
        expected.last.step,
        expected.last.epoch,
        expected.last.batch,
    )
    assert seen.records == pytest.approx(expected.records, rel=5e-3, nan_ok=True)
    for array, other in (
        (seen.last.parameters, expected.last.parameters),
        *((slot, expected.last.slots[name]) for name, slot in seen.last.slots.items()),
    ):
        assert np.isfinite(array).all()
        assert array == pytest.approx(other, rel=1e-3, abs=1e-3 * float(np.abs(other).max(initial=0.0)))
    if seen.last.step:
        again = own.train("compiled", given, rule, seen.last.step - (state.step if state else 0), state)
        assert own.bits(again) == own.bits(seen._replace(records=seen.records))
    return seen


@pytest.mark.parametrize("name", own.ACTIVATION_NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 3, 20])
def test_a_value_that_is_not_a_number_is_never_hidden(name, dtype, rows):
    huge = 1e30 if dtype == np.float32 else 1e300
    # Infinite with both signs in the first layer, and so not a number in the second.
    net = Network([Dense(1, 2), Dense(2, 1), activation(name), Dense(1, 1)])
    given = own.problem(net, rows=rows, dtype=dtype)
    given = replace(given, training=Part(np.full((rows, 1), huge, dtype), given.training.targets))
    flat = np.array([huge, -huge, 0, 0, 1, 1, 0, 0.5, 0.1], dtype)
    trained = both(given, ds.SGD(0.1), 3, replace(own.start(given, ds.SGD(0.1)), parameters=flat))
    assert "(step 1): a loss is not finite; before any update: " in str(trained.error)


@pytest.mark.parametrize("name", own.LOSSES)
@pytest.mark.parametrize("place", [0, 1, 2, 5])
def test_a_logit_that_is_not_a_number(name, place):
    outputs = {"cross-entropy": 6, "bce": 1, "mse": 6, "mae": 6, "huber": 6}[name]
    place = min(place, outputs - 1)
    given = own.problem(Network([Dense(2, outputs)]), name, 19)
    inputs = given.training.inputs.copy()
    inputs[17] = 1e200
    given = replace(given, training=Part(inputs, given.training.targets))
    state = own.start(given, ds.SGD(0.1))
    flat = state.parameters.copy()
    flat[[place, place + outputs]] = 1e200, -1e200
    trained = both(given, ds.SGD(0.1), 2, replace(state, parameters=flat))
    assert "a loss is not finite" in str(trained.error)


@pytest.mark.parametrize("name", [name for name in own.LOSSES if name != "bce"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_an_explosion(name, dtype, batch_size):
    # With one output: NumPy's mean over several can leave the range of float32 a step before the sum here, in float64.
    net = own.network([2, 8, 3 if name == "cross-entropy" else 1], ["elu"])
    given = own.problem(net, name, dtype=dtype, batch_size=batch_size)
    rate = 1e10 if dtype == np.float32 else 1e80  # so that it takes few steps, and no last bit decides in which it ends
    trained = both(given, ds.SGD(rate, momentum=0.9), 2000)
    assert type(trained.error) is NonFiniteError
    assert f"; lower learning_rate, which was {rate:g}." in str(trained.error)
    assert trained.last.step > 0


def boom(k):
    return 1e200 if k == 700 else 1e-3


@pytest.mark.parametrize("batch_size", [None, 7])
def test_an_explosion_in_the_middle_of_a_call(batch_size):
    given = own.problem(own.network([2, 4, 1], ["tanh"]), batch_size=batch_size, held_out=9)
    trained = both(given, ds.SGD(boom, momentum=0.5), 5000)
    assert "(step 702): a loss is not finite; lower learning_rate, which was 1e+200." in str(trained.error)
    assert trained.last.step == 701
    assert trained.cells == [0, 701]
    assert 701 not in {state.step for state in trained.states[:-1]}


def made(update, slots=()):
    rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)
    return type("Mine", (Optimizer,), {"learning_rate": rate, "slots": slots, "update": update})


def weight_fails(xp, parameter, gradient, learning_rate):
    return parameter / learning_rate


def first_slot_fails(xp, parameter, gradient, a, b, learning_rate):
    return parameter, a + gradient / learning_rate, b


def last_slot_fails(xp, parameter, gradient, a, b, learning_rate):
    return parameter, a, b / learning_rate + gradient / learning_rate


@pytest.mark.parametrize(
    ("update", "slots", "what", "rate"),
    [
        (weight_fails, (), "weight", "1e-320"),
        (first_slot_fails, ("a", "b"), "slot (a)", "1"),
        (last_slot_fails, ("a", "b"), "slot (b)", "1"),
    ],
)
@pytest.mark.parametrize("width", [1, 9, 300])
def test_a_weight_or_a_slot(update, slots, what, rate, width):
    """At step 5 the rate is so small that what is divided by it is infinite."""
    given = own.problem(own.network([3, width, 1], ["tanh"]), rows=9, batch_size=4)
    rule = made(update, slots)(lambda k: 1e-320 if k == 4 else 1.0)
    trained = both(given, rule, 9)
    assert str(trained.error).endswith(
        f"(step 5): a {what} is not finite; lower learning_rate, which was {float(rate):g}."
    )
    assert trained.last.step == 4


@pytest.mark.parametrize("place", [0, 5, 1023, 1024, 2000, -1])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_the_first_slot_by_name_is_told_wherever_it_fails(place, value):
    def update(xp, parameter, gradient, a, b, learning_rate):
        return parameter, a + gradient, b + gradient

    given, rule = own.problem(own.network([3, 500, 1], ["tanh"])), made(update, ("a", "b"))()
    state = own.start(given, rule)
    slots = {name: slot.copy() for name, slot in state.slots.items()}
    slots["a"][place], slots["b"][3] = value, math.inf
    errors = [own.train(name, given, rule, 3, replace(state, slots=slots)).error for name in own.ENGINES]
    assert "a slot (a) is not finite" in str(errors[0])
    assert str(errors[0]) == str(errors[1])


def test_a_gradient_that_is_not_finite_where_the_loss_is():
    given = own.problem(Network([Dense(1, 1), Dense(1, 1)]), rows=1)
    given = replace(given, training=Part(np.array([[1e200]]), np.array([[0.0]])))
    state = replace(own.start(given, ds.SGD(0.1)), parameters=np.array([1e-200, 0, 1e150, 0]))
    trained = both(given, ds.SGD(0.1), 2, state)
    assert "(step 1): a gradient is not finite; before any update" in str(trained.error)


@pytest.mark.parametrize("step", [1, 2, 3, 18, 300, 701])
@pytest.mark.parametrize("wrong", [-1.0, math.nan, "text", ZeroDivisionError("mine")])
def test_an_error_of_a_schedule_comes_after_the_steps_before_it(step, wrong):
    def schedule(k):
        if k + 1 < step:
            return 0.001
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    errors, made_steps = [], []
    for name in own.ENGINES:
        try:
            trained = own.train(name, small(16), ds.SGD(schedule), 1000)
            errors.append(trained.error)
            made_steps.append(trained.last.step)
        except ZeroDivisionError as error:
            errors.append(error)
    assert str(errors[0]).split(": ")[-1] == str(errors[1]).split(": ")[-1]
    if made_steps:
        assert set(made_steps) == {step - 1}


def test_a_run_keeps_the_steps_before_an_error_of_its_schedule():
    runs = []
    for engine in ("compiled", "reference"):
        run = ds.Run(
            ds.MLP([2, 4, 3], "tanh"),
            ds.data.spiral(10),
            ds.SGD(lambda k: 0.1 - 0.001 * k),
            batch_size=8,
            engine=engine,
        )
        with pytest.raises(InputError, match="learning_rate at step 102 must be at least 0"):
            run.train(1000)
        runs.append(run)
    assert runs[0].step == runs[1].step == 101
    assert runs[0].history.loss == pytest.approx(runs[1].history.loss, rel=1e-4)


@pytest.mark.parametrize("engine", [None, "compiled"])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return parameter - learning_rate * gradient.sum()", "Unknown attribute 'sum'"),
        ("return parameter - learning_rate * math.gamma(gradient)", "Unsupported call of numba_gamma"),
        ("print(gradient)\n    return parameter", "Unsupported call of numba_gil_ensure"),
        ("return parameter - np.random.rand()", "Unsupported call of numba_get_np_random_state"),
        ("assert gradient == gradient\n    return parameter", "Unsupported raise or assert"),
        ("if gradient > learning_rate:\n        raise ValueError\n    return parameter", "Unsupported raise or assert"),
    ],
)
def test_a_rule_that_cannot_be_compiled_is_one_sentence(engine, body, reason):
    names = {"math": math, "np": np}
    exec(f"def update(xp, parameter, gradient, learning_rate):\n    {body}\n", names)
    run = ds.Run(ds.MLP([2, 4, 3]), ds.data.spiral(5), made(names["update"])(), engine=engine)
    with pytest.raises(RuleError, match=rf"^Mine\.update cannot be compiled for single numbers: .*{reason}") as caught:
        run.train(2)
    assert "\n" not in str(caught.value)
    assert run.step == 0
