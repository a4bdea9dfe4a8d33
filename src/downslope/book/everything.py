"""Several entries made at a time, each in a process of its own: pictures are drawn one at a time in a process."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from downslope.book.catalogue import Entry
from downslope.errors import DownslopeError
from downslope.processors import cores

__all__ = ["end_with_parent", "make_all"]

LONGEST_FIRST = ("training", "landscape", "rates", "claims", "schedule", "class")


def make_all(
    wanted: Sequence[Entry],
    folder: Path,
    options: Sequence[str],
    *,
    workers: int | None = None,
    on_made: Callable[[Entry], None],
) -> list[tuple[Entry, str]]:
    """Make entries into a folder, in as many processes as there are cores; those that take longest first.

    Parameters
    ----------
    wanted : sequence of Entry
        What to make.
    folder : path
        An existing directory.
    options : sequence of str
        Of the command `downslope chapter`, for every entry.
    workers : int, optional
        Processes at a time.
    on_made : callable
        Called with each entry that is done.

    Returns
    -------
    list of (Entry, str)
        Entries that could not be made, each with the sentence that says why.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C: what is being made is given up, what was made stays.
    """
    order = sorted(wanted, key=lambda entry: (LONGEST_FIRST.index(entry.kind), not entry.animated))
    failures: list[tuple[Entry, str]] = []
    children = _Children()
    # Threads only wait for the processes; the main thread takes the interrupt.
    with ThreadPoolExecutor(workers or max(cores(), 1)) as threads:
        waiting: dict[Future[str], Entry] = {
            threads.submit(children.run, _command(entry, folder, options)): entry for entry in order
        }
        try:
            while waiting:
                done, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    entry, complaint = waiting.pop(future), future.result()
                    if complaint:
                        failures.append((entry, complaint))
                    else:
                        on_made(entry)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            children.stop()
            raise
    return failures


def end_with_parent() -> None:
    """End this process as Ctrl-C does when its standard input closes: what started it is gone."""

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)
        _thread.interrupt_main()

    threading.Thread(target=wait, daemon=True).start()


class _Children:
    """The processes under way, so that all can be ended at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, command: Sequence[str]) -> str:
        """Run a command to its end; return nothing, or its last words if it failed."""
        with self._lock:
            if self._stopped:
                return "stopped"
            # A session of its own: Ctrl-C in the terminal reaches this process alone, which then ends the others.
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # it closes when this process is gone, however it went: see `end_with_parent`
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env={"OPENBLAS_NUM_THREADS": "1", **os.environ},  # the processes share the cores already
            )
            self._running.add(child)
        with child:
            assert child.stderr is not None
            words = child.stderr.read()
        with self._lock:
            self._running.discard(child)
        if child.returncode == 0:
            return ""
        lines = [line for line in words.splitlines() if line.strip()]
        return lines[-1].removeprefix("downslope: ") if lines else f"it ended with status {child.returncode}"

    def stop(self) -> None:
        """End all of them, as Ctrl-C does: they remove what is half written."""
        with self._lock:
            self._stopped = True
            for child in self._running:
                child.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)


def _command(entry: Entry, folder: Path, options: Sequence[str]) -> list[str]:
    if not sys.executable:
        raise DownslopeError("this Python does not know its own program, which is needed to start others")
    return [sys.executable, "-m", "downslope", "chapter", entry.key, "--out", str(folder), "--child", *options]
