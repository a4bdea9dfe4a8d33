"""Where the command writes: refused before the work where that can be known, and whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from downslope import checks
from downslope.files import written_whole

if TYPE_CHECKING:
    import polars

__all__ = ["TABLES", "place", "write_table"]

TABLES = (".csv", ".parquet")


def place(name: str, given: str, endings: tuple[str, ...]) -> Path:
    """Return the path given for an option, or raise InputError for what could not be written there."""
    path = Path(given)
    if path.suffix.lower() not in endings:
        raise checks.refuse(name, f"a file ending in {' or '.join(endings)}", given)
    if path.is_dir() or not path.parent.is_dir():
        raise checks.refuse(name, "a file in a directory that exists", given)
    return path


def write_table(frame: polars.DataFrame, path: Path) -> None:
    """Write a data frame in the format the path's ending names."""
    with written_whole(path) as temporary:
        if path.suffix.lower() == ".csv":
            frame.write_csv(temporary)
        else:
            frame.write_parquet(temporary)
