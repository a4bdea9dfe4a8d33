from __future__ import annotations

import functools
import warnings
from contextlib import suppress

import pytest

import downslope as ds
from downslope.errors import ExplosionError
from downslope.figures import training_picture
from downslope.figures.marks import KINDS, MOST_LINES, Marks, Undone, draw_legend, marks_of
from downslope.figures.page import Page
from downslope.figures.style import styled

drawn = functools.cache(training_picture)  # looked at, never changed

ROLLBACK = ds.Guard("rollback", most=1)


def spiral(optimizer, **settings):
    return ds.Run(ds.MLP([2, 16, 3]), ds.data.spiral(20), optimizer, **settings)


def leap(guard, rate=5e6):
    """A run whose rate leaps at epoch 40."""
    run = spiral(ds.SGD(0.5, momentum=0.5), guard=guard)
    run.train(40)
    run.change(learning_rate=rate)
    with suppress(ExplosionError), warnings.catch_warnings():
        warnings.simplefilter("ignore", ds.GuardWarning)
        run.train(60)
    return run


def scheduled():
    run = spiral(ds.Adam(ds.Constant(0.02).for_steps(50).then(ds.Constant(20.0))), guard="rollback")
    with pytest.warns(ds.GuardWarning):
        run.train(100)
    return run


def changed():
    run = spiral(ds.SGD(0.5, momentum=0.5), batch_size=16, validation=0.2, guard=None)
    run.train(10)
    run.change(learning_rate=1.0899999999999999)
    run.train(10)
    run.change(momentum=0.9)
    run.train(5)
    run.change(optimizer=ds.Adam(0.01))
    run.change(batch_size=32)
    run.train(20)
    run.change(learning_rate=0.0109999999999)
    return run


def often():
    run = spiral(ds.SGD(0.5), guard=None)
    for place in range(60):
        run.train(3)
        run.change(learning_rate=0.5 + 0.01 * (place % 5) + 0.01)
    return run


def plateau():
    run = spiral(ds.SGD(0.1), guard=ds.Guard(plateau=ds.ReduceOnPlateau(patience=5)))
    run.train(9)
    run.change(learning_rate=0.2, momentum=0.9)
    run.train(2)
    run.change(learning_rate=1e-9, momentum=0.0)
    run.train(8)
    return run


def branched():
    run = changed().branch(at=0, learning_rate=0.25)
    run.train(5)
    return run


def leap_at_start():
    run = spiral(ds.SGD(1000.0), guard="rollback")
    with suppress(ExplosionError), pytest.warns(ds.GuardWarning):
        run.train(30)
    return run


RUNS = {
    "scheduled": scheduled,
    "rolled back": lambda: leap("rollback"),
    "given up": lambda: leap(ROLLBACK),
    "stopped": lambda: leap("stop", 50.0),
    "warned": lambda: leap("warn", 50.0),
    "changed": changed,
    "often": often,
    "plateau": plateau,
    "branched": branched,
    "from the start": leap_at_start,
}


@functools.cache
def made(name):
    return RUNS[name]()


def rows(figure):
    """What is drawn of marks in each of the three axes: by label, the artists."""
    found = []
    for axes in [axes for axes in figure.axes if axes.axison][-3:]:
        by_label = {}
        for artist in axes.collections:
            by_label.setdefault(artist.get_label(), []).append(artist)
        found.append((axes, by_label))
    return found


def lines_of(artists):
    """Where the broken lines stand."""
    return [float(segment[0][0]) for one in artists if hasattr(one, "get_segments") for segment in one.get_segments()]


def points_of(artists):
    return [tuple(point) for one in artists if not hasattr(one, "get_segments") for point in one.get_offsets()]


@pytest.mark.parametrize("name", RUNS)
def test_the_texts_of_a_steered_run_have_room(name, misplaced):
    assert misplaced(drawn(made(name))) == []


