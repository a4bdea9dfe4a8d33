"""A progress bar on stderr for a sweep in a terminal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from downslope.training.progress import bar

__all__ = ["progress_bar"]


def progress_bar(
    wanted: bool | None, done: int, planned: int
) -> AbstractContextManager[Callable[[int, int, int], None]]:
    """Return a `bar` of runs, to be called with the numbers of runs done, exploded and failed."""

    def told(_: int, exploded: int, failed: int) -> str:
        counts = [(exploded, "exploded"), (failed, "failed")]
        return "  ".join(f"{count:,} {word}" for count, word in counts if count)

    return bar(wanted, "runs", done, planned, told)
