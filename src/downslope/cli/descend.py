"""`downslope descend`: optimizers on a function of one or two variables, their table, pictures and animations."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from downslope import checks
from downslope.cli.options import Number, SectionedCommand, option
from downslope.cli.output import print_columns, print_list, say, stopped, tell
from downslope.cli.specs import SPEC_HELP, optimizer_spec
from downslope.errors import InputError
from downslope.files import TABLES, place, write_table
from downslope.landscapes import LANDSCAPES, Landscape, landscape

if TYPE_CHECKING:
    import polars

    from downslope.engines.descent import Descent

__all__ = ["command"]

DESCENT, OUTPUT = "Descent", "Output"
USUAL = ("sgd", "sgd:momentum=0.9", "rmsprop", "adam")
LONG = 2_000  # steps whose tuning takes seconds
HEADS = ("optimizer", "learning rate", "final value", "distance", "steps to the minimum")


@click.command("descend", cls=SectionedCommand)
@click.argument("name", metavar="LANDSCAPE", required=False)
@option(
    DESCENT,
    "--optimizer",
    "specs",
    metavar="TEXT",
    multiple=True,
    help=f"{SPEC_HELP}; or script.py:Class for a rule of your own; also decay=X, and last schedule=TEXT. Repeat for "
    f"several. Default: {', '.join(USUAL)}.",
)
@option(
    DESCENT,
    "--steps",
    type=Number(),
    default=200,
    show_default=True,
    metavar="N",
    help="Steps each makes, at most 1,000,000.",
)
@option(DESCENT, "--start", metavar="X,Y", help="Where all begin. Default: the landscape's own start.")
@option(
    OUTPUT,
    "--plot",
    "plots",
    metavar="FILE",
    multiple=True,
    help="Draw them, .png, .svg or .pdf, or animate them, .gif, .mp4 or .html; repeat for several files.",
)
@option(
    OUTPUT,
    "--style",
    type=click.Choice(["light", "dark"]),
    default="light",
    show_default=True,
    help="Of pictures and animations.",
)
@option(OUTPUT, "--write", "table", metavar="FILE", help="Write every point of the paths: .csv, .tsv or .parquet.")
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object for each optimizer.")
def command(
    *,
    name: str | None,
    specs: tuple[str, ...],
    steps: Any,
    start: str | None,
    plots: tuple[str, ...],
    style: Literal["light", "dark"],
    table: str | None,
    as_json: bool,
) -> None:
    """Let optimizers descend on a function of one or two variables.

    LANDSCAPE is the function's name; without it, or with `list`, the landscapes are listed.

    An optimizer without a learning_rate descends at its best one: of the rates tried, 49 from 0.0001 to 100 and up to
    42 beside the best of them, the one that reaches the minimum in the fewest steps, or else ends lowest. Between
    them a better one may lie. The table tells how far from the nearest minimum
    each ends, and from which step on its value stays within 0.001 of the first height above the minimum.

    \b
    downslope descend rosenbrock --optimizer sgd --optimizer adam --plot race.gif
    downslope descend hills --optimizer sgd:momentum=0.9,learning_rate=0.05 --steps 100 --plot ball.png
    """
    if name is None or name == "list":
        _list()
        return
    from downslope.engines.descent import MOST_STEPS, descend

    ground = landscape(name)
    writers = _writers(plots, table, style)
    checks.whole("steps", steps, at_least=1, at_most=MOST_STEPS)
    first = None if start is None else _point(start, ground)
    texts = _numbered(specs or USUAL)
    asked = [optimizer_spec(text) for text in specs or USUAL]
    if plots:
        _not_too_many(len(texts))
    paths, tunings = [], []
    try:
        for (optimizer, given), text in zip(asked, texts, strict=True):
            found, told = (optimizer, "") if "learning_rate" in given else _tuned(ground, optimizer, text, first, steps)
            if told:
                tell(told)
            tunings.append(bool(told))
            paths.append(descend(ground, found, start=first, steps=steps))
        _print(paths, texts, tunings, as_json=as_json)
        for files, write in writers:
            write(paths, texts)
            tell(f"Wrote {', '.join(map(str, files))}")
    except KeyboardInterrupt as interrupt:
        tell(f"{stopped(interrupt)}: a file under way is not written.")
        raise


def _list() -> None:
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name == "name" or context.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        asked = parameter.opts[0]
        raise InputError(f"{asked} must follow the name of a landscape: {', '.join(LANDSCAPES)}. Received: none")
    print_list("Landscapes", [(found, f"{one.title}. {one.formula}") for found, one in LANDSCAPES.items()])
    say("\nLet optimizers descend on one: downslope descend NAME --optimizer sgd --optimizer adam --plot race.gif")


def _numbered(texts: Sequence[str]) -> list[str]:
    """Return what each optimizer is called: as typed, and numbered where two are the same."""
    if len(set(texts)) == len(texts):
        return list(texts)
    from downslope.sweeps.comparison_job import numbered

    return numbered(texts)


def _drawn_labels(paths: list[Descent]) -> list[str] | None:
    """Return what pictures are to call each descent; None, their own names, where these tell all of them apart."""
    from downslope.figures.descent_words import checked_labels

    named = checked_labels(None, paths)
    told = _numbered(named)
    if told == named:
        return None
    if paths[0].landscape.dimensions == 1:
        return told
    # In the table below a map the settings have a column of their own.
    return [
        type(path.optimizer).__name__ + text.removeprefix(name)
        for path, text, name in zip(paths, told, named, strict=True)
    ]


def _point(text: str, ground: Landscape) -> list[float]:
    """Return the start's coordinates, or raise InputError."""
    values = [Number().convert(part.strip(), None, None) for part in text.split(",")]
    if len(values) != ground.dimensions or not all(
        isinstance(value, (int, float)) and math.isfinite(value) for value in values
    ):
        shape = "a number, as -1.5" if ground.dimensions == 1 else "two numbers, as -1.5,2"
        raise InputError(f"start must be {shape}. Received: --start {text}")
    return [float(value) for value in values]


