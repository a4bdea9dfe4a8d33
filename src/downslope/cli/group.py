"""The command and its subcommands, each loaded only when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from downslope._version import __version__
from downslope.cli.output import InterruptedCommandError

__all__ = ["downslope"]

COMMANDS = {
    "train": "Train a network on a data set or a table.",
    "resume": "Go on with a saved run, as it was or with other settings.",
    "branch": "Go back to a step of a saved run, and try another way.",
    "tree": "Show which saved run came from which, and what was changed.",
    "find-rate": "Suggest a learning rate, and find where training explodes.",
    "map": "Train it over ranges of settings, and draw the map.",
    "compare": "Compare several optimizers over several seeds.",
    "descend": "Let optimizers descend on a function of one or two variables.",
    "chapter": "Run the book's chapter: its tables, figures and animations.",
    "rules": "List the update rules, or explain one.",
    "schedules": "List the learning-rate schedules, or explain one.",
    "data": "List the data sets, explain one, or write it to a file.",
}


class LazyGroup(click.Group):
    """Knows its subcommands' names and first lines without importing them, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order they are listed."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of that name and return its command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"downslope.cli.{cmd_name.replace('-', '_')}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an interrupt comes out as an error of our own, as click prints an empty line for it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise InterruptedCommandError from interrupt

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="downslope")
def downslope() -> None:
    """Gradient-descent optimizers you can see, steer and take with you.

    \b
    downslope train spiral --optimizer sgd --learning-rate 1 --decay 1e-3 --momentum 0.9 --plot spiral.png
    downslope train wine.csv --target class --optimizer adam --epochs 500 --save runs/wine
    downslope resume runs/wine --epochs 500 --set learning_rate=0.0001
    downslope map spiral --optimizer sgd --over learning_rate=log:1e-3:10:16 --over momentum=0:0.99:16 --plot map.png
    downslope rules adam
    """
