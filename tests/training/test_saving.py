"""What is stored of a run, what is refused, what is said, and saving while it trains."""

import copy
import json
import math
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.network import MeanSquaredError, Network
from downslope.training import saved_document
from downslope.training.arrays_file import Arrays
from downslope.training.checkpoint import CheckpointWarning, Writer, read_checkpoint, write_checkpoint
from downslope.training.guard import Guard
from downslope.training.saving import Autosave, header

DATA = ds.data.spiral(20)
STORED = Arrays({"inputs": DATA.inputs, "targets": DATA.targets})


def made(optimizer=None, **settings):
    return ds.Run(ds.MLP([2, 4, 3]), DATA, optimizer or ds.SGD(0.1), **{"engine": "reference", **settings})


@pytest.fixture
def run():
    made_run = made()
    made_run.train(2, progress=False)
    return made_run


@pytest.fixture
def saved(run, tmp_path):
    run.save(tmp_path / "run")
    return tmp_path / "run"


def test_the_header_says_what_a_run_is_without_its_arrays(run, saved, monkeypatch):
    next(saved.glob("data-*")).unlink()  # not looked at
    told = header(saved)
    assert {name: told[name] for name in ("id", "parent", "step", "epoch", "number", "skipped", "changes")} == {
        "id": run.id, "parent": None, "step": 2, "epoch": 2, "number": 1, "skipped": (), "changes": 0,
    }  # fmt: skip
    assert told["numbers"] == run.history.row(-1)
    assert told["data"] == {"name": "spiral", "rows": 60, "digest": DATA.digest}
    assert (told["optimizer"], told["first_optimizer"]) == (repr(run.optimizer), repr(run.first_optimizer))
    now = run.evaluate()
    assert told["measured"] == {"training": {"loss": now["loss"], "accuracy": now["accuracy"]}}
    assert told["loss"] == "CrossEntropy()"
    assert told["created"] <= told["saved"]
    branch = run.branch(at=1, learning_rate=0.2)
    branch.save(saved.parent / "branch")
    told = header(saved.parent / "branch")
    assert (told["parent"], told["changes"]) == (branch.parent, 1)


def test_the_time_of_the_first_save_stays(saved, monkeypatch):
    created = header(saved)["created"]
    monkeypatch.setattr(saved_document, "now", lambda: "later")
    other = ds.Run.load(saved)
    other.train(1, progress=False)
    other.save(saved)
    assert (header(saved)["created"], header(saved)["saved"]) == (created, "later")


@pytest.fixture
def exact(tmp_path):
    """A run, saved, whose bits do not depend on how many threads another process gives its BLAS."""
    made_run = made(engine="compiled")
    made_run.train(2, progress=False)
    made_run.save(tmp_path / "exact")
    return made_run, tmp_path / "exact"


