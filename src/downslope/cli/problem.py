"""What `train`, `map` and `compare` share: the options that say what is to be trained, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click

from downslope import checks
from downslope.cli.options import Number, optimizer_from, option, rule_options, settings_of
from downslope.data import SETS, Dataset, named, read
from downslope.data.sources import ENDINGS
from downslope.errors import InputError
from downslope.network import ACTIVATIONS, INITIALIZERS, LOSSES, MLP
from downslope.rules import RULES
from downslope.schedules import names as schedule_names
from downslope.training import output_width

__all__ = [
    "OPTIMIZER",
    "OUTPUT",
    "TRAINING",
    "data_from",
    "is_table",
    "not_the_data",
    "options_around",
    "problem_from",
    "problem_options",
    "problem_options_without_epochs",
    "problem_without_optimizer",
    "seeds_from",
]

DATA, NETWORK, OPTIMIZER, TRAINING, OUTPUT = "Data", "Network", "Optimizer", "Training", "Output"

Options: TypeAlias = tuple[Callable[[Any], Any], ...]

_DATA_AND_NETWORK: Options = (
    option(
        DATA, "--target", metavar="COLUMN", multiple=True, help="Column of the table to predict; repeat for several."
    ),
    option(DATA, "--drop", metavar="COLUMN", multiple=True, help="Column to leave out; repeat for several."),
    option(
        DATA,
        "--kind",
        type=click.Choice(["classification", "regression"]),
        help="What the target is. Default: text and few whole numbers are classes, other numbers a regression.",
    ),
    option(DATA, "--samples", type=Number(), metavar="N", help="Rows of a generated set (for each class, or in all)."),
    option(DATA, "--classes", type=Number(), metavar="N", help="Classes of a generated set that takes them."),
    option(DATA, "--noise", type=Number(), metavar="X", help="Noise of a generated set that takes it."),
    option(
        DATA,
        "--data-seed",
        type=Number(),
        metavar="N",
        help="Seed of a generated set; 'chapter' draws data and weights as the book's chapter does.",
    ),
    option(
        DATA,
        "--standardize/--no-standardize",
        default=None,
        help="Bring columns to mean 0 and deviation 1 over the training rows. Default: tables and scikit-learn's sets.",
    ),
    option(
        NETWORK,
        "--layers",
        default="64",
        show_default=True,
        metavar="N,N",
        help="Neurons of the hidden layers; or none.",
    ),
    option(
        NETWORK,
        "--activation",
        default="relu",
        show_default=True,
        type=click.Choice(list(ACTIVATIONS)),
        help="Of the hidden layers.",
    ),
    option(
        NETWORK,
        "--dropout",
        type=Number(),
        default=0.0,
        metavar="X",
        help="Share of hidden neurons left out each step.",
    ),
    option(
        NETWORK, "--l1", type=Number(), default=0.0, metavar="X", help="Penalty: X times the weights' absolute values."
    ),
    option(NETWORK, "--l2", type=Number(), default=0.0, metavar="X", help="Penalty: X times the weights' squares."),
    option(
        NETWORK,
        "--initial-weights",
        type=click.Choice(list(INITIALIZERS)),
        help="Law of the initial weights. Default: he before relu and its kin, else glorot.",
    ),
    option(
        NETWORK,
        "--loss",
        type=click.Choice(list(LOSSES)),
        help="What is minimized. Default: cross-entropy for classes, mse for numbers.",
    ),
)

_OPTIMIZER: Options = (
    option(
        OPTIMIZER,
        "--optimizer",
        default="adam",
        show_default=True,
        metavar="NAME",
        help=f"{', '.join(RULES)}; or script.py:Class for a rule of your own.",
    ),
    rule_options,
    option(
        OPTIMIZER,
        "--set",
        "extra",
        metavar="NAME=VALUE",
        multiple=True,
        help="Any setting; also those of your own rule.",
    ),
    option(OPTIMIZER, "--decay", type=Number(), metavar="X", help="Learning rate falls as rate / (1 + X·updates)."),
    option(
        OPTIMIZER,
        "--schedule",
        metavar="TEXT",
        help=f"Learning rate over the updates, as cosine:steps=900; one of {', '.join(schedule_names())}; "
        "joined as 'linear-warmup:steps=100 then cosine:steps=900'; see `downslope schedules`.",
    ),
)

_EPOCHS = option(
    TRAINING, "--epochs", type=Number(), default=1000, show_default=True, metavar="N", help="Passes over the data."
)

_TRAINING: Options = (
    option(TRAINING, "--batch-size", type=Number(), metavar="N", help="Rows an update. Default: all."),
    option(
        TRAINING,
        "--validation",
        type=Number(),
        default=0.0,
        metavar="X",
        help="Share of rows kept from training and measured at every epoch; or another table with the same columns.",
    ),
    option(
        TRAINING,
        "--dtype",
        default="float32",
        show_default=True,
        type=click.Choice(["float32", "float64"]),
        help="Of all arithmetic.",
    ),
    option(
        TRAINING,
        "--engine",
        type=click.Choice(["reference", "compiled", "blas"]),
        help="What executes the steps. Default: chosen by the network's size.",
    ),
)


def problem_options(function: Any) -> Any:
    """Give a command the options that shape data, network, optimizer and training."""
    return _with((*_DATA_AND_NETWORK, *_OPTIMIZER, _EPOCHS, *_TRAINING), function)


def problem_options_without_epochs(function: Any) -> Any:
    """Give a command that trains for no number of epochs all the same options but that one."""
    return _with((*_DATA_AND_NETWORK, *_OPTIMIZER, *_TRAINING), function)


def options_around(*optimizer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a decorator that gives a command the same options, with others in the place of the optimizer's."""
    return partial(_with, (*_DATA_AND_NETWORK, *optimizer, _EPOCHS, *_TRAINING))


