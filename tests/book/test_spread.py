import signal
import threading
import time

import numpy as np
import pytest

import downslope as ds
from downslope.book import spread as spread_module
from downslope.book import spread_runs
from downslope.book.printed import EPOCHS, PRINTED, chapter_run, reproduced
from downslope.book.spread import KINDS, QUANTITIES, Spread, differing, main, spread, summary, table
from downslope.book.spread_file import FILE, Kept, kept_epochs, opened, summed_up, written
from downslope.book.spread_runs import Trace, begin, traces, trained
from downslope.engines.choice import ENGINES
from downslope.errors import NonFiniteError
from downslope.sweeps.work import Stop

MOMENTUM, DECAY = "sgd_momentum_0.9", "sgd_decay_1e-2"


@pytest.fixture(autouse=True)
def nothing_trained_yet(monkeypatch):
    monkeypatch.setattr(spread_module, "_finished", {})


def made_up(which, control=None):
    """A trace without training, another for each run."""
    number = which[2] + 1
    return Trace(np.linspace(1.0, 0.25 / number, 101), np.linspace(0.0, number / 300, 101))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(spread_runs, "trained", made_up)


def values(losses, epoch=100):
    """A spread of made-up losses at one epoch."""
    losses = np.array(losses)[:, None]
    curves = np.zeros((7, 101))
    return Spread("adagrad", "seeds", np.array([epoch]), losses, losses / 2, np.arange(101), curves, curves)


@pytest.mark.parametrize(
    "which",
    [
        (MOMENTUM, "seeds", 0),
        (MOMENTUM, "ulp", 255),
        (DECAY, "seeds", 17),
        ("rmsprop_tuned", "ulp", 3),
        ("adagrad", "seeds", 255),
        ("sgd_lr_0.85", "ulp", 100),
    ],
)
def test_what_is_shipped_is_trained_again_to_the_bit(which):
    name, kind, number = which
    shipped, made = opened(FILE)[name, kind], summed_up(name, [trained(which)])
    assert shipped.loss[number].tobytes() == made.loss[0].tobytes()
    assert shipped.right[number].tobytes() == made.right[0].tobytes()


