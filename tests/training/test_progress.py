import builtins
import os
import pty
import subprocess
import sys
import threading

import pytest

import downslope as ds
from downslope.errors import InputError


def make():
    return ds.Run(ds.MLP([2, 4, 3]), ds.data.spiral(10), ds.SGD(0.1))


@pytest.mark.parametrize("progress", [None, False])
def test_nothing_is_written_where_stderr_is_no_terminal(capfd, progress):
    make().train(3, progress=progress)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("notebook", [False, True])
def test_asked_for_without_a_terminal_the_bar_is_written_once(capfd, monkeypatch, notebook):
    if notebook:  # as rich recognizes one
        shell = type("ZMQInteractiveShell", (), {})
        monkeypatch.setattr(builtins, "get_ipython", shell, raising=False)
    run = make()
    run.train(4, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("epoch") == 1
    assert "4/4" in err
    assert f"loss {run.history.row(-1)['loss']:.4g}  accuracy {run.history.row(-1)['accuracy']:.3f}" in err
    assert "\x1b" not in err


def test_a_second_piece_counts_on(capfd):
    run = make()
    run.train(4)
    run.train(3, progress=True)
    assert "7/7" in capfd.readouterr().err


def test_no_epochs_and_no_stderr(capfd, monkeypatch):
    make().train(0, progress=True)
    assert "0/0" in capfd.readouterr().err
    monkeypatch.setattr(sys, "stderr", None)
    run = make()
    run.train(2, progress=True)
    assert run.epoch == 2


@pytest.mark.parametrize("wrong", ["yes", 1, 0])
def test_progress_is_true_or_false(wrong):
    with pytest.raises(InputError, match=r"progress must be True or False\. Received: progress="):
        make().train(1, progress=wrong)


def test_an_error_leaves_the_terminal_and_the_run_in_order(capfd):
    run = make()
    with pytest.raises(ZeroDivisionError):
        run.train(5, progress=True, on_epoch=lambda run, epoch: 1 // (2 - epoch))
    assert (run.epoch, len(run.history)) == (3, 3)
    assert "3/5" in capfd.readouterr().err
    assert sys.stdout is not None
    run.train(2, progress=True)
    assert "5/5" in capfd.readouterr().err


PROGRAM = """
import time
import downslope as ds
run = ds.Run(ds.MLP([2, 4, 3]), ds.data.spiral(10), ds.SGD(0.1))
def on_epoch(run, epoch):
    print("epoch:", epoch)
    time.sleep(0.05)  # the bar is drawn ten times a second
run.train(20, on_epoch=on_epoch)
"""


def read_all(master, chunks):
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:  # the other end is closed
            return
        if not chunk:
            return
        chunks.append(chunk)


@pytest.mark.parametrize("stdout", ["file", "terminal"])
def test_in_a_terminal_the_bar_is_drawn_and_lines_pass_it(tmp_path, stdout):
    """With stdout in a file, that file holds the lines and nothing else; in the terminal they stand above the bar."""
    master, slave = pty.openpty()
    chunks: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(master, chunks))
    reader.start()
    path = tmp_path / "lines"
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONWARNINGS": "error"}
    with path.open("wb") as file:
        where = file if stdout == "file" else slave
        program = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(program, stdout=where, stderr=slave, env=environment, timeout=300, check=False)
    os.close(slave)
    reader.join(300)
    os.close(master)
    assert done.returncode == 0
    shown = b"".join(chunks).decode()
    assert "20/20" in shown
    assert "loss" in shown
    assert "\x1b[?25h" in shown  # the cursor is given back
    assert any(f" {done}/20" in shown for done in range(1, 20))  # it moved
    lines = [f"epoch: {epoch}" for epoch in range(20)]
    if stdout == "file":
        assert path.read_text().splitlines() == lines
        assert "epoch: 3" not in shown
    else:
        assert [line for line in lines if line not in shown] == []
