"""The lines a run prints: the chapter's own, or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import click

from downslope.training import Run

__all__ = ["Lines", "print_list", "shown"]

SHORT = {"accuracy": "acc", "r2": "r2"}


class Lines:
    """Prints every so many epochs, as they are done."""

    def __init__(self, run: Run, *, as_json: bool) -> None:
        self.run, self.as_json = run, as_json
        self.score = run.history.score_name

    def epoch(self, run: Run, epoch: int) -> None:
        """Print one epoch: `epoch: 100, acc: 0.443, loss: 1.053, lr: 0.9099181073703367`."""
        row = run.history.row(epoch)
        if self.as_json:
            _print_json(row)
            return
        short = SHORT[self.score]
        line = f"epoch: {epoch}, {short}: {row[self.score]:.3f}, loss: {_loss(row['loss'])}"
        if "validation_loss" in row:
            line += f", val_{short}: {row[f'validation_{self.score}']:.3f}, val_loss: {_loss(row['validation_loss'])}"
        click.echo(f"{line}, lr: {row['learning_rate']}")

    def summary(self, seconds: float) -> None:
        """Say how the run stands now: as a last JSON object, or as a sentence on stderr."""
        parts = {"training": self.run.evaluate()}
        if self.run.problem.validation is not None:
            parts["validation"] = self.run.evaluate("validation")
        if self.as_json:
            _print_json({"final": {"epochs": self.run.epoch, "steps": self.run.step, **parts}})
            return
        told = (
            f"{part} {', '.join(_told(name, value) for name, value in found.items())}" for part, found in parts.items()
        )
        click.echo(f"After {self.run.epoch} epochs ({seconds:.1f} s): {'; '.join(told)}.", err=True)


def print_list(title: str, entries: Sequence[tuple[str, str]]) -> None:
    """Print names and what they mean in two columns under a title, wrapped to the terminal."""
    formatter = click.HelpFormatter(max_width=110)
    with formatter.section(title):
        formatter.write_dl(entries)
    click.echo(formatter.getvalue().rstrip("\n"))


def shown(default: float | bool) -> str:
    """Return a setting's default as help and lists show it."""
    return str(default) if isinstance(default, bool) else f"{default:g}"


def _loss(value: float) -> str:
    """Return three decimals, as the chapter prints them; scientific where those would say nothing."""
    return f"{value:.3f}" if value == 0 or not math.isfinite(value) or 0.001 <= abs(value) < 1e6 else f"{value:.2e}"


def _told(name: str, value: float) -> str:
    return f"{name} {value:.3f}" if name in SHORT else f"{name} {value:.4g}"


def _print_json(values: dict[str, Any]) -> None:
    click.echo(json.dumps(_plain(values), allow_nan=False))


def _plain(value: Any) -> Any:
    """Return the value with null in place of numbers JSON does not have."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