def test_a_trace_is_what_a_run_records():
    trace = trained((MOMENTUM, "seeds", 3))
    run = ds.Run(ds.MLP([2, 64, 3], initial_weights="chapter"), ds.data.spiral(seed=3), PRINTED[MOMENTUM].optimizer(),
                 seed=3)  # fmt: skip
    run.train(EPOCHS)
    assert np.array_equal(trace.loss, run.history.loss[::100])
    assert np.array_equal(trace.accuracy, run.history.accuracy[::100])


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("kind", KINDS)
def test_256_runs_of_each_kind_are_shipped(name, kind):
    found = spread(name, kind)
    assert (found.runs, found.name, found.kind) == (256, name, kind)
    assert found.epochs.tolist() == sorted({row.epoch for row in PRINTED[name].rows} | set(range(0, 10_001, 1000)))
    assert found.loss.shape == found.accuracy.shape == (256, len(found.epochs))
    assert np.isfinite(found.loss).all()
    assert len(np.unique(found.loss[:, -1])) > 64 or name == DECAY  # no run is another's copy
    for of, curves in zip(QUANTITIES, (found.loss_curves, found.accuracy_curves), strict=True):
        assert (np.diff(curves, axis=0) >= 0).all()
        for epoch in found.epochs.tolist():
            here = np.sort(found.at(epoch, of))
            assert curves[:, epoch // 100].tolist() == [here[place] for place in (0, 12, 63, 127, 191, 243, 255)]


def test_the_header_says_what_was_run():
    header = opened(FILE).header
    assert (header["runs"], header["epochs"], header["format"]) == (256, EPOCHS, 1)
    assert header["settings"] == {name: dict(run.settings) for name, run in PRINTED.items()}
    assert header["kept_epochs"]["adagrad"] == list(kept_epochs("adagrad"))
    assert {"downslope", "numpy", "numba", "llvmlite"} <= set(header["versions"])
    assert FILE.stat().st_size < 600_000


def test_seeds_draw_data_and_weights_by_the_chapters_law():
    setup, other = begin("seeds", 5), begin("seeds", 6)
    assert np.array_equal(setup.problem.training.inputs, ds.data.spiral(seed=5).inputs.astype(np.float32))
    weights = setup.parameters[:128]
    assert 0.008 < weights.std() < 0.012
    assert not np.array_equal(weights, other.parameters[:128])
    assert not np.array_equal(setup.problem.training.inputs, other.problem.training.inputs)


def test_last_bits_are_moved_and_nothing_else():
    chapter = chapter_run(MOMENTUM)
    before, moves = chapter.parameters, []
    for number in range(20):
        setup = begin("ulp", number)
        assert np.array_equal(setup.problem.training.inputs, chapter.problem.training.inputs)
        after = setup.parameters
        assert np.array_equal(after[before == 0], before[before == 0])  # biases
        kept = before != 0
        up = np.nextafter(before[kept], np.float32(np.inf))
        down = np.nextafter(before[kept], np.float32(-np.inf))
        assert ((after[kept] == before[kept]) | (after[kept] == up) | (after[kept] == down)).all()
        moves.append(np.sign(after[kept] - before[kept]))
    counts = [np.count_nonzero(np.array(moves) == sign) for sign in (-1, 0, 1)]
    assert all(abs(count / 6400 - 1 / 3) < 0.025 for count in counts)
    assert len({move.tobytes() for move in moves}) == 20
    assert np.array_equal(begin("ulp", 3).parameters, begin("ulp", 3).parameters)


def test_a_percentile_counts_half_of_the_runs_that_print_the_same():
    among = values([0.1, 0.2, 0.30049, 0.2996, 0.4, 0.5, 0.6, 0.7])
    assert among.percentile(0.3, 100) == 100 * (2 + 0.5 * 2) / 8
    assert among.percentile(0.05, 100) == 0
    assert among.percentile(0.1, 100) == 6.25
    assert among.percentile(9, 100) == 100
    assert among.percentile(0.2, 100, "accuracy") == 100 * (4 + 0.5) / 8
    assert among.range(100) == (0.1, 0.7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spread("adam", "seeds"), "name must be one of sgd_lr_0.85, "),
        (lambda: spread("adagrad", "seed"), "Did you mean 'seeds'?"),
        (lambda: spread("adagrad", "seeds", runs=3), "runs must be left out unless fresh=True"),
        (lambda: spread("adagrad", "seeds", progress=True), "progress must be left out unless fresh=True"),
        (lambda: spread("adagrad", "seeds", runs=0, fresh=True), "runs must be a whole number at least 1"),
        (lambda: spread("adagrad", "seeds", fresh=1), "fresh must be True or False"),
        (lambda: spread("adagrad", "seeds", runs=1, fresh=True, threads=0), "threads must be a whole number at least"),
        (lambda: values([1.0]).percentile(1.0, 200), r"epoch must be one that is kept \(100\). Received: epoch=200"),
        (lambda: values([1.0]).percentile(1.0, 100, "rate"), "of must be one of loss, accuracy"),
        (lambda: values([1.0]).percentile(None, 100), "value must be a finite number"),
        (lambda: differing(257), "runs must be a whole number at least 1 and at most 256"),
    ],
)
def test_wrong_input_is_one_sentence(call, message):
    with pytest.raises(ds.InputError, match=message):
        call()


def test_fresh_runs_are_the_shipped_ones_and_more(monkeypatch):
    fresh, shipped = spread(DECAY, "ulp", runs=2, fresh=True), spread(DECAY, "ulp")
    assert np.array_equal(fresh.loss, shipped.loss[:2])
    assert np.array_equal(fresh.accuracy, shipped.accuracy[:2])
    monkeypatch.setattr(spread_runs, "trained", lambda *_: pytest.fail("this run was trained before"))
    assert spread(DECAY, "ulp", runs=1, fresh=True).runs == 1


def test_an_interrupted_spread_goes_on(monkeypatch):
    asked = []

    def interrupting(which, control=None):
        asked.append(which[2])
        if len(asked) == 3:
            for _ in range(30):  # one that comes as the main thread falls asleep is seen when it is woken by the next
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # where Ctrl-C arrives
                deadline = time.monotonic() + 1
                while not control.stopping and time.monotonic() < deadline:
                    time.sleep(0.001)
                if control.stopping:
                    break
            return None
        return made_up(which)

    monkeypatch.setattr(spread_runs, "trained", interrupting)
    with pytest.raises(KeyboardInterrupt):
        spread("adagrad", "seeds", runs=50, fresh=True, threads=1)
    assert len(asked) == 3
    assert sorted(spread_module._finished) == [("adagrad", "seeds", 0), ("adagrad", "seeds", 1)]
    assert spread("adagrad", "seeds", runs=50, fresh=True).runs == 50
    assert sorted(asked) == sorted([2, *range(50)])


def test_progress_is_shown_on_stderr(quick, capsys):
    spread("adagrad", "seeds", runs=3, fresh=True, progress=True)
    told = capsys.readouterr()
    assert told.out == ""
    assert "3/3" in told.err


