"""The order of a sweep's runs: the whole range coarsely first, then ever finer, so that its map is soon readable."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["coarse_to_fine", "levels"]

BLOCK = 4096
GOLDEN = (math.sqrt(5) - 1) / 2


def levels(count: int) -> NDArray[np.int64]:
    """Return at which refinement each of `count` places in a row comes: the ends at 0, the middle at 1, and so on.

    Refinement l holds the places nearest to (count − 1)·j/2^l; it holds all of the one before.
    """
    found = np.full(count, -1, dtype=np.int64)
    level = 0
    while (found < 0).any():
        parts = 1 << level
        places = (2 * (count - 1) * np.arange(parts + 1) + parts) // (2 * parts)
        found[places[found[places] < 0]] = level
        level += 1
    return found


def coarse_to_fine(shape: Sequence[int], seeds: int) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of all runs, each once, in blocks.

    The cells of the first seed come first, refinement after refinement, and those of one refinement evenly scattered;
    then those of the second seed, and so on. Nothing is kept but the block at hand, however many runs there are.

    Parameters
    ----------
    shape : sequence of int
        How many values each setting takes.
    seeds : int
        Runs in each cell; run number = cell · seeds + seed, with cells counted row by row.
    """
    if math.prod(shape) > BLOCK:
        for seed in range(seeds):
            for cells in _cells(shape):
                yield cells * seeds + seed
        return
    cells = np.concatenate(list(_cells(shape)))
    together = BLOCK // len(cells)  # of a small map several seeds fit into one block
    for first in range(0, seeds, together):
        numbers = np.arange(first, min(first + together, seeds), dtype=np.int64)
        yield (numbers[:, np.newaxis] + cells * seeds).ravel()


def _cells(shape: Sequence[int]) -> Iterator[NDArray[np.int64]]:
    """Yield the cells of all refinements in blocks."""
    per_axis = [levels(count) for count in shape]
    for level in range(max(int(axis.max()) for axis in per_axis) + 1):
        chosen = [np.flatnonzero(axis <= level) for axis in per_axis]
        sizes = [len(places) for places in chosen]
        total = math.prod(sizes)
        stride = _stride(total)
        for first in range(0, total, BLOCK):
            flat = np.arange(first, min(first + BLOCK, total), dtype=np.int64) * stride % total
            index = [places[at] for places, at in zip(chosen, np.unravel_index(flat, sizes), strict=True)]
            newest = np.max([axis[at] for axis, at in zip(per_axis, index, strict=True)], axis=0)
            fresh = newest == level
            yield np.ravel_multi_index([at[fresh] for at in index], tuple(shape)).astype(np.int64)


def _stride(total: int) -> int:
    """Return the number nearest to the golden share of `total` that has no factor in common with it."""
    wanted = max(1, round(total * GOLDEN))
    for away in range(total + 1):
        for stride in (wanted - away, wanted + away):
            if stride > 0 and math.gcd(stride, total) == 1:
                return stride
    return 1