def test_changes_are_marked_by_what_was_done(texts):
    figure = drawn(made("plateau"))
    for _, found in rows(figure):
        assert (lines_of(found["_change"]), lines_of(found["_reduce"])) == ([9, 11], [18])
    said = [text.get_text() for text in texts(figure)]
    assert "2 changes" in said
    assert "1 reduction on a plateau" in said
    assert not any(other in line for line in said for other in ("rollback", "alarm", "stopped", "undone"))
    plain = drawn(spiral(ds.SGD(0.1)))
    assert not any(look.noun in text.get_text() for text in texts(plain) for look in KINDS.values())


def test_changes_at_one_place_are_counted_beside_their_mark(texts):
    run = made("changed")
    assert marks_of(run).epochs == {"change": [10, 20, 25, 25, 45]}
    figure = drawn(run)
    for axes, found in rows(figure):
        assert lines_of(found["_change"]) == [10, 20, 25, 45]
        assert [x for x, _ in points_of(found["_change"])] == [10, 20, 25, 45]
        assert [text.get_text() for text in axes.texts] == ["2"]
    assert any(text.get_text() == "5 changes" for text in texts(figure))


def test_a_change_and_the_rollback_it_causes_are_both_seen():
    for axes, found in rows(drawn(made("rolled back"))):
        user, guard = found["_change"], found["_rollback"]
        assert lines_of(user) == lines_of(guard) == [40]
        [(_, low)], [(_, high)] = points_of(user), points_of(guard)
        inch = axes.get_position().height * 6.2
        assert (high - low) * inch > 0.06  # in rows of their own
        dashes = [one.get_linestyle()[0] for one in (*user, *guard) if hasattr(one, "get_segments")]
        assert dashes[0][0] != dashes[1][0]  # and the lines take turns


def test_rates_that_were_undone_stand_in_the_panel_of_the_rate(texts):
    run = made("scheduled")
    assert marks_of(run).epochs == {"rollback": [50, 50]}
    assert marks_of(run).undone == (Undone(50, 20.0, 10.0), Undone(50, 10.0, 0.02))
    figure = drawn(run)
    (_, loss), _, (axes, rate) = rows(figure)
    assert "_undone" not in loss
    assert points_of(rate["_undone"]) == [(50, 10.0), (50, 20.0)]
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log"
    assert low < 0.02
    assert high > 20
    assert {"0.02", "20"} <= {label.get_text() for label in axes.get_yticklabels()}
    [arrow] = [text for text in axes.texts if getattr(text, "arrow_patch", None) is not None]
    assert (arrow.xyann, arrow.xy) == ((50, 20.0), (50, pytest.approx(0.02)))
    said = [text.get_text() for text in texts(figure)]
    assert "2 rollbacks" in said
    assert "rates undone" in said
    assert [text.get_text() for text in axes.texts if text.get_text()] == ["2"]


def test_without_rates_undone_the_axis_of_the_rate_is_as_it_was():
    axes = rows(drawn(made("branched")))[2][0]
    assert (axes.get_yscale(), axes.get_ylim()) == ("linear", (0.0, pytest.approx(1.15 * 0.25)))


def test_the_cross_of_a_rate_undone_at_the_start_does_not_cover_the_numbers_of_the_axis():
    axes, found = rows(drawn(made("from the start")))[2]
    assert lines_of(found["_rollback"]) == [0]
    assert all(x > 0.01 * axes.get_xlim()[1] for x, _ in points_of(found["_undone"]))


def test_a_stop_is_marked_at_the_end_with_the_rate_it_undid(texts):
    run = made("stopped")
    assert run.epoch == 40
    assert marks_of(run) == Marks({"change": [40], "stop": [40]}, (Undone(40, 50.0, None),))
    figure = drawn(run)
    axes, found = rows(figure)[2]
    assert points_of(found["_undone"]) == [(40, 50.0)]
    assert not axes.texts  # no arrow: it did not go on
    said = [text.get_text() for text in texts(figure)]
    assert "stopped by the guard" in said
    assert "a rate undone" in said


def test_an_alarm_is_marked_where_nothing_follows_from_it(texts):
    run = made("warned")
    [alarm] = [entry for entry in run.log if entry.kind == "alarm"]
    assert marks_of(run) == Marks({"change": [40], "alarm": [alarm.epoch]})
    figure = drawn(run)
    for _, found in rows(figure):
        [mark] = [one for one in found["_alarm"] if not hasattr(one, "get_segments")]
        assert mark.get_facecolor().tolist() != mark.get_edgecolor().tolist()  # hollow
    assert any(text.get_text() == "1 alarm" for text in texts(figure))


