"""The directories that `train --save`, `resume` and `branch` keep runs in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from downslope import checks
from downslope.checks import Interval
from downslope.cli.options import Number, option
from downslope.cli.output import command_line, path_text
from downslope.errors import InputError
from downslope.files import locked, made_directory, named, written_whole
from downslope.training import Run
from downslope.training.tree import holds_run

__all__ = [
    "AUTOSAVE_SECONDS",
    "SAVE",
    "autosave_option",
    "autosave_seconds",
    "begun",
    "beside",
    "held",
    "new_directory",
    "plan",
    "planned",
    "saved_run",
]

SAVE = "Saving"
AUTOSAVE_SECONDS = 30.0
PLAN, IN_USE = "plan.json", ".in-use"


def autosave_option(function: Any) -> Any:
    """Give a command the option that says how often a run is saved."""
    told = (
        f"Save at least so often while it trains; also at its end, however that comes. Default: {AUTOSAVE_SECONDS:g}."
    )
    return option(SAVE, "--autosave", type=Number(), metavar="SECONDS", help=told)(function)


def autosave_seconds(given: Any) -> float:
    """Return what `--autosave` asks for, or raise InputError."""
    return AUTOSAVE_SECONDS if given is None else checks.real("autosave", given, Interval(above=0))


def new_directory(text: str) -> Path:
    """Return where a new run can be kept: what is not there yet, or an empty directory.

    Raises
    ------
    InputError
        If it holds a run, or anything else. Hidden files do not count.
    """
    path = Path(named("save", text, "a directory"))
    if path.exists() and not path.is_dir():
        raise checks.refuse("save", "a directory, not a file", text)
    if not path.exists():
        return path
    if holds_run(path):
        told = f"which holds a run: go on with it by `{command_line('resume', path)}`, or choose another directory"
        raise InputError(f"save must be a new directory. Received: {path_text(path)}, {told}")
    if any(not name.startswith(".") for name in _names(path)):
        rule = "a new or an empty directory"
        raise InputError(f"save must be {rule}. Received: {path_text(path)}, which holds other files")
    return path


def saved_run(text: str) -> Path:
    """Return the directory of a saved run, or raise InputError where there is none."""
    path = Path(named("RUN", text, "a directory with a saved run"))
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise InputError(f"RUN must be a directory with a saved run. Received: {path_text(path)}, which {found}")
    if not holds_run(path):
        inside = sorted(one.name for one in path.iterdir() if one.is_dir() and holds_run(one))
        hint = f"; there are runs in it: {', '.join(inside[:5])}" + ", …" * (len(inside) > 5) if inside else ""
        told = f"{path_text(path)}, which holds none{hint}"
        raise InputError(f"RUN must be a directory with a saved run. Received: {told}")
    return path


def beside(directory: Path) -> Path:
    """Return a new directory beside another: `runs/wine-2` for `runs/wine`, or the next number that is free."""
    resolved = directory.resolve()
    numbers = iter(range(2, 10**9))
    return next(path for number in numbers if not (path := directory.parent / f"{resolved.name}-{number}").exists())


@contextmanager
def begun(run: Run, directory: Path, epochs: int) -> Iterator[None]:
    """Keep a new run in a directory, and hold that while the block lasts.

    It is saved right away: what cannot be saved is said before the training, and a kill in the first seconds leaves a
    run too.
    """
    made = made_directory(directory)
    with held(directory):
        new_directory(str(directory))  # another command may have been quicker
        try:
            run.save(directory)
            plan(directory, run.epoch + epochs)
        except BaseException:
            if not holds_run(directory):
                _unmade(directory, made)
            raise
        yield


def _unmade(directory: Path, made: list[Path]) -> None:
    """Remove directories that were made for a run that could not be saved, where nothing of anybody's is in them."""
    with suppress(OSError):
        (directory / IN_USE).unlink()
        for one in made:
            one.rmdir()


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold a run's directory: while the block lasts no other command trains what is in it.

    Raises
    ------
    InputError
        If another one does, or the directory cannot be written.
    """
    try:
        handle = locked(directory / IN_USE)
    except OSError as error:
        raise InputError(f"{path_text(directory)} could not be written: {error.strerror or error}") from error
    if handle is None:
        rule = "trained by one command at a time; another one is training it"
        told = f"wait for it, or go another way with `{command_line('branch', directory)}`"
        raise InputError(f"a run must be {rule}: {told}. Received: {path_text(directory)}")
    try:
        yield
    finally:
        os.close(handle)


def plan(directory: Path, epochs: int) -> None:
    """Write down to which epoch a run is to go, for `downslope resume` without `--epochs`."""
    with written_whole(directory / PLAN) as temporary:
        temporary.write_text(json.dumps({"epochs": epochs}) + "\n")


def planned(directory: Path) -> int | None:
    """Return to which epoch a run is to go; None where nobody wrote that down."""
    try:
        epochs = json.loads((directory / PLAN).read_bytes())["epochs"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return epochs if type(epochs) is int else None


def _names(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path))  # noqa: PTH208 - names alone
    except OSError as error:
        raise InputError(f"{path_text(path)} could not be read: {error.strerror or error}") from error