def _with(options: Options, function: Any) -> Any:
    for decorate in reversed(options):
        function = decorate(function)
    return function


def not_the_data(paths: Iterable[Path], source: str, options: dict[str, Any]) -> None:
    """Refuse to write over the table that is read."""
    for path in paths:
        for table in (source, str(options["validation"])):
            if path.exists() and Path(table).exists() and path.samefile(table):
                raise InputError(f"{path} is the data itself: write to another file")


def problem_from(source: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what the options describe, as the arguments that `Run` and `sweep` share."""
    data = data_from(source, options)
    optimizer = optimizer_from(
        options["optimizer"], settings_of(options), options["extra"],
        decay=options["decay"], schedule=options["schedule"],
    )  # fmt: skip
    return {"optimizer": optimizer, **problem_without_optimizer(data, options)}


def problem_without_optimizer(data: Dataset, options: dict[str, Any]) -> dict[str, Any]:
    """Return what the other options describe, as the arguments that `Run`, `sweep` and `compare` share."""
    network = MLP(
        [len(data.features), *_layers(options["layers"]), output_width(data, options["loss"])],
        activation=options["activation"],
        dropout=options["dropout"],
        l1=options["l1"],
        l2=options["l2"],
        initial_weights=options["initial_weights"],
    )
    validation = options["validation"]
    if isinstance(validation, str) and is_table(validation):
        validation = read(validation, list(data.target), kind=data.kind, features=data.features, classes=data.classes)
    described = {
        "network": network,
        "data": data,
        "loss": options["loss"],
        "batch_size": options["batch_size"],
        "validation": validation,
        "dtype": options["dtype"],
        "standardize": options["standardize"],
    }
    return described if options["engine"] is None else {**described, "engine": options["engine"]}


def seeds_from(text: str | None, otherwise: Any) -> Any:
    """Return a count of seeds, a list of them, or "chapter"; `otherwise` where nothing was given."""
    if text is None or text.strip() == "chapter":
        return otherwise if text is None else "chapter"
    listed = [Number().convert(part.strip(), None, None) for part in text.split(",")]
    return listed[0] if len(listed) == 1 else listed


def data_from(source: str, options: dict[str, Any]) -> Dataset:
    """Return the data set or the table that the options describe."""
    generated = {name: options[name] for name in ("samples", "classes", "noise") if options[name] is not None}
    if options["data_seed"] is not None:
        generated["seed"] = options["data_seed"]
    for_tables = {name: list(options[name]) for name in ("target", "drop") if options[name]}
    if is_table(source):
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


def is_table(source: str) -> bool:
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