def test_a_stop_set_before_trains_nothing(quick):
    stop, done = Stop(), []
    stop.set()
    traces([("adagrad", "seeds", 0)], stop, 2, lambda which, trace: done.append(which))
    assert not done


def test_an_error_of_one_run_is_raised(monkeypatch):
    def failing(which, control=None):
        raise RuntimeError("no more")

    monkeypatch.setattr(spread_runs, "trained", failing)
    with pytest.raises(RuntimeError, match="no more"):
        spread("adagrad", "seeds", runs=9, fresh=True)


def test_a_run_that_explodes_has_an_infinite_loss_from_there_on(monkeypatch):
    class Exploding:
        def advance(self, problem, rule, state, steps, control, keep):
            records = np.ones((300, 9))
            keep(state, 0, records[:250])
            keep(state, 250, records[:1])
            raise NonFiniteError("too far")

    monkeypatch.setattr(spread_runs, "ENGINES", {**ENGINES, "compiled": Exploding})
    trace = trained(("adagrad", "seeds", 0))
    assert trace.loss[:3].tolist() == [1, 1, 1]
    assert np.isinf(trace.loss[3:]).all()
    assert (trace.accuracy[3:] == 0).all()
    kept = summed_up("adagrad", [trace, made_up(("adagrad", "seeds", 0))])
    assert np.isinf(kept.loss_curves[-1, -1])
    assert kept.loss_curves[3, -1] == np.float32(0.25)


def test_a_file_gives_back_what_was_written_and_the_same_bytes(tmp_path):
    made = {(name, kind): summed_up(name, [made_up((name, kind, 1))]) for name in PRINTED for kind in KINDS}
    for name in ("a.npz", "b.npz"):
        written(tmp_path / name, made)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    content = opened(tmp_path / "a.npz")
    assert content.header["runs"] == 1
    assert set(content) == set(made)
    for key, kept in made.items():
        assert all(np.array_equal(one, other) for one, other in zip(kept, content[key], strict=True))
        assert [one.dtype.name for one in content[key]] == ["float32", "uint16", "float32", "uint16"]


def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", header=np.zeros(1))
    for name in ("missing.npz", "text.npz", "other.npz"):
        with pytest.raises(ds.InputError, match="must be a file of spreads"):
            opened(tmp_path / name)


def test_the_program_writes_and_checks(quick, tmp_path, monkeypatch, capsys):
    file = tmp_path / "made.npz"
    assert main(["--runs", "2", "--out", str(file), "--threads", "1"]) == 0
    assert "32 runs" in capsys.readouterr().out
    monkeypatch.setattr(spread_module, "FILE", file)
    assert main(["--check", "2"]) == 0
    assert "every bit is the same\n" in capsys.readouterr().out
    content = opened(file)
    old = content["adagrad", "ulp"]
    moved = old.loss.copy()
    moved[1, 3] = np.nextafter(moved[1, 3], np.float32(2))
    monkeypatch.setitem(content, ("adagrad", "ulp"), Kept(moved, *old[1:]))
    assert main(["--check", "2"]) == 1
    assert capsys.readouterr().out.startswith("differs: adagrad, ulp, run 1\n")
    assert main(["--check", "0"]) == 2
    assert "runs must be a whole number" in capsys.readouterr().err


def test_a_table_has_the_book_ours_and_where_the_book_falls():
    found, among = table(MOMENTUM), spread(MOMENTUM, "ulp")
    assert found["epoch"].to_list() == [row.epoch for row in PRINTED[MOMENTUM].rows]
    assert found["our_loss"].to_list() == [row.ours.loss for row in reproduced(MOMENTUM).rows]
    last = found.row(-1, named=True)
    assert last["book_accuracy"] == 0.933
    assert last["ulp_accuracy_percentile"] == among.percentile(0.933, 10_000, "accuracy")
    assert (last["ulp_loss_low"], last["ulp_loss_high"]) == among.range(10_000)
    assert last["seeds_loss_percentile"] == spread(MOMENTUM, "seeds").percentile(0.173, 10_000)


def test_without_chaos_all_moved_runs_print_the_books_rows():
    found = table(DECAY)
    assert set(found["ulp_loss_percentile"]) == set(found["ulp_accuracy_percentile"]) == {50.0}


def test_the_books_rows_lie_inside_the_spreads():
    found = summary()
    assert found["rows"].sum() == 119
    assert found["name"].to_list() == list(PRINTED)
    for kind in KINDS:
        for of in QUANTITIES:
            within, central = found[f"{kind}_{of}_within"], found[f"{kind}_{of}_central"]
            assert (central <= within).all()
            assert within.sum() >= 118
            assert central.sum() >= 0.9 * 119
