"""`downslope schedules`: how the learning rate can change, and how to write it after --schedule."""

from __future__ import annotations

import dataclasses
import inspect

import click

from downslope import schedules
from downslope.cli.output import print_list, say
from downslope.schedules import Schedule

__all__ = ["command"]


@click.command("schedules")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the learning-rate schedules, or explain the one called NAME: formula, settings, how to write it."""
    if name is None:
        print_list("Schedules", [(known, _first_line(schedules.by_name(known))) for known in schedules.names()])
        say("\nk counts the updates done: with mini-batches there are several an epoch. --learning-rate is the base η.")
        say("Joined:     --schedule 'linear-warmup:steps=100 then cosine:steps=900'")
        say("A length:   --schedule 'constant for 100 then inverse-time:decay=0.01'")
        say("More of one: downslope schedules NAME")
        return
    chosen = schedules.by_name(name)
    text = inspect.cleandoc(chosen.__doc__ or "").split("\nExamples\n")[0].rstrip()
    say(f"{text}\n\nTry it\n------\ndownslope train spiral --schedule '{_written(name, chosen)}' --plot {name}.png")


def _first_line(chosen: type[Schedule]) -> str:
    summary = (inspect.getdoc(chosen) or "").split("\n")[0]
    return f"{summary} {chosen.formula}"


def _written(name: str, chosen: type[Schedule]) -> str:
    """Return the schedule as text with a value for every setting that has no default."""
    sample = {"decay": "0.001", "rate": "0.99", "values": "0.1/0.01", "boundaries": "500"}
    needed = [
        field.name
        for field in dataclasses.fields(chosen)  # type: ignore[arg-type]  # every subclass is a dataclass
        if field.default is dataclasses.MISSING and field.name != "base"
    ]
    settings = ",".join(f"{setting}={sample.get(setting, '1000')}" for setting in needed)
    return f"{name}:{settings}" if settings else name
