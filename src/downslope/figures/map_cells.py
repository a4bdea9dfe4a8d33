"""A map's numbers: where its cells lie, what each holds, which is best, and which colour it gets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.errors import InputError
from downslope.figures.scales import spans_more_than
from downslope.figures.style import number

if TYPE_CHECKING:
    import polars

__all__ = ["Cells", "MapAxis", "Places", "Shades", "filled", "higher_is_better", "nearest_known", "shown", "words"]

UNEVEN = 2.5  # gaps that differ by more than this factor are not drawn to scale
LOWEST_R2 = -1.0  # worse than this is only "very bad", and would press the rest flat
DECADES = 0.7  # a loss that spans more is shown by its logarithm
CUT, SHRINK = 0.05, 0.6  # at most this share of cells lies beyond one end, where the range of the rest shrinks so much
QUANTITIES = {"r2": "R²", "validation_r2": "validation R²"}


class MapAxis(NamedTuple):
    """One setting of a map.

    Attributes
    ----------
    name : str
        The column of `cells` that holds the setting.
    values : tuple of float
        The cells' centres.
    log : bool
        Whether they are placed by their logarithms.
    label : str, optional
        What the axis is called; left out, the name in words.
    unit : str, optional
        What the values count, such as "steps".
    """

    name: str
    values: tuple[float, ...]
    log: bool
    label: str | None = None
    unit: str | None = None

    @property
    def words(self) -> str:
        """The axis's name for a reader."""
        return self.label or words(self.name)


def shown(value: float, digits: int = 4) -> str:
    """Return a setting's value for a reader: a number in few digits, or True or False."""
    return str(value) if isinstance(value, bool) else number(value, digits)


def words(name: str) -> str:
    """Return `learning_rate` as "learning rate"; `beta_1` stays as it is."""
    return QUANTITIES.get(name) or "".join(
        " " if sign == "_" and name[place + 1 : place + 2].isalpha() else sign for place, sign in enumerate(name)
    )


def higher_is_better(quantity: str) -> bool:
    """Whether a larger value of this quantity is the better one, as of accuracy and R²."""
    return quantity.removeprefix("validation_") in {"accuracy", "r2"}


@dataclass(frozen=True)
class Places:
    """Where the cells of one setting lie: ascending values, their places on the axis, and the edges between them.

    `scale` is "linear", "log", or "even": values whose gaps differ much are drawn as equally wide cells.
    """

    values: tuple[float, ...]
    centres: NDArray[np.float64]
    edges: NDArray[np.float64]
    scale: str

    @classmethod
    def of(cls, axis: MapAxis) -> Places:
        """Return the places of an axis's values: edges halfway between them, on a log axis by their logarithms."""
        values = tuple(sorted(set(axis.values)))
        scale = _scale(values, log=axis.log)
        centres = np.asarray(range(len(values)) if scale == "even" else values, dtype=np.float64)
        if scale == "log":
            return cls(values, centres, np.exp(_halfway(np.log(centres), math.log(2.0))), scale)
        alone = 1.0 if scale == "even" or not values[0] else abs(values[0])
        return cls(values, centres, _halfway(centres, alone), scale)

    @property
    def uneven(self) -> bool:
        """Whether numbers are drawn otherwise than to scale."""
        return self.scale == "even" and not isinstance(self.values[0], bool)

    def along(self, cell: int, share: float) -> float:
        """Return the place that far through a cell, 0 at its lower edge and 1 at its upper, as the eye measures."""
        low, high = self.edges[cell], self.edges[cell + 1]
        return float(low * (high / low) ** share if self.scale == "log" else low + share * (high - low))

    def share_of(self, places: Sequence[float]) -> list[float]:
        """Return how far along the whole axis these places lie, from 0 to 1."""
        low, high = self.edges[0], self.edges[-1]
        if self.scale == "log":
            return [math.log(place / low) / math.log(high / low) for place in places]
        return [(place - low) / (high - low) for place in places]


def _scale(values: tuple[float, ...], *, log: bool) -> str:
    if any(isinstance(value, bool) for value in values):
        return "even"
    positive = values[0] > 0
    if len(values) < 3:
        return "log" if log and positive else "linear"
    gaps = [high - low for low, high in pairwise(values)]
    factors = [math.log(high / low) for low, high in pairwise(values)] if positive else []
    by_factors = bool(factors) and max(factors) <= UNEVEN * min(factors)
    if log and by_factors:
        return "log"
    if max(gaps) <= UNEVEN * min(gaps):
        return "linear"
    return "log" if by_factors else "even"


