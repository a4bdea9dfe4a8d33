"""Another guard in the middle of a run: what it decides from there, and that the past is made again with its bits."""

import contextlib
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import downslope as ds
from downslope.training.guard import Guard, ReduceOnPlateau, rollbacks
from downslope.training.log import Entry

SPIRAL = ds.data.spiral(20)

pytestmark = pytest.mark.filterwarnings("ignore::downslope.GuardWarning")


def a_run(guard="warn", rate=0.5, **options):
    return ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(rate, momentum=0.5), guard=guard, **options)


def guarded_in_turn(**options):
    """A run that was watched by five guards, of which one went back and lowered the rate."""
    run = a_run(**options)
    run.train(30)
    run.guard = None
    run.train(30)
    run.guard = Guard("rollback", limits={"settle": 20}, plateau=ReduceOnPlateau(patience=8, min_delta=0.2))
    run.train(30)
    run.change(learning_rate=500.0)
    run.train(30)
    run.guard = "stop"
    run.train(20)
    run.guard = "warn"
    run.train(5)
    return run


def kinds(run):
    return [entry.kind for entry in run.log if entry.kind in ("guard", "change", "rollback", "reduce")]


@pytest.mark.parametrize("options", [{}, {"batch_size": 16}, {"engine": "reference"}])
def test_the_past_has_its_bits_whatever_guard_is_there_now(bits, tmp_path, options):
    run = guarded_in_turn(**options)
    assert {"rollback", "reduce"} <= set(kinds(run))
    run.save(tmp_path)
    each, losses = run.problem.steps_per_epoch, run.history.loss
    for guard in ("warn", None, Guard("rollback", limits={"pattern": 0.1}, plateau=ReduceOnPlateau(patience=1))):
        loaded = ds.Run.load(tmp_path)
        loaded.guard = guard
        assert bits(loaded) == bits(run)
        assert bits(loaded.replayed()) == bits(run)
        assert kinds(loaded.replayed()) == kinds(loaded)
        for epoch in (10, 45, 75, 100, run.epoch - 1):
            there, branch = loaded.at(epoch=epoch), loaded.branch(at=epoch * each)
            assert there.guard == branch.guard == run.at(epoch=epoch).guard
            assert there.history.loss.tolist() == losses[:epoch].tolist()
            assert bits(branch) == bits(there)
            assert bits(there) == bits(run.at(epoch=epoch))


def test_a_run_that_was_saved_goes_on_under_the_guard_it_had(bits, tmp_path):
    run = a_run()
    run.train(40)
    run.guard = "rollback"
    run.train(40)
    run.save(tmp_path)
    loaded = ds.Run.load(tmp_path)
    for one in (run, loaded):
        one.change(learning_rate=500.0)
        one.train(40)
    assert "rollback" in kinds(run)
    assert list(loaded.log) == list(run.log)
    assert bits(loaded) == bits(run)


def test_past_steps_are_made_again_under_the_guard_that_was_in_force_then(tmp_path):
    """What a guard remembers depends on them, and so where it goes back to; a run that was loaded has kept none."""
    run = ds.Run(ds.MLP([2, 8, 8, 3]), SPIRAL, ds.SGD(0.5), guard=None)
    run.train(100)
    run.change(learning_rate=1e8)
    with contextlib.suppress(ds.NonFiniteError):
        run.train(50)
    run.guard = "rollback"
    run.change(learning_rate=1e4)
    run.save(tmp_path)
    ended = []
    for one in (run, ds.Run.load(tmp_path), run.replayed()):
        with contextlib.suppress(ds.ExplosionError):
            one.train(20)
        memory = None if one.state.guard is None else one.state.guard.tobytes()
        ended.append((one.step, one.parameters.tobytes(), memory, [entry.line for entry in one.log]))
    assert ended[0] == ended[1] == ended[2]


def test_a_guard_that_goes_back_to_before_it_was_put_in_place_stays():
    run = a_run()
    run.train(100)
    run.guard = Guard("rollback", most=3)
    run.change(learning_rate=1e30)
    run.train(20)
    back = next(entry for entry in run.log if entry.kind == "rollback")
    assert (back.step, run.guard) == (100, Guard("rollback", most=3))
    run = ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(), ds.SGD(0.2, momentum=0.9))
    run.train(400)
    run.change(learning_rate=2.0)
    run.train(1)
    run.guard = "stop"
    with pytest.raises(ds.ExplosionError):
        run.train(40)
    assert (run.log[-1].kind, run.step) == ("stop", 400)
    assert run.guard == run.replayed().guard == Guard("stop")


