"""Ctrl-C as a request: training finishes its step, keeps everything, and only then is interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["deferred_interrupt"]


class _Request:
    """A handler that passes the first Ctrl-C on as a wish to stop, and at the second gives up its place."""

    def __init__(self) -> None:
        self.pressed = False
        self.stops: list[Callable[[], None]] = []

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        if self.pressed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt
        self.pressed = True
        for stop in self.stops:
            stop()


@contextmanager
def deferred_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """At the first Ctrl-C call `stop`, and raise KeyboardInterrupt when the block ends, however it ends.

    A second Ctrl-C interrupts at once. Nothing is changed outside the main thread, where Python delivers no signals,
    and where the program handles or ignores Ctrl-C in a way of its own. A block inside another shares its request.
    """
    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not (before is signal.default_int_handler or isinstance(before, _Request)):
        yield
        return
    request = before if isinstance(before, _Request) else _Request()
    request.stops.append(stop)
    if request.pressed:
        stop()
    signal.signal(signal.SIGINT, request)
    try:
        yield
    finally:
        request.stops.remove(stop)
        if request is not before:
            signal.signal(signal.SIGINT, before)
        if request.pressed:
            raise KeyboardInterrupt
