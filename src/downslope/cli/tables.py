"""Tables the command writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from downslope.errors import InputError
from downslope.files import written_whole

if TYPE_CHECKING:
    import polars

__all__ = ["TABLES", "write_table"]

TABLES = (".csv", ".parquet")


def write_table(frame: polars.DataFrame, path: Path) -> None:
    """Write a data frame in the format the path's ending names."""
    import polars as pl

    try:
        with written_whole(path) as temporary:
            if path.suffix.lower() == ".csv":
                frame.write_csv(temporary)
            else:
                frame.write_parquet(temporary)
    except pl.exceptions.PolarsError as error:  # a full disk, among others
        raise InputError(f"{path} could not be written: {error}") from error
