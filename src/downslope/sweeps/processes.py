"""Runs trained by processes of this machine: one run at a time each, and a lost process is replaced.

A worker is a fresh Python that speaks through its standard input and output, each message a pickle. It is told the job
once, then one chunk after another. When its input ends, for whatever reason (nothing is left to do, Ctrl-C, the
sweep's process was killed), it gives up the run under way and ends.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

from downslope import checks
from downslope.errors import InputError
from downslope.sweeps.executors import Chunk, Results
from downslope.sweeps.job import Job
from downslope.sweeps.parcel import ChunkError, Parcel, described, name_of, opened, packed
from downslope.sweeps.work import Bench, Finished, Stop

__all__ = ["ProcessExecutor", "serve"]

LOSSES_TOGETHER = 2  # after which a chunk's runs are tried one by one
LOSSES_ALONE = 3  # after which a run by itself counts as failed
STARTS = 3  # of a worker process in vain, after which the sweep ends
SECONDS_TO_STOP = 0.8
SECONDS_BETWEEN_LOOKS = 0.05
BEGIN = "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
BEGIN += "from downslope.sweeps.processes import serve; serve()"

Outcome: TypeAlias = Finished | Exception

_loads_main = False


class ProcessExecutor:
    """Trains in other processes of this machine.

    Parameters
    ----------
    workers : int
        How many processes, at least 1.
    """

    chunk_seconds = 0.5

    def __init__(self, workers: int) -> None:
        self.slots = checks.whole("workers", workers, at_least=1, at_most=1024)

    def execute(self, job: Job, chunks: Iterable[Chunk], stop: Stop) -> Results:
        """Yield each chunk when it is done; see `Executor.execute`.

        A chunk whose process ended under it (killed, out of memory, crashed) is tried again in a new one; the second
        time its runs are tried one by one, and a run that then takes its process with it twice more is given up.

        Raises
        ------
        InputError
            If the job cannot be sent to other processes, or they cannot train it.
        """
        workers = _workers(job, self.slots)
        results: queue.Queue[Any] = queue.Queue(maxsize=4 * self.slots)
        source, one_at_a_time = iter(chunks), threading.Lock()

        def train(worker: _Worker) -> None:
            try:
                while not stop.is_set():
                    with one_at_a_time:
                        chunk = next(source, None)
                    if chunk is None:
                        return
                    for result in _tried(worker, chunk, stop):
                        results.put(result)
            except BaseException as error:  # a worker could not be had, or the chunks themselves not be made
                results.put(error)
            finally:
                worker.end()
                results.put(None)

        threads = [
            threading.Thread(target=train, args=(worker,), name=f"sweep-{i}", daemon=True)
            for i, worker in enumerate(workers)
        ]
        working = 0
        try:
            for thread in threads:
                thread.start()
                working += 1
            stopping = _Stopping(workers, stop)
            while working:
                stopping.look()
                try:
                    result = results.get(timeout=SECONDS_BETWEEN_LOOKS)
                except queue.Empty:
                    continue
                if result is None:
                    working -= 1
                elif isinstance(result, BaseException):
                    raise result
                else:
                    yield result
        finally:
            if working:
                stop.set()
            for worker in workers:
                worker.kill()
            while working:  # a thread may be waiting for room
                working -= results.get() is None
            for thread in threads:
                if thread.ident is not None:
                    thread.join()


def _workers(job: Job, count: int) -> list[_Worker]:
    if _loads_main:
        raise InputError(
            "a sweep with workers must stand under if __name__ == '__main__': in a script whose own rule it trains, "
            "since every worker reads that script"
        )
    parcel = packed(job)
    return [_Worker(parcel) for _ in range(count)]


def _tried(worker: _Worker, chunk: Chunk, stop: Stop) -> Iterator[tuple[Chunk, Outcome]]:
    """Yield what is made of a chunk, whole or run by run; see `ProcessExecutor.execute`."""
    waiting = [(chunk, 0)]
    while waiting and not stop.is_set():
        runs, lost = waiting.pop()
        outcome = worker.train(runs)
        if not isinstance(outcome, _LostError):
            yield runs, outcome
        elif stop.is_set():
            return
        elif len(runs) > 1 and lost + 1 >= LOSSES_TOGETHER:
            waiting += [([run], 1) for run in reversed(runs)]
        elif lost + 1 < LOSSES_ALONE:
            waiting.append((runs, lost + 1))
        else:
            yield runs, ChunkError(f"{name_of(runs)} was given up: each of the processes that tried {outcome}")


class _Stopping:
    """Passes the wish that a sweep end on to its workers, and ends those that do not hear it in time."""

    def __init__(self, workers: list[_Worker], stop: Stop) -> None:
        self._workers, self._stop = workers, stop
        self._kill_at: float | None = None

    def look(self) -> None:
        """Do what there is to do; to be called often."""
        if self._kill_at is None:
            if self._stop.is_set():
                self._kill_at = time.monotonic() + SECONDS_TO_STOP
                for worker in self._workers:
                    worker.ask_to_stop()
        elif time.monotonic() > self._kill_at:
            for worker in self._workers:
                worker.kill()


class _LostError(Exception):
    """How a worker process ended under a chunk."""


class _Worker:
    """One process at a time that trains chunks; a new one after each that was lost. Used by one thread.

    `ask_to_stop` and `kill` may come from another thread at any time; there is no new process after them.
    """

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # of _process and _over
        self._over = False

    def train(self, runs: Chunk) -> Outcome | _LostError:
        """Return what the process made of a chunk, or how it ended instead.

        Raises
        ------
        InputError
            If the process refuses the job, or none can be started.
        """
        if self._process is None:
            self._start()
        if self._process is None:
            return _LostError("was stopped")
        answer = self._ask(self._process, runs)
        if answer is None:
            return _LostError(self._ended())
        kind, content = answer
        return content if kind == "done" else ChunkError(f"{content}, in {name_of(runs)}")

    def _start(self) -> None:
        """Start a process and wait until it has opened the job."""
        ended = ""
        for _ in range(STARTS):
            with self._lock:
                if self._over:
                    return
                process = self._process = _spawned()
            answer = self._ask(process, sys.path, (self.parcel, _main_of(self.parcel)))
            if answer is not None:
                kind, content = answer
                if kind == "refused":
                    raise InputError(content)
                return
            ended = self._ended()
        raise InputError(f"workers must be processes that can be started. Received: one that {ended} before it began")

    @staticmethod
    def _ask(process: subprocess.Popen[bytes], *messages: Any) -> tuple[str, Any] | None:
        """Send something and return the answer; None where the process ended instead."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for message in messages:
                pickle.dump(message, process.stdin)
            process.stdin.flush()
            answer: tuple[str, Any] = pickle.load(process.stdout)
        except Exception:  # it ended, perhaps in the middle of a word
            return None
        return answer

    def _ended(self) -> str:
        """Let go of a process that is ending, and return how it ended."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return "was stopped"
        code = _gone(process)
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return f"was killed by {name}"
        return f"ended with status {code}"

    def ask_to_stop(self) -> None:
        """Have the run under way given up, and the process end after it has told what it finished."""
        with self._lock:
            self._over = True
            process = self._process
        if process is not None:  # a thread in the middle of a long message holds the stream, and must not hold us
            threading.Thread(target=_shut, args=(process.stdin,), daemon=True).start()

    def kill(self) -> None:
        """End the process at once."""
        with self._lock:
            self._over = True
            if self._process is not None:
                self._process.kill()

    def end(self) -> None:
        """End an idle process."""
        with self._lock:
            self._over = True
            process, self._process = self._process, None
        if process is not None:
            _gone(process)


def _spawned() -> subprocess.Popen[bytes]:
    """Return a new worker process; Ctrl-C in the terminal does not reach it."""
    apart: dict[str, Any] = {"process_group": 0}
    if os.name == "nt":
        apart = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    return subprocess.Popen(
        [sys.executable, *options, "-c", BEGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **apart
    )


def _gone(process: subprocess.Popen[bytes]) -> int:
    """Wait until a process that is asked to end has done so, kill it where it does not, and return its status."""
    _shut(process.stdin)
    try:
        process.wait(timeout=SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _shut(process.stdout)
    return process.returncode


def _shut(stream: IO[bytes] | None) -> None:
    assert stream is not None
    with suppress(OSError):  # what was still to be written finds no reader
        stream.close()


def _main_of(parcel: Parcel) -> dict[str, Any]:
    """Return where a worker finds the script that was started, if the job needs something of it."""
    if not parcel.needs_main:
        return {}
    from multiprocessing import spawn

    told = spawn.get_preparation_data("downslope-worker")
    return {name: told[name] for name in ("init_main_from_name", "init_main_from_path") if name in told}


def serve() -> None:
    """Be a worker process: open a job, then train the chunks that come, until none comes any more."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a rule prints does not mix with the answers
    try:
        try:
            parcel, main = pickle.load(source)
            bench = Bench(_with_main(parcel, main))
        except InputError as error:
            _answer(sink, "refused", str(error))
            return
        _answer(sink, "ready", None)
        _train_all(bench, source, sink)
    except (EOFError, OSError, pickle.UnpicklingError):  # whoever asked is gone
        pass
    finally:
        with suppress(OSError):
            sink.flush()
        os._exit(0)  # a thread of the rule's own must not keep the process


def _train_all(bench: Bench, source: IO[bytes], sink: IO[bytes]) -> None:
    chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
    stop = Stop()

    def listen() -> None:
        try:
            while True:
                chunks.put(pickle.load(source))
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            stop.set()
            chunks.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while (runs := chunks.get()) is not None:
        try:
            finished = bench.work(runs, stop)
        except Exception as error:
            _answer(sink, "error", described(error))
        else:
            _answer(sink, "done", finished)


def _answer(sink: IO[bytes], kind: str, content: Any) -> None:
    pickle.dump((kind, content), sink)
    sink.flush()


def _with_main(parcel: Parcel, main: dict[str, Any]) -> Job:
    """Open a job, after what it needs of the script that was started."""
    global _loads_main  # noqa: PLW0603 - a sweep that the script begins while it is read has to know
    if main:
        from multiprocessing import spawn

        _loads_main = True
        try:
            with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # it has been printed once
                spawn.prepare(main)
        except InputError:
            raise
        except BaseException as error:  # the script's own, SystemExit too
            raise InputError(
                f"a worker must be able to read the script whose own rule it trains. Received: {described(error)}"
            ) from error
        finally:
            _loads_main = False
    return opened(parcel)
