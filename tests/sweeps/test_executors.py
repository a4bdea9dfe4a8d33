import threading

import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.processors import cores
from downslope.sweeps import plan
from downslope.sweeps import work as work_module
from downslope.sweeps.executors import ThreadExecutor
from downslope.sweeps.work import Bench, Stop

JOB = plan(
    ds.MLP([2, 6, 3]),
    ds.data.spiral(samples=6),
    ds.SGD(),
    over={"learning_rate": [0.1, 0.2, 0.3, 0.4]},
    seeds=3,
    epochs=2,
    engine="reference",
)
CHUNKS = [[0, 1, 2], [3], [4, 5, 6, 7], [8, 9], [10, 11]]


def sweep_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("sweep-")]


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_every_chunk_comes_once(threads):
    got = list(ThreadExecutor(threads).execute(JOB, CHUNKS, Stop()))
    assert sorted(chunk for chunk, _ in got) == sorted(CHUNKS)
    for chunk, finished in got:
        assert finished.summary.equals(Bench(JOB).work(chunk).summary)
    assert not sweep_threads()


def test_chunks_are_taken_as_there_is_room():
    taken = []

    def chunks():
        for run in range(1000):
            taken.append(run)
            yield [run % 12]

    executor = ThreadExecutor(2)
    results = executor.execute(JOB, chunks(), Stop())
    next(results)
    assert len(taken) <= 1 + 4 * 2 + 2  # the one that is yielded, those that wait, and one in each thread's hand
    results.close()
    assert not sweep_threads()


def test_an_error_in_a_chunk_is_yielded_with_it(monkeypatch):
    original = Bench.work

    def poisonous(self, runs, stop=None):
        if 3 in runs:
            raise RuntimeError("poison")
        return original(self, runs, stop)

    monkeypatch.setattr(work_module.Bench, "work", poisonous)
    got = {tuple(chunk): made for chunk, made in ThreadExecutor(2).execute(JOB, CHUNKS, Stop())}
    assert len(got) == len(CHUNKS)
    assert repr(got[3,]) == "RuntimeError('poison')"
    assert len(got[8, 9].summary) == 2


def test_an_error_in_making_chunks_is_raised():
    def chunks():
        yield [0]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(ThreadExecutor(2).execute(JOB, chunks(), Stop()))
    assert not sweep_threads()


def test_closing_ends_all_threads_even_when_results_wait():
    stop = Stop()
    results = ThreadExecutor(2).execute(JOB, ([run % 12] for run in range(10_000)), stop)
    next(results)
    results.close()
    assert stop.is_set()
    assert not sweep_threads()


def test_a_stop_ends_it_with_what_is_there():
    stop = Stop()
    got = []
    for chunk, finished in ThreadExecutor(2).execute(JOB, ([run % 12] for run in range(10_000)), stop):
        got.append((chunk, finished))
        stop.set()
    assert len(got) < 100
    assert not sweep_threads()


def test_threads():
    assert ThreadExecutor().slots == cores() >= 1
    with pytest.raises(InputError, match=r"threads must be a whole number at least 1 .*threads=0"):
        ThreadExecutor(0)