def test_marks_of_one_row_stand_side_by_side():
    for axes, found in rows(drawn(made("given up"))):
        [(rollback, _)], [(stop, _)] = points_of(found["_rollback"]), points_of(found["_stop"])
        inch = axes.get_position().width * 8.0 / (axes.get_xlim()[1] - axes.get_xlim()[0])
        assert rollback == 40
        assert (stop - rollback) * inch > 0.05


def test_very_many_changes_are_ticks_at_the_edge(texts):
    run = made("often")
    assert len(marks_of(run).epochs["change"]) > MOST_LINES
    figure = drawn(run)
    for _, found in rows(figure):
        [ticks] = found["_change"]  # and no mark
        heights = [segment[:, 1] for segment in ticks.get_segments()]
        assert len(heights) == 60
        assert all(1 <= y <= 1.1 for pair in heights for y in pair)
    assert any(text.get_text() == "60 changes" for text in texts(figure))


def test_what_a_later_way_back_undid_is_marked_where_that_one_went_to():
    run = spiral(ds.SGD(0.5), guard=None)
    run.train(20)
    entry = ds.training.Entry
    for one in (
        entry(12, 12, "rollback", "guard", "", ds.SGD(2.0), cleared=True, back_from=14),
        entry(15, 15, "alarm", "guard", ""),
        entry(16, 16, "change", "user", "", ds.SGD(3.0)),
        entry(10, 10, "rollback", "guard", "", ds.SGD(0.25), cleared=True, back_from=17),
        entry(18, 18, "alarm", "guard", ""),
    ):
        run.log.append(one)
    assert marks_of(run) == Marks({"rollback": [10, 10], "alarm": [18]}, (Undone(10, 0.5, 2.0), Undone(10, 3.0, 0.25)))


def test_before_training_there_are_no_marks(texts):
    run = spiral(ds.SGD(0.5))
    run.change(learning_rate=0.1)
    assert marks_of(run) == Marks({})
    assert not any("change" in text.get_text() for text in texts(training_picture(run)))


def test_a_legend_of_every_mark_fits_its_line(texts):
    page = Page(8.0, 6.2, styled("light"))
    draw_legend(page, 0.66, 0.81, Marks({kind: [1] * 12 for kind in KINDS}, [Undone(1, 1.0, 0.5)] * 2))
    written = texts(page.figure)
    assert len(written) == len(KINDS) + 1
    assert max(text.get_window_extent().x1 for text in written) <= 7.74 * 100 + 1


def test_the_caption_has_numbers_in_four_digits(texts):
    figure = drawn(made("changed"))
    [told] = [text.get_text() for text in texts(figure) if text.get_text().startswith("Adam(")]
    assert told == "Adam(learning_rate=0.011) · cross-entropy loss · batches of 32 · seed=0"


def test_the_caption_tells_a_schedule_in_words(texts):
    [told] = [text.get_text() for text in texts(drawn(made("scheduled"))) if text.get_text().startswith("Adam(")]
    assert told == "Adam(learning_rate=0.001 × (0.02 for 50 steps then 20)) · cross-entropy loss · seed=0"


def test_an_optimizer_too_long_for_its_line_is_cut_between_words(texts):
    rate = ds.schedules.Chain([*[ds.Constant(0.1).for_steps(2)] * 12, ds.Constant(0.1)])
    run = spiral(ds.SGD(rate))
    run.train(3)
    run.change(momentum=0.9)
    [told] = [text for text in texts(training_picture(run)) if text.get_text().startswith("SGD(")]
    cut, _, rest = told.get_text().partition(" …")
    assert rest == " · cross-entropy loss · seed=0"
    whole = "SGD(learning_rate=" + "0.1 for 2 steps then " * 12
    assert f"{cut} " in whole
    assert told.get_window_extent().x1 <= 7.74 * told.figure.dpi + 1  # drawn to whole pixels
