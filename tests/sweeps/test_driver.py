import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import downslope as ds
from downslope.errors import InputError
from downslope.sweeps import driver, execute, linear, log, open_sweep, plan, sweep
from downslope.sweeps import store as store_module
from downslope.sweeps.executors import ThreadExecutor
from downslope.sweeps.work import Bench


def test_every_cell_and_seed_is_there_in_order(tiny):
    result = tiny()
    frame = result.frame()
    assert (result.planned, result.finished, result.complete) == (12, 12, True)
    assert frame["learning_rate"].to_list() == [0.01] * 4 + [0.1] * 4 + [1.0] * 4
    assert frame["momentum"].to_list() == [0.0, 0.0, 0.9, 0.9] * 3
    assert frame["seed"].to_list() == [0, 1] * 6
    assert frame["key"].n_unique() == 12


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_storage_change_no_bit(tiny, threads, tmp_path):
    settings = {"batch_size": 5, "validation": 0.3}
    here = tiny(**settings, threads=threads)
    there = tiny(**settings, directory=tmp_path / "sweep", history_every=2, keep_parameters=True)
    assert_frame_equal(here.frame(), there.frame(), check_exact=True)
    assert_frame_equal(here.frame(), open_sweep(tmp_path / "sweep").frame(), check_exact=True)


def test_the_same_call_has_nothing_left_to_do(tiny, tmp_path, monkeypatch):
    first = tiny(directory=tmp_path)
    monkeypatch.setattr(Bench, "work", lambda *args: pytest.fail("nothing is left"))
    again = tiny(directory=tmp_path)
    assert again.complete
    assert_frame_equal(again.frame(), first.frame(), check_exact=True)


class CutError(Exception):
    pass


@pytest.mark.parametrize("directory", [None, "sweep"])
def test_an_error_in_the_hook_ends_it_and_keeps_what_is_finished(tiny, tmp_path, directory):
    seen = []

    def hook(result):
        seen.append((result.finished, len(result.frame()), result))
        if result.finished >= 4:
            raise CutError

    where = None if directory is None else tmp_path / directory
    with pytest.raises(CutError):
        tiny(directory=where, on_progress=hook, threads=1)
    assert all(count == rows for count, rows, _ in seen)
    assert [count for count, _, _ in seen] == sorted({count for count, _, _ in seen})
    if where is not None:
        left = open_sweep(where).finished
        assert 4 <= left < 12
        assert not open_sweep(where).complete
        done = []
        whole = tiny(directory=where, on_progress=lambda result: done.append(result.finished))
        assert left < done[0] < 12
        assert_frame_equal(whole.frame(), tiny().frame(), check_exact=True)


def test_control_c_keeps_what_is_finished_and_gives_up_the_rest(tiny, tmp_path):
    def press(result):
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        tiny(directory=tmp_path, on_progress=press, threads=2, seeds=100)  # more than are done before it is seen
    assert signal.getsignal(signal.SIGINT) is before
    left = open_sweep(tmp_path)
    assert 1 <= left.finished < 600
    assert set(left.frame()["outcome"]) == {"finished"}
    assert_frame_equal(tiny(directory=tmp_path, seeds=100).frame(), tiny(seeds=100).frame(), check_exact=True)


