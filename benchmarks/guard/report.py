"""The tables of the benchmark, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from detectors import OURS
from labels import SPIKE, UNSETTLED
from saved import Saved
from tally import Tally, Verdict, percentiles

__all__ = ["report", "report_saved", "share"]


def report(tally: Tally) -> None:
    """Print all tables: every detector on the tuned and the held-out runs, then ours in detail."""
    for held_out, title in (
        (False, "Runs used for tuning"),
        (True, "Held out from tuning"),
    ):
        part = tally.of(lambda one, held_out=held_out: one.held_out == held_out)  # type: ignore[misc]
        if part.verdicts:
            _detectors(part, title)
    ours = tally.of(lambda one: one.detector == OURS)
    _false(ours)
    for name, key in (("family", _family), ("rule", _rule), ("data", _data)):
        _explosions(ours, name, key)


def report_saved(saved: list[Saved]) -> None:
    """Print how many runs rollback brought back to the loss they had before the change, by whose alarms."""
    print("\n## Runs saved by rollback\n")
    print("| alarms of | jump | ramp | back at the loss before | stopped | rollbacks: mean |")
    print("|---|---:|---:|---:|---:|---:|")
    for held_out, what in ((False, "tuned"), (True, "held out")):
        for name in dict.fromkeys(one.detector for one in saved):
            runs = [one for one in saved if one.held_out == held_out and one.detector == name]
            if runs:
                back = sum(one.is_back for one in runs)
                cells = [
                    f"{name}, {what}",
                    *(_back([one for one in runs if one.family == family]) for family in ("jump", "ramp")),
                    f"{share(back / len(runs))}",
                    f"{sum(one.stopped for one in runs)}",
                    f"{sum(one.rollbacks for one in runs) / len(runs):.1f}",
                ]
                print("| " + " | ".join(cells) + " |")
    lost = [
        f"{one.name} ({one.lowest:.3g}, had {one.level:.3g})"
        for one in saved
        if one.detector == OURS and not one.is_back
    ]
    if lost:
        print(f"\nNot back with ours: {', '.join(lost)}.")


def _back(runs: list[Saved]) -> str:
    return f"{sum(one.is_back for one in runs)} of {len(runs)}"


def share(value: float) -> str:
    """Return a share as a percentage."""
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"


def _detectors(tally: Tally, title: str) -> None:
    ours = tally.of(lambda one: one.detector == OURS)
    kinds = ", ".join(f"{count} {kind}" for kind, count in ours.kinds().items())
    print(f"\n## {title}\n\n{len(ours.verdicts)} runs ({kinds}); {ours.healthy_steps:,} healthy steps.\n")
    print("| detector | jump or ramp: recall | before tenfold | lead | others: recall | before tenfold | ", end="")
    print("false alarms / 10,000 | / 100,000 | with unsettled / 100,000 | spikes told |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, part in tally.by(lambda one: one.detector).items():
        caused = part.of(lambda one: one.family in ("jump", "ramp"))
        others = part.of(lambda one: one.family not in ("jump", "ramp"))
        spikes, told = part.alarmed(SPIKE)
        cells = [
            name,
            f"{share(caused.recall)} of {len(caused.explosions)}",
            share(caused.before),
            percentiles(caused.leads),
            f"{share(others.recall)} of {len(others.explosions)}",
            share(others.before),
            f"{part.false_per(10_000):.2f}",
            f"{part.false_per(100_000):.1f}",
            f"{part.false_per(100_000, unsettled=True):.1f}",
            f"{told} of {spikes}",
        ]
        print("| " + " | ".join(cells) + " |")


def _false(ours: Tally) -> None:
    print("\n## Ours on runs that did not explode, by family (all seeds)\n")
    print("| family | runs | healthy steps | false alarms | unsettled: alarmed | spikes: alarmed |")
    print("|---|---:|---:|---:|---:|---:|")
    for family, part in ours.by(_family).items():
        unsettled, loud = part.alarmed(UNSETTLED)
        spikes, told = part.alarmed(SPIKE)
        print(
            f"| {family} | {len(part.verdicts)} | {part.healthy_steps:,} | {part.false} "
            f"| {loud} of {unsettled} | {told} of {spikes} |"
        )


def _explosions(ours: Tally, name: str, key: Callable[[Verdict], str]) -> None:
    print(f"\n## Ours on explosions, by {name} (all seeds)\n")
    print(f"| {name} | explosions | recall | before tenfold | lead: 10th / 50th / 90th |")
    print("|---|---:|---:|---:|---:|")
    for what, part in _sorted(ours.by(key).items()):
        if part.explosions:
            cells = [what, str(len(part.explosions)), share(part.recall), share(part.before), percentiles(part.leads)]
            print("| " + " | ".join(cells) + " |")


def _sorted(parts: Iterable[tuple[str, Tally]]) -> list[tuple[str, Tally]]:
    return sorted(parts, key=lambda pair: pair[0])


def _family(one: Verdict) -> str:
    return one.family


def _rule(one: Verdict) -> str:
    return one.rule


def _data(one: Verdict) -> str:
    return one.data
