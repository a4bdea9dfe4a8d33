"""The moments of a run: everything an update goes by, kept thinly, so that any of them can be made again."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, replace

from downslope.engines.problem import State
from downslope.rules import Optimizer
from downslope.training.changes import carried
from downslope.training.guard import Guard
from downslope.training.log import Entry

__all__ = ["Moment", "Moments"]

MOST_MOMENTS, MOST_BYTES = 64, 64 * 2**20
RECENT = 4


@dataclass(frozen=True)
class Moment:
    """A run between two updates.

    Attributes
    ----------
    state : State
        Parameters, slots and step.
    optimizer : Optimizer
        In force from here on.
    batch_size : int
        In force in the epoch that is under way, or comes next.
    pending : int or None
        The batch size to hold from the next epoch on.
    done : int
        How many of the log's acting entries have taken effect.
    guard : Guard or None
        What watches from here on.
    """

    state: State
    optimizer: Optimizer
    batch_size: int
    pending: int | None = None
    done: int = 0
    guard: Guard | None = None

    def after(self, entry: Entry) -> Moment:
        """Return the moment after an entry of the log takes effect."""
        optimizer = entry.optimizer or self.optimizer
        state = carried(self.state, self.optimizer, optimizer, clear=entry.cleared)
        pending = self.pending if entry.batch_size is None else entry.batch_size
        pending = None if pending == self.batch_size else pending
        guard = self.guard if entry.guard is None else Guard.restored(entry.guard)
        done = self.done + entry.acts
        return replace(
            self, state=state, optimizer=optimizer, pending=pending, done=done, guard=guard
        ).settled()  # fmt: skip

    def settled(self) -> Moment:
        """Return the moment with a pending batch size in force, where an epoch begins."""
        if self.pending is None or self.state.batch:
            return self
        return replace(self, batch_size=self.pending, pending=None)

    @property
    def nbytes(self) -> int:
        """What its arrays take."""
        arrays = (self.state.parameters, self.state.last_update, *self.state.slots.values())
        return sum(array.nbytes for array in arrays)


class Moments:
    """Moments of a run in ascending order: the first, the last few, and ever thinner ones between.

    At most 64, and beside the first and the last few at most 64 MB of arrays, or four of them. A moment's arrays are
    never written into, so keeping one copies nothing, and branches share them.
    """

    def __init__(self, first: Moment) -> None:
        self._kept = [first]
        self._recent: deque[Moment] = deque(maxlen=RECENT)
        self._apart = 1
        self._most = _most(first)

    @property
    def first(self) -> Moment:
        """Where the run began."""
        return self._kept[0]

    def __len__(self) -> int:
        return len({moment.state.step for moment in (*self._kept, *self._recent)})

    def offer(self, moment: Moment) -> None:
        """Keep a moment for a while, and for good where the last one kept is far enough away."""
        self._recent.append(moment)
        self._most = min(self._most, _most(moment))  # another rule may have more slots
        if moment.state.step >= self._kept[-1].state.step + self._apart:
            self._kept.append(moment)
        while len(self._kept) > self._most:
            self._apart *= 2
            kept = self._kept[:1]
            for one in self._kept[1:]:
                if one.state.step >= kept[-1].state.step + self._apart:
                    kept.append(one)
            self._kept = kept

    def before(self, step: int) -> Moment:
        """Return the latest moment at or before a step; of several there the earliest."""
        place = bisect_right(self._kept, step, key=lambda one: one.state.step) - 1
        found = self._kept[max(place, 0)]
        for one in self._recent:
            if found.state.step < one.state.step <= step:
                found = one
        return found

    def cut(self, step: int) -> None:
        """Forget what came after a step."""
        self._kept = self._kept[:1] + [one for one in self._kept[1:] if one.state.step <= step]
        self._recent = deque((one for one in self._recent if one.state.step <= step), maxlen=RECENT)

    def copy(self) -> Moments:
        """Return moments of their own."""
        twin = Moments(self.first)
        twin._kept, twin._recent = list(self._kept), deque(self._recent, maxlen=RECENT)
        twin._apart, twin._most = self._apart, self._most
        return twin


def _most(moment: Moment) -> int:
    """Return how many such moments are kept."""
    return max(4, min(MOST_MOMENTS, MOST_BYTES // max(moment.nbytes, 1)))
