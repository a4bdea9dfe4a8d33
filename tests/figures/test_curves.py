from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from downslope.figures import training_picture
from downslope.figures.curves import thinned

drawn = functools.cache(training_picture)  # looked at, never changed


def curves(run):
    """The axes of loss, score and learning rate."""
    return [axes for axes in drawn(run).axes if axes.axison][-3:]


def series(axes):
    """The drawn lines, without the dot at their end."""
    return [line for line in axes.lines if line.get_marker() in {"None", ""}]


def test_the_curves_are_the_history(run_of):
    run = run_of("eight blobs")
    loss, accuracy, rate = curves(run)
    history = run.history
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        validation, training = series(axes)
        assert training.get_ydata().tolist() == getattr(history, name).tolist()
        assert validation.get_ydata().tolist() == getattr(history, f"validation_{name}").tolist()
        assert training.get_color() != validation.get_color()
    assert series(rate)[0].get_ydata().tolist() == history.learning_rate.tolist()
    assert all(axes.get_xlabel() == "epoch" for axes in (loss, accuracy, rate))


def test_a_long_history_is_thinned_and_keeps_its_extremes(run_of):
    run = run_of("long history")
    line = series(curves(run)[0])[0]
    x, y = line.get_data()
    assert len(x) <= 2000 < len(run.history)
    assert (y.min(), y.max()) == (run.history.loss.min(), run.history.loss.max())
    assert np.array_equal(run.history.loss[np.asarray(x)], y)
    assert (x[0], x[-1]) == (0, 2499)


@given(arrays(np.float64, st.integers(1, 400), elements=st.floats(allow_nan=True, allow_infinity=True, width=16)))
def test_thinning_keeps_ends_and_extremes(values):
    places = thinned(values, most=40)
    assert len(places) <= min(40, len(values))
    assert (places[0], places[-1]) == (0, len(values) - 1)
    assert (np.diff(places) > 0).all()
    finite = values[np.isfinite(values)]
    if len(finite):
        kept = values[places]
        kept = kept[np.isfinite(kept)]
        assert (kept.min(), kept.max()) == (finite.min(), finite.max())


@pytest.mark.parametrize(
    ("name", "scales"),
    [
        ("spiral", ("linear", "linear", "log")),  # the rate falls from 1 to about 0.1
        ("untrained", ("linear", "linear", "linear")),
        ("not finite", ("log", "linear", "linear")),
        ("nothing finite", ("linear", "linear", "linear")),
        ("diverged", ("log", "linear", "linear")),
    ],
)
def test_scales_become_logarithmic_where_values_span_decades(run_of, name, scales):
    assert tuple(axes.get_yscale() for axes in curves(run_of(name))) == scales


def test_a_constant_rate_is_a_flat_line_well_inside(run_of):
    axes = curves(run_of("confusion"))[2]
    low, high = axes.get_ylim()
    assert low == 0
    assert 0.5 * high < 0.01 < 0.95 * high
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "0.01"]


def test_r2_far_below_zero_is_cut_and_said(run_of, texts):
    run = run_of("diverged")
    axes = curves(run)[1]
    assert axes.get_ylim()[0] == -1.0
    assert any("cut at −1" in text.get_text() for text in texts(drawn(run)))


def test_one_epoch_is_a_dot_and_none_is_empty(run_of):
    assert [len(axes.lines) for axes in curves(run_of("untrained"))] == [0, 0, 0]
    for axes in curves(run_of("one epoch")):
        assert any(line.get_marker() == "o" for line in axes.lines)
        assert axes.get_xlim()[0] < 0 < axes.get_xlim()[1]
