import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from polars.testing import assert_frame_equal

import downslope as ds
from downslope.cli import main
from downslope.errors import InputError, MissingExtraError
from downslope.sweeps import cluster as cluster_module
from downslope.sweeps import execute, log, open_sweep, plan, sweep
from downslope.sweeps.cluster import DaskExecutor
from downslope.sweeps.work import Bench, Stop

distributed = pytest.importorskip("distributed", reason="the extra `dask`")

PATIENCE = 300.0
PARTS = (ds.MLP([2, 6, 3]), ds.data.spiral(samples=6))
# Dask's own: files that its processes leave to the collector, and Tornado's sockets when a worker is killed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]


def started(workers):
    return distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50, memory_limit=0
    )


@pytest.fixture(scope="module")
def machines():
    """A cluster of two worker processes, one thread each."""
    with started(2) as machines:
        yield machines


@pytest.fixture
def mortals():
    """A cluster of four worker processes, enough for all that a test kills: new ones may be long in coming."""
    with started(4) as machines:
        yield machines


@pytest.fixture
def address(machines):
    return machines.scheduler_address


def until(true):
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def pids(machines):
    return [nanny.process.pid for nanny in machines.workers.values() if nanny.process and nanny.process.pid]


def nothing_is_left(machines):
    until(lambda: not any(key.startswith("downslope") for key in map(str, machines.scheduler.tasks)))
    return not [thread for thread in threading.enumerate() if thread.name.startswith("sweep-")]


def test_every_bit_is_that_of_the_sweep_in_this_process(tiny, machines, address, tmp_path):
    settings = {"batch_size": 5, "validation": 0.3, "history_every": 2, "keep_parameters": True, "seeds": 4}
    here = tiny(**settings)
    there = tiny(**settings, threads=None, cluster=address, directory=tmp_path)
    assert there.complete
    assert_frame_equal(here.frame(), there.frame(), check_exact=True)
    for key in here.frame()["key"].to_list()[::7]:
        assert_frame_equal(here.history(key), there.history(key), check_exact=True)
        assert here.parameters(key).tobytes() == there.parameters(key).tobytes()
    assert_frame_equal(open_sweep(tmp_path).frame(), there.frame(), check_exact=True)
    assert nothing_is_left(machines)


def test_a_killed_worker_loses_nothing(tiny, mortals):
    killed = []

    def kill(result):
        if not killed and result.finished >= 5:
            killed.append(pids(mortals)[0])
            os.kill(killed[0], signal.SIGKILL)

    settings = {"seeds": 30, "epochs": 30}
    result = tiny(**settings, threads=None, cluster=mortals.scheduler_address, on_progress=kill)
    assert killed
    assert killed[0] not in pids(mortals)
    assert result.frame()["key"].n_unique() == 180
    assert set(result.frame()["outcome"]) == {"finished"}
    assert_frame_equal(result.frame(), tiny(**settings).frame(), check_exact=True)


def deadly_sgd():
    """Return a rule that kills its worker at a learning rate of 0.2; sent by value, as one in a notebook."""

    def kill(rate):
        import os

        if rate == 0.2:
            os._exit(7)

    class Deadly(ds.Optimizer):
        """Plain descent, but deadly at 0.2."""

        learning_rate = ds.setting(0.1, above=0, meaning="size of a step")

        def per_step(self, step):
            kill(self.learning_rate)
            return {"learning_rate": self.learning_rate}

        def update(xp, parameter, gradient, learning_rate):  # noqa: N805
            return parameter - learning_rate * gradient

    return Deadly()


def test_a_deadly_run_fails_alone_and_is_named(mortals):
    with distributed.Client(mortals.scheduler_address, set_as_default=False) as client:
        client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
        job = plan(*PARTS, deadly_sgd(), over={"learning_rate": [0.1, 0.15, 0.2, 0.3]}, epochs=2, engine="reference")

        class OneChunk(DaskExecutor):
            def execute(self, job, chunks, stop):
                return super().execute(job, [[0, 1, 2, 3]], stop)

        frame = execute(job, OneChunk(mortals.scheduler_address)).frame()
    assert frame["outcome"].to_list() == ["finished", "finished", "failed", "finished"]
    said = "the chunk of run 2 alone was given up: each of the workers that tried it was lost"
    assert frame["message"].drop_nulls().to_list() == [said]
    assert nothing_is_left(mortals)


