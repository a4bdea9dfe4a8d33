"""The same bits on every processor, in one go and in pieces, alone and beside others."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.engines.compiled.engine import Compiled
from downslope.engines.problem import Control

# What the guard says to these trainings is not asked here; its bits are.
pytestmark = pytest.mark.filterwarnings("ignore::downslope.errors.GuardWarning")


def module(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


own, bits = module("engine_problems"), module("engine_bits")
# In which types: each is compiled anew for each processor, which takes some ten seconds of work.
NAMES = {"x86-64": ["float32", "float64"], "haswell": ["float32"], "skylake-avx512": ["float32"], "znver4": ["float32"]}
EPOCHS = bits.EPOCHS


@pytest.fixture(scope="module")
def alone():
    """The hash of every case, each trained alone, in one go, by this processor's own code."""
    found = {}
    for name, new in bits.cases().items():
        run = new()
        run.train(EPOCHS)
        found[name] = bits.digest(run)
    return found


@pytest.fixture(scope="module")
def elsewhere(processors):
    """What code made for other processors prints, all of them at work at the same time."""
    script = Path(bits.__file__)
    running = {}
    for name in (name for name in NAMES if not processors[name]):
        environment = {**os.environ, "NUMBA_CPU_NAME": name, "PYTHONWARNINGS": "error"}
        environment.pop("NUMBA_CPU_FEATURES", None)
        running[name] = subprocess.Popen(
            [sys.executable, script, *NAMES[name]],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    printed = {}
    for name, process in running.items():
        out, err = process.communicate(timeout=600)
        assert (process.returncode, err) == (0, "")
        printed[name] = dict(line.split(": ") for line in out.splitlines())
    return printed


@pytest.mark.parametrize("name", NAMES)
def test_code_for_another_processor(name, alone, elsewhere, processors):
    if processors[name]:
        pytest.skip(f"this processor lacks {processors[name]}")
    assert elsewhere[name] == {case: told for case, told in alone.items() if case.split()[1] in NAMES[name]}


def test_the_hash_tells_every_case_from_every_other(alone):
    """Guards the comparisons: were the hash blind to something, they would prove nothing."""
    assert len(set(alone.values())) == len(alone)
    run = bits.make("gelu", "float32")
    run.train(EPOCHS - 1)
    assert bits.digest(run) != alone["gelu float32"]


PIECES = ["adam float32", "nesterov float64", *(f"{kind} float32" for kind in bits.KINDS), "gelu float64"]


@pytest.mark.parametrize("name", PIECES)
def test_in_pieces(name, alone):
    run = bits.cases()[name]()
    for epochs in (1, 0, 7, 1, 1, EPOCHS - 10):
        run.train(epochs)
    assert bits.digest(run) == alone[name]


@pytest.mark.parametrize("name", PIECES)
def test_cut_anywhere_even_within_an_epoch(name, alone):
    run = bits.cases()[name]()
    total, size = EPOCHS * run.problem.steps_per_epoch, 1
    while run.step < total:
        steps = min(size, total - run.step)
        before = run.step
        advance(run, steps)
        assert run.step == before + steps
        size = size * 2 % 61 + 1
    assert bits.digest(run) == alone[name]


def advance(run, steps, control=None):
    """Train a run by so many steps, which need not be whole epochs."""

    def keep(state, first, records):
        if len(records):
            run.history.extend(np.arange(first, first + len(records)), records)
        run._now = replace(run._now, state=state)

    watch = run.guard.watch()
    Compiled().advance(run.problem, run.optimizer, run.state, steps, control or Control(), keep, watch)


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.sampled_from([None, 1, 3, 16, 29]),
    st.sampled_from(["cross-entropy", "mse"]),
    st.sampled_from([np.float32, np.float64]),
)
def test_any_pieces(parts, batch_size, name, dtype):
    net = own.network([3, 300, 4, own.LOSSES[name]], ["relu", "gelu"], dropout=0.2, penalties=(1e-3, 1e-3, 0, 0))
    problem = own.problem(net, name, 30, batch_size=batch_size, held_out=9, dtype=dtype)
    rule = ds.Adam(ds.InverseTime(0.01, decay=0.1))
    straight = own.train("compiled", problem, rule, sum(parts))
    state, records = own.start(problem, rule), []
    for steps in parts:
        piece = own.train("compiled", problem, rule, steps, state)
        state = piece.last
        records.extend(piece.records)
    assert own.bits(piece._replace(records=np.array(records).reshape(straight.records.shape))) == own.bits(straight)


@pytest.mark.parametrize("name", ["gelu float32", "wide float64"])
def test_stopped_by_another_thread_at_any_moment(name):
    run = bits.cases()[name]()
    for _ in range(7):
        control, enough = Control(), run.step + 2000

        def watch(control=control, enough=enough):
            while control.cells[1] < enough:
                pass
            control.stop()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        advance(run, 10**12, control)
        thread.join()
        assert enough <= run.step < 10**12
    advance(run, -run.step % run.problem.steps_per_epoch)
    straight = bits.cases()[name]()
    straight.train(run.epoch)
    assert bits.digest(run) == bits.digest(straight)


def test_two_threads_at_the_same_time(alone):
    cases, found, lock = bits.cases(), {}, threading.Lock()
    left = [name for name in cases if "float32" in name] * 2

    def work():
        while True:
            with lock:
                if not left:
                    return
                name = left.pop()
            run = cases[name]()
            run.train(EPOCHS)
            with lock:
                found.setdefault(name, set()).add(bits.digest(run))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: {told} for name, told in alone.items() if "float32" in name}


def test_two_threads_at_one_problem():
    """Runs may share a problem, and so the plan: all that changes is their own."""
    problem = own.problem(own.network([3, 40, 2], ["tanh"], dropout=0.2), rows=64, batch_size=16, held_out=20)
    rules = [ds.Adam(0.01), ds.SGD(0.05, momentum=0.9)]
    expected = [own.bits(own.train("compiled", problem, rule, 4000)) for rule in rules]
    found = [None, None]

    def work(place):
        found[place] = own.bits(own.train("compiled", problem, rules[place], 4000))

    threads = [threading.Thread(target=work, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
