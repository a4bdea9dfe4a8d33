"""What happened to a run: every change, every warning and every way back, with its step."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from downslope.errors import InputError
from downslope.rules import Optimizer, from_description
from downslope.schedules import Schedule

if TYPE_CHECKING:
    import polars

__all__ = ["DONE", "Entry", "Log", "Parent"]

DONE = ("change", "guard", "rollback", "reduce", "stop")
"""Kinds of entries that tell what was done to a run; those of all others tell what the guard noticed."""

OWN_PLACE = re.compile(r"(?:step (?P<step>\d+)|epoch \d+): ")  # where it was noticed: many sentences begin with that


class Parent(NamedTuple):
    """Where a run branched off: the other run's id, the step they share, and what was changed there."""

    id: str
    step: int
    told: str

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> Parent | None:
        """Return the parent that a saved run's header tells of; None where the run came from no other."""
        return None if header["parent"] is None else cls(*header["parent"])


@dataclass(frozen=True)
class Entry:
    """One line of a run's log.

    Attributes
    ----------
    step, epoch : int
        The updates made and the epochs complete when it took effect: what it changes holds from the next update on.
    kind : str
        What was done (`DONE`): "change", "guard" (another one was put in place), "rollback", "reduce" (by
        ReduceOnPlateau), "stop"; or what the guard noticed: "watch", "alarm", "clip", "plateau", "oscillation", "dead".
    by : "user" or "guard"
        Who did it.
    told : str
        A sentence, or the settings changed.
    optimizer : Optimizer or None
        The one in force from here on; None where it stays.
    batch_size : int or None
        Asked for here; it holds from the next epoch on.
    cleared : bool
        Whether the slots that hold momentum were set to zero.
    back_from : int or None
        Of a rollback or a stop the later step at which it was decided; what happened in between was undone.
    guard : mapping or None
        The description of the guard in force from here on, empty where nothing is watched; None where it stays.
    good : int or None
        Of an alarm the last step after which all was well.
    settings : mapping of str to (before, after)
        What was changed, as text.
    signals : mapping of str to float
        What the guard saw.
    """

    step: int
    epoch: int
    kind: str
    by: str
    told: str
    optimizer: Optimizer | None = None
    batch_size: int | None = None
    cleared: bool = False
    back_from: int | None = None
    guard: Mapping[str, Any] | None = None
    good: int | None = None
    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    signals: Mapping[str, float] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        """Whether it changes what comes next: not every kind of `DONE` does, nor a change to what held."""
        return any(one is not None for one in (self.optimizer, self.batch_size, self.guard)) or self.cleared

    @property
    def line(self) -> str:
        """One line that tells it, of every kind in the same form: `step 400: change by user: momentum=0.9 (was 0.5)`.

        The step is that at which it was noticed or done; a rollback says itself where it leads back to.
        """
        own = OWN_PLACE.match(self.told)
        step = own["step"] if own and own["step"] else self.step
        by = " by user" if self.by == "user" else ""  # all else is the guard's, as its kind says
        return f"step {step}: {self.kind}{by}: {self.told[own.end() :] if own else self.told}"

    def describe(self) -> dict[str, Any]:
        """Return it as values that JSON can hold; `from_description` gives back an equal one.

        Numbers JSON does not have are None. Raises InputError where a plain function stands for a schedule.
        """
        described = {one.name: getattr(self, one.name) for one in fields(self)}
        described["optimizer"] = None if self.optimizer is None else self.optimizer.describe()
        described["settings"] = {name: list(pair) for name, pair in self.settings.items()}
        described["signals"] = {name: value if math.isfinite(value) else None for name, value in self.signals.items()}
        return described

    @classmethod
    def from_description(
        cls,
        description: Mapping[str, Any],
        rules: Mapping[str, type[Optimizer]] | None = None,
        schedules: Mapping[str, type[Schedule]] | None = None,
    ) -> Entry:
        """Return the entry that `describe` described; rules and schedules of one's own are given by name."""
        given = dict(description)
        if unknown := sorted(given.keys() - {one.name for one in fields(cls)}):
            raise InputError(f"an entry of a log must have the fields of Entry only. Received: {', '.join(unknown)}")
        if given.get("optimizer") is not None:
            given["optimizer"] = from_description(given["optimizer"], rules, schedules)
        given["settings"] = {name: (str(pair[0]), str(pair[1])) for name, pair in given.get("settings", {}).items()}
        signals = given.get("signals", {})
        given["signals"] = {name: math.nan if value is None else float(value) for name, value in signals.items()}
        return cls(**given)


class Log(Sequence[Entry]):
    """The entries of a run's log in the order they were written; nothing is ever taken out of it.

    A rollback undoes what was changed after the step it goes back to: `acting` are the entries that made the run what
    it is.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = list(entries)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> list[Entry]: ...
    def __getitem__(self, place: Any) -> Any:
        """Return an entry, or a list of some."""
        return self._entries[place]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))  # another thread may write meanwhile

    def __repr__(self) -> str:
        return f"<Log: {len(self)} entr{'y' if len(self) == 1 else 'ies'}>"

    def __str__(self) -> str:
        return "\n".join(one.line for one in self) or "nothing was changed"

    def append(self, entry: Entry) -> None:
        """Write one more."""
        self._entries.append(entry)

    def copy(self) -> Log:
        """Return a log of its own with the same entries."""
        return Log(self._entries)

    def until(self, step: int, *, before: bool = True) -> Log:
        """Return the log of a run that stands at `step`: with `before`, without what was changed right there."""

        def happened(one: Entry) -> bool:
            return one.step < step if before and (one.acts or one.back_from is not None) else one.step <= step

        entries = list(self)
        # What was undone before a way back that is kept stays with it: the guard counts by it.
        ways = [place for place, one in enumerate(entries, 1) if one.back_from is not None and happened(one)]
        told = ways[-1] if ways else 0
        return Log(one for place, one in enumerate(entries) if place < told or happened(one))

    def acting(self) -> list[Entry]:
        """Return the entries whose changes made the run what it is, by step."""
        acting: list[Entry] = []
        for one in self:
            if one.back_from is not None:
                acting = [other for other in acting if other.step <= one.step]
            if one.acts:
                acting.append(one)
        return acting

    def frame(self) -> polars.DataFrame:
        """Return a polars data frame: step, epoch, kind, by, told, back_from."""
        import polars as pl

        schema = {"step": pl.Int64, "epoch": pl.Int64, "kind": pl.String, "by": pl.String, "told": pl.String}
        schema["back_from"] = pl.Int64
        return pl.DataFrame({name: [getattr(one, name) for one in self] for name in schema}, schema=schema)