def test_what_is_set_is_in_the_log_and_what_is_the_same_is_not():
    run = a_run()
    run.guard = "warn"
    assert len(run.log) == 0
    run.train(3)
    run.guard = False
    run.guard = Guard("rollback", factor=4)
    assert [entry.line for entry in run.log] == [
        "step 3: guard by user: off (was warn)",
        "step 3: guard by user: Guard('rollback', factor=4.0) (was off)",
    ]
    assert (run.given["guard"], run.guard) == (Guard(), Guard("rollback", factor=4))
    assert run.log.acting() == list(run.log)


def test_a_past_step_is_told_of_no_guard_that_came_later():
    run = a_run()
    run.train(20)
    run.guard = "stop"
    run.train(20)
    past = run.at(10)
    assert (past.guard, len(past.log)) == (Guard(), 0)


@pytest.mark.parametrize("value", ["rolback", 3, Guard])
def test_a_wrong_guard_is_refused_and_the_one_before_stays(value):
    run = a_run()
    with pytest.raises(ds.InputError, match=r"^guard must be one of warn, stop, rollback, clip"):
        run.guard = value
    assert (run.guard, len(run.log)) == (Guard(), 0)


def test_clipping_may_begin_and_end_at_any_step(bits, tmp_path):
    run, plain = a_run("warn"), a_run("warn")
    run.train(30)
    run.guard = Guard("clip", clip=1.0)
    run.train(40)
    clipped = bits(run)
    run.guard = "warn"
    run.train(30)
    plain.train(100)
    assert bits(run) != bits(plain)
    run.save(tmp_path)
    for one in (run, ds.Run.load(tmp_path)):
        assert bits(one.replayed()) == bits(run)
        assert bits(one.at(70)) == clipped
        assert one.at(50).guard == Guard("clip", clip=1.0)
    assert bits(run.at(30)) == bits(plain.at(30))


def test_a_guard_that_clips_may_change_in_all_else(bits):
    run = a_run(Guard("clip", clip=1.5))
    run.train(40)
    run.guard = Guard("clip", clip=1.5, limits={"pattern": 2.0})
    run.train(40)
    assert bits(run.replayed()) == bits(run)


def test_after_a_time_without_a_guard_the_way_back_leads_no_further_than_to_its_return():
    run = a_run()
    run.train(200)
    run.guard = None
    run.train(200)
    run.guard = "rollback"
    run.change(learning_rate=1e300)
    run.train(5)
    assert {entry.step for entry in run.log if entry.kind == "rollback"} == {400}


def test_whoever_is_told_may_end_the_guard_before_it_acts():
    """The alarm of the same stretch was the other guard's, and leads nowhere any more."""

    def told(run, entry):
        if entry.kind == "watch":
            run.guard = None

    run = ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(), ds.SGD(25.0), guard="rollback")
    run.train(60)
    assert "rollback" in kinds(run)
    run = ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(), ds.SGD(25.0), guard="rollback")
    run.train(60, on_event=told)
    assert [entry.kind for entry in run.log] == ["watch", "guard"]
    assert (run.epoch, run.history.epoch.tolist()) == (60, list(range(60)))


def test_another_thread_and_a_signal_handler_may_set_it(disturb, bits):
    run, started = a_run(), threading.Event()

    def told(run, epoch):
        started.set()

    thread = threading.Thread(target=run.train, args=(10**9,), kwargs={"on_epoch": told, "progress": False})
    thread.start()
    started.wait()
    run.guard = "stop"
    assert run.log[-1].settings == {"guard": ("warn", "stop")}
    run.stop()
    thread.join()
    assert bits(run.replayed()) == bits(run)

    def handler(_signal, _frame):
        handled.guard = None

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        disturb(25, lambda: signal.raise_signal(signal.SIGUSR1))
        handled, plain = a_run("rollback"), a_run(engine="reference")
        handled.train(60)
        plain.train(60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [(entry.step, entry.kind) for entry in handled.log if entry.by == "user"] == [(25, "guard")]
    assert handled.history.epoch.tolist() == list(range(60))
    assert np.array_equal(handled.parameters, plain.parameters)


def test_rollbacks_are_counted_anew_under_another_guard():
    back = Entry(5, 5, "rollback", "guard", "", back_from=9)
    put = Entry(9, 9, "guard", "user", "rollback (was stop)", guard=Guard("rollback").describe())
    assert rollbacks(SimpleNamespace(log=[back, put, back])) == [back]
    same = Entry(9, 9, "change", "user", "nothing differs")
    assert rollbacks(SimpleNamespace(log=[back, same, back])) == [back, back]


def test_a_guard_that_cannot_watch_this_run_is_refused_and_the_one_before_stays():
    run = a_run()
    with pytest.raises(ds.InputError, match="monitor must be 'loss' where the run has no validation part"):
        run.guard = Guard(plateau=ReduceOnPlateau(monitor="validation_loss"))
    with pytest.raises(ds.InputError, match="window must be above 0"):
        Guard(limits={"window": 0})
    assert (run.guard, len(run.log)) == (Guard(), 0)
