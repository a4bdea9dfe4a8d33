"""Checkpoints without a run: what is written, kept, read, refused."""

import errno
import hashlib
import json
import math
import os
import threading

import numpy as np
import pytest
from safetensors.numpy import load_file

from downslope.errors import InputError
from downslope.training import checkpoint, checkpoint_place
from downslope.training.arrays_file import Arrays, BrokenError, read_arrays
from downslope.training.checkpoint import Writer, read_checkpoint, read_document, write_checkpoint

ARRAYS = {
    "flat": np.arange(5, dtype=np.float32),
    "wide": np.array([[1.0, math.nan], [-0.0, 5e-324]]),
    "counts": np.array([1, -2], dtype=np.int64),
    "one": np.array(math.inf),
    "none": np.empty((0, 3)),
}


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def write(directory, value, writer=None, **more):
    return write_checkpoint(directory, {"value": np.full(3, value)}, {"value": value}, writer=writer, **more)


@pytest.fixture
def writer():
    return Writer("mine")


def test_what_is_written_is_read_to_the_last_bit(tmp_path):
    document = {"text": "ü \ud800", "numbers": [1, 0.1, math.inf, -math.inf], "nested": {"none": None, "yes": True}}
    assert write_checkpoint(tmp_path / "new" / "run", ARRAYS, document | {"nan": math.nan}) == 1
    found = read_checkpoint(str(tmp_path / "new" / "run"))
    assert math.isnan(found.document.pop("nan"))
    assert found.document == document
    assert (found.generation, found.skipped, found.lasting) == (1, (), {})
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        read = found.arrays[name]
        assert (read.dtype, read.shape, read.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_arrays_of_any_layout_are_written_as_they_look(tmp_path):
    given = {"turned": np.arange(6.0).reshape(2, 3).T, "big": np.arange(3, dtype=">f8"), "every": np.arange(9)[::2]}
    write_checkpoint(tmp_path, given, {})
    for name, array in read_checkpoint(tmp_path).arrays.items():
        np.testing.assert_array_equal(array, given[name], strict=False)


def test_the_arrays_are_a_safetensors_file_in_which_each_lies_aligned(tmp_path):
    Arrays(ARRAYS).write(tmp_path / "a.safetensors")
    read = load_file(tmp_path / "a.safetensors")
    assert {name: array.tobytes() for name, array in read.items()} == {n: a.tobytes() for n, a in ARRAYS.items()}
    raw = (tmp_path / "a.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    for name, told in header.items():
        assert (8 + length + told["data_offsets"][0]) % ARRAYS[name].itemsize == 0


def test_two_are_kept_and_what_lies_beside_them_is_left(tmp_path, writer):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "checkpoint-x.json").write_text("not one")
    for value in range(5):
        assert write(tmp_path, value, writer) == value + 1
    found = names(tmp_path)
    assert [name for name in found if name.endswith("json")] == [
        "checkpoint-00000004.json", "checkpoint-00000005.json", "checkpoint-x.json",
    ]  # fmt: skip
    assert len([name for name in found if name.endswith("safetensors")]) == 2
    assert "notes.txt" in found
    assert read_checkpoint(tmp_path).document == {"value": 4}


def test_what_a_killed_save_left_is_removed_by_the_next(tmp_path, writer):
    write(tmp_path, 0, writer)
    digest = "0" * 32
    left = [f"checkpoint-00000002-{digest}.safetensors", f".checkpoint-00000002-{digest}.safetensors.a1b2.safetensors"]
    left += [".checkpoint-00000002.json.x_y.json", f".data-{digest}.safetensors.q.safetensors"]
    for name in left:
        (tmp_path / name).write_text("half")
    assert read_checkpoint(tmp_path).skipped == ()
    write(tmp_path, 1, writer)
    assert not set(left) & set(names(tmp_path))
    assert read_checkpoint(tmp_path).document == {"value": 1}


def test_what_stays_the_same_is_written_once(tmp_path, writer, monkeypatch):
    data = Arrays({"inputs": np.arange(4.0)})
    write(tmp_path, 0, writer, lasting={"data": data})
    piece = read_checkpoint(tmp_path).lasting["data"]
    before = (tmp_path / piece.file).stat()
    write(tmp_path, 1, writer, lasting={"data": data})
    write(tmp_path, 2, Writer("mine", writer.known), lasting={"data": data})  # who has not seen it reads it first
    assert (tmp_path / piece.file).stat().st_ino == before.st_ino
    np.testing.assert_array_equal(read_arrays(tmp_path, piece)["inputs"], np.arange(4.0))


def test_what_stays_the_same_is_written_again_where_it_is_broken_or_gone(tmp_path, writer):
    data = Arrays({"inputs": np.arange(4.0)})
    write(tmp_path, 0, writer, lasting={"data": data})
    piece = read_checkpoint(tmp_path).lasting["data"]
    (tmp_path / piece.file).unlink()
    write(tmp_path, 1, writer, lasting={"data": data})
    read_arrays(tmp_path, piece)
    raw = bytearray((tmp_path / piece.file).read_bytes())
    raw[-1] ^= 1
    (tmp_path / piece.file).write_bytes(raw)
    with pytest.raises(BrokenError, match="its digest differs"):
        read_arrays(tmp_path, piece)
    write(tmp_path, 2, Writer("mine", writer.known), lasting={"data": data})
    read_arrays(tmp_path, piece)


def test_a_lasting_file_nobody_names_any_more_is_removed(tmp_path, writer):
    write(tmp_path, 0, writer, lasting={"data": Arrays({"x": np.zeros(1)})})
    write(tmp_path, 1, writer)
    assert any(name.startswith("data-") for name in names(tmp_path))  # the one before names it
    write(tmp_path, 2, writer)
    assert not any(name.startswith("data-") for name in names(tmp_path))


def test_the_document_alone_is_read_without_the_arrays(tmp_path, writer, monkeypatch):
    write(tmp_path, 0, writer)
    write(tmp_path, 1, writer)
    monkeypatch.setattr(checkpoint, "read_arrays", lambda *_: pytest.fail("read"))
    found = read_document(tmp_path)
    assert (found.document, found.arrays, found.generation) == ({"value": 1}, {}, 2)
    next(tmp_path.glob("checkpoint-00000002-*")).unlink()
    found = read_document(tmp_path)
    assert found.document == {"value": 0}
    assert "is missing" in found.skipped[0]


@pytest.mark.parametrize("given", [7, None, ""])
def test_a_directory_is_a_path(given):
    with pytest.raises(InputError, match=r"directory must be a directory of checkpoints. Received: directory="):
        write_checkpoint(given, {}, {})
    with pytest.raises(InputError, match=r"directory must be a directory of checkpoints. Received: directory="):
        read_checkpoint(given)


def test_what_holds_no_checkpoint_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"must hold a checkpoint. Received: .*, which holds none"):
        read_checkpoint(tmp_path)
    with pytest.raises(InputError, match=r"must hold a checkpoint. Received: .*no, which does not exist"):
        read_checkpoint(tmp_path / "no")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="directory must be a directory, not a file"):
        read_checkpoint(tmp_path / "file")
    with pytest.raises(InputError, match="directory must be a directory, not a file"):
        write(tmp_path / "file", 0)


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="document must be of values that JSON can hold"):
        write_checkpoint(tmp_path / "run", {}, {"a": [object()]})
    assert not (tmp_path / "run").exists()


