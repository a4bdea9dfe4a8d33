"""Explosions alarmed in time against false alarms, as thresholds go up and down: ours and the usual detectors'."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from corpus import cases
from detectors import CURVES, OURS
from numpy.typing import NDArray
from recording import Recording, is_caused, record

from downslope.engines.judge import ALARM, LIMITS, MEMORY, judge
from downslope.figures.drawing import drawing, save
from downslope.figures.page import Box, Page
from downslope.figures.style import SMALL, TITLE, Style, number, styled

__all__ = ["trade_off"]

FACTORS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0, 30.0)
SCALED = (
    *("loss_rise", "slope_rise", "predicted_rise", "promised_fall", "update_ratio", "large_ratio", "update_rise"),
    *("pattern", "first_rise", "first_update"),
)
PER = 100_000
LEAST = 0.1  # false alarms per 100,000 steps at the left edge, for none too


def trade_off(rounds: int, first: int, file: Path) -> None:
    """Record the corpus, print false alarms and explosions alarmed in time for each threshold, and draw them."""
    judged, counts = _judged(), {}
    for name, thresholds in [(OURS, FACTORS), *((name, values) for name, (_, values) in CURVES.items())]:
        counts[name] = {threshold: np.zeros(4, dtype=np.int64) for threshold in thresholds}
    done = 0
    try:
        for done, case in enumerate(cases(rounds, first), 1):
            run = record(case)
            for factor in FACTORS:
                _count(counts[OURS][factor], case, run, judged(run, factor))
            for name, (detector, values) in CURVES.items():
                for value in values:
                    _count(counts[name][value], case, run, detector(run, value))
            if done % 38 == 0:
                print(f"\r{done // 38} of {rounds} rounds", end="", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("\nInterrupted: what follows is of the rounds until then.", file=sys.stderr)
    print(file=sys.stderr)
    print(f"\nTrade-off over {done} runs, by jump or ramp; ours: all thresholds times c.\n")
    print("| detector | c | alarmed before tenfold | false alarms / 100,000 |\n|---|---:|---:|---:|")
    curves: dict[str, list[tuple[float, float, float]]] = {}
    for name, by_threshold in counts.items():
        curves[name] = []
        for threshold, counted in by_threshold.items():
            explosions, before, steps, false = (int(number) for number in counted)
            point = (threshold, PER * false / max(steps, 1), 100.0 * before / max(explosions, 1))
            curves[name].append(point)
            print(f"| {name} | {threshold:g} | {point[2]:.1f} % of {explosions} | {point[1]:.2f} |")
    explosions, _, steps, _ = (int(number) for number in counts[OURS][1.0])
    last = first + max(done // 38, 1) - 1
    _draw(
        curves,
        file,
        f"{explosions:,} explosions by a jump or a ramp, {steps:,} healthy steps: rounds {first} to {last}.",
    )


def _judged() -> Callable[[Recording, float], NDArray[np.int64]]:
    """Return what gives the steps at which the judge alarms, with thresholds times a factor, compiled."""
    import numba

    compiled = numba.njit(judge)

    @numba.njit  # type: ignore[untyped-decorator]
    def alarms(signals: Any, memory: Any, limits: Any, raised: Any) -> None:
        for i in range(signals.shape[0]):
            raised[i] = compiled(signals[i], memory, limits) & ALARM

    def steps(run: Recording, factor: float) -> NDArray[np.int64]:
        limits = np.array([limit.default * (factor if limit.name in SCALED else 1.0) for limit in LIMITS])
        raised = np.zeros(len(run.signals), dtype=np.int64)
        alarms(np.ascontiguousarray(run.signals), np.zeros(len(MEMORY)), limits, raised)
        found = np.flatnonzero(raised) + 1
        return found if run.failed is None else np.append(found, run.failed)

    return steps


def _count(counts: NDArray[np.int64], case: Any, run: Recording, steps: NDArray[np.int64]) -> None:
    """Add a run to explosions, those alarmed before the loss was tenfold, healthy steps, false alarms."""
    what = run.label
    counts[2] += what.healthy_steps
    counts[3] += int((steps <= what.healthy_steps).sum())
    if is_caused(case, what):
        later = steps[steps > case.change]
        counts[0] += 1
        counts[1] += bool(len(later) and what.tenfold is not None and later[0] < what.tenfold)


def _draw(curves: dict[str, list[tuple[float, float, float]]], file: Path, corpus: str) -> None:
    style = styled("light")
    with drawing():
        page = Page(7.2, 4.3, style)
        page.text(0.6, 0.32, "Explosions alarmed in time, and false alarms", TITLE, weight="bold")
        page.text(
            0.6, 0.54, "Each dot is one threshold, the ringed one the default; up and left is better.",
            SMALL, colour=style.muted,
        )  # fmt: skip
        page.text(0.6, 0.72, corpus, SMALL, colour=style.muted)
        axes = page.axes(
            Box(0.6, 0.95, 4.3, 2.85), "false alarms per 100,000 healthy steps", "alarmed before the loss is tenfold, %"
        )
        for i, (name, points) in enumerate(curves.items()):
            colour, marker = style.class_colour(i), style.class_marker(i)
            xs = [max(false, LEAST) for _, false, _ in points]
            ys = [before for _, _, before in points]
            axes.plot(xs, ys, color=colour, linewidth=2.0 if name == OURS else 1.0, zorder=4 if name == OURS else 3)
            axes.plot(xs, ys, marker, color=colour, markersize=4.0, zorder=5 if name == OURS else 3)
            _key(page, style, 1.2 + 0.3 * i, name, i)
            if name == OURS:
                at = [threshold for threshold, _, _ in points].index(1.0)
                axes.plot(xs[at], ys[at], "o", markersize=9, markerfacecolor="none", color=style.ink, zorder=6)
        axes.axvline(1.0, color=style.rule, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axhline(95.0, color=style.rule, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xscale("log")
        axes.set_xlim(0.8 * LEAST, 1.5e3)
        axes.set_ylim(0, 106)
        ticks = [0.1, 1.0, 10.0, 100.0, 1000.0]
        axes.set_xticks(ticks, [f"≤ {LEAST:g}", *(number(tick, 3) for tick in ticks[1:])], minor=False)
        axes.minorticks_off()
        save(page.figure, file)


def _key(page: Page, style: Style, baseline: float, name: str, i: int) -> None:
    """Write a detector's name with its marker to the right of the axes."""
    axes = page.bare_axes(Box(5.1, baseline - 0.1, 0.2, 0.14))
    axes.plot([0.5], [0.5], style.class_marker(i), color=style.class_colour(i), markersize=4.5)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    page.text(5.35, baseline, name, SMALL, colour=style.class_ink(i), weight="bold" if name == OURS else "normal")
