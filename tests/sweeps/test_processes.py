import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import downslope as ds
from downslope.errors import InputError
from downslope.sweeps import execute, log, open_sweep, plan, processes, sweep
from downslope.sweeps.processes import ProcessExecutor
from downslope.sweeps.work import Bench, Stop

PARTS = (ds.MLP([2, 6, 3]), ds.data.spiral(samples=6))
WORKER = {"threads": None, "workers": 1}
PATIENCE = 300.0  # seconds, for what takes a few on an idle machine

# A rule whose formula kills its process, at a learning rate of its own, in the worker alone.
DEADLY = """
    import os, sys
    import downslope as ds
    from downslope.sweeps import sweep

    def kill(step, rate):
        if rate == 0.2:
            os._exit(7)

    class Deadly(ds.Optimizer):
        '''Plain descent, but deadly at 0.2.'''
        learning_rate = ds.setting(0.1, above=0, meaning="size of a step")

        def per_step(self, step):
            kill(step, self.learning_rate)
            return {"learning_rate": self.learning_rate}

        def update(xp, parameter, gradient, learning_rate):
            return parameter - learning_rate * gradient
"""


def children(of):
    """Return the processes that a process has started and that are still there."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == of and state != "Z":
            found.append(int(status.parent.name))
    return found


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(true):
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def started(source, *arguments, cwd):
    (cwd / "script.py").write_text(textwrap.dedent(source))
    command = [sys.executable, "script.py", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


def test_every_bit_is_that_of_the_sweep_in_this_process(tiny, tmp_path):
    settings = {"batch_size": 5, "validation": 0.3, "history_every": 2, "keep_parameters": True, "seeds": 4}
    here = tiny(**settings)
    there = tiny(**settings, threads=None, workers=2, directory=tmp_path)
    assert there.complete
    assert_frame_equal(here.frame(), there.frame(), check_exact=True)
    for key in here.frame()["key"].to_list()[::7]:
        assert_frame_equal(here.history(key), there.history(key), check_exact=True)
        assert here.parameters(key).tobytes() == there.parameters(key).tobytes()
    assert_frame_equal(open_sweep(tmp_path).frame(), there.frame(), check_exact=True)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sweep-")]


@linux
def test_a_killed_worker_is_replaced_and_its_chunk_trained_again(tiny):
    before, killed = set(children(os.getpid())), []

    def kill(result):
        mine = set(children(os.getpid())) - before - set(killed)  # one that was killed may take a while to go
        if len(killed) < 2 and mine:
            killed.append(mine.pop())
            os.kill(killed[-1], signal.SIGKILL)

    settings = {"seeds": 20, "epochs": 30}
    result = tiny(**settings, threads=None, workers=2, on_progress=kill)
    assert len(killed) == 2
    assert result.frame()["key"].n_unique() == 120
    assert_frame_equal(result.frame(), tiny(**settings).frame(), check_exact=True)
    assert set(children(os.getpid())) <= before


def test_a_worker_that_dies_with_its_chunk_every_time_costs_that_run_alone(tmp_path):
    script = (
        DEADLY
        + """
    if __name__ == "__main__":
        result = sweep(ds.MLP([2, 6, 3]), ds.data.spiral(samples=6), Deadly(), over={"learning_rate": [0.1, 0.2, 0.3]},
                       seeds=2, epochs=2, engine="reference", workers=2, directory="out")
    """
    )
    process = started(script, cwd=tmp_path)
    said, complaint = process.communicate(timeout=PATIENCE)
    assert (said, complaint, process.returncode) == ("", "", 0)
    frame = open_sweep(tmp_path / "out").frame()
    assert frame["outcome"].to_list() == ["finished"] * 2 + ["failed"] * 2 + ["finished"] * 2
    tried = "was given up: each of the processes that tried ended with status 7"
    assert frame["message"].drop_nulls().to_list() == [f"the chunk of run {run} alone {tried}" for run in (2, 3)]


def test_the_other_runs_of_a_deadly_chunk_are_trained(monkeypatch):
    tries = []

    class Dying:
        def __init__(self, parcel):
            self.bench = Bench(processes.opened(parcel))

        def train(self, runs):
            tries.append(runs)
            return processes._LostError("died") if 4 in runs else self.bench.work(runs)

        def kill(self):
            pass

        end = ask_to_stop = kill

    monkeypatch.setattr(processes, "_Worker", Dying)
    job = plan(*PARTS, ds.SGD(), over={"learning_rate": [0.1, 0.2]}, seeds=4, epochs=2, engine="reference")
    got = list(ProcessExecutor(1).execute(job, [[0, 1], [2, 3, 4, 5], [6, 7]], Stop()))
    assert [runs for runs, _ in got] == [[0, 1], [2], [3], [4], [5], [6, 7]]
    assert [runs for runs, outcome in got if isinstance(outcome, Exception)] == [[4]]
    assert tries == [[0, 1], [2, 3, 4, 5], [2, 3, 4, 5], [2], [3], [4], [4], [5], [6, 7]]


@linux
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_long_runs_end_with_the_sweep(tmp_path, how):
    script = """
        import os, downslope as ds
        from pathlib import Path
        from downslope.sweeps import sweep

        def mark():
            Path(f"begun-{os.getpid()}").touch()

        class Marking(ds.Optimizer):
            '''Plain descent that leaves a trace.'''
            learning_rate = ds.setting(0.1, above=0, meaning="size of a step")

            def per_step(self, step):
                mark()
                return {"learning_rate": self.learning_rate}

            def update(xp, parameter, gradient, learning_rate):
                return parameter - learning_rate * gradient

        if __name__ == "__main__":
            try:
                sweep(ds.MLP([2, 6, 3]), ds.data.spiral(samples=6), Marking(), over={"learning_rate": [0.1, 0.2, 0.3]},
                      epochs=10**8, directory="out", engine="reference", workers=2)
            except KeyboardInterrupt:
                print("interrupted")
    """
    process = started(script, cwd=tmp_path)
    until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
    workers = children(process.pid)
    process.send_signal(how)
    said, complaint = process.communicate(timeout=PATIENCE)
    killed = how == signal.SIGKILL
    assert (said, complaint, process.returncode) == (("", "", -how) if killed else ("interrupted\n", "", 0))
    if killed:
        until(lambda: not any(map(alive, workers)))
    assert not any(map(alive, workers))
    assert open_sweep(tmp_path / "out").finished == 0


@linux
def test_a_killed_sweep_leaves_no_process_and_goes_on(tmp_path):
    script = """
        import time, downslope as ds
        from downslope.sweeps import sweep, store
        store.SECONDS_BETWEEN_WRITES = 0.0

        def wait(result):
            if result.finished >= 3:  # for the kill, while the workers go on
                print("waiting", flush=True)
                time.sleep(10**6)

        sweep(ds.MLP([2, 6, 3]), ds.data.spiral(samples=6), ds.SGD(), over={"learning_rate": "log:0.01:10:20"},
              seeds=10, epochs=30, directory="out", engine="reference", workers=2, on_progress=wait)
    """
    process = started(script, cwd=tmp_path)
    assert process.stdout.readline() == "waiting\n"
    workers = children(process.pid)
    process.kill()
    _, complaint = process.communicate(timeout=PATIENCE)
    assert (complaint, process.returncode, len(workers)) == ("", -signal.SIGKILL, 2)
    until(lambda: not any(map(alive, workers)))
    left = open_sweep(tmp_path / "out").finished
    assert 0 < left < 200
    settings = {"over": {"learning_rate": log(0.01, 10, 20)}, "seeds": 10, "epochs": 30, "engine": "reference"}
    done = []
    result = sweep(
        *PARTS,
        ds.SGD(),
        **settings,
        workers=2,
        directory=tmp_path / "out",
        on_progress=lambda result: done.append(result.finished),
    )
    assert left < done[0] < 200
    assert result.frame()["key"].n_unique() == 200
    assert_frame_equal(result.frame(), sweep(*PARTS, ds.SGD(), **settings).frame(), check_exact=True)


def test_a_rule_of_ones_own_in_a_script(tmp_path):
    script = """
        import downslope as ds
        from downslope.sweeps import sweep

        class Mine(ds.Optimizer):
            '''Mine.'''
            learning_rate = ds.setting(0.1, above=0, meaning="size of a step")

            def update(xp, parameter, gradient, learning_rate):
                return parameter - learning_rate * gradient

        def trained(**more):
            return sweep(ds.MLP([2, 6, 3]), ds.data.spiral(samples=6), Mine(), over={"learning_rate": [0.1, 0.2]},
                         epochs=3, engine="reference", **more)

        print("read")
        if __name__ == "__main__":
            assert trained(workers=2).frame().equals(trained().frame())
    """
    process = started(script, cwd=tmp_path)
    assert process.communicate(timeout=PATIENCE) == ("read\n", "")
    unguarded = script.replace("assert trained(workers=2)", "trained(workers=2)").replace(
        'if __name__ == "__main__":', "if True:"
    )
    process = started(unguarded, cwd=tmp_path)
    _, complaint = process.communicate(timeout=PATIENCE)
    assert complaint.splitlines()[-1].endswith(
        "InputError: a sweep with workers must stand under if __name__ == '__main__': in a script whose own rule it "
        "trains, since every worker reads that script"
    )


def test_a_script_without_a_rule_of_its_own_is_not_read_again(tmp_path):
    script = """
        import downslope as ds
        from downslope.sweeps import sweep
        print("read")
        sweep(ds.MLP([2, 3, 3]), ds.data.spiral(samples=4), ds.SGD(), over={"learning_rate": [0.1]},
              epochs=1, engine="reference", workers=1)
    """
    assert started(script, cwd=tmp_path).communicate(timeout=PATIENCE) == ("read\n", "")


class Here(ds.Optimizer):
    """Of a module that only the test's process can import."""

    learning_rate = ds.setting(0.1, above=0, meaning="size of a step")

    def update(xp, parameter, gradient, learning_rate):  # noqa: N805
        return parameter - learning_rate * gradient


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (ds.SGD(lambda k: 0.1), "a sweep in other processes must be of rules, schedules and layers that can be sent"),
        (Here(), "a worker must be able to import what Here and the sweep's other parts are made of. Received: Mod"),
    ],
)
def test_what_cannot_be_sent_is_refused(tiny, monkeypatch, optimizer, message):
    monkeypatch.setattr(Here, "__module__", "nowhere_to_be_found")
    monkeypatch.setitem(sys.modules, "nowhere_to_be_found", sys.modules[__name__])
    with pytest.raises(InputError) as error:
        tiny(optimizer, over={"learning_rate" if isinstance(optimizer, Here) else "momentum": [0.1]}, **WORKER)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_other_versions_are_refused(tiny, monkeypatch):
    monkeypatch.setattr("downslope.sweeps.parcel.__version__", "9.9")
    with pytest.raises(InputError, match=r"a worker must have Downslope 9\.9 .*Received: Downslope"):
        tiny(threads=None, workers=1)