def test_a_rule_of_ones_own_in_a_script(address, tmp_path):
    script = """
import sys
import downslope as ds
from downslope.sweeps import sweep

HALF = 0.5

def halved(rate):
    return HALF * rate

class Base(ds.Optimizer):
    '''What mine is made of.'''
    learning_rate = ds.setting(0.1, above=0, meaning="size of a step")

    def update(xp, parameter, gradient, rate):
        return parameter - rate * gradient

    def per_step(self, step):
        return {"rate": self.learning_rate}

class Mine(Base):
    '''Mine.'''

    def per_step(self, step):
        return {"rate": halved(self.learning_rate)}

class Named(Mine):
    '''Names itself.'''

    def per_step(self, step):
        return super().per_step(step)

def trained(optimizer, **more):
    return sweep(ds.MLP([2, 6, 3]), ds.data.spiral(samples=6), optimizer, over={"learning_rate": [0.1, 0.2]},
                 epochs=3, engine="reference", **more).frame()

assert trained(Mine(), cluster=sys.argv[1]).equals(trained(Mine()))
try:
    trained(Named(), cluster=sys.argv[1])
except ds.InputError as error:
    print(error)
"""
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "script.py", address]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert process.stderr == ""
    assert process.stdout.startswith("a sweep in other processes must be of rules, schedules and layers that can be")
    assert process.stdout.endswith("Received: PicklingError: Named, whose own code names it, in no module\n")


def test_control_c_stops_the_workers_and_keeps_what_is_finished(tiny, machines, address, tmp_path):
    settings = {"over": {"learning_rate": [0.1, 0.2, 0.3]}, "threads": None, "cluster": address, "directory": tmp_path}

    def press_when_they_train():
        try:
            with distributed.Client(address, set_as_default=False) as client:
                until(lambda: any(client.run(lambda dask_worker: dask_worker.state.executing_count).values()))
        finally:
            signal.raise_signal(signal.SIGINT)

    presser = threading.Thread(target=press_when_they_train)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        tiny(epochs=10**8, **settings)
    presser.join()
    assert open_sweep(tmp_path).finished == 0
    assert nothing_is_left(machines)
    with distributed.Client(address, set_as_default=False) as client:
        until(lambda: not any(client.run(lambda dask_worker: dask_worker.state.executing_count).values()))
    assert tiny(threads=None, cluster=address).complete


