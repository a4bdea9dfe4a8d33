"""The lines a run prints: the chapter's own, or JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from downslope.cli.output import counted, say, tell
from downslope.rules.text import code_text
from downslope.training import Run
from downslope.training.log import Entry

__all__ = ["Lines", "event_line", "loss_text", "print_json"]

SHORT = {"accuracy": "acc", "r2": "r2"}
OFTEN = 3  # so many lines of one kind are printed one by one, then those that make it ten, a hundred, a thousand


class Lines:
    """Prints every so many epochs, as they are done."""

    def __init__(self, run: Run, *, as_json: bool) -> None:
        self.run, self.as_json = run, as_json
        self.score = run.history.score_name
        self.noticed: Counter[str] = Counter()

    def start(self) -> None:
        """Say on stderr what was understood: rows, columns and classes, and the network."""
        run, data = self.run, self.run.data
        rows, held = run.problem.rows, run.problem.validation
        told = [counted(rows, "row") if held is None else f"{rows:,} rows to train, {len(held.inputs):,} to validate"]
        told.append(counted(len(data.features), "feature"))
        told.append(
            counted(len(data.classes), "class") if data.classes else f"numbers to predict: {', '.join(data.target)}"
        )
        tell(f"{data.name}: {', '.join(told)}; {counted(run.network.parameter_count, 'parameter')}.")

    def stands(self) -> None:
        """Say on stderr where a run that goes on stands, and by which rule."""
        told = f"At epoch {self.run.epoch:,} (step {self.run.step:,}) with {code_text(self.run.optimizer)}"
        size = self.run.problem.batch_size
        tell(f"{told}, {counted(size, 'row')} an update." if size < self.run.problem.rows else f"{told}.")

    def epoch(self, run: Run, epoch: int) -> None:
        """Print one epoch: `epoch: 100, acc: 0.443, loss: 1.053, lr: 0.9099181073703367`."""
        row = run.history.row(epoch)
        if self.as_json:
            print_json(row)
            return
        short = SHORT[self.score]
        line = f"epoch: {epoch}, {short}: {row[self.score]:.3f}, loss: {loss_text(row['loss'])}"
        if "validation_loss" in row:
            line += (
                f", val_{short}: {row[f'validation_{self.score}']:.3f}, val_loss: {loss_text(row['validation_loss'])}"
            )
        say(f"{line}, lr: {row['learning_rate']}")

    def event(self, _run: Run, entry: Entry) -> None:
        """Say what was written into the run's log: a warning, a change, a way back."""
        if self.as_json:
            print_json({"event": entry.describe()})
            return
        self.noticed[entry.kind] += not (entry.acts or entry.back_from is not None)
        count = self.noticed[entry.kind]
        if count <= OFTEN:
            tell(event_line(entry))
        elif str(count).strip("0") == "1":
            tell(f"{event_line(entry)} (the {count:,}th {entry.kind}; the run's log has all)")

    def summary(self, seconds: float) -> None:
        """Say how the run stands now: as a last JSON object, or as a sentence on stderr."""
        parts = {"training": self.run.evaluate()}
        if self.run.problem.validation is not None:
            parts["validation"] = self.run.evaluate("validation")
        if self.as_json:
            engine = {"engine": self.run.engine_record()}
            print_json({"final": {"epochs": self.run.epoch, "steps": self.run.step, **parts, **engine}})
            return
        told = (
            f"{part} {', '.join(_told(name, value) for name, value in found.items())}" for part, found in parts.items()
        )
        tell(f"After {counted(self.run.epoch, 'epoch')} ({seconds:.1f} s): {'; '.join(told)}.")


def event_line(entry: Entry) -> str:
    """Return one line for one entry of a run's log, as the log prints it, and after a way back where it goes on."""
    return f"{entry.line}; goes on from epoch {entry.epoch}" if entry.kind == "rollback" else entry.line


def loss_text(value: float) -> str:
    """Return a loss with three decimals, as the chapter prints them; scientific where those would say nothing."""
    return f"{value:.3f}" if value == 0 or not math.isfinite(value) or 0.001 <= abs(value) < 1e6 else f"{value:.2e}"


def _told(name: str, value: float) -> str:
    return f"{name} {value:.3f}" if name in SHORT and abs(value) < 1000 else f"{name} {value:.4g}"


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object on a line of its own, with null in place of numbers JSON does not have."""
    say(json.dumps(_plain(values), allow_nan=False))


def _plain(value: Any) -> Any:
    """Return the value with null in place of numbers JSON does not have."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
