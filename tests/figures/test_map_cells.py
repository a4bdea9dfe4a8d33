from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from downslope.errors import InputError
from downslope.figures.map_cells import Cells, MapAxis, Places, Shades, filled, higher_is_better, nearest_known, words


def places(values, log=False):
    return Places.of(MapAxis("x", tuple(values), log))


@pytest.mark.parametrize(
    ("values", "log", "scale", "edges"),
    [
        ((0.0, 0.5, 1.0), False, "linear", [-0.25, 0.25, 0.75, 1.25]),
        ((1.0, 0.0, 0.5), False, "linear", [-0.25, 0.25, 0.75, 1.25]),
        ((0.01, 1.0, 100.0), True, "log", [0.001, 0.1, 10.0, 1000.0]),
        ((2.0, 8.0), True, "log", [1.0, 4.0, 16.0]),
        ((0.9,), False, "linear", [0.45, 1.35]),
        ((0.0,), False, "linear", [-0.5, 0.5]),
        ((4.0,), True, "log", [4 / math.sqrt(2), 4 * math.sqrt(2)]),
        ((16, 32, 64, 128), False, "log", [16 / 2**0.5, 16 * 2**0.5, 32 * 2**0.5, 64 * 2**0.5, 128 * 2**0.5]),
        ((0.0, 0.9, 0.99, 0.999), False, "even", [-0.5, 0.5, 1.5, 2.5, 3.5]),
        ((False, True), False, "even", [-0.5, 0.5, 1.5]),
    ],
)
def test_edges_lie_halfway_on_the_axis_that_is_drawn(values, log, scale, edges):
    found = places(values, log)
    assert found.scale == scale
    assert found.edges == pytest.approx(edges, rel=1e-12)
    assert list(found.values) == sorted(values)
    assert found.uneven == (scale == "even" and values != (False, True))


def test_a_place_in_a_cell_is_measured_as_the_eye_does():
    log, linear = places((0.01, 1.0, 100.0), True), places((0.0, 0.5, 1.0))
    assert log.along(1, 0.5) == pytest.approx(1.0)
    assert linear.along(2, 0.5) == pytest.approx(1.0)
    assert log.share_of([0.001, 1.0, 1000.0]) == pytest.approx([0.0, 0.5, 1.0])
    assert linear.share_of([-0.25, 0.5, 1.25]) == pytest.approx([0.0, 0.5, 1.0])


@pytest.mark.parametrize("seed", range(8))
def test_the_nearest_known_cell_is_the_nearest(seed):
    rng = np.random.default_rng(seed)
    known = rng.random((rng.integers(1, 12), rng.integers(1, 12))) < rng.choice([0.05, 0.3, 0.9])
    known[rng.integers(known.shape[0]), rng.integers(known.shape[1])] = True
    rows, columns = nearest_known(known)
    assert known[rows, columns].all()
    across, up = np.nonzero(known)
    for row, column in np.ndindex(known.shape):
        least = ((across - row) ** 2 + (up - column) ** 2).min()
        assert (rows[row, column] - row) ** 2 + (columns[row, column] - column) ** 2 == least
    values = rng.random(known.shape)
    assert (filled(values, known)[known] == values[known]).all()
    assert np.isin(filled(values, known), values[known]).all()


def test_nothing_known_fills_nothing():
    values = np.ones((2, 3))
    assert filled(values, np.zeros((2, 3), dtype=bool)) is values


def test_one_terrible_cell_does_not_flatten_the_rest():
    values = np.linspace(0.5, 1.0, 20)
    shades = Shades.of(np.append(values, 1e7))
    assert (shades.low, shades.high, shades.log, shades.above) == (0.5, 1.0, False, 1)
    assert list(shades(np.array([0.5, 1.0, 1e7]))) == [0.0, 1.0, 1.0]
    accuracy = Shades.of(np.append(1 - values, -1e7), "validation_accuracy")
    assert (accuracy.low, accuracy.high, accuracy.below) == (0.0, 0.5, 1)


def test_few_good_cells_keep_their_colours():
    """Most cells stand at chance: the scale must reach to the few that learnt."""
    values = np.append(np.full(200, 1.0986) + 0.001 * np.arange(200), [0.01, 0.1, 0.3])
    shades = Shades.of(values)
    assert (shades.low, shades.log, shades.below) == (0.01, True, 0)
    first, second, third = shades(np.array([0.01, 0.1, 0.3]))
    assert first == 0
    assert second - first > 0.3
    assert third - second > 0.1


@pytest.mark.parametrize(
    ("values", "quantity", "log"),
    [
        ([0.1, 0.3], "loss", False),
        ([0.1, 1.3], "loss", True),
        ([0.0, 1.3], "loss", False),
        ([-0.1, 1.3], "loss", False),
        ([0.01, 0.9], "accuracy", False),
    ],
)
def test_a_loss_that_spans_much_is_shown_by_its_logarithm(values, quantity, log):
    assert Shades.of(np.array(values), quantity).log is log


