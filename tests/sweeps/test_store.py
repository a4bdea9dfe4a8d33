import errno
import json
import os
import subprocess
import sys
import threading

import polars as pl
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.sweeps import plan
from downslope.sweeps import store as store_module
from downslope.sweeps.store import Store, read_settings
from downslope.sweeps.work import Bench


def planned(**changes):
    settings = {"over": {"learning_rate": [0.1, 0.2]}, "seeds": 50, "epochs": 1, "engine": "reference", **changes}
    return plan(ds.MLP([2, 3, 3]), ds.data.spiral(samples=4), ds.SGD(), **settings)


JOB = planned()


@pytest.fixture(scope="module")
def finished():
    return [Bench(JOB).work([run]) for run in range(100)]


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(store_module, "SECONDS_BETWEEN_WRITES", 0.0)


def files(directory, kind="runs"):
    return sorted((directory / kind).glob("*.parquet"))


def test_what_is_added_is_there_again(tmp_path, finished):
    store = Store.begun(JOB.settings, tmp_path / "new" / "sweep")
    for one in finished[5:0:-1]:
        store.add(one)
    assert store.finished == 5
    assert store.runs()["run"].to_list() == [1, 2, 3, 4, 5]  # also before it is written
    store.flush()
    store.close()
    again = Store.begun(JOB.settings, str(tmp_path / "new" / "sweep"))
    assert again.finished == 5
    assert again.runs().equals(store.runs())
    again.add(finished[0])
    assert again.runs(["seed"]).columns == ["run", "seed"]
    assert again.runs(["seed"])["run"].to_list() == [0, 1, 2, 3, 4, 5]
    again.close()


def test_without_a_directory_it_is_in_memory(finished, monkeypatch):
    monkeypatch.setattr(store_module, "MOST_TABLES_HELD", 8)
    store = Store.begun(JOB.settings, None)
    assert (store.runs(), store.finished) == (None, 0)
    for one in finished:
        store.add(one)
    store.flush()
    assert store.finished == 100
    assert store.runs()["run"].to_list() == list(range(100))
    assert len(store._held["runs"]) <= 8
    store.close()


def test_many_small_files_become_few(tmp_path, finished, at_once):
    store = Store.begun(JOB.settings, tmp_path)
    most = 0
    for one in finished:
        store.add(one)
        most = max(most, len(files(tmp_path)))
    assert most < 2 * store_module.PARTS_OF_A_SIZE
    assert store.runs()["run"].to_list() == list(range(100))
    store.close()
    again = Store.begun(JOB.settings, tmp_path)
    assert again.finished == 100
    again.close()


def test_a_kill_between_merging_and_removing_leaves_every_run_once(tmp_path, finished, at_once, monkeypatch):
    store = Store.begun(JOB.settings, tmp_path)
    removed = []
    monkeypatch.setattr(type(tmp_path), "unlink", lambda path, missing_ok=False: removed.append(path))
    for one in finished[:20]:
        store.add(one)
    store.close()
    assert len([path for path in removed if path.suffix == ".parquet" and not path.name.startswith(".")]) == 16
    again = Store.begun(JOB.settings, tmp_path)
    assert sum(again._own.values()) > again.finished == 20
    assert again.runs()["run"].to_list() == list(range(20))
    again.close()


def test_half_written_and_foreign_files_are_ignored(tmp_path, finished):
    store = Store.begun(JOB.settings, tmp_path)
    store.add(finished[0])
    store.flush()
    store.close()
    (tmp_path / "runs" / ".abc.parquet.x1").write_bytes(b"PAR1")
    (tmp_path / "runs" / ".abc.x1.parquet").write_bytes(b"PAR1")
    (tmp_path / "notes.txt").write_text("mine")
    again = Store.begun(JOB.settings, tmp_path)
    assert again.finished == 1
    again.close()


def test_a_broken_file_is_named(tmp_path, finished):
    store = Store.begun(JOB.settings, tmp_path)
    store.add(finished[0])
    store.flush()
    store.close()
    (part,) = files(tmp_path)
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(InputError, match=f"{part.name} could not be read; without that file its runs are"):
        Store.begun(JOB.settings, tmp_path)
    part.unlink()
    Store.begun(JOB.settings, tmp_path).close()  # the refusal let go of the directory


