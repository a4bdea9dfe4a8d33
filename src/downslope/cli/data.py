"""`downslope data`: the data sets by name, and their rows as a file."""

from __future__ import annotations

from pathlib import Path

import click

from downslope import checks
from downslope.cli.lines import print_list
from downslope.data import SETS, named
from downslope.files import written_whole

__all__ = ["command"]


@click.command("data")
@click.argument("name", required=False)
@click.option("--write", "path", metavar="FILE", help="Write the rows to a .csv or .parquet file.")
def command(name: str | None, path: str | None) -> None:
    r"""List the data sets, or describe the one called NAME and write it to a file.

    \b
    downslope data wine --write wine.csv
    """
    if name is None:
        if path is not None:
            raise checks.refuse("name", f"given with --write: one of {', '.join(SETS)}", None)
        print_list(
            "Data sets", [(found, f"{_capital(entry.description)} {entry.size}.") for found, entry in SETS.items()]
        )
        click.echo("\nTables of your own: downslope train FILE.csv --target COLUMN (.csv, .tsv or .parquet)")
        return
    data = named(name)
    entry = SETS[name]
    click.echo(f"{name}: {_capital(entry.description)}\n")
    classes = f" ({', '.join(data.classes)})" if data.classes else ""
    told = [("size", entry.size), ("features", ", ".join(data.features)), ("target", ", ".join(data.target) + classes)]
    print_list("Columns", told)
    if entry.settings:
        click.echo()
        print_list("Settings", [(key, f"{value} by default") for key, value in entry.settings.items()])
    if path is None:
        return
    file = Path(path)
    if file.suffix.lower() not in {".csv", ".parquet"}:
        raise checks.refuse("write", "a file ending in .csv or .parquet", path)
    with written_whole(file) as temporary:
        if file.suffix.lower() == ".csv":
            data.frame().write_csv(temporary)
        else:
            data.frame().write_parquet(temporary)
    click.echo(f"Wrote {path}", err=True)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
