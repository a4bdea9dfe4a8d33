"""A run that is asked and changed from everywhere while it trains, and runs that are made again by half."""

import pickle
import signal
import threading

import pytest

import downslope as ds
from downslope.training.progress import progress_bar

SPIRAL = ds.data.spiral(20)
ENGINES = ["reference", "compiled"]


def a_run(optimizer=None, **options):
    return ds.Run(ds.MLP([2, 8, 3]), SPIRAL, optimizer or ds.SGD(0.5, momentum=0.9), **{"guard": None, **options})


def jumping(engine, guard="warn", **options):
    """A run whose rate leaps up after 60 updates, so that the guard has something to say."""
    rate = ds.Constant(0.5).for_steps(60).then(ds.Constant(300.0))
    return ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(rate), engine=engine, guard=guard, **options)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_change_in_on_event_holds_and_is_made_again(engine, bits):
    run, changed = jumping(engine), []

    def calm(run, entry):
        if not changed:
            changed.append((run.step, run.change(learning_rate=0.25)))

    run.train(200, on_event=calm)
    run.train(20, on_event=calm)
    step, entry = changed[0]
    assert entry.step == step
    assert run.optimizer == ds.SGD(0.25)
    assert run.state.learning_rate == 0.25
    assert bits(run.replayed()) == bits(run)


@pytest.mark.parametrize("after", [False, True])
def test_a_change_by_a_signal_handler_holds_and_is_made_again(disturb, bits, after):
    changed = []

    def handler(_signal, _frame):
        if not changed:
            changed.append(run.change(learning_rate=0.125))

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        disturb(25, lambda: signal.raise_signal(signal.SIGUSR1), after=after)
        run = a_run()
        run.train(60)
        again = run.replayed()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [entry.step for entry in changed] == [25 if after else 24]  # when it was asked for
    assert [entry.step for entry in run.log] == [25]  # and made
    assert run.optimizer.learning_rate == 0.125
    assert run.history.learning_rate[-1] == 0.125
    assert run.history.epoch.tolist() == list(range(60))
    assert bits(again) == bits(run)


def test_an_error_in_on_event_leaves_the_log_whole():
    whole = jumping("compiled")
    whole.train(200, on_event=lambda run, entry: None)
    run = jumping("compiled")

    def fail(run, entry):
        raise RuntimeError("no room for this")

    with pytest.raises(RuntimeError, match="no room for this"):
        run.train(200, on_event=fail)
    run.train(200 - run.epoch, on_event=lambda run, entry: None)
    assert list(run.log) == list(whole.log)


def test_a_run_made_again_by_half_is_made_again_by_half(bits):
    run = a_run()
    run.train(80)
    run.change(learning_rate=0.05)
    run.train(20)
    half = run.at_start()
    half.train(50)
    assert bits(half.replayed()) == bits(half)
    assert half.replayed().optimizer == half.optimizer
    again = half.at_start()
    again.train(50)
    assert bits(again) == bits(half)


def test_the_log_of_a_run_made_again_by_half_ends_where_it_stands():
    run = jumping("compiled")
    run.train(100, on_event=lambda run, entry: None)
    assert len(run.log)
    half = run.at_start()
    assert list(half.log) == []
    half.train(60)
    assert list(half.log) == []
    half.train(40)
    assert list(half.log) == list(run.log)


def test_what_took_effect_where_a_replay_stands_stays_in_its_log(bits):
    run = a_run()
    run.train(30)
    run.change(learning_rate=0.25)
    run.train(10)
    half = run.at_start()
    half.train(30)
    half._catch_up()  # as `train` does before the next update
    half.change(momentum=0.5)
    assert [entry.told for entry in half.log] == ["learning_rate=0.25 (was 0.5)", "momentum=0.5 (was 0.9)"]
    half.train(10)
    assert bits(half.replayed()) == bits(half)


def test_a_plateau_where_a_replay_ends_does_not_take_the_place_of_the_users_change(bits):
    policy = ds.Guard(plateau=ds.ReduceOnPlateau(patience=0, min_delta=0.9))
    run = ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(0.5), guard=policy)
    run.train(5)
    run.change(momentum=0.9)
    other = run.at_start()
    for one, epochs in ((run, 5), (other, 10)):
        one.train(epochs, on_event=lambda run, entry: None)
    assert other.optimizer == run.optimizer
    assert list(other.log) == list(run.log)
    assert bits(other) == bits(run)


def test_a_run_in_training_is_made_again_up_to_where_it_was_asked(bits):
    run, reached = a_run(), threading.Event()

    def on_epoch(run, epoch):
        if epoch == 500:
            reached.set()

    trainer = threading.Thread(target=run.train, args=(4000,), kwargs={"on_epoch": on_epoch})
    trainer.start()
    reached.wait()
    twin = run.replayed()
    trainer.join()
    assert bits(twin) == bits(run.at(twin.step))


def test_a_batch_size_taken_back_in_mid_epoch_is_no_longer_pending():
    run = a_run(batch_size=16)

    run.train(1)
    run._advance(run.step + 1, ds.engines.problem.Control(), lambda done: None)
    run.change(batch_size=30)
    assert run.pending_batch_size == 30
    run.change(batch_size=16)
    assert run.pending_batch_size is None