def test_a_directory_of_another_sweep_is_refused_by_the_first_difference(tmp_path):
    Store.begun(JOB.settings, tmp_path).close()
    with pytest.raises(InputError) as error:
        Store.begun(planned(epochs=2).settings, tmp_path)
    assert str(error.value) == (
        f"directory must be that of this sweep, with epochs=2. Received: {tmp_path}, whose sweep has epochs=1"
    )
    with pytest.raises(InputError, match=r"with over=.*whose sweep has over="):
        Store.begun(planned(over={"learning_rate": [0.1]}).settings, tmp_path)
    Store.begun(JOB.settings, tmp_path).close()


def test_what_cannot_hold_a_sweep_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "settings.json").write_text("{}")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".DS_Store").write_text("")
    cases = {
        tmp_path / "file": "directory must be a directory, not a file",
        tmp_path / "file" / "below": "could not be written: Not a directory",
        tmp_path / "full": "directory must be new, empty, or that of an earlier call of this sweep.*holds thesis.tex",
        tmp_path / "other": "settings.json must be what a sweep wrote",
        "": "directory must be a directory for the results",
        3: "directory must be a directory for the results",
    }
    for given, message in cases.items():
        with pytest.raises(InputError, match=message):
            Store.begun(JOB.settings, given)
    Store.begun(JOB.settings, tmp_path / "hidden").close()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


def test_a_directory_one_may_not_write_is_refused(tmp_path, monkeypatch):
    def denied(*arguments, **named):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(type(tmp_path), "mkdir", denied)
    with pytest.raises(InputError, match="could not be written: Permission denied"):
        Store.begun(JOB.settings, tmp_path / "sweep")
    monkeypatch.undo()
    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(InputError, match="could not be written: Permission denied"):
        Store.begun(JOB.settings, tmp_path / "sweep")


def test_a_full_disk_is_said_and_what_was_written_stays(tmp_path, finished, at_once, monkeypatch):
    store = Store.begun(JOB.settings, tmp_path)
    store.add(finished[0])

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "write_bytes", full)
        with pytest.raises(InputError, match="could not be written: No space left on device"):
            store.add(finished[1])
    assert len(list((tmp_path / "runs").iterdir())) == 1
    store.flush()  # there is room again
    store.close()
    assert Store(JOB.settings, tmp_path).runs()["run"].to_list() == [0, 1]


def test_one_writer_at_a_time_and_readers_meanwhile(tmp_path, finished, at_once):
    store = Store.begun(JOB.settings, tmp_path)
    script = (
        "import json, sys; from downslope.sweeps.store import Store, read_settings; from pathlib import Path;"
        "path = Path(sys.argv[1]);\n"
        "try: Store.begun(read_settings(path), path)\n"
        "except Exception as error: print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == (
        "directory must be used by one sweep at a time; another process is writing to it. " + f"Received: {tmp_path}"
    )
    reader = Store(read_settings(tmp_path), tmp_path)
    assert reader.runs() is None
    counts, failures = [], []

    def read():
        try:
            while not counts or counts[-1] < 100:
                counts.append(reader.finished)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for one in finished:
        store.add(one)
    thread.join(60)
    store.close()
    assert not failures
    assert counts == sorted(counts)


def test_settings_read_back(tmp_path):
    Store.begun(JOB.settings, tmp_path).close()
    assert read_settings(tmp_path) == json.loads(json.dumps(JOB.settings))
    with pytest.raises(InputError, match=r"directory must hold a sweep's settings\.json"):
        read_settings(tmp_path / "elsewhere")


def test_rows_of_a_run_are_found_among_all_files(tmp_path, at_once):
    job = planned(history_every=1, keep_parameters=True)
    store = Store.begun(job.settings, tmp_path)
    for run in range(4):
        store.add(Bench(job).work([run]))
    assert len(files(tmp_path, "histories")) == 4
    assert store.of_run("histories", 2)["run"].to_list() == [2]
    assert store.of_run("parameters", 3).schema["parameters"] == pl.Binary
    assert store.of_run("parameters", 4) is None
    store.close()