def test_a_newer_format_is_refused_and_not_skipped(tmp_path, writer, monkeypatch):
    write(tmp_path, 0, writer)
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    write(tmp_path, 1, writer)
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    message = r"00000002.json must be of format 1 or older.*Received: format 2, written by a newer one"
    for attempt in (read_checkpoint, read_document, lambda place: write(place, 2, writer)):
        with pytest.raises(InputError, match=message):
            attempt(tmp_path)


def test_another_owner_is_refused_and_nothing_is_touched(tmp_path, writer):
    write(tmp_path, 0, writer)
    before = names(tmp_path)
    with pytest.raises(InputError, match=r"must be new, or that of this run. Received: .*, which holds the run mine"):
        write(tmp_path, 1, Writer("yours"))
    assert names(tmp_path) == before


def test_who_knows_nothing_of_the_newest_is_refused(tmp_path, writer):
    write(tmp_path, 0, writer)
    other = Writer("mine", [read_checkpoint(tmp_path).digest])
    write(tmp_path, 1, other)
    for late in (writer, Writer("mine")):
        with pytest.raises(InputError, match=r"another process, or a copy of this run, has gone on there. .*point 2"):
            write(tmp_path, 2, late)
    assert read_checkpoint(tmp_path).document == {"value": 1}
    write(tmp_path, 3, other)


