from __future__ import annotations

import functools

import numpy as np
import pytest

from downslope.figures import training_picture
from downslope.figures.outcomes import confusion
from downslope.figures.sample import samples

drawn = functools.cache(training_picture)  # looked at, never changed


def panel(run):
    return next(axes for axes in drawn(run).axes if axes.axison)


@pytest.mark.parametrize("name", ["confusion", "thirty classes"])
def test_the_matrix_counts_rows_by_true_and_predicted_class(run_of, name):
    run = run_of(name)
    part = run.problem.validation or run.problem.training
    counts = np.zeros((len(run.preparation.classes),) * 2, dtype=int)
    rows = run.preparation.inputs.invert(part.inputs)
    for label, predicted in zip(part.targets, run.predict(rows), strict=True):
        counts[label, run.preparation.classes.index(str(predicted))] += 1
    assert np.array_equal(confusion(run, samples(run)[-1]), counts)
    axes = panel(run)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    assert np.asarray(axes.images[0].get_array()) == pytest.approx(shares)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first class is on top
    if name == "confusion":
        written = {text.get_position(): text.get_text() for text in axes.texts if text.get_text()}
        assert written == {(c, r): str(count) for (r, c), count in np.ndenumerate(counts) if count}


def test_of_many_classes_the_hardest_are_listed(run_of):
    run = run_of("hundred classes")
    counts = confusion(run, samples(run)[-1])
    accuracy = np.sort(counts.diagonal() / counts.sum(axis=1))
    assert [bar.get_width() for bar in panel(run).patches] == pytest.approx(accuracy[:14].tolist())


def test_predictions_stand_over_true_values_in_their_units(run_of):
    run = run_of("against true")
    training, validation = panel(run).collections
    for drawn, part in ((training, run.problem.training), (validation, run.problem.validation)):
        rows = run.preparation.inputs.invert(part.inputs)
        expected = np.column_stack([run.preparation.values(part.targets)[:, 0], run.predict(rows)])
        assert np.asarray(drawn.get_offsets()) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    axes = panel(run)
    assert axes.get_xlim() == axes.get_ylim()


def test_predictions_far_off_stand_at_the_edge_and_are_counted(run_of, texts):
    run = run_of("far off")
    predicted = np.asarray(panel(run).collections[0].get_offsets())[:, 1]
    assert run.predict(run.data.inputs)[:, 0].max() < -50  # all far below the true values, which lie in (−1, 1)
    assert np.unique(predicted) == pytest.approx([-3.0], abs=0.01)
    assert panel(run).get_ylim()[0] < -3.0
    assert "line: exact prediction; 1 of 2 targets; 80 beyond the edge" in [t.get_text() for t in texts(drawn(run))]
