# ruff: noqa: PT012 - what is raised, and when, within such a block is the matter of these tests

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

import downslope as ds
from downslope.interrupt import Terminated, deferred_interrupt, in_stages, terminations


def make():
    return ds.Run(ds.MLP([2, 4, 3]), ds.data.spiral(10), ds.SGD(0.1), batch_size=10)


def press():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def handler():
    """Every test starts with Python's own handlers, and must leave them behind."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield signal.default_int_handler
    assert {number: signal.signal(number, handler) for number, handler in before.items()} == usual


def test_the_first_ctrl_c_is_a_request_and_is_raised_at_the_end():
    passed = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupt(lambda: passed.append("stop")):
        passed.append("before")
        press()
        passed.append("after")
    assert passed == ["before", "stop", "after"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_ctrl_c_nothing_is_raised():
    passed = []
    with deferred_interrupt(lambda: passed.append("stop")):
        pass
    assert passed == []


def test_the_second_ctrl_c_interrupts_at_once():
    passed = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupt(lambda: None):
        press()
        passed.append("first")
        press()
        passed.append("second")
    assert passed == ["first"]


def test_ctrl_c_ends_a_stage_and_not_those_after_it():
    passed = []

    def work(name, presses):
        passed.append(name)
        for _ in range(presses):
            press()
        passed.append(f"{name} done")

    def wished():
        with deferred_interrupt(lambda: passed.append("stop")):
            work("wished", 1)

    with pytest.raises(KeyboardInterrupt), in_stages() as stages:
        assert not stages.tried(wished)
        press()  # between two stages: nothing is lost by it
        assert not stages.tried(lambda: work("first", 1))
        assert stages.tried(lambda: work("second", 0))
        passed.append("end")
    assert passed == ["wished", "stop", "wished done", "first", "second", "second done", "end"]


def test_ctrl_c_between_stages_is_raised_at_the_end():
    with pytest.raises(KeyboardInterrupt), in_stages() as stages:
        press()
        assert stages.tried(lambda: None)


def test_a_stage_that_fails_is_left_open_to_nobody():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(KeyboardInterrupt), in_stages() as stages:
        with pytest.raises(ZeroDivisionError):
            stages.tried(fail)
        press()


def test_ctrl_c_is_not_lost_when_the_block_fails():
    with pytest.raises(KeyboardInterrupt) as interrupt, deferred_interrupt(lambda: None):
        press()
        raise RuntimeError("the block's own")
    assert "the block's own" in str(interrupt.value.__context__)


def test_a_block_inside_another_shares_the_request():
    passed = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupt(lambda: passed.append("outer")):
        with pytest.raises(KeyboardInterrupt), deferred_interrupt(lambda: passed.append("inner")):
            press()
        assert passed == ["outer", "inner"]
        with pytest.raises(KeyboardInterrupt), deferred_interrupt(lambda: passed.append("later")):
            passed.append("block")
    assert passed == ["outer", "inner", "later", "block"]


def test_a_termination_is_a_request_as_ctrl_c_is_where_it_is_taken():
    passed = []
    with terminations():
        with pytest.raises(Terminated, match="SIGTERM"), deferred_interrupt(lambda: passed.append("stop")):
            signal.raise_signal(signal.SIGTERM)
            passed.append("after")
        with pytest.raises(Terminated, match="SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
    assert passed == ["stop", "after"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_second_signal_of_another_kind_interrupts_at_once():
    with terminations(), pytest.raises(Terminated), deferred_interrupt(lambda: None):
        signal.raise_signal(signal.SIGTERM)
        press()
        raise AssertionError


def test_a_termination_elsewhere_is_the_programs_own(handler):
    taken = []
    before = signal.signal(signal.SIGTERM, lambda *_: taken.append("own"))
    try:
        with terminations(), deferred_interrupt(lambda: taken.append("stop")):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert taken == ["own"]


@pytest.mark.parametrize("own", [signal.SIG_IGN, "function"])
def test_a_program_that_handles_ctrl_c_itself_is_left_in_charge(own, handler):
    caught = []
    mine = (lambda *_: caught.append("mine")) if own == "function" else own
    signal.signal(signal.SIGINT, mine)
    try:
        run = make()
        run.train(3, on_epoch=lambda *_: press())
        assert signal.getsignal(signal.SIGINT) == mine
    finally:
        signal.signal(signal.SIGINT, handler)
    assert run.epoch == 3
    assert caught == (["mine"] * 3 if own == "function" else [])


def test_a_second_ctrl_c_while_training_keeps_the_last_finished_step(disturb):
    def twice():
        press()
        press()

    disturb(5, twice)
    run = make()
    with pytest.raises(KeyboardInterrupt):
        run.train(4)
    assert run.step == 4
    run.train(3)
    assert run.step == 12


def test_training_in_another_thread():
    results = []

    def work():
        run = make()
        run.train(3)
        results.append(run.step)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [9]


def test_a_second_thread_at_one_run_is_noticed():
    run = make()

    refused = []

    def second():
        with pytest.raises(ds.InputError, match="one call at a time"):
            run.train(2)
        refused.append(run.epoch)

    def meanwhile(run, epoch):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    run.train(5, on_epoch=meanwhile)
    assert refused == [1, 2, 3, 4, 5]
    assert (run.epoch, len(run.history)) == (5, 5)


PROGRAM = """
import hashlib, json, sys
import downslope as ds

def make():
    return ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(), ds.Adam(0.01), batch_size=64, validation=0.2)

def digest(run):
    return hashlib.sha256(run.parameters.tobytes() + run.history.loss.tobytes()).hexdigest()

run = make()
try:
    run.train(1_000_000, on_epoch=lambda run, epoch: print("ready", flush=True) if epoch == 3 else None)
except KeyboardInterrupt:
    step, epoch, rows, more = run.step, run.epoch, len(run.history), 5
    run.train(more)
    straight = make()
    straight.train(epoch + more)
    print(json.dumps([step, epoch, rows, digest(run) == digest(straight), run.epoch]))
    raise SystemExit(130)
"""


def test_ctrl_c_in_a_real_program_leaves_the_run_intact():
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
    assert epoch >= 4
    assert rows == epoch == step // 4
    assert same
    assert trained == epoch + 5