def halved(k):
    return 0.5 / (1 + k)


def test_a_run_with_a_function_given_later_can_be_pickled(bits):
    run = a_run()
    run.train(10)
    run.change(schedule=halved)
    run.train(2)
    twin = pickle.loads(pickle.dumps(run))
    for one in (run, twin):
        one.train(5)
    assert bits(twin) == bits(run)


def test_a_rate_of_a_function_that_is_scaled_can_be_pickled():
    rule = pickle.loads(pickle.dumps(ds.SGD(halved).scaled(0.5)))
    assert rule.at(1).learning_rate == 0.25


def test_the_numbers_of_an_alert_at_the_end_of_an_epoch_are_of_its_own_batch_size():
    # With a batch size pending, the last alert of the epoch is told when the new one is in force already.
    told = []
    for size in (None, 60):
        run = jumping("reference", batch_size=1)
        if size:
            run._advance(1, ds.engines.problem.Control(), lambda done: None)
            run.change(batch_size=size)
        run.train(1, on_event=lambda run, entry: None)
        run.train(2 if size is None else 1, on_event=lambda run, entry: None)
        told.append([entry.told for entry in run.log if entry.by == "guard" and entry.step <= 60])
    assert told[0] == told[1]


def test_the_progress_bar_ends_where_a_rollback_left_no_epoch(capsys):
    run = a_run()
    run.train(1)
    with progress_bar(True, 0, 10, run.history) as show:
        show(1)
        show(2)
        run.history.cut(0)
    assert "epoch" in capsys.readouterr().err


def test_a_past_epoch_is_found_where_the_batch_size_changed_between_epochs():
    run = a_run(batch_size=5)
    run.change(batch_size=20)
    run.train(3)
    run.change(batch_size=30)
    run.train(3)
    found = [run.at(epoch=epoch) for epoch in (2, 5)]
    assert [(one.epoch, one.state.batch, one.step) for one in found] == [(2, 0, 6), (5, 0, 13)]


@pytest.mark.parametrize("policy", ["stop", "rollback"])
def test_what_was_noticed_before_an_alarm_is_logged_however_training_is_cut_up(policy, bits):
    runs = []
    for piece in (60, 1):
        rate = ds.Exponential(0.3, rate=10.0, steps=30)
        run = ds.Run(ds.MLP([2, 8, 3]), ds.data.spiral(12), ds.SGD(rate), batch_size=12, guard=policy)
        try:
            while run.epoch < 60:
                run.train(piece, on_event=lambda run, entry: None)
        except ds.ExplosionError:
            pass
        runs.append(run)
    whole, cut = runs
    assert {"watch", policy} <= {entry.kind for entry in whole.log}
    assert [entry.describe() for entry in whole.log] == [entry.describe() for entry in cut.log]
    assert bits(whole) == bits(cut)


def test_moments_are_bounded_in_bytes_where_another_rule_has_more_slots(monkeypatch):
    run = a_run(ds.SGD(0.01))
    run.change(optimizer=ds.Adam(0.01))
    monkeypatch.setattr("downslope.training.timeline.MOST_BYTES", 10 * run._now.nbytes)
    run = a_run(ds.SGD(0.01))
    run.change(optimizer=ds.Adam(0.01))
    run.train(300, on_epoch=lambda run, epoch: None)
    assert len(run._moments) <= 10 + 4


@pytest.mark.parametrize("place", ["_note", "_tell", "_catch_up", "_go_back", "_act"])
def test_a_signal_handler_that_comes_in_the_midst_of_anything_changes_the_run_after_it(monkeypatch, bits, place):
    """As where the guard goes back, or another change is being made: half of each would be lost."""
    run, asked = jumping("compiled", "rollback"), []
    real = getattr(type(run), place)

    def handler(_signal, _frame):
        asked.append(run.change(learning_rate=0.125))

    def disturbed(self, *given):
        if self is run and not asked and self.step > 20:
            signal.raise_signal(signal.SIGUSR1)
            done = real(self, *given)
            assert self.optimizer.learning_rate != 0.125  # not before what was interrupted is done
            return done
        return real(self, *given)

    monkeypatch.setattr(type(run), place, disturbed)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        for step in range(12):
            run.train(20, on_event=lambda run, entry: None)
            if step == 5:
                run.change(momentum=0.5)
        again = run.replayed()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(asked) == 1
    assert [entry.told for entry in run.log if "0.125" in entry.told] != []
    assert run.optimizer == again.optimizer
    assert bits(again) == bits(run)


def test_a_signal_handler_whose_change_is_not_legal_is_told_and_nothing_waits(disturb):
    def handler(_signal, _frame):
        with pytest.raises(ds.InputError, match="momentum must be"):
            run.change(momentum=2.0)
        heard.append(run.step)

    heard, before = [], signal.signal(signal.SIGUSR1, handler)
    try:
        disturb(25, lambda: signal.raise_signal(signal.SIGUSR1))
        run = a_run()
        run.train(60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (heard, len(run.log), run.epoch) == ([24], 0, 60)
