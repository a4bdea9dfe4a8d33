"""What each detector made of the runs: counted run by run, so that no recording need be kept."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from corpus import Case, is_held_out
from detectors import DETECTORS
from labels import EXPLOSION, HEALTHY, SPIKE, UNSETTLED
from recording import Recording

__all__ = ["Tally", "Verdict", "percentiles", "verdicts"]


@dataclass(frozen=True)
class Verdict:
    """What one detector made of one run.

    Attributes
    ----------
    detector, family, data, rule, kind : str
        Whose verdict, of which run, and what came of that (`labels`).
    held_out : bool
        Whether the run took no part in tuning.
    healthy_steps, false : int
        The steps at which nothing was wrong, and the alarms at them.
    unsettled_steps, unsettled_false : int
        Those of an unsettled run after its change, and the alarms at them.
    alarm, tenfold : int or None
        The first alarm after the change, and the step at which the loss was tenfold.
    """

    detector: str
    family: str
    data: str
    rule: str
    kind: str
    held_out: bool
    healthy_steps: int
    false: int
    unsettled_steps: int
    unsettled_false: int
    alarm: int | None
    tenfold: int | None

    @property
    def lead(self) -> float:
        """Steps from the alarm to the tenfold loss; NaN without one."""
        return math.nan if self.alarm is None or self.tenfold is None else float(self.tenfold - self.alarm)


def verdicts(case: Case, run: Recording) -> Iterable[Verdict]:
    """Yield the verdict of each detector on a run."""
    what = run.label
    loose = len(run.signals) - what.healthy_steps if what.kind == UNSETTLED else 0
    for name, detector in DETECTORS.items():
        steps = detector(run)
        later = steps[steps > what.change]
        yield Verdict(
            detector=name,
            family=case.family if what.change == case.change else "before the change",
            data=case.data,
            rule=type(case.rule).name(),
            kind=what.kind,
            held_out=is_held_out(case),
            healthy_steps=what.healthy_steps,
            false=int((steps <= what.healthy_steps).sum()),
            unsettled_steps=loose,
            unsettled_false=int((steps > what.healthy_steps).sum()) if loose else 0,
            alarm=int(later[0]) if len(later) else None,
            tenfold=what.tenfold,
        )


@dataclass
class Tally:
    """All verdicts, and what is read off them."""

    verdicts: list[Verdict] = field(default_factory=list)

    def of(self, keep: Callable[[Verdict], bool]) -> Tally:
        """Return the tally of some verdicts."""
        return Tally([one for one in self.verdicts if keep(one)])

    def by(self, key: Callable[[Verdict], str]) -> dict[str, Tally]:
        """Return tallies by what `key` says of a verdict."""
        parts: dict[str, Tally] = defaultdict(Tally)
        for one in self.verdicts:
            parts[key(one)].verdicts.append(one)
        return dict(parts)

    @property
    def explosions(self) -> list[Verdict]:
        """The verdicts on runs that exploded."""
        return [one for one in self.verdicts if one.kind == EXPLOSION]

    @property
    def recall(self) -> float:
        """The share of explosions with an alarm."""
        return _share(one.alarm is not None for one in self.explosions)

    @property
    def before(self) -> float:
        """The share of explosions with an alarm before the loss was tenfold."""
        return _share(one.lead > 0 for one in self.explosions)

    @property
    def leads(self) -> list[float]:
        """Steps from alarm to tenfold loss, of explosions with an alarm."""
        return [one.lead for one in self.explosions if one.alarm is not None]

    @property
    def healthy_steps(self) -> int:
        """Steps at which nothing was wrong."""
        return sum(one.healthy_steps for one in self.verdicts)

    @property
    def false(self) -> int:
        """Alarms at healthy steps."""
        return sum(one.false for one in self.verdicts)

    def false_per(self, steps: int, unsettled: bool = False) -> float:
        """Return false alarms per so many healthy steps, or per healthy and unsettled ones."""
        counted, alarms = self.healthy_steps, self.false
        if unsettled:
            counted += sum(one.unsettled_steps for one in self.verdicts)
            alarms += sum(one.unsettled_false for one in self.verdicts)
        return steps * alarms / counted if counted else math.nan

    def alarmed(self, kind: str) -> tuple[int, int]:
        """Return how many runs of a kind there are, and how many had an alarm after their change."""
        runs = [one for one in self.verdicts if one.kind == kind]
        return len(runs), sum(one.alarm is not None for one in runs)

    def kinds(self) -> dict[str, int]:
        """Return how many runs there are of each kind."""
        return {kind: sum(one.kind == kind for one in self.verdicts) for kind in (EXPLOSION, SPIKE, UNSETTLED, HEALTHY)}


def percentiles(leads: list[float]) -> str:
    """Return the 10th, 50th and 90th percentile of leads, as they are printed."""
    if not leads:
        return "–"
    return " / ".join(f"{value:.0f}" for value in np.percentile(leads, [10, 50, 90], method="nearest"))


def _share(flags: Iterable[bool]) -> float:
    found = list(flags)
    return sum(found) / len(found) if found else math.nan
