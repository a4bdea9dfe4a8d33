import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from downslope.book.catalogue import entries

DESCENTS = [f"fig10.{number:02d}" for number in range(3, 14)]


def test_the_list_names_every_figure_and_listing(command):
    for line in ("chapter", "chapter list"):
        printed = command(line)
        assert printed.status == 0
        words = printed.out.split()
        assert all(key in words for key in entries())
        assert "(sgd_decay_1e-2)" in words


def test_a_figure_is_printed_beside_the_book(command):
    printed = command("chapter fig10.16")
    assert printed.status == 0
    assert printed.lines[0].startswith("fig10.16: ")
    row = next(line.split() for line in printed.lines if line.split()[:1] == ["10,000"])
    assert row[:5] == ["10,000", "0.397", "1.072", "0.397", "1.072"]
    assert row[5] == "0.009901970492127933"
    assert "17 of 17 rows meet the book" in printed.out


def test_a_script_is_printed_alone(command, tmp_path):
    printed = command("chapter rmsprop_tuned --script")
    assert printed.status == 0
    assert "Optimizer_RMSprop(learning_rate=0.02, decay=1e-05, epsilon=1e-07, rho=0.999)" in printed.out
    compile(printed.out, "script", "exec")


def test_several_go_into_a_folder_with_a_page(command, tmp_path):
    out = tmp_path / "new" / "folder"
    printed = command("chapter decay fig10.02 --style dark --out", out)
    assert (printed.status, printed.out) == (0, "")
    names = {path.name for path in out.iterdir()}
    assert {"decay.png", "fig10.02.png", "index.html", "records"} <= names
    page = (out / "index.html").read_text(encoding="utf-8")
    assert 'id="decay"' in page
    assert 'id="fig10.02"' in page
    assert "color-scheme: dark" in page


def test_one_more_joins_the_page(command, tmp_path):
    for key in ("decay", "fig10.02"):
        assert command(f"chapter {key} --out", tmp_path).status == 0
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'id="decay"' in page
    assert 'id="fig10.02"' in page


def test_without_movies_there_are_pictures_alone(command, tmp_path):
    assert command("chapter fig10.03 --movies none --out", tmp_path).status == 0
    assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} == {".png", ".html"}
    assert not (tmp_path / "fig10.03.html").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("fig10.99", "figure must be a figure from fig10.01 to fig10.21 or a listing"),
        ("all", "all must be given a folder: downslope chapter all --out DIR"),
        ("fig10.19 --movies avi", "--movies must be any of gif, html and mp4, or none. Received: --movies avi"),
        ("decay --script", "--script must be asked of one training"),
        ("fig10.19 fig10.20 --script", "--script must be asked of one training"),
        ("decay claims --out here --workers 0", "workers must be a whole number at least 1"),
        ("decay --style blue", "'blue'"),
        ("list fig10.19", "list must stand alone: downslope chapter list"),
        ("list --out here", "list must stand alone"),
        ("fig10.19 --script --out here", "--script prints the script: leave --out away"),
    ],
)
def test_wrong_input_is_one_sentence(command, tmp_path, monkeypatch, line, sentence):
    monkeypatch.chdir(tmp_path)
    printed = command(f"chapter {line}")
    assert (printed.status, printed.out) == (2, "")
    assert sentence in printed.err
    assert printed.err.count("\n") == 1


def test_a_file_in_the_place_of_the_folder_is_one_sentence(command, tmp_path):
    (tmp_path / "taken").write_text("")
    printed = command("chapter decay --out", tmp_path / "taken")
    assert (printed.status, printed.err.count("\n")) == (2, 1)
    assert "out must be a folder" in printed.err


def test_what_cannot_be_made_is_said_and_the_rest_is_there(command, tmp_path):
    (tmp_path / "decay.png").mkdir()  # where a picture should go
    printed = command("chapter decay fig10.02 --out", tmp_path)
    assert printed.status == 2
    assert "decay could not be made: " in printed.err
    assert (tmp_path / "fig10.02.png").is_file()
    assert 'id="fig10.02"' in (tmp_path / "index.html").read_text(encoding="utf-8")


def running():
    """Return the command lines of all processes, where the system tells them."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


def left_running(directory):
    """Return the processes that name a directory and are still there after a long while."""
    left = []
    for _ in range(3000):
        if not (left := [words for words in running() if str(directory) in words]):
            break
        time.sleep(0.1)
    return left


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_in_one_entry_keeps_its_pictures(tmp_path):
    words = [sys.executable, "-m", "downslope", "chapter", "fig10.20", "--out", str(tmp_path)]
    child = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while not (tmp_path / "fig10.20-spread.png").exists() and child.poll() is None:
        time.sleep(0.1)
    time.sleep(0.5)  # the animation is being drawn, for many seconds
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=300)
    assert child.returncode == 130
    assert "Stopped by Ctrl-C." in told
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'src="fig10.20.png"' in page
    assert "Stopped before all of it was made." in page
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_command_leaves_no_process(tmp_path):
    words = [sys.executable, "-m", "downslope", "chapter", *DESCENTS, "--out", str(tmp_path), "--workers", "2"]
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    child.stderr.readline()  # an entry is done, others are under way
    child.kill()
    child.wait()
    child.stderr.close()
    assert left_running(tmp_path) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_keeps_what_was_made_and_leaves_no_process(tmp_path):
    words = [sys.executable, "-m", "downslope", "chapter", *DESCENTS, "--out", str(tmp_path), "--workers", "2"]
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stderr is not None
        first = child.stderr.readline()  # an entry is done
        child.send_signal(signal.SIGINT)
        _, rest = child.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    assert child.returncode == 130
    assert ": " in first
    assert "Stopped by Ctrl-C with " in rest
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert f'id="{first.split(":")[0]}"' in page
    assert left_running(tmp_path) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