def test_a_process_that_cannot_be_started_ends_the_sweep(tiny, monkeypatch):
    monkeypatch.setattr(processes, "BEGIN", "import os; os._exit(3)")
    with pytest.raises(InputError, match=r"workers must be processes that can be started\. .* ended with status 3"):
        tiny(threads=None, workers=2)


def test_an_error_in_the_hook_ends_all_processes(tiny):
    class CutError(Exception):
        pass

    def cut(result):
        raise CutError

    with pytest.raises(CutError):
        tiny(epochs=1000, threads=None, workers=2, on_progress=cut)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sweep-")]


def test_chunks_are_taken_as_there_is_room():
    taken = []

    def chunks():
        for run in range(40):
            taken.append(run)
            yield [run]

    job = plan(*PARTS, ds.SGD(), over={"learning_rate": [0.1, 0.2]}, seeds=20, epochs=1, engine="reference")
    results = ProcessExecutor(1).execute(job, chunks(), Stop())
    next(results)
    assert len(taken) <= 8
    results.close()


@pytest.mark.parametrize("workers", [0, 1.5, True])
def test_workers(tiny, workers, tmp_path):
    with pytest.raises(InputError, match="workers must be a whole number at least 1"):
        tiny(threads=None, workers=workers, directory=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failed_chunk_is_named(monkeypatch):
    job = plan(*PARTS, ds.SGD(), over={"learning_rate": [0.1, 0.2]}, seeds=2, epochs=1, engine="reference")

    class Failing(ProcessExecutor):
        def execute(self, job, chunks, stop):
            for chunk in chunks:
                yield chunk, processes.ChunkError(f"MemoryError, in {processes.name_of(chunk)}")

    frame = execute(job, Failing(1)).frame()
    assert frame["outcome"].to_list() == ["failed"] * 4
    assert set(frame.select(pl.col("message").str.starts_with("MemoryError, in the chunk of "))["message"]) == {True}
