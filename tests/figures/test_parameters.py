from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.figures import training_picture
from downslope.figures.parameters import Arrangement, aggregated, arranged

drawn = functools.cache(training_picture)  # looked at, never changed


def squares(figure):
    """The values of each block of squares, in the order drawn: per layer the parameters, then the last update."""
    meshes = [mesh for axes in figure.axes for mesh in axes.collections if type(mesh).__name__ == "QuadMesh"]
    return [mesh.get_array().compressed() for mesh in meshes]


@pytest.mark.parametrize("name", ["spiral", "untrained", "confusion", "eight blobs", "curve"])
def test_there_is_a_square_for_every_parameter_and_every_update(run_of, name):
    run = run_of(name)
    blocks = squares(drawn(run))
    expected = []
    views = zip(run.network.views(run.state.parameters), run.network.views(run.state.last_update), strict=True)
    for pair in views:
        expected += [view for view in pair if view]
    assert len(blocks) == len(expected)
    for values, view in zip(blocks, expected, strict=True):
        both = np.concatenate([view["weights"].ravel(), view["biases"].ravel()]).astype(np.float64)
        largest = np.abs(both).max()
        assert np.sort(values) == pytest.approx(np.sort(both / (largest or 1.0)), abs=1e-12)


def test_squares_stand_where_their_weight_does(run_of):
    run = run_of("spiral")  # 2 inputs, 16 neurons, 3 outputs
    layers = [view for view in run.network.views(run.state.parameters) if view]
    blocks = squares(drawn(run))
    figure = drawn(run)
    meshes = [axes.collections[0] for axes in figure.axes if len(axes.collections) and not axes.axison]
    grid = np.asarray(next(mesh for mesh in meshes if type(mesh).__name__ == "QuadMesh").get_array())
    columns = grid.shape[1]
    weights, biases = layers[0]["weights"], layers[0]["biases"].ravel()
    largest = max(np.abs(weights).max(), np.abs(biases).max())
    assert grid[0, :columns] == pytest.approx(weights[0, :columns] / largest, abs=1e-7)
    assert grid[1, :columns] == pytest.approx(weights[1, :columns] / largest, abs=1e-7)
    assert blocks[0][-len(biases) :] == pytest.approx(biases / largest, abs=1e-7)
    # The second layer has more inputs than outputs: its outputs are the rows.
    assert blocks[2][0] * np.abs(layers[1]["weights"]).max() == pytest.approx(layers[1]["weights"][0, 0], abs=1e-6)
    assert blocks[2][1] * np.abs(layers[1]["weights"]).max() == pytest.approx(layers[1]["weights"][1, 0], abs=1e-6)


def test_colours_run_from_blue_over_the_middle_to_red(run_of):
    figure = drawn(run_of("spiral"))
    mesh = next(m for axes in figure.axes for m in axes.collections if type(m).__name__ == "QuadMesh")
    assert (mesh.norm.vmin, mesh.norm.vmax) == (-1, 1)
    red, middle, blue = (np.array(mesh.cmap(mesh.norm(value)))[:3] for value in (1.0, 0.0, -1.0))
    assert red[0] > red[2] + 0.4
    assert blue[2] > blue[0] + 0.4
    assert np.ptp(middle) < 0.05


@given(
    rows=st.integers(1, 40),
    more=st.integers(0, 300),
    outputs_across=st.booleans(),
    width=st.floats(0.5, 4.0),
    height=st.floats(0.5, 2.0),
)
def test_an_arrangement_fits_its_box_and_keeps_every_value_once(rows, more, outputs_across, width, height):
    length = rows + more
    biases = length if outputs_across else rows
    arrangement, side = arranged(np.empty((rows, length)), np.empty((1, biases)), width, height)
    edges = arrangement.edges()
    assert arrangement.cell * arrangement.columns <= width + 1e-9
    assert arrangement.cell * edges[-1] <= height + 1e-9
    assert (np.diff(edges) > 0).all()
    if side == 1:
        weights = np.arange(rows * length, dtype=float).reshape(rows, length)
        grid = arrangement.grid(weights, -1.0 - np.arange(biases))
        assert grid.shape == (len(edges) - 1, arrangement.columns)
        shown = np.sort(grid[np.isfinite(grid)])
        assert np.array_equal(shown, np.sort(np.concatenate([weights.ravel(), -1.0 - np.arange(biases)])))
        heights = np.diff(edges)
        assert heights[np.isfinite(grid).any(axis=1)] == pytest.approx(1.0)
        assert (heights[~np.isfinite(grid).any(axis=1)] < 1.0).all()


def test_among_equal_cells_the_fewest_bands_are_chosen():
    assert Arrangement.fitting(20, 64, 64, width=1.7, height=1.23, most_bands=64).columns == 64


def test_a_square_for_several_weights_takes_the_largest_with_its_sign():
    values = np.array([[1.0, -5.0, 0.0], [2.0, 3.0, -0.5], [0.0, 0.0, 4.0]])
    assert aggregated(values, 2).tolist() == [[-5.0, -0.5], [0.0, 4.0]]


def test_a_large_layer_still_shows_its_largest_weight(run_of):
    run = run_of("deep")
    blocks = squares(drawn(run))
    assert len(blocks) == 8
    assert blocks[0].size < 300 * 256 / 9 + 1000
    weights = run.network.views(run.state.parameters)[0]["weights"]
    extreme = weights.ravel()[np.abs(weights).argmax()] / np.abs(weights).max()
    assert extreme in blocks[0]
