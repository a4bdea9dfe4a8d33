"""A file is whole or not there."""

import errno
import os
import stat
from pathlib import Path

import pytest

from downslope.errors import InputError
from downslope.files import locked, made_directory, place, written_whole


def test_the_file_appears_when_the_block_ends_well(tmp_path):
    place = tmp_path / "a.txt"
    place.write_text("old")
    with written_whole(place) as temporary:
        temporary.write_text("new")
        assert place.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert place.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path):
    place = tmp_path / "a.txt"
    place.write_text("old")

    def fail():
        with written_whole(place) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert place.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_rights_are_those_of_an_ordinary_new_file(tmp_path):
    with written_whole(tmp_path / "a") as temporary:
        temporary.write_text("x")
    Path(tmp_path / "b").write_text("x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"}
    assert len(modes) == 1


def test_a_missing_directory_is_one_sentence(tmp_path):
    message = r"no/a.txt could not be written: No such file or directory"
    with pytest.raises(InputError, match=message), written_whole(tmp_path / "no" / "a.txt"):
        pass


def test_a_disk_that_fails_is_one_sentence_and_keeps_the_old_file(tmp_path, monkeypatch):
    place = tmp_path / "a.txt"
    place.write_text("old")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = r"could not be written: No space left on device"
    with pytest.raises(InputError, match=message), written_whole(place) as temporary:
        temporary.write_text("new")
    assert place.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("a.txt", r"plot must be a file ending in .png or .svg. Received: plot='a.txt'"),
        ("folder.png", "plot must be a file, not a directory"),
        ("no/a.png", "plot must be a file in a directory that exists"),
        ("", r"plot must be a file ending in .png or .svg, not an empty text. Received: plot=''"),
        (7, "plot must be a file ending in .png or .svg. Received: plot=7"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch, given, sentence):
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    with pytest.raises(InputError, match=sentence):
        place("plot", given, (".png", ".svg"))


def test_a_place_is_its_path(tmp_path):
    assert place("plot", str(tmp_path / "a.PNG"), (".png", ".svg")) == tmp_path / "a.PNG"


def test_a_link_stays_a_link_and_rights_stay_what_they_were(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    with written_whole(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def synced(monkeypatch):
    """Return the list of what fsync was called for from now on: "file" or the directory."""
    calls, real = [], os.fsync

    def noted(handle):
        target = os.fstat(handle)
        calls.append(target.st_ino if stat.S_ISDIR(target.st_mode) else "file")
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    return calls


@pytest.mark.skipif(os.name == "nt", reason="a directory cannot be opened there")
def test_the_content_is_on_the_disk_before_the_name_and_then_the_name(tmp_path, monkeypatch):
    calls = synced(monkeypatch)
    with written_whole(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
        assert calls == []
    assert calls == ["file", tmp_path.stat().st_ino]


@pytest.mark.skipif(os.name == "nt", reason="a directory cannot be opened there")
def test_a_disk_that_has_no_such_thing_for_directories_is_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def unsupported(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", unsupported)
    with written_whole(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a.txt").read_text() == "x"


@pytest.mark.skipif(os.name == "nt", reason="a directory cannot be opened there")
def test_made_directories_are_on_the_disk_from_the_top_down(tmp_path, monkeypatch):
    calls = synced(monkeypatch)
    made_directory(tmp_path / "a" / "b")
    assert calls == [tmp_path.stat().st_ino, (tmp_path / "a").stat().st_ino]
    made_directory(tmp_path / "a" / "b")
    assert len(calls) == 2


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"file.a could not be made: Not a directory"):
        made_directory(tmp_path / "file" / "a")


def test_a_lock_is_held_by_one_and_ends_when_it_is_closed(tmp_path):
    pytest.importorskip("fcntl")
    handle = locked(tmp_path / ".lock")
    assert locked(tmp_path / ".lock") is None
    os.close(handle)
    again = locked(tmp_path / ".lock")
    assert again is not None
    os.close(again)