def test_a_killed_sweep_goes_on(address, tmp_path):
    script = textwrap.dedent("""
        import sys, time, downslope as ds
        from downslope.sweeps import sweep, store
        store.SECONDS_BETWEEN_WRITES = 0.0

        def wait(result):
            if result.finished >= 3:  # for the kill, while the workers go on
                print("waiting", flush=True)
                time.sleep(10**6)

        sweep(ds.MLP([2, 6, 3]), ds.data.spiral(samples=6), ds.SGD(), over={"learning_rate": "log:0.01:10:20"},
              seeds=10, epochs=30, directory=sys.argv[1], engine="reference", cluster=sys.argv[2], on_progress=wait)
    """)
    command = [sys.executable, "-c", script, str(tmp_path), address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waiting\n"
    process.kill()
    _, complaint = process.communicate(timeout=PATIENCE)
    assert (complaint, process.returncode) == ("", -signal.SIGKILL)
    left = open_sweep(tmp_path).finished
    assert 0 < left < 200
    settings = {"over": {"learning_rate": log(0.01, 10, 20)}, "seeds": 10, "epochs": 30, "engine": "reference"}
    done = []
    result = sweep(
        *PARTS,
        ds.SGD(),
        **settings,
        cluster=address,
        directory=tmp_path,
        on_progress=lambda result: done.append(result.finished),
    )
    assert left < done[0] < 200
    assert result.frame()["key"].n_unique() == 200
    assert_frame_equal(result.frame(), sweep(*PARTS, ds.SGD(), **settings).frame(), check_exact=True)


def test_few_chunks_are_under_way(machines, address):
    taken = []

    def chunks():
        for run in range(200):
            taken.append(run)
            yield [run]

    job = plan(*PARTS, ds.SGD(), over={"learning_rate": [0.1, 0.2]}, seeds=100, epochs=1, engine="reference")
    results = DaskExecutor(address).execute(job, chunks(), Stop())
    for count, (runs, made) in enumerate(results, start=1):
        assert made.summary.equals(Bench(job).work(runs).summary)
        assert len(taken) <= count + 2 * cluster_module.CHUNKS_PER_THREAD
        assert len(machines.scheduler.tasks) <= 2 + 2 * 2 * cluster_module.CHUNKS_PER_THREAD + 16
        if count == 50:
            break
    results.close()
    assert nothing_is_left(machines)


def test_other_versions_are_refused(tiny, machines, address, monkeypatch):
    monkeypatch.setattr("downslope.sweeps.parcel.__version__", "9.9")
    with pytest.raises(InputError, match=r"a worker must have Downslope 9\.9 .*Received: Downslope"):
        tiny(threads=None, cluster=address)
    assert nothing_is_left(machines)


def test_other_code_of_a_rule_is_refused(tiny, machines, address, monkeypatch):
    monkeypatch.setattr(ds.SGD, "per_step", lambda self, step: {})
    with pytest.raises(InputError, match=r"a worker must have the sweep's own code of SGD\. Received: other code"):
        tiny(threads=None, cluster=address)
    assert nothing_is_left(machines)


def test_a_scheduler_that_goes_away_ends_the_sweep_and_what_is_finished_is_kept(tiny, tmp_path):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=50
    ) as going:

        def close(result):
            if going.status.name == "running":
                going.close()

        message = r"cluster must be a Dask scheduler that goes on until the sweep is done; what is finished is kept"
        settings = {"seeds": 100, "directory": tmp_path, "threads": None}
        with pytest.raises(InputError, match=message):
            tiny(**settings, cluster=going.scheduler_address, on_progress=close)
    assert 0 < open_sweep(tmp_path).finished < 600


@pytest.fixture
def nobody():
    """An address that is taken, so that nobody else gets it meanwhile, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{taken.getsockname()[1]}"


def test_an_address_where_nobody_answers(tiny, nobody, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cluster_module, "SECONDS_TO_CONNECT", 0.5)
    message = "cluster must be the address of a Dask scheduler that answers, such as tcp://10.0.0.5:8786. Received: "
    with pytest.raises(InputError) as error:
        tiny(threads=None, cluster=nobody, directory=tmp_path / "out")
    assert str(error.value) == f"{message}cluster={nobody!r} (no answer in 0.5 s)"
    assert not (tmp_path / "out").exists()
    settings = ["--over", "learning_rate=0.1,0.2", "--epochs", "1", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main(["map", "spiral", *settings, "--cluster", nobody])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"downslope: {message}cluster={nobody!r} (no answer in 0.5 s)"


def test_something_else_answers(monkeypatch, machines):
    monkeypatch.setattr(cluster_module, "SECONDS_TO_CONNECT", 0.5)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(InputError, match=r"that answers.*no answer in 0\.5 s"):
            DaskExecutor(f"tcp://127.0.0.1:{mute.getsockname()[1]}")
    monkeypatch.undo()
    worker = next(iter(machines.scheduler.workers))
    with pytest.raises(InputError, match="a worker answers there"):
        DaskExecutor(worker)


@pytest.mark.parametrize("address", ["nonsense", "http://x:3", "", 3])
def test_what_is_no_address(address):
    with pytest.raises(InputError, match=r"cluster must be the address of a Dask scheduler"):
        DaskExecutor(address)


def test_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed.core", None)
    with pytest.raises(MissingExtraError, match=r"Install it with: pip install 'downslope\[dask\]'"):
        DaskExecutor("tcp://127.0.0.1:1")