def test_who_wrote_before_may_write_to_the_directory_that_was_emptied(tmp_path, writer):
    write(tmp_path, 0, writer)
    for name in names(tmp_path):
        (tmp_path / name).unlink()
    write(tmp_path, 1, writer)
    assert read_checkpoint(tmp_path).document == {"value": 1}


def test_a_broken_newer_one_does_not_hold_up_who_read_the_one_before(tmp_path, writer):
    write(tmp_path, 0, writer)
    write(tmp_path, 1, writer)
    newest = next(tmp_path.glob("checkpoint-00000002-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    found = read_checkpoint(tmp_path)
    assert found.document == {"value": 0}
    late = Writer("mine", [found.digest])
    assert write(tmp_path, 2, late) == 3
    assert [path.name for path in sorted(tmp_path.glob("*.json"))] == [  # the whole one is kept, not the broken
        "checkpoint-00000001.json", "checkpoint-00000003.json",
    ]  # fmt: skip


def test_broken_checkpoints_of_who_knows_whom_are_not_written_over(tmp_path, writer):
    write(tmp_path, 0, writer)
    (tmp_path / "checkpoint-00000001.json").write_text("{}")
    with pytest.raises(InputError, match="which holds checkpoints that are broken"):
        write(tmp_path, 1, Writer("mine"))
    write(tmp_path, 1, writer)


def test_a_save_that_failed_after_the_disk_had_it_does_not_hold_up_the_next(tmp_path, writer, monkeypatch):
    write(tmp_path, 0, writer)
    calls = []

    def failing(directory, real=checkpoint.os.fsync):
        calls.append(directory)
        if len(calls) == 4:  # arrays, directory, document, directory
            raise OSError(errno.EIO, "Input/output error")
        real(directory)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        with pytest.raises(InputError, match="Input/output error"):
            write(tmp_path, 1, writer)
    assert read_checkpoint(tmp_path).document == {"value": 1}
    write(tmp_path, 2, writer)
    assert read_checkpoint(tmp_path).document == {"value": 2}


def test_one_writes_at_a_time_and_the_other_is_told(tmp_path, writer, monkeypatch):
    write(tmp_path, 0, writer)
    monkeypatch.setattr(checkpoint_place, "PATIENCE_SECONDS", 0.02)
    with (
        checkpoint_place.one_writer(tmp_path),
        pytest.raises(InputError, match="written by one process at a time; another one is saving into it"),
    ):
        write(tmp_path, 1, writer)
    write(tmp_path, 1, writer)


def test_threads_of_one_writer_wait_for_one_another(tmp_path, writer, monkeypatch):
    monkeypatch.setattr(checkpoint_place, "PATIENCE_SECONDS", 300.0)  # a slow disk is none of its matters
    threads = [threading.Thread(target=write, args=(tmp_path, value, writer)) for value in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_checkpoint(tmp_path).generation == 8


def test_what_is_removed_while_it_is_read_is_read_anew(tmp_path, writer, monkeypatch):
    write(tmp_path, 0, writer)
    write(tmp_path, 1, writer)

    def slow(*given):
        monkeypatch.setattr(checkpoint, "read_arrays", read_arrays)
        for value in (2, 3):
            write(tmp_path, value, writer)
        return read_arrays(*given)

    monkeypatch.setattr(checkpoint, "read_arrays", slow)
    found = read_checkpoint(tmp_path)
    assert (found.document, found.skipped) == ({"value": 3}, ())


def test_a_reader_meets_a_writer_at_any_moment(tmp_path, writer):
    write(tmp_path, 0, writer)
    written, enough = [0], threading.Event()

    def go_on():
        while not enough.is_set():
            write(tmp_path, written[-1] + 1, writer)
            written.append(written[-1] + 1)

    thread = threading.Thread(target=go_on)
    thread.start()
    last, reads = 0, 0
    try:
        while reads < 100 or last < 100:
            found = read_checkpoint(tmp_path)
            assert found.skipped == ()
            assert found.document["value"] == found.arrays["value"][0] >= last
            last, reads = found.document["value"], reads + 1
    finally:
        enough.set()
        thread.join()
    assert read_checkpoint(tmp_path).document["value"] == written[-1]


@pytest.mark.parametrize(
    "change",
    [
        {"number": None},
        {"arrays": 3},
        {"lasting": {"data": {}}},
        {"format": "x"},
        {"arrays": {"file": "../other.safetensors", "size": 1, "digest": ""}},
        "all",
    ],
)
def test_a_whole_document_of_something_else_is_skipped_with_a_sentence(tmp_path, change, writer):
    write(tmp_path, 1.0, writer)
    write(tmp_path, 2.0, writer)
    path = tmp_path / checkpoint.document_name(2)
    content = json.loads(path.read_bytes())["content"]
    raw, _ = checkpoint._framed({**content, **change} if isinstance(change, dict) else {"anything": 1})
    path.write_bytes(raw)
    found = read_checkpoint(tmp_path)
    assert found.document == {"value": 1.0}
    assert path.name in found.skipped[0]


@pytest.mark.parametrize("body", [b"no JSON", b"[" * 100_000, b'{"format": 1e999}'])
def test_a_whole_document_that_is_no_json_is_skipped_too(tmp_path, body, writer):
    write(tmp_path, 1.0, writer)
    digest = hashlib.sha256(body).hexdigest().encode()
    (tmp_path / checkpoint.document_name(2)).write_bytes(b'{"digest": "' + digest + b'",\n"content": ' + body + b"}\n")
    assert "is no checkpoint of a run" in read_checkpoint(tmp_path).skipped[0]


def test_a_whole_file_that_holds_no_arrays_is_skipped(tmp_path, writer):
    write(tmp_path, 1.0, writer)
    write(tmp_path, 2.0, writer)
    path = tmp_path / checkpoint.document_name(2)
    content = json.loads(path.read_bytes())["content"]
    (tmp_path / content["arrays"]["file"]).write_bytes(b"x")
    content["arrays"] |= {"size": 1, "digest": hashlib.sha256(b"x").hexdigest()}
    path.write_bytes(checkpoint._framed(content)[0])
    assert "is no file of arrays: " in read_checkpoint(tmp_path).skipped[0]


def test_without_the_arrays_their_size_is_seen(tmp_path, writer):
    write(tmp_path, 1.0, writer)
    write(tmp_path, 2.0, writer)
    arrays = next(tmp_path.glob("checkpoint-00000002-*"))
    arrays.write_bytes(arrays.read_bytes()[:10])
    found = read_document(tmp_path)
    assert found.document == {"value": 1.0}
    assert f"{arrays.name} has 10 bytes, not " in found.skipped[0]


def test_a_document_that_the_reader_does_not_take_is_skipped(tmp_path, writer):
    write(tmp_path, 1.0, writer)
    write(tmp_path, 2.0, writer)

    def check(document):
        if document["value"] > 1:
            raise KeyError("more")

    for read in (read_checkpoint, read_document):
        found = read(tmp_path, check)
        assert found.document == {"value": 1.0}
        assert found.skipped[0].endswith("is no checkpoint of a run")
