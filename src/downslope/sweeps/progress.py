"""A progress bar on stderr for a sweep in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar"]

SECONDS_BETWEEN_UPDATES = 0.1


@contextmanager
def progress_bar(wanted: bool | None, done: int, planned: int) -> Iterator[Callable[[int, int, int], None]]:
    """Yield a function to be called with the numbers of runs done, exploded and failed.

    `wanted` None means: only where stderr is a terminal. Asked for elsewhere, the bar is written once, when it ends.
    """
    if sys.stderr is None or not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda done, exploded, failed: None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("runs"),
        progress.MofNCompleteColumn(),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[lost]}"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True, force_jupyter=False)
    to_terminal = sys.stdout is not None and sys.stdout.isatty()
    with progress.Progress(*columns, console=console, redirect_stdout=to_terminal) as bar:
        task = bar.add_task("", total=planned, completed=done, lost="")
        latest, drawn_at = (done, 0, 0), 0.0

        def draw() -> None:
            nonlocal drawn_at
            drawn_at = time.monotonic()
            counts = [(latest[1], "exploded"), (latest[2], "failed")]
            lost = "  ".join(f"{count:,} {word}" for count, word in counts if count)
            bar.update(task, completed=latest[0], lost=lost)

        def show(done: int, exploded: int, failed: int) -> None:
            nonlocal latest
            latest = (done, exploded, failed)
            if time.monotonic() - drawn_at >= SECONDS_BETWEEN_UPDATES:
                draw()

        try:
            yield show
        finally:
            draw()
