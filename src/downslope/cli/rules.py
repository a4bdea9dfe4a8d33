"""`downslope rules`: what each update rule computes, from its own record."""

from __future__ import annotations

import click

from downslope.cli.options import rule_from
from downslope.cli.output import print_list, say, shown
from downslope.rules import RULES, Optimizer, Setting

__all__ = ["command"]


@click.command("rules")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the update rules, or explain the one called NAME: formula, settings, state, source.

    A rule of your own is script.py:Class.
    """
    if name is None:
        print_list("Update rules", [(found, _summary(cls)) for found, cls in RULES.items()])
        say("\nMore of one: downslope rules NAME")
        return
    chosen = rule_from(name)
    say(f"{chosen.__name__}: {_summary(chosen)}")
    if chosen.documented("Formula"):
        say(f"\nFormula (g gradient, θ parameter, t step from 1):\n{_indented(chosen, 'Formula')}")
    if chosen.documented("Where"):
        say(_indented(chosen, "Where"))
    say("")
    print_list("Settings", [(record.name, _told(record)) for record in chosen.settings.values()])
    for section in ("State", "Other frameworks", "References"):
        if chosen.documented(section):
            say(f"\n{section}:\n{_indented(chosen, section)}")
    say(f"\nTry it:\n  downslope train spiral --optimizer {name} --plot {chosen.name()}.png")


def _told(record: Setting) -> str:
    unit = f" {record.unit}" if record.unit else ""
    varies = " May follow a schedule." if record.scheduled else ""
    return f"{shown(record.default)}{unit} by default; {record.legal}: {record.meaning}.{varies}"


def _summary(chosen: type[Optimizer]) -> str:
    return next(iter((chosen.__doc__ or "").strip().splitlines()), "")


def _indented(chosen: type[Optimizer], section: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in chosen.documented(section).splitlines())
