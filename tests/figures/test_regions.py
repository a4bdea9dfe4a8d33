from __future__ import annotations

import functools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from downslope.figures import training_picture
from downslope.figures.regions import grid_points, region_image
from downslope.figures.style import styled

drawn = functools.cache(training_picture)  # looked at, never changed


def panel(run, style="light"):
    return next(axes for axes in drawn(run, style=style).axes if axes.axison)


def pixel_centres(image):
    """Centres of the pixels of an image with its origin below, worked out from what matplotlib was given."""
    left, right, low, high = image.get_extent()
    rows, columns = image.get_array().shape[:2]
    across = left + (right - left) * (2 * np.arange(columns) + 1) / (2 * columns)
    up = low + (high - low) * (2 * np.arange(rows) + 1) / (2 * rows)
    return np.array([(x, y) for y in up for x in across])


@pytest.mark.parametrize("style", ["light", "dark"])
@pytest.mark.parametrize("name", ["spiral", "eight blobs", "binary", "far from zero", "large numbers"])
def test_the_regions_have_the_hue_of_the_predicted_class(run_of, name, style):
    run, colours = run_of(name), styled(style)
    image = panel(run, style).images[0]
    assert image.origin == "lower"
    tints = np.asarray(image.get_array()).reshape(-1, 3) - to_rgb(colours.background)
    points = pixel_centres(image)[::37]
    tints = tints[::37] / np.linalg.norm(tints[::37], axis=1, keepdims=True)
    hues = np.array([to_rgb(colours.class_colour(label)) for label in range(len(run.preparation.classes))])
    hues = hues - to_rgb(colours.background)
    nearest = (tints @ (hues / np.linalg.norm(hues, axis=1, keepdims=True)).T).argmax(axis=1)
    assert np.array_equal(nearest.astype(str), run.predict(points).astype(str))


def test_a_surer_prediction_is_stronger_and_an_unknown_one_is_the_page():
    style = styled("light")
    image = region_image(np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 1.0], [np.nan, np.nan]]), style)
    strength = np.abs(image - to_rgb(style.background)).sum(axis=1)
    assert 0 < strength[0] < strength[1]
    assert strength[2] > 0.3
    assert strength[3] == 0


def test_grid_points_are_pixel_centres_with_the_lowest_row_first():
    assert grid_points((0, 4), (10, 14), 2).tolist() == [[1, 11], [3, 11], [1, 13], [3, 13]]


@pytest.mark.parametrize(("name", "equal"), [("spiral", True), ("far from zero", True), ("long names", True)])
def test_comparable_inputs_have_equal_units_and_all_points_are_inside(run_of, name, equal):
    run = run_of(name)
    axes = panel(run)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    box = axes.get_window_extent()
    assert ((right - left) / box.width == pytest.approx((high - low) / box.height)) == equal
    x, y = run.data.inputs.T
    assert left < x.min() < x.max() < right
    assert low < y.min() < y.max() < high


@pytest.mark.parametrize("name", ["spiral", "eight blobs", "large numbers", "binary"])
def test_every_row_is_a_point_in_its_own_units(run_of, name):
    run = run_of(name)
    drawn = np.concatenate([np.asarray(collection.get_offsets()) for collection in panel(run).collections])
    assert np.sort(drawn[:, 0]) == pytest.approx(np.sort(run.data.inputs[:, 0]), rel=1e-5, abs=1e-6)
    faces = {tuple(collection.get_facecolor()[0]) for collection in panel(run).collections}
    hollow = (1.0, 1.0, 1.0, 1.0) in faces
    assert hollow == (run.problem.validation is not None)


def test_the_fitted_curve_is_the_prediction(run_of):
    run = run_of("curve")
    x, y = panel(run).lines[0].get_data()
    assert y == pytest.approx(run.predict(np.asarray(x)[:, np.newaxis]))
    assert x.min() < run.data.inputs.min()
    assert x.max() > run.data.inputs.max()


def test_the_field_is_the_prediction_in_the_target_s_units(run_of):
    run = run_of("field")
    image = panel(run).images[0]
    points = pixel_centres(image)[::101]
    assert np.asarray(image.get_array()).ravel()[::101] == pytest.approx(run.predict(points), rel=1e-4)
    assert image.norm.vmax > 1000


def test_points_of_one_input_stand_at_the_probability_of_their_class(run_of):
    run = run_of("one input")
    axes = panel(run)
    assert len(axes.lines) == 3
    for label, line in enumerate(axes.lines):
        x, y = line.get_data()
        assert y == pytest.approx(run.predict_proba(np.asarray(x)[:, np.newaxis])[:, label])
    training = run.problem.training
    own = run.predict_proba(run.preparation.inputs.invert(training.inputs))[
        np.arange(len(training.inputs)), training.targets
    ]
    drawn = np.concatenate([np.asarray(part.get_offsets())[:, 1] for part in axes.collections[:3]])
    assert np.sort(drawn) == pytest.approx(np.sort(own), rel=1e-4)
