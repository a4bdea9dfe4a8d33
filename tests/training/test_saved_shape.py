"""Documents of somebody else's, whose digests are right: whatever stands in one is read, or refused in a sentence."""

import copy
import os
import warnings

import pytest

import downslope as ds
from downslope.cli.tree_words import node_words
from downslope.training.arrays_file import Arrays
from downslope.training.checkpoint import Writer, read_checkpoint, write_checkpoint
from downslope.training.saved_shape import check_shape
from downslope.training.saving import header
from downslope.training.tree import read_forest

OTHERS = (None, 5, -1, 0.5, "foo", [], ["foo"], [1, 2], {}, {"name": "foo"}, 10**400)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Hundreds of checkpoints are written here, and none has to outlive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What is read of a run with all that a document can tell of."""
    place = tmp_path_factory.mktemp("run")
    data = ds.data.spiral(20)
    run = ds.Run(ds.MLP([2, 4, 3]), data, ds.SGD(50.0), guard="rollback", validation=data, engine="reference")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run.train(50, progress=False)
    run.change(learning_rate=ds.Cosine(0.1, steps=20))
    run.train(2, progress=False)
    run = run.branch(at=51, momentum=0.5)
    run.train(1, progress=False)
    run.save(place)
    return read_checkpoint(place)


def places(value, way=()):
    """Yield the way to every value of a document; of a list to the first."""
    yield way
    inside = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, one in inside:
        yield from places(one, (*way, key))


def changed(document, way, value):
    """Return a document with another value at a place; ... takes it out."""
    result = copy.deepcopy(document)
    at = result
    for key in way[:-1]:
        at = at[key]
    if value is ...:
        del at[way[-1]]
    else:
        at[way[-1]] = value
    return result


def tried(read, *given, **named):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(*given, **named)
    except ds.InputError as error:
        return str(error)


def test_whatever_stands_in_a_document_is_told_in_the_tree_or_skipped(found, tmp_path):
    document, kept, refused = found.document, 0, 0
    for way in places(document):
        for value in (..., *OTHERS) if way else ():
            other = changed(document, way, value)
            try:
                check_shape(other)
            except (LookupError, TypeError, ValueError, AttributeError):
                refused += 1
                continue
            kept += 1
            write_checkpoint(tmp_path / f"{kept}", {}, other)
    assert min(kept, refused) > 500
    forest = read_forest(tmp_path)
    assert not forest.broken
    for node in forest.walk():
        for one in (node.copy_of, None):  # also what a copy does not tell
            node.copy_of = one
            node_words(node, ())
        assert isinstance(node.loss, float)


@pytest.mark.parametrize(
    ("way", "value"),
    [(("log",), ...), (("log",), 5), (("header", "parent"), [1, 2]), (("versions",), {}), ((), 5)],
)
def test_a_document_of_something_else_is_no_checkpoint_of_a_run(found, tmp_path, way, value):
    writer = Writer("mine")
    other = changed(found.document, way, value) if way else value
    write_checkpoint(tmp_path / "run", found.arrays, other, writer=writer)
    for read in (ds.Run.load, header):
        told = tried(read, tmp_path / "run")
        assert told.endswith("checkpoint-00000001.json is no checkpoint of a run")
    [(name, reason)] = read_forest(tmp_path).broken
    assert name == "run"
    assert reason.endswith("checkpoint-00000001.json is no checkpoint of a run")


def test_one_of_something_else_is_skipped_for_the_one_before(found, tmp_path):
    writer = Writer("mine")
    write_checkpoint(tmp_path / "run", found.arrays, found.document, writer=writer)
    write_checkpoint(tmp_path / "run", found.arrays, changed(found.document, ("log",), 5), writer=writer)
    [node] = read_forest(tmp_path).walk()
    assert "is no checkpoint of a run" in node.skipped[0]
    assert header(tmp_path / "run")["number"] == 1


def test_what_no_run_can_be_made_of_is_refused(found, tmp_path):
    data = ds.data.spiral(20)
    lasting = {"validation": Arrays({"inputs": data.inputs, "targets": data.targets})}
    loads = refused = 0
    for way in places(found.document):
        if not way or way[0] in ("header", "data", "log") or len(way) > 3:  # else it takes minutes
            continue
        for value in (..., 5, "foo", ["foo"], {}):
            directory = tmp_path / f"{loads + refused}"
            other = changed(found.document, way, value)
            write_checkpoint(directory, found.arrays, other, lasting=lasting)
            told = tried(ds.Run.load, directory, data=data)
            loads += isinstance(told, ds.Run)
            refused += isinstance(told, str)
    assert loads > 0
    assert refused > 200