def test_a_run_is_loaded_in_a_process_that_never_saw_it(exact):
    run, saved = exact
    program = (
        "import sys, downslope as ds; r = ds.Run.load(sys.argv[1]); r.train(3, progress=False); r.save(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program, str(saved)], check=True)
    run.train(3, progress=False)
    other = ds.Run.load(saved)
    assert other.parameters.tobytes() == run.parameters.tobytes()
    with pytest.raises(InputError, match="another process, or a copy of this run, has gone on there"):
        run.save(saved)
    assert ds.Run.load(saved).parameters.tobytes() == run.parameters.tobytes()


def test_of_two_processes_that_go_on_with_one_run_one_is_refused_and_nothing_is_lost(exact):
    run, saved = exact
    program = """
import sys
import downslope as ds
from downslope.training import checkpoint_place
checkpoint_place.PATIENCE_SECONDS = 300.0  # with a slow disk
run, saves = ds.Run.load(sys.argv[1]), 0
print("loaded", flush=True)
sys.stdin.readline()
for _ in range(10):
    run.train(1, progress=False)
    try:
        run.save(sys.argv[1])
        saves += 1
    except ds.InputError as error:
        assert "a copy of this run, has gone on there" in str(error), error
print(saves, run.step)
"""
    command = [sys.executable, "-c", program, str(saved)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "loaded\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    told = sorted(process.communicate()[0].split() for process in both)
    assert told == [["0", "12"], ["10", "12"]]
    assert header(saved)["number"] == 11
    run.train(10, progress=False)
    assert ds.Run.load(saved).parameters.tobytes() == run.parameters.tobytes()


def test_nothing_is_pickled(saved):
    for path in saved.iterdir():
        raw = path.read_bytes()
        assert path.name == ".lock" or path.suffix in (".json", ".safetensors")
        assert b"downslope.training" not in raw
    json.loads(next(saved.glob("*.json")).read_text(encoding="utf-8"))


@pytest.mark.parametrize("other", [ds.data.spiral(20, seed=1), ds.data.spiral(21), ds.data.blobs(20)])
def test_other_data_are_refused(saved, other):
    message = r"data must be what this run was trained on, spiral of 60 rows .*Received: <Dataset .* of digest"
    with pytest.raises(InputError, match=message):
        ds.Run.load(saved, data=other)


def test_the_same_data_from_another_place_are_taken(run, saved):
    for path in saved.glob("data-*"):
        path.unlink()
    with pytest.raises(InputError, match=r"must be whole, unless Run.load is given the same as data=.* is missing"):
        ds.Run.load(saved)
    again = ds.data.Dataset("elsewhere", DATA.inputs, DATA.targets, DATA.features, DATA.classes, DATA.target)
    other = ds.Run.load(saved, data=again)
    for one in (run, other):
        one.train(2, progress=False)
    assert other.parameters.tobytes() == run.parameters.tobytes()
    other.save(saved)  # and are stored again
    assert ds.Run.load(saved).data.digest == DATA.digest


def test_weights_drawn_after_the_chapters_data_need_not_have_the_data_from_there(tmp_path):
    data = ds.data.spiral(10, seed="chapter")
    run = ds.Run(ds.MLP([2, 4, 3]), data, ds.SGD(0.1), engine="reference")
    run.save(tmp_path)
    plain = ds.data.Dataset("table", data.inputs, data.targets, data.features, data.classes, data.target)
    assert ds.Run.load(tmp_path, data=plain).parameters.tobytes() == run.parameters.tobytes()


def test_data_that_are_no_data_set_are_refused(saved):
    with pytest.raises(InputError, match="data must be a data set such as"):
        ds.Run.load(saved, data=DATA.inputs)


def test_every_changed_byte_of_the_stored_data_is_noticed(saved):
    path = next(saved.glob("data-*"))
    whole = bytearray(path.read_bytes())
    for place in range(0, len(whole), 7):
        whole[place] ^= 1 << place % 8
        path.write_bytes(whole)
        whole[place] ^= 1 << place % 8
        with pytest.raises(InputError, match="its digest differs"):
            ds.Run.load(saved)
    path.write_bytes(whole)
    ds.Run.load(saved)


def test_another_network_is_refused_and_the_same_is_taken(saved):
    with pytest.raises(
        InputError, match=r"network must be the one .* MLP\(\[2, 4, 3\]\). Received: MLP\(\[2, 5, 3\]\)"
    ):
        ds.Run.load(saved, network=ds.MLP([2, 5, 3]))
    assert repr(ds.Run.load(saved, network=ds.MLP([2, 4, 3])).network) == "MLP([2, 4, 3])"


def test_initial_weights_or_scales_of_another_version_are_refused(tmp_path, monkeypatch):
    run = made(standardize=True)
    run.save(tmp_path)
    learn = ds.data.Standardization.learn
    with monkeypatch.context() as patched:
        patched.setattr(ds.data.Standardization, "learn", lambda rows: learn(np.asarray(rows) * 2))
        with pytest.raises(InputError, match="the standardization of the inputs must be that of the run saved in"):
            ds.Run.load(tmp_path)
    first = Network.initial_parameters
    monkeypatch.setattr(Network, "initial_parameters", lambda *given: first(*given) + 1)
    with pytest.raises(InputError, match="the initial weights must be those of the run saved in"):
        ds.Run.load(tmp_path)


def test_a_broken_checkpoint_is_skipped_and_said(run, saved):
    before = run.parameters.tobytes()
    run.train(1, progress=False)
    run.save(saved)
    newest = next(saved.glob("checkpoint-00000002-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(CheckpointWarning, match="checkpoint 2 in .* was skipped: .* has .* bytes, not") as caught:
        other = ds.Run.load(saved)
    assert caught[0].filename == __file__
    assert other.parameters.tobytes() == before
    other.train(1, progress=False)
    other.save(saved)
    assert ds.Run.load(saved).parameters.tobytes() == run.parameters.tobytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", -5), ("batch_size", 0), ("batch_size", 61), ("batch_size", 1.5), ("pending_batch_size", 0)],
)
def test_a_document_of_somebody_elses_that_no_training_can_go_on_from_is_refused(run, saved, name, value):
    found = read_checkpoint(saved)
    writer = Writer(run.id, [found.digest])
    write_checkpoint(saved, found.arrays, {**found.document, name: value}, lasting={"data": STORED}, writer=writer)
    with pytest.raises(ds.InputError, match=r"fits its network and data\. Received: another batch"):
        ds.Run.load(saved)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("parameters", np.zeros(3, np.float32)),
        ("last_update", np.zeros(27)),
        ("counts", np.array([2, 2, 1, 0])),
        ("counts", np.array([2, 2, -1, 0])),
        ("counts", np.array([-2, 2, 0, 0])),
    ],
)
def test_arrays_of_somebody_elses_that_do_not_fit_are_refused(run, saved, name, array):
    found = read_checkpoint(saved)
    writer, arrays = Writer(run.id, [found.digest]), {**found.arrays, name: array}
    write_checkpoint(saved, arrays, found.document, lasting={"data": STORED}, writer=writer)
    with pytest.raises(ds.InputError, match="must hold a state that fits its network and data"):
        ds.Run.load(saved)


def test_another_version_is_said(saved, monkeypatch):
    monkeypatch.setattr(saved_document, "__version__", "99.0")
    with pytest.warns(CheckpointWarning, match=r"saved by Downslope .* and goes on with 99.0, by which later bits may"):
        ds.Run.load(saved)


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_another_numpy_is_said_where_it_decides_the_bits(tmp_path, monkeypatch, engine):
    made(engine=engine).save(tmp_path)
    versions = saved_document._versions()
    monkeypatch.setattr(saved_document, "_versions", lambda: {**versions, "numpy": "99.0"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ds.Run.load(tmp_path)
    said = [str(one.message) for one in caught]
    assert len(said) == (engine == "reference")
    assert all("'reference' has the same bits only with the same NumPy and BLAS" in one for one in said)


def test_two_runs_cannot_share_a_directory(run, saved):
    other = made()
    with pytest.raises(InputError, match=f"must be new, or that of this run. .* which holds the run {run.id}"):
        other.save(saved)
    assert ds.Run.load(saved).id == run.id


@pytest.mark.parametrize("copied", [copy.copy, lambda run: pickle.loads(pickle.dumps(run))])
def test_a_copy_does_not_write_over_the_run(run, saved, copied):
    other = copied(run)
    other.train(1, progress=False)
    with pytest.raises(InputError, match="a copy of this run, has gone on there"):
        other.save(saved)
    other.save(saved.parent / "copy")
    run.save(saved)


def test_a_directory_is_a_path(run):
    for attempt in (run.save, Autosave):
        with pytest.raises(InputError, match=r"directory must be a directory for the run. Received: directory=7"):
            attempt(7)


def test_a_run_is_saved_by_another_thread_while_it_trains(tmp_path):
    run, whole = made(), made()
    steps = []

    def look():
        for number in range(10):
            run.save(tmp_path / str(number))

    thread = threading.Thread(target=look)
    run.train(400, progress=False, every=50, on_epoch=lambda *_: None if steps else steps.append(thread.start()))
    thread.join()
    for number in range(10):
        other = ds.Run.load(tmp_path / str(number))
        assert len(other.history) == other.epoch
        assert other.parameters.tobytes() == _at(whole, other.epoch)


def _at(run, epochs):
    run.train(epochs - run.epoch, progress=False)
    return run.parameters.tobytes()


def test_data_are_stored_once(run, saved):
    place = next(saved.glob("data-*"))
    before = place.stat().st_mtime_ns
    for _ in range(3):
        run.train(1, progress=False)
        run.save(saved)
    other = ds.Run.load(saved)
    other.save(saved)
    assert [path.name for path in saved.glob("data-*")] == [place.name]
    assert place.stat().st_mtime_ns == before
    assert len(list(saved.iterdir())) == 6  # two of each, the data, the lock


def test_numbers_that_are_not_finite_are_kept(tmp_path):
    run = ds.Run(ds.MLP([1, 2, 1]), ds.data.line(10), ds.SGD(0.1), loss=MeanSquaredError(), engine="reference")
    run.save(tmp_path)  # its rate is NaN before the first step
    assert math.isnan(ds.Run.load(tmp_path).state.learning_rate)
    assert read_checkpoint(tmp_path).arrays["learning_rate"].shape == ()


def test_a_perceptron_is_one_again_and_any_other_network_stays_what_it_is(tmp_path):
    layers = ds.MLP([2, 5, 4, 3], ["tanh", "relu"], dropout=0.1, l1=0.1, initial_weights="he").layers
    for place, network in enumerate([ds.MLP([2, 3]), Network(layers), Network([*layers, ds.network.Tanh()])]):
        run = ds.Run(network, DATA, ds.SGD(0.1), engine="reference")
        run.save(tmp_path / str(place))
        loaded = ds.Run.load(tmp_path / str(place)).network
        assert loaded == network
        assert repr(loaded).startswith("MLP(") == (place < 2)


def test_a_guard_that_was_put_in_place_later_is_saved(run, saved):
    run.guard = Guard("rollback", factor=4)
    run.save(saved)
    assert ds.Run.load(saved).guard == Guard("rollback", factor=4)
    assert ds.Run.load(saved).log[-1] == run.log[-1]