def _halfway(centres: NDArray[np.float64], alone: float) -> NDArray[np.float64]:
    if len(centres) == 1:
        return np.array([centres[0] - alone / 2, centres[0] + alone / 2])
    inner = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - inner[0]], inner, [2 * centres[-1] - inner[-1]]])


@dataclass(frozen=True)
class Cells:
    """What is known of every cell, as arrays with one axis for each setting; NaN where there is no value.

    `runs` counts finished runs (0: the cell is not finished), `lost` the share of them that exploded.
    """

    runs: NDArray[np.int64]
    exploded: NDArray[np.int64]
    failed: NDArray[np.int64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, axes: Sequence[MapAxis], places: Sequence[Places], frame: polars.DataFrame, quantity: str) -> Cells:
        """Return the rows of `SweepResult.cells()` at their places."""
        needed = [axis.name for axis in axes] + ["runs", "exploded", "failed"]
        needed += [f"{quantity}_{part}" for part in ("median", "low", "high")]
        missing = [name for name in needed if name not in frame.columns]
        if missing:
            raise InputError(f"cells must have the column {missing[0]}. Received: {', '.join(frame.columns)}")
        index: list[NDArray[np.int64]] = []
        for axis, found in zip(axes, places, strict=True):
            place_of = {value: place for place, value in enumerate(found.values)}
            given = frame[axis.name].to_list()
            strange = next((value for value in given if value not in place_of), None)
            if strange is not None:
                raise InputError(f"cells must hold only the axis's values of {axis.name}. Received: {strange!r}")
            index.append(np.array([place_of[value] for value in given], dtype=np.int64))
        shape = tuple(len(found.values) for found in places)

        def spread_out(name: str, empty: Any) -> NDArray[Any]:
            grid = np.full(shape, empty)
            if len(frame):
                column = frame[name].to_list()
                grid[tuple(index)] = [empty if value is None else value for value in column]
            return grid

        counts = [spread_out(name, 0) for name in ("runs", "exploded", "failed")]
        numbers = [spread_out(f"{quantity}_{part}", math.nan) for part in ("median", "low", "high")]
        return cls(*counts, *numbers)

    def at(self, *index: Any) -> Cells:
        """Return a part of the cells, as by indexing every array."""
        return Cells(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Cells with at least one finished run."""
        return self.runs > 0

    @property
    def all_exploded(self) -> NDArray[np.bool_]:
        """Finished cells without a value because every run that did not fail exploded."""
        return (self.exploded > 0) & (self.exploded + self.failed >= self.runs)

    @property
    def partly(self) -> NDArray[np.bool_]:
        """Cells in which some runs exploded and others gave a value."""
        return (self.exploded > 0) & ~self.all_exploded

    @property
    def lost(self) -> NDArray[np.float64]:
        """The share of a cell's runs that exploded."""
        return self.exploded / np.maximum(self.runs, 1)

    @property
    def valued(self) -> NDArray[np.bool_]:
        """Cells with a value."""
        return np.isfinite(self.median)

    @property
    def without_value(self) -> NDArray[np.bool_]:
        """Finished cells that did not explode and yet gave no value: every run failed, or the quantity is undefined."""
        return self.finished & ~self.all_exploded & ~self.valued

    @property
    def spread(self) -> NDArray[np.float64]:
        """The interquartile range over seeds; NaN where fewer than two runs gave a value."""
        enough = self.runs - self.exploded - self.failed >= 2
        return np.where(enough, self.high - self.low, np.nan)

    def best(self, quantity: str) -> tuple[int, ...] | None:
        """Return the index of the best median, of equal ones the first; None where no cell has a value.

        A cell that lost half of its runs or more counts only where there is no other.
        """
        if not self.valued.any():
            return None
        sound = self.valued & (2 * (self.exploded + self.failed) < self.runs)
        signed = -self.median if higher_is_better(quantity) else self.median
        place = int(np.where(sound if sound.any() else self.valued, signed, np.inf).argmin())
        return tuple(int(one) for one in np.unravel_index(place, self.median.shape))


def nearest_known(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for every cell of a plane the index of the nearest known one, shape (2, rows, columns).

    Distances are counted in cells; of equally near ones that with the lower index is taken. First the nearest of each
    row is found, then the best of those: rows · rows · columns steps, and no table of all pairs.
    """
    rows, columns = known.shape
    places = np.arange(columns)
    filled_rows = np.flatnonzero(known.any(axis=1))
    nearest = np.empty((len(filled_rows), columns), dtype=np.int64)
    for place, filled_row in enumerate(filled_rows):
        those = np.flatnonzero(known[filled_row])
        nearest[place] = those[np.abs(places[:, np.newaxis] - those).argmin(axis=1)]
    across = (nearest - places) ** 2
    chosen = np.empty((2, rows, columns), dtype=np.int64)
    for row in range(rows):
        winner = (across + ((filled_rows - row) ** 2)[:, np.newaxis]).argmin(axis=0)
        chosen[0, row], chosen[1, row] = filled_rows[winner], nearest[winner, places]
    return chosen


def filled(values: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[Any]:
    """Return a plane whose unknown cells hold the value of the nearest known one; as it is where none is known."""
    if known.all() or not known.any():
        return values
    return np.asarray(values[tuple(nearest_known(known))])


@dataclass(frozen=True)
class Shades:
    """From a value to its share of the colour map, 0 to 1.

    Where a few cells are far worse than all others the scale ends before them, so that they do not press the rest
    into one colour; `below` and `above` count the cells beyond its ends.
    """

    low: float
    high: float
    log: bool
    below: int = 0
    above: int = 0

    @classmethod
    def of(cls, values: NDArray[Any], quantity: str = "loss", shrink: float = SHRINK) -> Shades | None:
        """Return the scale for these values (NaN is left out); None where there is no value.

        Cells are beyond its end where the others share at most `shrink` of the range. A logarithm where lower is
        better, all are positive and they span more than five times; R² is cut at −1.
        """
        known = np.sort(values[np.isfinite(values)].astype(np.float64).ravel())
        if not len(known):
            return None
        if higher_is_better(quantity):
            floor = int((known < LOWEST_R2).sum()) % len(known) if quantity.endswith("r2") else 0
            below = floor + _far_off(-known[floor:][::-1], shrink)
            return cls(float(known[below]), float(known[-1]), log=False, below=below)
        log = spans_more_than(known, DECADES)
        above = _far_off(np.log(known) if log else known, shrink)
        kept = known[: len(known) - above]
        return cls(float(kept[0]), float(kept[-1]), log and spans_more_than(kept, DECADES), above=above)

    @classmethod
    def of_spread(cls, spread: NDArray[Any]) -> Shades | None:
        """Return the scale for widths, which are at least 0: from 0 on, or the logarithm of those above 0."""
        widths = np.sort(spread[spread > 0])
        found = cls.of(widths)
        if found is None:
            return cls(0.0, 0.0, log=False) if np.isfinite(spread).any() else None
        if not found.log:
            return cls(0.0, found.high, log=False, above=found.above)
        tiny = _far_off(-np.log(widths)[::-1], SHRINK)  # as where all seeds end at the same plateau
        zero = int(np.count_nonzero(spread == 0))
        return cls(float(widths[tiny]), found.high, log=True, below=zero + tiny, above=found.above)

    @property
    def flat(self) -> bool:
        """Whether all values are alike, but for rounding."""
        return self.high - self.low <= 1e-9 * max(abs(self.low), abs(self.high))

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the shares, 0 for the lowest value; NaN where there is no value."""
        if self.flat:
            return np.where(np.isfinite(values), 0.5, np.nan)
        with np.errstate(all="ignore"):
            if self.log:
                shares = np.log(np.maximum(values, self.low) / self.low) / math.log(self.high / self.low)
            else:
                shares = (values - self.low) / (self.high - self.low)
        return np.asarray(np.clip(shares, 0.0, 1.0))


def _far_off(heights: NDArray[np.float64], shrink: float) -> int:
    """Return the fewest of ascending heights, at most 5 %, without which the range is at most `shrink` of the whole.

    Of fewer than 20 at most one, and only if the range halves once more; 0 where there are none such, or the others
    are all alike.
    """
    count = len(heights)
    few = count * CUT < 1
    for cut in range(1, 1 + (int(few and count >= 4) or int(CUT * count))):
        rest = heights[count - 1 - cut] - heights[0]
        if 0 < rest <= shrink * (0.5 if few else 1.0) * (heights[-1] - heights[0]):
            return cut
    return 0
