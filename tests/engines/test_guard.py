from __future__ import annotations

import numpy as np
import pytest

from downslope.engines import judge
from downslope.engines.guard import (
    CODES,
    OWN,
    UNITS,
    alert_of,
    clipped_steps,
    default_limits,
    good_step,
    hidden_biases,
    memory_of,
    names_of,
    shorten,
)
from downslope.engines.problem import Part, Problem, State
from downslope.network import MLP, loss
from downslope.rules import SGD


@pytest.fixture
def problem():
    part = Part(np.zeros((6, 2)), np.zeros(6, dtype=np.int64))
    return Problem(MLP([2, 5, 4, 3]), loss("cross-entropy"), part, None, 6, 0)


def state(problem, **options):
    start = State.start(problem.network.initial_parameters(0, np.float64), SGD(0.1))
    return State(start.parameters, start.slots, start.last_update, **options)


def test_every_code_has_a_name():
    assert names_of(0) == ()
    assert names_of(judge.ALARM | judge.CLIPPED) == ("alarm", "clip")
    assert names_of(63) == tuple(CODES.values())
    assert len(CODES) == 6


def test_limits_are_the_judges_own():
    assert default_limits().tolist() == [limit.default for limit in judge.LIMITS]


def test_hidden_biases_are_those_of_all_dense_layers_but_the_last():
    assert hidden_biases(MLP([2, 5, 4, 3], dropout=0.1)) == [slice(10, 15), slice(35, 39)]
    assert hidden_biases(MLP([2, 3])) == []


def test_a_fresh_memory_begins_at_the_step_it_is_made(problem):
    memory = memory_of(problem, state(problem, step=7))
    assert len(memory) == UNITS + 9
    assert memory[UNITS:].tolist() == [7.0] * 9
    own = dict(zip(OWN, memory[len(judge.MEMORY) : UNITS], strict=True))
    assert (own["step"], own["norms_seen"], own["clipped_steps"]) == (7.0, 0.0, 0.0)
    assert np.isnan(own["slope"])
    remembered = dict(zip(judge.MEMORY, memory, strict=False))
    assert remembered.pop("good") == 7.0
    assert not any(remembered.values())


def test_a_memory_is_copied_and_one_of_another_layout_is_not_used(problem):
    kept = memory_of(problem, state(problem, step=7))
    kept[0], kept[len(judge.MEMORY) + OWN.index("slope")] = 5.0, -2.0
    before = state(problem, step=7, guard=kept)
    assert not before.guard.flags.writeable
    found = memory_of(problem, before)
    assert found.tobytes() == kept.tobytes()
    found[0] = 6.0
    assert good_step(before) == 5
    assert memory_of(problem, state(problem, step=9, guard=kept[1:]))[0] == 9.0


def test_what_a_state_tells(problem):
    assert good_step(state(problem)) is None
    assert clipped_steps(state(problem)) == 0
    memory = memory_of(problem, state(problem, step=3))
    memory[len(judge.MEMORY) + OWN.index("clipped_steps")] = 4.0
    there = state(problem, step=3, guard=memory)
    assert (good_step(there), clipped_steps(there)) == (3, 4)


def test_after_steps_that_nobody_watched_the_state_there_is_the_good_one(problem):
    memory = memory_of(problem, state(problem, step=3))
    memory[judge.MEMORY.index("candidate")] = 2.0
    before = state(problem, step=9, guard=memory)
    assert good_step(before) is None
    remembered = dict(zip(judge.MEMORY, memory_of(problem, before), strict=False))
    assert (remembered["good"], remembered["candidate"]) == (9.0, -1.0)


def test_an_alert_has_plain_numbers():
    alert = alert_of(np.arange(len(judge.SIGNALS) + 1.0), 3.0)
    assert alert == (0, len(judge.SIGNALS), 3, tuple(float(i) for i in range(len(judge.SIGNALS))))
    assert {type(number) for number in alert.signals} == {float}


def test_clipping_is_told_once_an_episode_and_after_a_hundred_quiet_steps_again(problem):
    memory = memory_of(problem, state(problem))
    long = {21, 22, 122, 223}
    told = []
    for step in range(1, 230):
        scale, code = shorten(10.0 if step in long else 1.0, float(step), 2.0, memory)
        assert (scale < 1.0) == (step in long)
        told += [step] if code else []
    assert told == [21, 223]  # 100 steps after the one before is still the same episode, 101 is not
    assert memory[len(judge.MEMORY) + OWN.index("clipped_steps")] == len(long)


def test_gradients_that_vanish_are_not_held_there(problem):
    memory = memory_of(problem, state(problem))
    for step in range(1, 40):
        assert shorten(0.0, float(step), 2.0, memory) == (1.0, 0)
    assert shorten(1.0, 40.0, 2.0, memory) == (1.0, 0)
