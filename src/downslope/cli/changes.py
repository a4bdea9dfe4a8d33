"""What `resume` and `branch` share: the options that change a run, and what is made of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from downslope.cli.guarding import guard_option
from downslope.cli.options import (
    Number,
    optimizer_from,
    option,
    rate_schedule,
    rule_from,
    rule_options,
    settings_from,
    settings_of,
    whole,
)
from downslope.cli.problem import OPTIMIZER, TRAINING
from downslope.errors import InputError
from downslope.rules import RULES, Optimizer
from downslope.training import Run

__all__ = ["asks_for_changes", "change_options", "changes_from", "loaded", "rule_texts", "rules_from"]

_OPTIONS = (
    option(
        OPTIMIZER,
        "--set",
        "extra",
        metavar="NAME=VALUE",
        multiple=True,
        help="Change a setting, as learning_rate=0.001 or batch_size=32; a rate also to a schedule, as "
        "learning_rate=cosine:steps=900. Repeat for several.",
    ),
    option(OPTIMIZER, "--schedule", metavar="TEXT", help="Let the learning rate follow a schedule that begins here."),
    option(OPTIMIZER, "--decay", type=Number(), metavar="X", help="From here on rate / (1 + X·updates)."),
    option(
        OPTIMIZER,
        "--optimizer",
        metavar="NAME",
        help=f"Go on with another one: {', '.join(RULES)}; or script.py:Class. Its settings are its own defaults.",
    ),
    option(
        OPTIMIZER,
        "--rule",
        "rules",
        metavar="FILE:CLASS",
        multiple=True,
        help="Where a rule of your own stands that the run was trained with: script.py:Class.",
    ),
    rule_options,
    option(TRAINING, "--batch-size", type=Number(), metavar="N", help="Rows an update, from the next epoch on."),
    guard_option("What follows from here on where the loss explodes. Default: as it was."),
)


def change_options(function: Any) -> Any:
    """Give a command the options that change a run."""
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function


def asks_for_changes(options: dict[str, Any]) -> bool:
    """Whether any of the options of `change_options` changes a run."""
    asked = (options[name] for name in ("schedule", "decay", "optimizer", "batch_size", "guard"))
    return bool(options["extra"]) or any(value is not None for value in (*asked, *settings_of(options).values()))


def rule_texts(options: dict[str, Any]) -> list[str]:
    """Return what must be given as `--rule` to find the run's rules again."""
    optimizer = options["optimizer"]
    return list(dict.fromkeys((*options["rules"], *([optimizer] if ":" in (optimizer or "") else []))))


def rules_from(options: dict[str, Any]) -> list[type[Optimizer]]:
    """Return the rules of a user's own that the options name."""
    for text in options["rules"]:
        if ":" not in text:
            raise InputError(f"--rule must be given as script.py:Class. Received: --rule {shlex.quote(text)}")
    return [rule_from(text, "--rule" if text in options["rules"] else "optimizer") for text in rule_texts(options)]


def loaded(path: Path, options: dict[str, Any]) -> Run:
    """Return the run saved in a directory, with the rules of a user's own that the options name."""
    known = rules_from(options)
    try:
        return Run.load(path, rules=known)
    except InputError as error:
        if known or "must hold the rule" not in str(error):
            raise
        raise InputError(f"{error}; name it with --rule script.py:Class") from error


def changes_from(run: Run, options: dict[str, Any]) -> dict[str, Any]:
    """Return what the options change of a run, as `Run.change` takes it.

    Raises
    ------
    InputError
        One sentence for the first thing that is wrong.
    """
    extra, sizes = _apart(options["extra"])
    changes: dict[str, Any] = {}
    if options["batch_size"] is not None:
        sizes = [*sizes, options["batch_size"]]
    if len(sizes) > 1:
        raise InputError(f"batch_size must be given once. Received: {' and '.join(map(str, sizes))}")
    if sizes:
        changes["batch_size"] = whole("batch_size", sizes[0], at_least=1)
    settings, decay, schedule = settings_of(options), options["decay"], options["schedule"]
    if options["optimizer"] is not None:
        optimizer = optimizer_from(options["optimizer"], settings, extra, decay=decay, schedule=schedule)
        return {**changes, "optimizer": optimizer}
    present = run.optimizer.at(run.step + 1)
    given = settings_from(
        extra, {name: value for name, value in settings.items() if value is not None}, present.values()
    )
    if decay is not None or schedule is not None:
        rate = given.get("learning_rate")
        checked = None if rate is None else present.settings["learning_rate"].check(rate)
        given["learning_rate"] = rate_schedule(checked, present.learning_rate, decay=decay, text=schedule)
    return {**changes, **given}


def _apart(texts: Sequence[str]) -> tuple[tuple[str, ...], list[Any]]:
    """Return the settings of the rule, and what was given for the batch size: that one is the run's own."""
    rule: list[str] = []
    sizes: list[Any] = []
    for text in texts:
        if text.partition("=")[0].strip().replace("-", "_") == "batch_size":
            sizes += settings_from([text]).values()
        else:
            rule.append(text)
    return tuple(rule), sizes
