import math
import pickle
import threading

import numpy as np
import pytest

import downslope as ds
from downslope.engines.reference import Reference
from downslope.errors import NonFiniteError
from downslope.sweeps import plan
from downslope.sweeps import work as work_module
from downslope.sweeps.work import Bench, Stop, lost, parameters_digest, summary_schema, work

SPIRAL = ds.data.spiral(samples=6)


def planned(optimizer=None, network=None, data=SPIRAL, **settings):
    settings = {"over": {"learning_rate": [0.1, 0.5]}, "epochs": 3, "engine": "reference", **settings}
    return plan(network or ds.MLP([2, 6, 3]), data, optimizer or ds.SGD(), **settings)


def rows(finished):
    return finished.summary.to_dicts()


CASES = {
    "full batch": {},
    "batches and validation": {"batch_size": 5, "validation": 0.3},
    "dropout": {"network": ds.MLP([2, 6, 3], dropout=0.3, l2=0.01)},
    "float64": {"dtype": "float64", "standardize": True, "validation": ds.data.spiral(samples=5, seed=3)},
    "schedule": {"optimizer": ds.Adam(ds.InverseTime(0.1, decay=0.01))},
    "decay": {"over": {"learning_rate": [0.1, 0.5], "decay": [0.0, 0.1]}, "optimizer": ds.SGD(momentum=0.9)},
    "swept batches": {"over": {"batch_size": [4, 18]}, "optimizer": ds.RMSprop(0.01)},
    "chapter": {"data": ds.data.spiral(samples=6, seed="chapter"), "seeds": "chapter"},
    "regression": {"data": ds.data.sine(), "network": ds.MLP([1, 5, 1]), "validation": 0.2, "loss": "huber"},
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_has_the_bits_it_has_alone(case):
    changes = {"seeds": 2, **CASES[case]}
    job = planned(**changes, history_every=1, keep_parameters=True)
    got = Bench(job).work(range(job.planned))
    assert len(got.summary) == job.planned
    score = "accuracy" if job.data.kind == "classification" else "r2"
    for run, row in enumerate(rows(got)):
        settings = job.settings_of(run // len(job.seeds))
        alone = ds.Run(
            job.network,
            job.data,
            job.rule_of(settings),
            loss=changes.get("loss"),
            batch_size=settings.get("batch_size", changes.get("batch_size")),
            validation=changes.get("validation", 0.0),
            dtype=changes.get("dtype", "float32"),
            standardize=changes.get("standardize"),
            seed=job.seed_of(run),
            engine="reference",
        )
        first = alone.evaluate()["loss"]
        alone.train(3)
        measured = alone.evaluate()
        kept = got.parameters["parameters"][run]
        assert kept == alone.parameters.tobytes()
        assert row["digest"] == parameters_digest(alone.parameters)
        assert (row["loss"], row[score], row["first_loss"]) == (measured["loss"], measured[score], first)
        assert row["largest_weight"] == float(np.abs(alone.parameters).max())
        if "validation_loss" in row:
            held_out = alone.evaluate("validation")
            assert (row["validation_loss"], row[f"validation_{score}"]) == (held_out["loss"], held_out[score])
        losses = [*alone.history.loss, measured["loss"]]
        assert (row["best_loss"], row["best_epoch"]) == (min(losses), int(np.argmin(losses)))
        assert (row["epochs"], row["steps"], row["outcome"], row["message"]) == (3, alone.step, "finished", None)
        assert (row["seed"], row["key"]) == (job.seed_of(run), job.key(run))
        assert {name: row[name] for name in settings} == settings
        history = got.histories.filter(got.histories["run"] == run).drop("run")
        assert history.equals(alone.history.frame())


def test_order_company_and_threads_change_nothing():
    job = planned(over={"learning_rate": [0.1, 0.5, 2.0], "momentum": [0.0, 0.9]}, seeds=3, batch_size=5)
    straight = Bench(job).work(range(18)).summary
    backwards = Bench(job).work(range(17, -1, -1)).summary
    assert backwards.sort("run").equals(straight)
    bench, parts = Bench(job), [None, None]

    def half(place):
        parts[place] = bench.work(range(place, 18, 2))

    threads = [threading.Thread(target=half, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parts[0].summary.vstack(parts[1].summary).sort("run").equals(straight)


def test_histories_are_thinned_as_asked():
    job = planned(epochs=10, history_every=4)
    histories = Bench(job).work([0, 1]).histories
    assert histories["run"].to_list() == [0, 0, 0, 1, 1, 1]
    assert histories["epoch"].to_list() == [0, 4, 8] * 2
    assert Bench(planned()).work([0]).histories is None
    assert Bench(planned()).work([0]).parameters is None


@pytest.mark.parametrize("piece", [1, 3, 4, 100])
def test_thinning_does_not_depend_on_how_epochs_come(piece):
    trace = work_module._Trace(4)
    records = np.arange(22 * 9, dtype=float).reshape(22, 9)
    for first in range(0, 22, piece):
        trace.keep(None, first, records[first : first + piece])
    assert np.concatenate(trace.epochs).tolist() == [0, 4, 8, 12, 16, 20]
    assert np.concatenate(trace.rows).tolist() == records[::4].tolist()


def test_explosions_keep_the_last_good_state():
    job = planned(over={"learning_rate": [0.1, 1e30]}, epochs=6, keep_parameters=True)
    good, bad = rows(Bench(job).work([0, 1]))
    assert (good["outcome"], bad["outcome"]) == ("finished", "exploded")
    alone = ds.Run(job.network, SPIRAL, ds.SGD(1e30), engine="reference")
    with pytest.raises(NonFiniteError) as error:
        alone.train(6)
    assert bad["message"] == str(error.value)
    assert (bad["steps"], bad["epochs"]) == (alone.step, alone.epoch)
    assert bad["digest"] == parameters_digest(alone.parameters)
    assert math.isfinite(bad["best_loss"])


def test_a_loss_above_twice_the_first_is_an_explosion_too():
    job = planned(over={"learning_rate": [0.1, 300.0]}, epochs=2)
    _, bad = rows(Bench(job).work([0, 1]))
    assert bad["outcome"] == "exploded"
    assert bad["loss"] > 2 * bad["first_loss"]
    assert bad["message"] == (
        f"The last loss is {bad['loss']:.4g}, above twice the first loss, {bad['first_loss']:.4g}."
    )
    assert bad["epochs"] == 2


class Unwilling(ds.SGD):
    """A rule that cannot take small steps."""

    def per_step(self, step):
        if self.learning_rate < 0.2:
            raise ZeroDivisionError("too small a step")
        return super().per_step(step)


def test_what_one_run_raises_is_its_own():
    job = planned(Unwilling(), history_every=1, keep_parameters=True)
    got = Bench(job).work([0, 1])
    bad, good = rows(got)
    assert (bad["outcome"], good["outcome"]) == ("failed", "finished")
    assert "too small a step" in bad["message"]
    assert [bad[name] for name in ("loss", "accuracy", "first_loss", "best_loss", "largest_weight", "digest")] == [
        None
    ] * 6
    assert bad["key"] == job.key(0)
    assert got.parameters["run"].to_list() == [1]


def test_a_failure_after_measuring_leaves_no_numbers(monkeypatch):
    monkeypatch.setattr(work_module, "parameters_digest", lambda parameters: 1 / 0)
    (row,) = rows(Bench(planned()).work([0]))
    assert (row["outcome"], row["message"], row["loss"]) == ("failed", "ZeroDivisionError: division by zero", None)


def test_a_lost_chunk_fails_by_name():
    job = planned(seeds=2)
    made = lost(job, [1, 2], RuntimeError("the machine is gone"))
    assert made.summary["run"].to_list() == [1, 2]
    assert made.summary["key"].to_list() == [job.key(1), job.key(2)]
    assert made.summary["message"].to_list() == ["RuntimeError: the machine is gone"] * 2
    assert made.summary.schema == Bench(job).work([0]).summary.schema


def test_a_stop_from_another_thread_ends_the_run_under_way():
    stop = Stop()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    got = Bench(planned(epochs=10**7)).work([0, 1], stop)  # would take an hour
    assert got.summary.is_empty()
    assert not stop._controls
    timer.join()


def test_a_run_cut_short_is_not_recorded(monkeypatch):
    stop = Stop()

    class Stopping(Reference):
        def advance(self, problem, rule, state, steps, control, keep):
            def stopping(state, first, records):
                keep(state, first, records)
                stop.set()

            super().advance(problem, rule, state, steps, control, stopping)

    monkeypatch.setattr(work_module, "ENGINES", {"reference": Stopping})
    got = Bench(planned(history_every=1, keep_parameters=True)).work([0, 1], stop)
    assert [len(part) for part in got[:3]] == [0, 0, 0]
    assert got.summary.schema == summary_schema(planned())
    assert Bench(planned()).work([0, 1], stop).summary.is_empty()


def test_what_runs_begin_with_is_made_once(monkeypatch):
    made = []
    original = work_module.Job.set_up
    monkeypatch.setattr(
        work_module.Job, "set_up", lambda self, seed, size: made.append((seed, size)) or original(self, seed, size)
    )
    job = planned(over={"learning_rate": [0.1, 0.2, 0.3], "batch_size": [4, 9]}, seeds=2)
    Bench(job).work(range(job.planned))
    assert sorted(made) == [(0, 4), (0, 9), (1, 4), (1, 9)]
    made.clear()
    monkeypatch.setattr(work_module, "MOST_BYTES", 0)
    bench = Bench(job)
    bench.work(range(job.planned))
    assert len(bench._kept) == 1
    assert len(made) == 12


def test_work_in_another_process_is_the_same():
    job = planned(seeds=2, keep_parameters=True)
    sent = pickle.loads(pickle.dumps(job))
    got = pickle.loads(pickle.dumps(work(sent, [1, 2])))
    here = Bench(job).work([1, 2])
    assert got.summary.equals(here.summary)
    assert got.parameters.equals(here.parameters)
    other = planned(epochs=1)
    assert work(other, [0]).summary["epochs"].to_list() == [1]
