"""What other threads ask of a run in training: done by the thread that trains it, between two steps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from downslope.engines.problem import Control
from downslope.errors import InputError

__all__ = ["Requests"]

T = TypeVar("T")


class Requests:
    """The door to a run: one call of train at a time, and everybody else's wishes between its steps."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._control: Control | None = None
        self._trainer: int | None = None

    def begin(self, control: Control) -> None:
        """Let this thread train, or raise InputError where a call of train is under way."""
        with self._lock:
            if self._control is not None:
                raise InputError("a run must be trained by one call at a time. Received: a call of train in another")
            self._control, self._trainer = control, threading.get_ident()

    def end(self) -> None:
        """Give the door free; wishes that came too late are done now."""
        with self._lock:
            self._control = self._trainer = None
            self._do()

    def ask(self, action: Callable[[], T]) -> T:
        """Do something to the run now, or between two steps where another thread trains it; return what it returns."""
        with self._lock:
            if self._control is None:
                return action()
            if self._trainer == threading.get_ident():
                self._control.pause()  # a signal handler may ask while an engine is at work: see `Course._steered`
                return action()
            answer: Future[T] = Future()
            self._waiting.append((action, answer))
            self._control.pause()
        return answer.result()

    def stop(self) -> None:
        """Ask for the end of the training under way, if any."""
        with self._lock:
            if self._control is not None:
                self._control.stop()

    def serve(self) -> None:
        """Do what others wait for; only the thread that trains calls it, between two calls of the engine."""
        if self._control is not None:
            self._control.resume()  # first: what comes after this pauses the engine again
        if self._waiting:
            with self._lock:
                self._do()

    def _do(self) -> None:
        while self._waiting:
            action, answer = self._waiting.popleft()
            try:
                answer.set_result(action())
            except BaseException as error:  # it is the asker's
                answer.set_exception(error)