def _not_too_many(count: int) -> None:
    from downslope.figures.descent_words import MOST

    if count > MOST:
        raise InputError(f"--plot must be of at most {MOST} optimizers. Received: {count}")


def _tuned(ground: Landscape, optimizer: Any, text: str, first: list[float] | None, steps: int) -> tuple[Any, str]:
    """Return the optimizer at its best learning rate, and a sentence that says so."""
    from downslope.engines.tuning import tuned

    if steps >= LONG:
        tell(f"Tuning: {text}, {steps:,} steps at every rate …")
    found, tuning = tuned(ground, optimizer, start=first, steps=steps)
    return found, f"Tuned: {text} learning_rate={tuning.learning_rate:g} (best of {len(tuning.rates)} rates)"


Writer = tuple[list[Path], Callable[["list[Descent]", list[str]], object]]


def _writers(plots: tuple[str, ...], table: str | None, style: Literal["light", "dark"]) -> list[Writer]:
    """Return what is to be written where, refusing before the work what could not be written after it."""
    writers: list[Writer] = []
    if table is not None:
        target = place("write", table, TABLES)
        writers.append(([target], lambda paths, texts: write_table(_frame(paths, texts), target)))
    if not plots:
        return writers
    written = [] if table is None else [table]
    from downslope.figures.descent import descent_picture
    from downslope.figures.descent_movie import descent_animation
    from downslope.figures.drawing import PICTURES
    from downslope.figures.movies import MOVIES, check_movies

    files = [place("plot", plot, (*PICTURES, *MOVIES)) for plot in plots]
    if len({file.resolve() for file in (*files, *map(Path, written))}) < len(files) + len(written):
        asked = "--plot and --write" if written else "--plot"
        raise InputError(f"{asked} must name each file once. Received: {', '.join((*plots, *written))}")

    def picture(file: Path) -> Writer:
        return [file], lambda paths, _: descent_picture(paths, file, labels=_drawn_labels(paths), style=style)

    writers += [picture(file) for file in files if file.suffix.lower() in PICTURES]
    movies = [file for file in files if file.suffix.lower() in MOVIES]
    if movies:
        check_movies(movies)
        writers.append(
            (movies, lambda paths, _: descent_animation(paths, movies, labels=_drawn_labels(paths), style=style))
        )
    return writers


def _frame(paths: list[Descent], texts: list[str]) -> polars.DataFrame:
    """Return every point of every path: a row a step, from step 0; the learning rate is that of the step to it."""
    import polars as pl

    frames = []
    for number, (path, text) in enumerate(zip(paths, texts, strict=True)):
        axes = {"xy"[axis]: path.points[:, axis] for axis in range(path.points.shape[1])}
        columns = {"descent": [number] * (path.steps + 1), "optimizer": [text] * (path.steps + 1)}
        steps = {"step": range(path.steps + 1), **axes, "value": path.values}
        frames.append(pl.DataFrame({**columns, **steps, "learning_rate": [None, *path.learning_rate.tolist()]},
                                   schema_overrides={"learning_rate": pl.Float64}))  # fmt: skip
    return pl.concat(frames)


def _distance(path: Descent) -> float:
    """Return how far the last point is from the nearest global minimum."""
    return min(math.dist(path.points[-1].tolist(), minimum) for minimum in path.landscape.minima)


def _print(paths: list[Descent], texts: Sequence[str], tunings: list[bool], *, as_json: bool) -> None:
    """Print a line for each optimizer: a JSON object, or a row of the table."""
    from downslope.figures.descent_words import outcome

    if as_json:
        for path, text, tuned in zip(paths, texts, tunings, strict=True):
            told = {
                "landscape": path.landscape.name, "optimizer": text, "settings": path.optimizer.describe(),
                "tuned": tuned, "start": list(path.start), "steps": path.steps, "final_point": path.points[-1].tolist(),
                "final_value": path.final_value, "distance": _distance(path),
                "steps_to_minimum": path.arrived, "exploded": path.exploded,
            }  # fmt: skip
            say(json.dumps(told))
        return
    rows = [
        (text, _rate(path), f"{path.final_value:.4g}", f"{_distance(path):.3g}", outcome(path))
        for path, text in zip(paths, texts, strict=True)
    ]
    print_columns(HEADS, rows, left=1)


def _rate(path: Descent) -> str:
    """Return the learning rate, or a schedule's first and last."""
    rate = path.optimizer.learning_rate
    if not callable(rate):
        return f"{rate:g}"
    return f"{rate(0):.4g} to {rate(max(path.steps - 1, 0)):.4g}"