def test_control_c_stops_long_runs_at_once(tmp_path):
    script = textwrap.dedent("""
        import downslope as ds
        from pathlib import Path
        from downslope.sweeps import sweep

        class Marking(ds.SGD):
            '''Plain descent that leaves a trace when it is under way.'''

            def per_step(self, step):
                if step == 100:
                    Path(f"begun-{self.learning_rate}").touch()
                return {}

        try:
            sweep(ds.MLP([2, 6, 3]), ds.data.spiral(samples=6), Marking(), over={"learning_rate": [0.1, 0.2, 0.3]},
                  epochs=10**8, directory="out", engine="reference", threads=2)
        except KeyboardInterrupt:
            print("interrupted")
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while len(list(tmp_path.glob("begun-*"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate(timeout=300)
    assert (said, complaint, process.returncode) == ("interrupted\n", "", 0)
    assert open_sweep(tmp_path / "out").finished == 0


def test_a_killed_sweep_goes_on_and_has_every_run_once(tmp_path):
    script = textwrap.dedent("""
        import sys, time, downslope as ds
        from downslope.sweeps import sweep, store
        store.SECONDS_BETWEEN_WRITES = 0.0

        def wait(result):
            if result.finished >= 5:  # for the kill, while the threads go on
                print("waiting", flush=True)
                time.sleep(10**6)

        sweep(ds.MLP([2, 6, 3]), ds.data.spiral(samples=6), ds.SGD(), over={"learning_rate": "log:0.01:10:40"},
              seeds=10, epochs=30, directory=sys.argv[1], engine="reference", threads=2, on_progress=wait)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "waiting\n"
    process.kill()
    _, complaint = process.communicate(timeout=300)
    assert (complaint, process.returncode) == ("", -signal.SIGKILL)
    left = open_sweep(tmp_path).finished
    assert 0 < left < 400
    settings = {
        "over": {"learning_rate": log(0.01, 10, 40)},
        "seeds": 10,
        "epochs": 30,
        "engine": "reference",
    }
    done = []

    def count(result):
        done.append(result.finished)

    parts = (ds.MLP([2, 6, 3]), ds.data.spiral(samples=6), ds.SGD())
    result = sweep(*parts, **settings, directory=tmp_path, on_progress=count)
    assert left < done[0] < 400
    assert result.complete
    assert len(result.frame()) == 400
    assert_frame_equal(result.frame(), sweep(*parts, **settings).frame(), check_exact=True)


def test_a_poisonous_chunk_fails_alone_and_is_named(tiny, monkeypatch):
    original = Bench.work

    def poisonous(self, runs, stop=None):
        if 5 in runs:
            raise MemoryError("no room")
        return original(self, runs, stop)

    monkeypatch.setattr(Bench, "work", poisonous)
    monkeypatch.setattr(driver, "MOST_IN_A_CHUNK", 1)
    result = tiny()
    assert result.complete
    bad = result.frame().filter(pl.col("outcome") == "failed")
    assert bad["message"].to_list() == ["MemoryError: no room"]
    assert result.frame()["outcome"].to_list().index("failed") == 5


def test_results_that_cannot_be_written_end_the_sweep(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SECONDS_BETWEEN_WRITES", 0.0)

    def full(self, kind, table):
        raise InputError("could not be written: No space left on device")

    monkeypatch.setattr(store_module.Store, "_write", full)
    with pytest.raises(InputError, match="No space left"):
        tiny(directory=tmp_path)
    monkeypatch.undo()
    assert tiny(directory=tmp_path).complete


def test_runs_go_coarse_to_fine_and_the_first_seed_first():
    job = plan(
        ds.MLP([2, 3, 3]),
        ds.data.spiral(samples=4),
        ds.SGD(),
        over={"learning_rate": log(0.01, 1, 9), "momentum": linear(0, 0.8, 9)},
        seeds=2,
        epochs=1,
        engine="reference",
    )
    taken = []

    class Watching(ThreadExecutor):
        def execute(self, job, chunks, stop):
            def watched():
                for chunk in chunks:
                    taken.extend(chunk)
                    yield chunk

            return super().execute(job, watched(), stop)

    assert execute(job, Watching(1)).complete
    assert taken[:4] == [0, 16, 144, 160]
    assert [run % 2 for run in taken] == [0] * 81 + [1] * 81
    assert sorted(taken) == list(range(162))


def test_chunks_grow_with_the_speed_and_shrink_at_the_end():
    job = plan(
        ds.MLP([2, 3, 3]),
        ds.data.spiral(samples=4),
        ds.SGD(),
        over={"learning_rate": log(0.01, 1, 50)},
        seeds=20,
        epochs=1,
        engine="reference",
    )
    executor = ThreadExecutor(2)
    chunks = driver._Chunks(job, np.zeros(1000, dtype=bool), executor)
    source = iter(chunks)
    first = next(source)
    assert len(first) == 1
    made = Bench(job).work(first)
    chunks.learn(made._replace(seconds=0.01))
    sizes = [len(chunk) for chunk in source]
    assert sizes[0] == 25
    assert sizes[-1] == 1
    assert sum(sizes) == 999


def test_progress_is_shown_when_asked_for(tiny, capsys):
    tiny(over={"learning_rate": [0.1, 1e30]}, seeds=1, progress=True)
    shown = capsys.readouterr().err
    assert "2/2" in shown
    assert "1 exploded" in shown
    tiny(progress=False)
    tiny()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threads": 0}, "threads must be a whole number at least 1"),
        ({"threads": 2, "workers": 2}, "workers must be left out where threads is given. Received: workers=2"),
        ({"progress": 1}, "progress must be True or False"),
        ({"on_progress": 3}, "on_progress must be a function of the result so far"),
        ({"over": {}}, "over must be settings with their values"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tiny, tmp_path, changes, message):
    with pytest.raises(InputError) as error:
        tiny(**{"threads": None, **changes}, directory=tmp_path / "sweep")
    assert str(error.value).startswith(message)
    assert not (tmp_path / "sweep").exists()


def test_a_users_rule_that_was_edited_is_another_sweep(tmp_path):
    source = """
import downslope as ds
class Mine(ds.Optimizer):
    '''Mine.'''
    learning_rate = ds.setting(0.1, above=0, meaning="size of a step")
    def update(xp, parameter, gradient, learning_rate):
        return parameter - learning_rate * gradient
"""

    def mine(text):
        room = {"__name__": "script"}
        exec(compile(text, "script.py", "exec"), room)
        return sweep(
            ds.MLP([2, 3, 3]),
            ds.data.spiral(samples=4),
            room["Mine"](),
            over={"learning_rate": [0.1, 0.2]},
            epochs=2,
            engine="reference",
            directory=tmp_path,
        )

    assert mine(source).complete
    assert mine("# a word\n" + source).complete
    with pytest.raises(InputError, match="directory must be that of this sweep, with rule="):
        mine(source.replace("- learning_rate", "- learning_rate * learning_rate"))


def test_a_rule_whose_changes_cannot_be_seen_is_not_continued(tmp_path):
    class Rates:
        def __call__(self, k):
            return 0.1

    settings = {"over": {"momentum": [0.0, 0.5]}, "epochs": 2, "engine": "reference", "directory": tmp_path}
    parts = (ds.MLP([2, 3, 3]), ds.data.spiral(samples=4))
    optimizer = ds.SGD(Rates())
    assert sweep(*parts, optimizer, **settings).complete
    assert sweep(*parts, optimizer, **settings).complete  # the same object
    with pytest.raises(InputError, match="directory must be new for a rule whose code reaches a list"):
        sweep(*parts, ds.SGD(Rates()), **settings)


def test_who_stops_it_right_after_the_first_result_has_that_result(monkeypatch):
    """The interrupt comes when a result is kept, and before anybody was told of it."""
    add, told = store_module.Store.add, []

    def interrupted(self, made):
        add(self, made)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(store_module.Store, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ds.sweep(
            ds.MLP([2, 4, 3]), ds.data.spiral(10), ds.SGD(), over={"learning_rate": [0.1, 0.2, 0.3]}, epochs=5, seeds=3,
            threads=1, on_progress=lambda result: told.append(result.finished),
        )  # fmt: skip
    assert told
    assert told[0] >= 1
