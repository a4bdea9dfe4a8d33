"""`downslope chapter`: the book's figures, printed runs and listings, made and compared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from downslope import checks
from downslope.cli.options import Number
from downslope.cli.output import print_columns, print_list, say, stopped, tell
from downslope.errors import InputError

if TYPE_CHECKING:
    from downslope.book.catalogue import Entry
    from downslope.book.making import Made

__all__ = ["command"]

Style = Literal["light", "dark"]
EVERYTHING = "all"


@click.command("chapter")
@click.argument("names", nargs=-1, metavar="[list | all | NAME…]")
@click.option("--out", metavar="DIR", help="Write pictures, animations and data into this folder, with an index.html.")
@click.option(
    "--movies",
    default="gif,html",
    show_default=True,
    metavar="KINDS",
    help="Animations to write: any of gif, html (a player with a scrubber) and mp4 (needs ffmpeg); or none.",
)
@click.option("--style", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@click.option(
    "--faithful", is_flag=True, help="Animate trainings as fast as the chapter does; flashes, behind a warning."
)
@click.option("--script", "as_script", is_flag=True, help="Print the training as a script in the chapter's style.")
@click.option("--workers", type=Number(), metavar="N", help="Processes for several entries. Default: one a core.")
@click.option("--progress/--no-progress", default=None, help="Progress bar on stderr. Default: in a terminal.")
@click.option("--child", is_flag=True, help="One of several: no index.html, and an end with its parent.", hidden=True)
def command(
    *,
    names: tuple[str, ...],
    out: str | None,
    movies: str,
    style: Style,
    faithful: bool,
    as_script: bool,
    workers: Any,
    progress: bool | None,
    child: bool,
) -> None:
    """Run the book's chapter: its listings, tables, figures and animations.

    NAME is a figure such as fig10.19, or a listing. Its rows are printed beside the book's; where the book's run is one
    of a spread, each of its losses is given a percentile among many runs. With --out its picture and its animation are
    written too.

    \b
    downslope chapter list
    downslope chapter fig10.19 --out figures/
    downslope chapter all --out figures/
    downslope chapter fig10.19 --script > mine.py
    """
    from downslope.book.catalogue import entries, entry

    if "list" in names or not names:
        if len(names) > 1 or out is not None or as_script:
            raise InputError("list must stand alone: downslope chapter list")
        _print_catalogue()
        return
    if as_script and out is not None:
        raise InputError("--script prints the script: leave --out away, and direct it into a file")
    count = None if workers is None else checks.whole("workers", workers, at_least=1, at_most=256)
    if child:
        from downslope.book.everything import end_with_parent

        end_with_parent()
    wanted = list(entries().values()) if EVERYTHING in names else [entry(name) for name in dict.fromkeys(names)]
    if as_script:
        _print_scripts(wanted)
        return
    if out is None and EVERYTHING in names:
        raise InputError("all must be given a folder: downslope chapter all --out DIR")
    endings = _endings(movies)
    folder = None if out is None else _folder(out)
    if folder is not None and endings:
        from downslope.figures.movies import check_movies

        check_movies([folder / f"{wanted[0].key}{ending}" for ending in endings])
    if folder is None or len(wanted) == 1:
        try:
            _here(wanted, folder, endings, style, faithful)
        except KeyboardInterrupt as interrupt:
            tell(f"{stopped(interrupt)}.")
            if folder is not None and not child:
                _index(folder, style)
            raise
    else:
        options = ["--movies", movies, "--style", style, *(["--faithful"] if faithful else [])]
        _in_processes(wanted, folder, options, count, style, progress)
    if folder is not None and not child:
        _index(folder, style)


def _here(wanted: Sequence[Entry], folder: Path | None, endings: list[str], style: Style, faithful: bool) -> None:
    from downslope.book.making import make

    for place, one in enumerate(wanted):
        if place:
            say("")
        made = make(one, folder, movies=endings, style=style, faithful=faithful)
        _print(made)
        if folder is not None:
            for file in made.files:
                tell(f"Wrote {folder / file.name}")


def _in_processes(
    wanted: Sequence[Entry], folder: Path, options: list[str], workers: int | None, style: Style, progress: bool | None
) -> None:
    """Make them all; whatever ends this early, the index shows what was made."""
    from downslope.book.everything import make_all
    from downslope.training.progress import bar

    started, done = time.perf_counter(), 0
    with bar(progress, "chapter", 0, len(wanted), lambda _, latest: latest, left=False) as show:

        def on_made(one: Entry) -> None:
            nonlocal done
            done += 1
            show(done, one.key)
            tell(f"{one.key}: {one.title}")

        try:
            failures = make_all(wanted, folder, options, workers=workers, on_made=on_made)
        except KeyboardInterrupt as interrupt:
            tell(f"{stopped(interrupt)} with {done} of {len(wanted)} made.")
            _index(folder, style)
            raise
    if failures:
        _index(folder, style)
        raise InputError("; ".join(f"{one.key} could not be made: {why}" for one, why in failures))
    tell(f"Made {len(wanted)} entries in {time.perf_counter() - started:,.0f} s.")


def _index(folder: Path, style: Style) -> None:
    from downslope.book.making import read_records
    from downslope.book.pages import write_index

    if not (made := read_records(folder)):
        return
    tell(f"Wrote {write_index(folder, made, style)}")


def _print_catalogue() -> None:
    from downslope.book.catalogue import entries

    figures: list[tuple[str, str]] = []
    listings: list[tuple[str, str]] = []
    for one in entries().values():
        also = f" ({', '.join(one.also)})" if one.also else ""
        (figures if one.number else listings).append((one.key, f"{one.title}{also}"))
    print_list("Figures", figures)
    say("")
    print_list("Listings", listings)
    say("\nOne of them: downslope chapter fig10.19 --out figures/\nAll of them: downslope chapter all --out figures/")


def _print_scripts(wanted: Sequence[Entry]) -> None:
    from downslope.book.scripts import script

    if len(wanted) != 1 or wanted[0].kind != "training":
        keys = ", ".join(one.key for one in wanted)
        raise InputError(f"--script must be asked of one training, such as fig10.19. Received: {keys}")
    say(script(wanted[0].settings).rstrip("\n"))


def _print(made: Made) -> None:
    from downslope.book.making import LISTING

    say(f"{made.key}: {made.title}")
    say(made.about)
    for table in made.tables:
        say(f"\n{table.title}")
        print_columns(table.columns, table.rows, left=table.words)
        for note in table.notes:
            say(note)
    if made.script_title == LISTING and made.script:
        say(f"\n{LISTING}:\n\n{made.script.rstrip()}")


def _endings(movies: str) -> list[str]:
    kinds = [kind.strip().lower().removeprefix(".") for kind in movies.split(",")]
    if kinds == ["none"]:
        return []
    if not set(kinds) <= {"gif", "html", "mp4"}:
        raise InputError(f"--movies must be any of gif, html and mp4, or none. Received: --movies {movies}")
    return [f".{kind}" for kind in dict.fromkeys(kinds)]


def _folder(out: str) -> Path:
    """Return the folder, made where it is not there yet, or raise InputError."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"out must be a folder. Received: {out} ({error.strerror or error})") from error
    return folder
