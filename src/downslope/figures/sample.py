"""A run's rows and answers in the data's own units, and the panel that shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.figures.page import Box, Page
from downslope.figures.style import SMALL, Style, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

    from downslope.engines.problem import Part
    from downslope.training import Run

__all__ = ["Sample", "class_key", "in_pieces", "marker_size", "samples", "scatter", "titled"]

MOST_POINTS, MOST_EDGED = 4000, 1000  # beyond the second, points have no edge, and are pixels also in SVG and PDF
WORK = 4_000_000  # numbers an intermediate layer may hold at once


@dataclass(frozen=True)
class Sample:
    """Rows of one part in the data's own units: inputs (n, d), and labels (n,) or targets (n, k).

    Of a large part only so many rows are drawn; `total` says how many there are.
    """

    name: str
    inputs: NDArray[np.float64]
    targets: NDArray[Any]
    total: int

    @property
    def crowd(self) -> int:
        """How many rows are drawn."""
        return len(self.inputs)

    @property
    def note(self) -> str:
        """What to say about rows that are not drawn."""
        return f"{self.crowd:,} of {self.total:,} rows" if self.crowd < self.total else ""


def samples(run: Run, most: int | None = MOST_POINTS) -> list[Sample]:
    """Return the training rows and, where there are some, the validation rows."""
    found = [_sample(run, "training", run.problem.training, most)]
    if run.problem.validation is not None:
        found.append(_sample(run, "validation", run.problem.validation, most))
    return found


def _sample(run: Run, name: str, part: Part, most: int | None) -> Sample:
    total = len(part.inputs)
    rows = np.arange(total)
    if most is not None and total > most:
        rows = np.linspace(0, total - 1, most).astype(np.int64)
    inputs = run.preparation.inputs.invert(np.asarray(part.inputs[rows], dtype=np.float64))
    targets = np.asarray(part.targets)[rows]
    if run.preparation.classes is None:
        targets = run.preparation.values(targets.astype(np.float64))
    return Sample(name, inputs, targets, total)


def in_pieces(run: Run, ask: Any, rows: NDArray[np.float64]) -> NDArray[Any]:
    """Return `ask(rows)`, such as of `run.predict`, asked for a piece at a time so that wide layers fit in memory."""
    widest = max(max(shape) for _, shape in run.network.parameter_slices().values())
    piece = max(WORK // widest, 1)
    # Weights near the largest float give outputs that are not finite; they are drawn as what they are.
    with np.errstate(all="ignore"):
        return np.concatenate([np.asarray(ask(rows[start : start + piece])) for start in range(0, len(rows), piece)])


def marker_size(count: int) -> float:
    """Return the area of a marker in square points: smaller where there are many."""
    return float(np.clip(6000 / max(count, 1), 3.5, 20.0))


def scatter(
    axes: Axes,
    style: Style,
    sample: Sample,
    x: NDArray[Any],
    y: NDArray[Any],
    *,
    colour: str,
    marker: str = "o",
    alpha: float | None = None,
) -> PathCollection:
    """Draw points: filled for training, hollow for validation."""
    hollow = sample.name == "validation"
    return axes.scatter(
        x,
        y,
        s=marker_size(sample.crowd) * (0.85 if hollow else 1.0),
        marker=marker,
        facecolors=style.background if hollow else colour,
        edgecolors=colour if hollow else style.background,
        linewidths=0.9 if hollow else 0.35 if sample.crowd <= MOST_EDGED else 0.0,
        alpha=alpha,
        rasterized=sample.crowd > MOST_EDGED,
        zorder=3,
    )


def titled(page: Page, box: Box, baseline: float, text: str, parts: list[Sample], *, mark: str = "hollow") -> None:
    """Write a panel's heading, how many rows are drawn if not all are, and how validation rows are marked."""
    page.heading(box.left, baseline, text, [(part.note, page.style.muted) for part in parts if part.note][:1])
    if len(parts) > 1:
        page.text(box.right, baseline, f"{mark}: validation", SMALL, colour=page.style.muted, align="right")


def class_key(page: Page, box: Box, baseline: float, run: Run) -> None:
    """Write a line of markers and class names as wide as the box; what does not fit is counted."""
    names = run.preparation.classes or ()
    sign, gap = 0.13, 0.12
    room = max(box.width / len(names) - sign - gap, 0.3)
    left = box.left
    axes = page.bare_axes(Box(box.left, baseline - 0.1, box.width, 0.1))
    axes.set(xlim=(0, box.width), ylim=(0, 0.1))
    for label, name in enumerate(names):
        text = shortened(name, max(room, 0.3), SMALL)
        rest = f"+{len(names) - label:,} more"
        needed = sign + text_width(text, SMALL)
        spare = 0.0 if label == len(names) - 1 else gap + text_width(rest, SMALL)
        if left + needed + spare > box.right + 0.01:
            page.text(left, baseline, rest, SMALL, colour=page.style.muted)
            return
        axes.scatter(
            [left - box.left + 0.045],
            [0.036],
            s=20,
            marker=page.style.class_marker(label),
            color=page.style.class_colour(label),
            linewidths=0,
            clip_on=False,
        )
        page.text(left + sign, baseline, text, SMALL, colour=page.style.muted)
        left += needed + gap
