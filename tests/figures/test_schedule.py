import re

import numpy as np
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.figures.schedule import schedule_picture

DECAYS = {f"decay {decay:g}": ds.InverseTime(1.0, decay=decay) for decay in (0.1, 0.01, 0.001, 0.0001)}


def lines_of(figure):
    return figure.axes[0].get_lines()


def test_a_line_holds_the_rates_of_the_first_steps():
    schedule = ds.InverseTime(1.0, decay=0.1)
    (line,) = lines_of(schedule_picture(schedule, steps=21))
    assert line.get_xdata().tolist() == list(range(21))
    assert line.get_ydata().tolist() == [schedule(step) for step in range(21)]
    assert line.get_ydata()[20] == 0.3333333333333333  # as the chapter prints it


def test_many_steps_are_thinned_but_keep_their_ends():
    (line,) = lines_of(schedule_picture(ds.Cosine(0.5, steps=100_000), steps=100_001))
    assert len(line.get_xdata()) < 5000
    assert line.get_xdata()[[0, -1]].tolist() == [0, 100_000]


@pytest.mark.parametrize("style", ["light", "dark"])
@pytest.mark.parametrize(
    "schedules",
    [DECAYS, {f"constant {k}": ds.Constant(0.1 + 1e-6 * k) for k in range(8)}, {"a name " * 20: ds.Constant(1)}],
    ids=["decays", "all alike", "a long name"],
)
def test_no_texts_collide(schedules, style, misplaced):
    figure = schedule_picture(schedules, steps=10_001, style=style)
    assert misplaced(figure) == []
    assert len(lines_of(figure)) == len(schedules)


def test_labels_stand_in_the_order_of_the_lines_ends():
    figure = schedule_picture(DECAYS, steps=10_001)
    placed = {text.get_text(): text.get_position()[1] for text in figure.texts if text.get_text() in DECAYS}
    assert sorted(placed, key=placed.__getitem__) == list(DECAYS)  # the strongest decay ends lowest


def test_the_file_is_the_same_each_time(tmp_path):
    for name in ("a.png", "b.png"):
        schedule_picture(DECAYS, tmp_path / name, steps=100)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("schedules", "settings", "sentence"),
    [
        (0.1, {}, "schedules must be a schedule, or a mapping of 1 to 8 names to schedules"),
        ({}, {}, "schedules must be a schedule"),
        ({str(k): ds.Constant(0.1) for k in range(9)}, {}, "schedules must be a schedule"),
        ({"a": 0.1}, {}, "schedules['a'] must be a schedule such as"),
        (ds.Constant(0.1), {"steps": 1}, "steps must be a whole number at least 2"),
        (ds.Constant(0.1), {"style": "blue"}, "style must be"),
        (ds.Constant(0.1), {"title": 3}, "title must be a text"),
        (ds.Constant(0.1), {"path": "x.jpg"}, "path must be a file ending in .png, .svg or .pdf"),
    ],
)
def test_wrong_input_is_one_sentence(schedules, settings, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        schedule_picture(schedules, **settings)


def test_rates_below_one_another_by_powers_of_ten_get_a_log_scale():
    assert schedule_picture(DECAYS, steps=10_001).axes[0].get_yscale() == "log"
    assert schedule_picture(DECAYS["decay 0.1"], steps=10_001).axes[0].get_yscale() == "linear"
    assert np.isfinite(lines_of(schedule_picture(DECAYS, steps=10_001))[0].get_ydata()).all()