def test_r2_is_cut_where_it_is_only_very_bad():
    shades = Shades.of(np.array([-900.0, -40.0, -3.0, -0.5, 0.2, 0.4, 0.9]), "r2")
    assert (shades.low, shades.high, shades.below) == (-0.5, 0.9, 3)
    nothing_better = Shades.of(np.array([-900.0, -40.0]), "r2")
    assert (nothing_better.low, nothing_better.high) == (-900.0, -40.0)


def test_alike_values_are_one_colour_and_no_values_no_scale():
    shades = Shades.of(np.array([1.5, 1.5, np.nan]))
    assert shades.flat
    assert list(shades(np.array([1.5, 1.5]))) == [0.5, 0.5]
    assert np.isnan(shades(np.array([np.nan]))).all()
    assert Shades.of(np.array([np.nan])) is None


def test_the_scale_of_spreads_starts_at_zero_or_is_logarithmic():
    assert Shades.of_spread(np.array([0.1, 0.2, 0.0])) == Shades(0.0, 0.2, log=False)
    wide = Shades.of_spread(np.array([0.001, 0.02, 0.3, 0.0]))
    assert (wide.low, wide.high, wide.log, wide.below) == (0.001, 0.3, True, 1)
    assert list(wide(np.array([0.0, 0.001, 0.3]))) == [0.0, 0.0, 1.0]
    one_tiny = Shades.of_spread(np.array([1e-9, *np.geomspace(0.01, 0.1, 20)]))
    assert (one_tiny.low, one_tiny.below) == (pytest.approx(0.01), 1)
    assert Shades.of_spread(np.zeros(4)).flat
    assert Shades.of_spread(np.array([np.nan])) is None


AXES = (MapAxis("a", (1.0, 2.0), False), MapAxis("b", (0.1, 0.2, 0.4), False))


def frame(rows):
    names = ("a", "b", "runs", "exploded", "failed", "loss_median", "loss_low", "loss_high")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64), orient="row").with_columns(
        pl.col("runs", "exploded", "failed").cast(pl.Int64)
    )


def cells_of(rows):
    return Cells.of(AXES, [Places.of(axis) for axis in AXES], frame(rows), "loss")


def test_rows_come_to_their_cells_in_any_order():
    cells = cells_of([(2.0, 0.4, 3, 0, 0, 0.7, 0.6, 0.9), (1.0, 0.2, 1, 0, 0, 0.8, 0.8, 0.8)])
    assert cells.median[1, 2] == 0.7
    assert cells.median[0, 1] == 0.8
    assert cells.finished.tolist() == [[False, True, False], [False, False, True]]
    assert cells.spread[1, 2] == pytest.approx(0.3)
    assert np.isnan(cells.spread[0, 1])  # one run has no spread


def test_what_became_of_a_cell():
    none = (None, None, None)
    cells = cells_of(
        [
            (1.0, 0.1, 4, 4, 0, *none),
            (1.0, 0.2, 4, 3, 1, *none),
            (1.0, 0.4, 4, 1, 0, 0.5, 0.4, 0.6),
            (2.0, 0.1, 4, 0, 4, *none),
            (2.0, 0.2, 4, 0, 0, *none),
            (2.0, 0.4, 4, 0, 1, 0.5, 0.4, 0.6),
        ]
    )
    assert cells.all_exploded.tolist() == [[True, True, False], [False, False, False]]
    assert cells.partly.tolist() == [[False, False, True], [False, False, False]]
    assert cells.without_value.tolist() == [[False, False, False], [True, True, False]]
    assert cells.lost[0, 2] == 0.25


def test_the_best_cell_is_sound_where_one_is_and_the_first_of_equals():
    sound = (0.5, 0.4, 0.6)
    assert cells_of([(1.0, 0.2, 2, 0, 0, *sound), (2.0, 0.2, 2, 0, 0, *sound)]).best("loss") == (0, 1)
    assert cells_of([(1.0, 0.2, 2, 1, 0, 0.1, 0.1, 0.1), (2.0, 0.2, 2, 0, 0, *sound)]).best("loss") == (1, 1)
    assert cells_of([(1.0, 0.2, 2, 1, 0, 0.1, 0.1, 0.1)]).best("loss") == (0, 1)
    better = cells_of([(1.0, 0.2, 2, 0, 0, 0.9, 0.9, 0.9), (2.0, 0.2, 2, 0, 0, *sound)])
    assert (better.best("loss"), better.best("accuracy")) == ((1, 1), (0, 1))
    assert cells_of([(1.0, 0.2, 2, 2, 0, None, None, None)]).best("loss") is None


def test_cells_that_do_not_fit_the_axes_are_refused():
    with pytest.raises(InputError, match=r"cells must hold only the axis's values of b\. Received: 0\.3"):
        cells_of([(1.0, 0.3, 1, 0, 0, 1.0, 1.0, 1.0)])
    with pytest.raises(InputError, match=r"cells must have the column failed\. Received: a, b, runs"):
        Cells.of(AXES, [Places.of(axis) for axis in AXES], frame([]).drop("failed"), "loss")


def test_names_are_words():
    assert words("learning_rate") == "learning rate"
    assert words("beta_1") == "beta_1"
    assert words("validation_r2") == "validation R²"
    assert [higher_is_better(name) for name in ("loss", "validation_accuracy", "r2")] == [False, True, True]
