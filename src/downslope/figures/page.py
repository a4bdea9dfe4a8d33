"""A page measured in inches from its top left corner, and quiet axes on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from downslope.figures.style import HEADING, SMALL, TEXT, Style, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["Box", "Page", "apart", "tick_texts"]


class Box(NamedTuple):
    """A rectangle on the page in inches; `top` counts downwards from the page's upper edge."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends on the right."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Where it ends below."""
        return self.top + self.height


class Page:
    """A figure without pyplot: no global state, so pictures can be drawn in any thread and without a display."""

    def __init__(self, width: float, height: float, style: Style) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width, self.height, self.style = width, height, style
        self.figure: Figure = Figure(figsize=(width, height), dpi=100, facecolor=style.background)
        FigureCanvasAgg(self.figure)

    def text(
        self,
        left: float,
        baseline: float,
        text: str,
        size: float = TEXT,
        *,
        colour: str | None = None,
        weight: str = "normal",
        align: str = "left",
    ) -> Text:
        """Write a line, its baseline so many inches below the upper edge; `$` is an ordinary character."""
        return self.figure.text(
            left / self.width,
            1 - baseline / self.height,
            text,
            fontsize=size,
            color=colour or self.style.ink,
            fontweight=weight,
            ha=align,
            va="baseline",
            parse_math=False,
        )

    def heading(self, left: float, baseline: float, text: str, notes: Sequence[tuple[str, str]] = ()) -> list[Text]:
        """Write a heading, and after it notes, each in its own colour; return the notes."""
        self.text(left, baseline, text, HEADING, weight="bold")
        left += text_width(text, HEADING) * 1.14 + 0.1  # bold is wider than the measured regular weight
        written = []
        for note, colour in notes:
            written.append(self.text(left, baseline, note, SMALL, colour=colour))
            left += text_width(note, SMALL) + 0.09
        return written

    def bare_axes(self, box: Box) -> Axes:
        """Return axes that fill the box and show nothing of themselves."""
        axes = self._axes(box)
        axes.set_axis_off()
        return axes

    def axes(self, box: Box, x: str, y: str, *, frame: bool = False) -> Axes:
        """Return quiet axes in the box with labels; a frame on all sides, or a line below and faint grid lines."""
        axes, style = self._axes(box), self.style
        axes.tick_params(
            colors=style.rule, labelcolor=style.muted, labelsize=SMALL, length=2.5, width=0.6, pad=2.0, which="both"
        )
        for side, spine in axes.spines.items():
            spine.set(color=style.rule, linewidth=0.6, visible=frame or side == "bottom")
        if not frame:
            axes.grid(visible=True, axis="y", color=style.grid, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0, which="both")
        for axis, label in ((axes.xaxis, x), (axes.yaxis, y)):
            axis.set_label_text(label, fontsize=TEXT, color=style.muted)
            axis.label.set_parse_math(False)
            axis.labelpad = 2.5
        return axes

    def _axes(self, box: Box) -> Axes:
        place = (
            box.left / self.width,
            1 - box.bottom / self.height,
            box.width / self.width,
            box.height / self.height,
        )
        axes = self.figure.add_axes(place)
        axes.set_facecolor("none")
        return axes


def apart(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Return places for ascending wishes, at least so far apart and as near to them as they can be in [low, high]."""
    groups: list[list[float]] = []  # of places that touch: the first wish's, how many, the sum of their shifted wishes
    for wish in wanted:
        groups.append([wish, 1, wish])
        while len(groups) > 1 and groups[-1][0] < groups[-2][0] + least * groups[-2][1]:
            _, count, total = groups.pop()
            before = groups[-1]
            before[2] += total - count * before[1] * least
            before[1] += count
            before[0] = before[2] / before[1]
    found = [first + least * place for first, count, _ in groups for place in range(int(count))]
    for place in range(len(found)):  # first away from the lower end, then from the upper
        found[place] = max(found[place], low + least * place)
    for place in reversed(range(len(found))):
        found[place] = min(found[place], high - least * (len(found) - 1 - place))
    return found


def tick_texts(axis: Any, ticks: Sequence[float], texts: Sequence[str]) -> None:
    """Set an axis's ticks and what stands at them."""
    axis.set_ticks(list(ticks), labels=list(texts))
    for label in axis.get_ticklabels():
        label.set_parse_math(False)
    axis.set_ticks([], minor=True)
