"""What can happen to a checkpoint: kills, lost ends, flipped bits, a full disk. Each test prints what it counted."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from downslope.errors import InputError
from downslope.files import locked
from downslope.training import checkpoint_place
from downslope.training.arrays_file import Arrays
from downslope.training.checkpoint import Writer, read_checkpoint, write_checkpoint

KILLS = 200
DATA = Arrays({"inputs": np.arange(6.0)})


def tell(text):
    sys.stdout.write(f"{text}\n")  # shown by pytest -s


def write(directory, value, writer):
    arrays = {"p": np.full(3, value, dtype=np.float32), "n": np.array([value])}
    return write_checkpoint(directory, arrays, {"value": value}, lasting={"data": DATA}, writer=writer)


@pytest.fixture
def two(tmp_path):
    """A directory with two checkpoints, of the values 1 and 2."""
    return filled(tmp_path)


def filled(directory):
    writer = Writer("mine")
    for value in (1, 2):
        write(directory, value, writer)
    return directory


def accepted(directory):
    """Return the value that is read, as document and arrays agree on it, and whether something was skipped."""
    found = read_checkpoint(directory)
    value = found.document["value"]
    assert (found.arrays["p"] == value).all()
    assert found.arrays["n"].tolist() == [value]
    return value, bool(found.skipped)


def files_of(directory, number):
    return [next(directory.glob(f"checkpoint-0000000{number}{end}")) for end in (".json", "-*.safetensors")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the savers are forked")
def test_a_kill_at_any_moment_loses_nothing_that_was_told_to_be_saved():
    place = ["--place", "/dev/shm"] if os.access("/dev/shm", os.W_OK) else []
    command = [sys.executable, str(Path(__file__).with_name("kills.py")), "--kills", str(KILLS), "--quick", *place]
    alike = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # as for its savers, whose bits it compares with its own
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=1800, env=alike)
    counts = json.loads(done.stdout)
    tell(str(counts))
    assert counts["kills"] == KILLS
    assert counts["saves"] > KILLS / 4
    assert counts["between_saves"] + counts["unfinished"] > 0  # some hit the middle of a save
    for bad in ("unloadable", "older", "other_bits", "failed_savers", "skipped"):
        assert counts[bad] == 0, done.stderr


def test_a_file_cut_off_anywhere_is_noticed(two):
    tried = 0
    for path in files_of(two, 2):
        whole = path.read_bytes()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            assert accepted(two) == (1, True)
            tried += 1
        path.write_bytes(whole + b"\n")
        assert accepted(two) == (1, True)
        path.write_bytes(whole)
    assert accepted(two) == (2, False)
    tell(f"truncations tried: {tried}, silently accepted: 0")


def test_every_changed_byte_is_noticed(two):
    """One bit of each byte, its highest, and all of them; benchmarks/checkpoints.py flips every bit."""
    tried = 0
    for path in files_of(two, 2):
        whole = bytearray(path.read_bytes())
        for place in range(len(whole)):
            for pattern in (1 << place % 7, 0x80, 0xFF):
                whole[place] ^= pattern
                path.write_bytes(whole)
                whole[place] ^= pattern
                assert accepted(two) == (1, True), f"byte {place} of {path.name} with {pattern:#x}"
                tried += 1
        path.write_bytes(whole)
    assert accepted(two) == (2, False)
    tell(f"changed bytes tried: {tried}, silently accepted: 0")


def test_damage_to_the_older_one_does_not_matter_to_the_newest(two):
    for path in files_of(two, 1):
        whole = path.read_bytes()
        for damaged in (b"", whole[:-1], whole[::-1]):
            path.write_bytes(damaged)
            assert accepted(two) == (2, False)
        path.unlink()
        assert accepted(two) == (2, False)


def test_a_missing_or_exchanged_file_is_noticed(two):
    for number in (2, 1):
        for path in files_of(two, number):
            kept = path.read_bytes()
            path.unlink()
            # Without its document a checkpoint never counted: that is a save which did not come to its end.
            expected = (2, False) if number == 1 else (1, path.suffix != ".json")
            assert accepted(two) == expected
            path.write_bytes(kept)
    (older, older_arrays), (newer, newer_arrays) = files_of(two, 1), files_of(two, 2)
    kept = newer.read_bytes()
    newer.write_bytes(older.read_bytes())
    assert accepted(two) == (1, True)
    newer.write_bytes(kept)
    newer_arrays.write_bytes(older_arrays.read_bytes())
    assert accepted(two) == (1, True)


def test_where_none_is_whole_all_reasons_are_given(two):
    for number in (1, 2):
        path = files_of(two, number)[number - 1]
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError) as caught:
        read_checkpoint(two)
    told = str(caught.value)
    assert told.startswith("directory must hold a whole checkpoint. Received: ")
    assert "checkpoint 2 in" in told
    assert "bytes, not" in told
    assert "checkpoint 1 in" in told
    assert "it is cut off or changed" in told


class Failing:
    """Calls to the disk, of which one fails, or all from one on."""

    def __init__(self, call, lasting, code):
        self.call, self.lasting, self.code = call, lasting, code
        self.count = 0

    def step(self):
        self.count += 1
        if self.count == self.call or (self.lasting and self.count > self.call):
            raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("lasting", [False, True])
def test_a_disk_that_fails_at_any_call_is_said_and_loses_nothing(tmp_path, monkeypatch, code, lasting):
    told = 0
    for call in range(1, 1000):
        directory, writer, failing = tmp_path / str(call), Writer("mine"), Failing(call, lasting, code)
        write(directory, 1, writer)
        said = ""
        with monkeypatch.context() as patched:
            _let_fail(patched, failing.step)
            try:
                write(directory, 2, writer)
            except InputError as error:
                said = str(error)
        if failing.count < call:  # no call was left to fail
            break
        told += bool(said)
        value, skipped = accepted(directory)
        assert not skipped
        if said:
            assert os.strerror(code) in said
            assert value in (1, 2)
        else:
            assert value == 2
        write(directory, 3, writer)  # and the next save goes well
        assert accepted(directory) == (3, False)
        assert not any(directory.glob(".checkpoint*"))
    tell(f"failing calls tried: {call - 1}, of which told {told}; losses: 0")
    assert call > 20
    assert told > call / 2


@pytest.mark.parametrize("there", [False, True])
def test_a_first_save_that_fails_at_any_call_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, there):
    for call in range(1, 1000):
        directory, failing = tmp_path / str(call) / "run", Failing(call, False, errno.ENOSPC)
        before = ["data-" + 32 * "0" + ".safetensors", "note.txt"] if there else []
        for name in before:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(b"")
        writer, said = Writer("mine"), ""
        with monkeypatch.context() as patched:
            _let_fail(patched, failing.step)
            try:
                write(directory, 1, writer)
            except InputError as error:
                said = str(error)
        if failing.count < call:
            break
        names = sorted(path.name for path in directory.iterdir()) if directory.exists() else []
        if any(name.endswith(".json") for name in names):
            assert accepted(directory) == (1, False)
        else:
            assert os.strerror(errno.ENOSPC) in said
            assert [name for name in names if name != ".lock"] == before
            assert there or not (tmp_path / str(call)).exists() or names == [".lock"]  # which nobody but its holder may
        write(directory, 2, writer)
        assert accepted(directory) == (2, False)
    assert call > 20


def test_a_first_save_on_a_full_disk_leaves_no_directory(tmp_path, monkeypatch):
    def full(*_given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "empty").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)  # of the document, when the arrays are there
        for name in ("a/b", "empty"):
            with pytest.raises(InputError, match="No space left on device"):
                write(tmp_path / name, 1, Writer("mine"))
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["empty"]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_a_lock_that_was_taken_back_keeps_nobody_out(tmp_path, monkeypatch):
    opened = []

    def late(path):
        handle = locked(path)
        if not opened:  # whoever held it removes it between the two calls
            path.unlink()
        opened.append(handle)
        return handle

    monkeypatch.setattr(checkpoint_place, "locked", late)
    write(tmp_path, 1, Writer("mine"))
    assert len(opened) == 2
    assert (tmp_path / ".lock").exists()


def _let_fail(patched, step):
    """Let `step()` come before every call by which a save reaches the disk."""

    def before(real):
        def call(*given, **named):
            step()
            return real(*given, **named)

        return call

    for name in ("fsync", "replace", "rename", "open", "listdir", "chmod"):
        patched.setattr(os, name, before(getattr(os, name)))
    for name in ("replace", "chmod", "write_bytes", "stat", "open"):
        patched.setattr(Path, name, before(getattr(Path, name)))
    patched.setattr("tempfile.mkstemp", before(tempfile.mkstemp))


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="a small disk is made by the administrator")
def test_a_disk_that_is_full_at_any_byte_is_said_and_loses_nothing(tmp_path):
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(tmp_path)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("no disk can be made here")
    try:
        full = 0
        for pages in range(20, 0, -1):
            directory, writer = tmp_path / str(pages), Writer("mine")
            write(directory, 1, writer)
            filler = tmp_path / "filler"
            free = os.statvfs(tmp_path)
            filler.write_bytes(bytes(max(free.f_bavail - pages, 0) * free.f_frsize))
            try:
                write_checkpoint(directory, {"p": np.zeros(6000), "n": np.zeros(1)}, {"value": 0}, writer=writer)
            except InputError as error:
                assert "No space left on device" in str(error)  # noqa: PT017
                full += 1
                assert accepted(directory) == (1, False)
            filler.unlink()
            write(directory, 3, writer)
            assert accepted(directory) == (3, False)
            for path in directory.iterdir():
                path.unlink()
        tell(f"saves on a disk with 1 to 20 pages left: 20, of which it was too full for {full}; losses: 0")
        assert 4 <= full < 20
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.fixture
def open_to_all():
    """A directory that everybody can reach; those of pytest cannot be, and each pytest sees to it for all others."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "run"
        directory.mkdir()
        Path(place).chmod(0o755)
        yield directory


@pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")
def test_a_directory_without_permission_is_said_and_still_read(open_to_all):
    """In a process of nobody's, since the administrator may write everywhere."""
    two = filled(open_to_all)
    program = """
import os, sys
import numpy as np
from downslope.errors import InputError
from downslope.training.checkpoint import Writer, read_checkpoint, write_checkpoint
found = read_checkpoint(sys.argv[1])
if os.geteuid() == 0:
    os.seteuid(65534)
assert read_checkpoint(sys.argv[1]).document == {"value": 2}
try:
    write_checkpoint(sys.argv[1], {"p": np.zeros(3)}, {"value": 3}, writer=Writer("mine", [found.digest]))
except InputError as error:
    print(error)
"""
    two.chmod(0o555)
    try:
        done = subprocess.run([sys.executable, "-c", program, str(two)], capture_output=True, text=True, check=True)
    finally:
        two.chmod(0o755)
    assert done.stdout == f"{two} could not be written: Permission denied\n"
    assert accepted(two) == (2, False)
