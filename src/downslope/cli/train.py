"""`downslope train`: from a data set or a table to a trained network, its lines and its picture."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from downslope import checks
from downslope.cli.lines import Lines
from downslope.cli.options import Number, SectionedCommand, optimizer_from, option, rule_options
from downslope.cli.output import counted, tell
from downslope.cli.tables import TABLES, write_table
from downslope.data import SETS, Dataset, named, read
from downslope.data.sources import ENDINGS
from downslope.errors import InputError
from downslope.files import place
from downslope.network import ACTIVATIONS, INITIALIZERS, LOSSES, MLP
from downslope.rules import RULES
from downslope.schedules import names as schedule_names
from downslope.training import Run, output_width

__all__ = ["command"]

DATA, NETWORK, OPTIMIZER, TRAINING, OUTPUT = "Data", "Network", "Optimizer", "Training", "Output"


@click.command("train", cls=SectionedCommand)
@click.argument("source")
@option(DATA, "--target", metavar="COLUMN", multiple=True, help="Column of the table to predict; repeat for several.")
@option(DATA, "--drop", metavar="COLUMN", multiple=True, help="Column to leave out; repeat for several.")
@option(
    DATA,
    "--kind",
    type=click.Choice(["classification", "regression"]),
    help="What the target is. Default: text and few whole numbers are classes, other numbers a regression.",
)
@option(DATA, "--samples", type=Number(), metavar="N", help="Rows of a generated set (for each class, or in all).")
@option(DATA, "--classes", type=Number(), metavar="N", help="Classes of a generated set that takes them.")
@option(DATA, "--noise", type=Number(), metavar="X", help="Noise of a generated set that takes it.")
@option(
    DATA,
    "--data-seed",
    type=Number(),
    metavar="N",
    help="Seed of a generated set; 'chapter' draws data and weights as the book's chapter does.",
)
@option(
    DATA,
    "--standardize/--no-standardize",
    default=None,
    help="Bring columns to mean 0 and deviation 1 over the training rows. Default: tables and scikit-learn's sets.",
)
@option(
    NETWORK, "--layers", default="64", show_default=True, metavar="N,N", help="Neurons of the hidden layers; or none."
)
@option(
    NETWORK,
    "--activation",
    default="relu",
    show_default=True,
    type=click.Choice(list(ACTIVATIONS)),
    help="Of the hidden layers.",
)
@option(
    NETWORK, "--dropout", type=Number(), default=0.0, metavar="X", help="Share of hidden neurons left out each step."
)
@option(NETWORK, "--l1", type=Number(), default=0.0, metavar="X", help="Penalty: X times the weights' absolute values.")
@option(NETWORK, "--l2", type=Number(), default=0.0, metavar="X", help="Penalty: X times the weights' squares.")
@option(
    NETWORK,
    "--initial-weights",
    type=click.Choice(list(INITIALIZERS)),
    help="Law of the initial weights. Default: he before relu and its kin, else glorot.",
)
@option(
    NETWORK,
    "--loss",
    type=click.Choice(list(LOSSES)),
    help="What is minimized. Default: cross-entropy for classes, mse for numbers.",
)
@option(
    OPTIMIZER,
    "--optimizer",
    default="adam",
    show_default=True,
    metavar="NAME",
    help=f"{', '.join(RULES)}; or script.py:Class for a rule of your own.",
)
@rule_options
@option(
    OPTIMIZER, "--set", "extra", metavar="NAME=VALUE", multiple=True, help="Any setting; also those of your own rule."
)
@option(OPTIMIZER, "--decay", type=Number(), metavar="X", help="Learning rate falls as rate / (1 + X·updates).")
@option(
    OPTIMIZER,
    "--schedule",
    metavar="TEXT",
    help=f"Learning rate over the updates, as cosine:steps=900; one of {', '.join(schedule_names())}; "
    "joined as 'linear-warmup:steps=100 then cosine:steps=900'; see `downslope schedules`.",
)
@option(TRAINING, "--epochs", type=Number(), default=1000, show_default=True, metavar="N", help="Passes over the data.")
@option(TRAINING, "--batch-size", type=Number(), metavar="N", help="Rows an update. Default: all.")
@option(
    TRAINING,
    "--validation",
    type=Number(),
    default=0.0,
    metavar="X",
    help="Share of rows kept from training and measured at every epoch; or another table with the same columns.",
)
@option(TRAINING, "--seed", type=Number(), metavar="N", help="Of weights, batches, dropout and split. Default: 0.")
@option(
    TRAINING,
    "--dtype",
    default="float32",
    show_default=True,
    type=click.Choice(["float32", "float64"]),
    help="Of all arithmetic.",
)
@option(OUTPUT, "--every", type=Number(), default=100, show_default=True, metavar="N", help="Print every Nth epoch.")
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@option(OUTPUT, "--progress/--no-progress", default=None, help="Progress bar on stderr. Default: in a terminal.")
@option(OUTPUT, "--plot", metavar="FILE", help="Write the training picture: .png, .svg or .pdf.")
@option(OUTPUT, "--history", metavar="FILE", help="Write every epoch's numbers: .csv or .parquet.")
def command(
    *,
    source: str,
    epochs: Any,
    every: Any,
    as_json: bool,
    progress: bool | None,
    plot: str | None,
    history: str | None,
    **options: Any,
) -> None:
    """Train a network on a data set or a table.

    SOURCE is the name of a data set (see `downslope data`) or a .csv, .tsv or .parquet file.

    Every 100th epoch is printed, as it was before that epoch's update: accuracy (R² for numbers), loss, and the
    learning rate of the update before. With --batch-size accuracy and loss are means over the epoch, while it
    learns; those of the validation part (val_) stay what they were before it. Ctrl-C stops after the step under way
    and keeps, and draws, what there is.

    \b
    downslope train spiral --optimizer sgd --learning-rate 1 --decay 1e-2 --epochs 10001
    downslope train wine.csv --target class --validation 0.2 --plot wine.png
    """
    checks.whole("every", every, at_least=1)
    checks.whole("epochs", epochs)
    writers = _writers(plot, history)
    for path, _ in writers:
        for table in (source, str(options["validation"])):
            if path.exists() and Path(table).exists() and path.samefile(table):
                raise InputError(f"{path} is the data itself: write to another file")
    run = _run(source, options)
    _warn_of_a_rate_of_zero(run, epochs)
    lines = Lines(run, as_json=as_json)
    lines.start()
    started = time.perf_counter()
    try:
        run.train(epochs, progress=progress, on_epoch=lines.epoch, every=every)
    except KeyboardInterrupt:
        tell(f"Stopped by Ctrl-C with {counted(run.epoch, 'epoch')} done.")
        raise
    finally:  # however it ended, what there is is kept
        _finish(run, writers, lines, time.perf_counter() - started)


def _warn_of_a_rate_of_zero(run: Run, epochs: int) -> None:
    """Warn where a schedule ends at 0 long before the run does: steps are often taken for epochs."""
    rate, steps = run.optimizer.learning_rate, epochs * run.problem.steps_per_epoch
    length = getattr(rate, "length", None)
    if length is not None and 10 * length < 9 * steps and rate(steps - 1) == 0:
        told = f"the learning rate is 0 from update {length:,} on, and the run makes {steps:,} updates"
        warnings.warn(f"{told} ({epochs:,} epochs of {run.problem.steps_per_epoch:,})", UserWarning, stacklevel=1)


def _run(source: str, options: dict[str, Any]) -> Run:
    """Return the run the options describe, before its first epoch."""
    data = _data(source, options)
    settings = {name.removeprefix("setting_"): value for name, value in options.items() if name.startswith("setting_")}
    optimizer = optimizer_from(
        options["optimizer"], settings, options["extra"], decay=options["decay"], schedule=options["schedule"]
    )
    network = MLP(
        [len(data.features), *_layers(options["layers"]), output_width(data, options["loss"])],
        activation=options["activation"],
        dropout=options["dropout"],
        l1=options["l1"],
        l2=options["l2"],
        initial_weights=options["initial_weights"],
    )
    validation = options["validation"]
    if isinstance(validation, str) and _is_table(validation):
        validation = read(validation, list(data.target), kind=data.kind, features=data.features, classes=data.classes)
    return Run(
        network,
        data,
        optimizer,
        loss=options["loss"],
        batch_size=options["batch_size"],
        validation=validation,
        seed=options["seed"],
        dtype=options["dtype"],
        standardize=options["standardize"],
    )


def _data(source: str, options: dict[str, Any]) -> Dataset:
    generated = {name: options[name] for name in ("samples", "classes", "noise") if options[name] is not None}
    if options["data_seed"] is not None:
        generated["seed"] = options["data_seed"]
    for_tables = {name: list(options[name]) for name in ("target", "drop") if options[name]}
    if _is_table(source):
        if generated:
            name = next(iter(generated))
            asked = "--data-seed" if name == "seed" else f"--{name}"
            raise InputError(f"{asked} is for generated sets, not for a table. Received: {asked} {generated[name]}")
        if not for_tables.get("target"):
            raise InputError(f"--target must name the column of {Path(source).name} to predict. Received: none")
        # A loss for numbers says what the target is, where --kind does not.
        kind = options["kind"] or (LOSSES[options["loss"]].kind if options["loss"] else None)
        return read(source, for_tables["target"], kind=kind, drop=for_tables.get("drop", ()))
    if for_tables or options["kind"]:
        name = next(iter(for_tables), "kind")
        raise InputError(f"--{name} is for tables: {source!r} is no .csv, .tsv or .parquet file. Received: --{name}")
    if "seed" in generated and source in SETS and "seed" not in SETS[source].settings:
        raise InputError(f"--data-seed is for generated sets, and {source} is none (--seed is for the training)")
    return named(source, **generated)


def _is_table(source: str) -> bool:
    """Whether a source is a file: by its ending, or because it is there and no data set has its name."""
    return source.lower().endswith(ENDINGS) or (source not in SETS and Path(source).exists())


def _layers(text: str) -> list[int]:
    if text.strip().lower() in {"", "none", "0"}:
        return []
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 1:
        raise checks.refuse("layers", "whole numbers of at least 1 separated by commas, as 32,16", text)
    return sizes


Writer = tuple[Path, Callable[[Run, Path], object]]


def _writers(plot: str | None, history: str | None) -> list[Writer]:
    """Return what is to be written where, refusing before the training what could not be written after it."""
    writers: list[Writer] = []
    if plot is not None:
        from downslope.figures import PICTURES, training_picture

        writers.append((place("plot", plot, PICTURES), training_picture))
    if history is not None:
        writers.append((place("history", history, TABLES), lambda run, path: write_table(run.history.frame(), path)))
    return writers


def _finish(run: Run, writers: list[Writer], lines: Lines, seconds: float) -> None:
    """Write the files that were asked for, each whatever becomes of the others, and print how the run ended."""
    failures: list[InputError] = []
    for path, write in writers:
        try:
            write(run, path)
            tell(f"Wrote {path}")
        except InputError as error:
            failures.append(error)
    lines.summary(seconds)
    if failures:
        raise InputError("; ".join(str(failure) for failure in failures))
