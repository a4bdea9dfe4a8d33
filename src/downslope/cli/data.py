"""`downslope data`: the data sets by name, and their rows as a file."""

from __future__ import annotations

import click

from downslope.cli.output import print_list, say, tell
from downslope.data import SETS, named
from downslope.errors import InputError
from downslope.files import TABLES, place, write_table

__all__ = ["command"]


@click.command("data")
@click.argument("name", required=False)
@click.option("--write", "path", metavar="FILE", help="Write the rows to a .csv, .tsv or .parquet file.")
def command(name: str | None, path: str | None) -> None:
    """List the data sets, or describe the one called NAME and write it to a file.

    \b
    downslope data wine --write wine.csv
    """
    if name is None:
        if path is not None:
            raise InputError(f"--write must follow the name of a data set: {', '.join(SETS)}. Received: none")
        print_list(
            "Data sets", [(found, f"{_capital(entry.description)} {entry.size}.") for found, entry in SETS.items()]
        )
        say("\nTables of your own: downslope train FILE.csv --target COLUMN (.csv, .tsv or .parquet)")
        return
    data, entry = named(name), SETS[name]
    if path is not None:
        write_table(data.frame(), place("write", path, TABLES))
    classes = f" ({', '.join(data.classes)})" if data.classes else ""
    say(f"{_capital(entry.description)}\n")
    told = [("size", entry.size), ("features", ", ".join(data.features)), ("target", ", ".join(data.target) + classes)]
    print_list("Columns", told)
    if entry.settings:
        say("")
        print_list("Settings", [(key, f"{value} by default") for key, value in entry.settings.items()])
    if path is not None:
        tell(f"Wrote {path}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
