"""What the command writes on stdout and stderr; light, because every start loads it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from downslope.errors import InputError

__all__ = [
    "InterruptedCommandError",
    "ReaderLeftError",
    "command_line",
    "counted",
    "path_text",
    "print_columns",
    "print_list",
    "say",
    "shown",
    "stopped",
    "tell",
    "written",
]


class InterruptedCommandError(Exception):
    """A command was interrupted; its cause is the KeyboardInterrupt."""


class ReaderLeftError(Exception):
    """Nobody reads stdout any more, as in `downslope train … | head`."""


def say(line: str) -> None:
    """Print a line on stdout; through `print`, so that it passes above a progress bar in the same terminal."""
    try:
        print(line, flush=True)  # noqa: T201 - this is the command's own output
    except BrokenPipeError as error:
        raise ReaderLeftError from error


def tell(sentence: str) -> None:
    """Print a sentence on stderr, if there is one."""
    if sys.stderr is not None:
        with suppress(OSError):  # whoever listened has gone: that is no reason to stop
            print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - this is the command's own output


def stopped(interrupt: KeyboardInterrupt) -> str:
    """Return by what a command was stopped, as its last sentence begins."""
    return f"Stopped by {str(interrupt) or 'Ctrl-C'}"


def command_line(command: str, path: Path, *more: str) -> str:
    """Return `downslope COMMAND PATH MORE …` as a shell takes it, whatever the path is called."""
    place = str(path)
    return " ".join(["downslope", command, *map(_quoted, (f"./{place}" if place.startswith("-") else place, *more))])


def path_text(path: Path) -> str:
    """Return a path as it is told of: bytes that are no text are shown as such."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _quoted(word: str) -> str:
    """Return a word as a shell takes it; one that is not UTF-8 in the form that bash, zsh and ksh know."""
    try:
        word.encode()
    except UnicodeEncodeError:
        plain = word.replace("\\", "\\\\").replace("'", "\\'")
        return "$'" + os.fsencode(plain).decode("utf-8", "backslashreplace") + "'"
    return shlex.quote(word)


def counted(number: int, thing: str) -> str:
    """Return `1 epoch`, `1,000 epochs`."""
    if number == 1:
        return f"1 {thing}"
    return f"{number:,} {thing}{'es' if thing.endswith('s') else 's'}"


def print_list(title: str, entries: Sequence[tuple[str, str]]) -> None:
    """Print names and what they mean in two columns under a title, wrapped to the terminal."""
    formatter = click.HelpFormatter(max_width=110)
    with formatter.section(title):
        formatter.write_dl(entries)
    say(formatter.getvalue().rstrip("\n"))


def print_columns(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 0) -> None:
    """Print texts in columns under their heads: the first `left` of them aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for line in (heads, *rows):
        cells = [
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


def written(subject: Any, writers: Sequence[tuple[Path, Callable[[Any, Path], object]]]) -> InputError | None:
    """Write the files that were asked for, each whatever becomes of the others; return what went wrong."""
    failures: list[InputError] = []
    for path, write in writers:
        try:
            write(subject, path)
            tell(f"Wrote {path}")
        except InputError as error:
            failures.append(error)
    return InputError("; ".join(str(failure) for failure in failures)) if failures else None


def shown(default: float | bool) -> str:
    """Return a setting's default as help and lists show it."""
    return str(default) if isinstance(default, bool) else f"{default:g}"
