import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.sweeps import order
from downslope.sweeps.order import coarse_to_fine, levels

SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@settings(max_examples=40)
@given(SHAPES, st.integers(1, 4), st.sampled_from([4, 32, 4096]))
def test_every_run_comes_once(shape, seeds, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "BLOCK", block)
        runs = np.concatenate(list(coarse_to_fine(shape, seeds)))
    assert sorted(runs.tolist()) == list(range(int(np.prod(shape)) * seeds))


@settings(max_examples=40)
@given(SHAPES, st.integers(1, 4))
def test_the_first_seed_comes_first_and_refinements_in_order(shape, seeds):
    runs = np.concatenate(list(coarse_to_fine(shape, seeds)))
    assert (np.diff(runs % seeds) >= 0).all()
    cells = np.unravel_index(runs[: len(runs) // seeds] // seeds, shape)
    level = np.max([levels(count)[at] for count, at in zip(shape, cells, strict=True)], axis=0)
    assert (np.diff(level) >= 0).all()


def test_levels_are_the_ends_then_the_middles():
    assert levels(9).tolist() == [0, 3, 2, 3, 1, 3, 2, 3, 0]
    assert levels(1).tolist() == [0]
    assert levels(2).tolist() == [0, 0]
    assert np.bincount(levels(24)).tolist() == [2, 1, 2, 4, 8, 7]


@pytest.mark.parametrize("shape", [(24, 24), (32, 32), (33, 7), (100, 100)])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_any_share_of_the_work_covers_the_map_evenly(shape, share):
    cells = int(np.prod(shape))
    first = np.concatenate(list(coarse_to_fine(shape, 1)))[: int(share * cells)]
    done = np.zeros(cells, dtype=bool)
    done[first] = True
    quarters = [part.mean() for half in np.array_split(done.reshape(shape), 2) for part in np.array_split(half, 2, 1)]
    assert max(quarters) - min(quarters) < 0.4 * share + 0.03
    known, every = np.argwhere(done.reshape(shape)), np.argwhere(np.ones(shape))
    distance = np.abs(every[:, np.newaxis] - known).max(axis=2).min(axis=1)
    assert distance.max() <= 1.6 / np.sqrt(share)


def test_huge_plans_are_not_laid_out():
    import itertools
    import tracemalloc

    tracemalloc.start()
    try:
        for shape, seeds in [((30_000, 30_000), 2), ((3,), 10**9)]:
            blocks = list(itertools.islice(coarse_to_fine(shape, seeds), 20))
            assert all(block.max() < 3 * 10**9 for block in blocks)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
