import math
import re

import numpy as np
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.figures.find_rate import find_rate_picture
from downslope.figures.style import number
from downslope.training.rate_test import RateTest, Trial, find_rate


def found(sizes, data, optimizer, settings=None, **asked):
    return find_rate(ds.Run(ds.MLP(sizes), data, optimizer, **(settings or {})), **asked)


def made(rates, losses, tried=(), **changes):
    described = {"ended": "whole", "finished": True, "optimizer": ds.Adam(), "step": 4000, "level": 1.0, "hold": 200}
    described |= {"title": "made", "details": "MLP([2, 2])  ·  mse loss", **changes}
    rates, losses = np.array(rates, dtype=float), np.array(losses, dtype=float)
    return RateTest(rates=rates, losses=losses, smoothed=losses, trials=tuple(tried), **described)


def trial(rate, exploded):
    return Trial(rate, exploded, 1.0, 1.0, 200)


FALL = (np.geomspace(1e-3, 1, 7), [1.0, 0.99, 0.8, 0.5, 0.2, 0.1, 2.0])
TESTS = {
    "spiral": lambda: found([2, 16, 3], ds.data.spiral(20), ds.SGD(momentum=0.9)),
    "batches": lambda: found([64, 8, 10], ds.data.digits(), ds.Adam(), {"batch_size": 64}),
    "never explodes": lambda: found([2, 16, 3], ds.data.spiral(20), ds.Adadelta()),
    "only too large": lambda: found([10, 8, 1], ds.data.diabetes(), ds.SGD(), low=10, high=50),
    "nothing held": lambda: made(*FALL, [trial(0.01, True), trial(0.001, True)]),
    "no trials": lambda: found([2, 16, 3], ds.data.spiral(20), ds.Lion(), hold=0),
    "side by side": lambda: made(*FALL, [trial(0.09, False), trial(0.0901, True)]),
    "at the left end": lambda: made([1, 2, 3, 1000], [1, 0.1, 0.05, 3], [trial(1.0, False), trial(1.01, True)]),
    "rose at once": lambda: made([1, 2], [1, 4], ended="risen"),
    "one rate": lambda: made([1], [1], [trial(1, True)], ended="not finite"),
    "nothing": lambda: made([], [], ended="not finite"),
    "over decades": lambda: made(FALL[0], np.geomspace(1e6, 1e-3, 7)),
    "still falling": lambda: found([2, 16, 3], ds.data.spiral(20), ds.SGD(), low=1e-9, high=1e-6),
    "no room beside": lambda: made([1, 3, 10], [1, 0.5, 3], [trial(3.0, False), trial(3.1, True), trial(9.0, True)]),
    "two close ends": lambda: made([1, 1.0000001], [1, 4], [trial(1.0, True)], ended="risen"),
    "exactly equal": lambda: made([1, 2, 3], [1, 1, 1]),
    "a long name": lambda: made(*FALL, title="a $name$ of 漢字 " * 20, details="loss  ·  " * 40),
}


@pytest.mark.parametrize("style", ["light", "dark"])
@pytest.mark.parametrize("name", TESTS)
def test_no_texts_collide(name, style, misplaced):
    test = TESTS[name]()
    assert misplaced(find_rate_picture(test, style=style)) == []
    others = [made(*FALL, [trial(0.4, False), trial(0.5, True)]), TESTS["at the left end"](), TESTS["nothing"]()]
    assert misplaced(find_rate_picture(test, style=style, others=others)) == []


def drawn_texts(figure):
    return [text.get_text() for text in figure.texts]


def place(figure, rate):
    """Return where a rate stands, in inches from the left."""
    panel = figure.axes[1]
    width = figure.get_size_inches()[0]
    left, right = (panel.transAxes.transform((x, 0))[0] / figure.bbox.width * width for x in (0, 1))
    low, high = panel.get_xlim()
    return left + (right - left) * math.log(rate / low) / math.log(high / low)


def sheet_lines(figure, marker=None):
    """Return what is drawn over the whole page: lines, or the marks of one kind."""
    return [line for line in figure.axes[0].get_lines() if line.get_marker() == (marker or "None")]


def test_it_says_and_marks_what_was_found():
    test = TESTS["spiral"]()
    figure = find_rate_picture(test)
    told = drawn_texts(figure)
    assert f"suggestion {test.suggestion:.2g}" in told
    assert f"explodes from {test.threshold:.3g}" in told
    assert any(f"holds at {test.held:.3g}, explodes from {test.threshold:.3g} on" in text for text in told)
    assert any(f"lowest smoothed {test.smoothed.min():.3g} at {test.lowest:.2g}" in text for text in told)
    assert {"one update at each rate:", "200 updates at each rate:", "● held", "× exploded"} < set(told)
    assert any("seed=0" in text for text in told)
    _, smooth, lowest = figure.axes[1].get_lines()
    assert smooth.get_ydata().tolist() == test.smoothed.tolist()
    assert lowest.get_xdata().tolist() == [test.lowest]
    for exploded, marker in ((False, "o"), (True, "x")):
        drawn = [line.get_xdata()[0] for line in sheet_lines(figure, marker)]
        assert drawn == pytest.approx([place(figure, one.rate) for one in test.trials if one.exploded == exploded])
    dots, crosses = ({line.get_ydata()[0] for line in sheet_lines(figure, marker)} for marker in "ox")
    assert max(dots) < min(crosses)  # on lanes of their own, the crosses below
    marks = [line for line in sheet_lines(figure) if len(line.get_xdata()) > 2]
    assert [line.get_xdata()[0] for line in marks] == pytest.approx(
        [place(figure, test.threshold), place(figure, test.suggestion)]
    )
    for line in marks:  # no line runs through the trials
        heights = line.get_ydata()
        assert math.isnan(heights[2])
        assert heights[1] < min(dots)
        assert heights[3] > max(crosses)


def test_the_legend_shows_the_lines_it_names():
    figure = find_rate_picture(TESTS["spiral"]())
    samples = [line for line in sheet_lines(figure) if len(line.get_xdata()) == 2]
    steps, smooth, _ = figure.axes[1].get_lines()
    looks = [(line.get_color(), line.get_linewidth()) for line in (smooth, steps)]
    assert [(line.get_color(), line.get_linewidth()) for line in samples] == looks
    assert [text for text in drawn_texts(figure) if text in ("smoothed", "each step")] == ["smoothed", "each step"]


def test_the_axis_goes_down_to_every_step_that_is_drawn():
    for name in ("no trials", "batches"):  # Lion's single steps fall far below the smoothed line
        panel = find_rate_picture(TESTS[name]()).axes[1]
        steps = panel.get_lines()[0].get_ydata()
        assert panel.get_ylim()[0] < steps.min()


def test_single_steps_end_where_the_smoothed_line_leaves_for_good():
    test = TESTS["no trials"]()
    panel = find_rate_picture(test).axes[1]
    steps, smooth, _ = panel.get_lines()
    top = panel.get_ylim()[1]
    drawn = len(steps.get_xdata())
    assert steps.get_ydata().tolist() == test.losses[:drawn].tolist()
    assert drawn < len(test.losses) - 20
    assert (smooth.get_ydata()[drawn - 1 :] > top).all()
    assert smooth.get_ydata()[drawn - 2] <= top


def test_the_band_of_explosions_ends_at_the_last_rate_that_was_tried():
    for name in ("spiral", "only too large"):
        test = TESTS[name]()
        panel = find_rate_picture(test).axes[1]
        (band,) = panel.patches
        last = max([test.rates[-1], *(one.rate for one in test.trials)])
        assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((test.threshold, last))
        assert panel.get_xlim()[1] > last


def test_a_range_that_only_explodes_fills_the_picture():
    test = TESTS["only too large"]()
    low, high = find_rate_picture(test).axes[1].get_xlim()
    rates = [*test.rates, *(one.rate for one in test.trials)]
    assert math.log(max(rates) / min(rates)) > 0.9 * math.log(high / low)
    assert low < test.threshold  # the line is not the edge


def test_without_explosions_and_trials_there_is_no_empty_band():
    tops = [
        find_rate_picture(TESTS[name]()).axes[1].get_position().y1
        for name in ("spiral", "never explodes", "no trials", "nothing")
    ]
    assert tops == sorted(tops)
    assert tops[-1] - tops[0] > 0.1


def test_the_range_over_seeds_is_drawn_at_the_marks():
    test, *others = (
        made(*FALL, [trial(held, False), trial(1.04 * held, True)]) for held in (0.05, 0.02, 0.3)
    )  # half of what held is suggested
    figure = find_rate_picture(test, others=[*others, TESTS["nothing"]()])
    told = drawn_texts(figure)
    assert "suggestion 0.025 (0.01 to 0.15 over 4 seeds)" in told
    assert "explodes from 0.052 (0.0208 to 0.312 over 4 seeds)" in told
    drawn = {round(end, 6) for line in sheet_lines(figure, "|") for end in line.get_xdata()}
    wanted = (one for test in others for one in (test.suggestion, test.threshold))
    assert drawn == {round(place(figure, one), 6) for one in wanted}
    assert sheet_lines(find_rate_picture(test), "|") == []


def test_settings_go_on_where_a_line_ends():
    network = "MLP([2, 64, 64, 3], activation=GELU(), dropout=0.25, l2=0.0001)"
    rule = ds.AdamW(weight_decay=0.0125, beta_1=0.85, beta_2=0.995, epsilon=1e-6)
    test = made(*FALL, optimizer=rule, details=f"{network}  ·  mse loss  ·  seed=3")
    told = " ".join(drawn_texts(find_rate_picture(test)))
    assert "…" not in told
    for part in (network, "beta_1=0.85", "seed=3"):
        assert part in told


def test_the_fall_is_what_the_scale_shows():
    """An explosion far above does not press the rest flat, and is told in words."""
    figure = find_rate_picture(made(np.geomspace(1e-3, 1, 7), [1.0, 0.99, 0.9, 0.8, 0.7, 0.6, 1e30]))
    low, high = figure.axes[1].get_ylim()
    assert 0.4 < low < 0.6
    assert 1.0 < high < 1.5
    assert any("each step rises to 1e30" in text for text in drawn_texts(figure))


def test_what_was_not_found_is_said():
    assert "Suggestion 5.7  ·  no explosion up to 100" in drawn_texts(find_rate_picture(TESTS["never explodes"]()))
    told = drawn_texts(find_rate_picture(TESTS["only too large"]()))
    assert "explodes already at 10" in told
    assert any(text.startswith("No suggestion  ·  explodes already at 10, the smallest rate tried") for text in told)
    assert "No suggestion" in drawn_texts(find_rate_picture(TESTS["nothing"]()))


def test_a_lower_bound_is_said():
    test = TESTS["still falling"]()
    told = drawn_texts(find_rate_picture(test))
    rate = number(test.suggestion, 2)
    assert f"suggestion ≥ {rate}" in told
    assert any(text.startswith(f"Suggestion {rate}, a lower bound: the loss was still falling") for text in told)
    assert not any("lower bound" in text or "≥" in text for text in drawn_texts(find_rate_picture(TESTS["spiral"]())))


def test_the_file_is_the_same_each_time(tmp_path):
    test = TESTS["spiral"]()
    for name in ("a.svg", "b.svg"):
        test.plot(tmp_path / name, title="Rates")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("test", "settings", "sentence"),
    [
        (3, {}, "test must be what find_rate returns. Received: test=3"),
        (None, {"style": "blue"}, "style must be one of light, dark. Received: style='blue'"),
        (None, {"title": 3}, "title must be a text. Received: title=3"),
        (None, {"others": [3]}, "others must be a list of what find_rate returns. Received: others=[3]"),
        (None, {"path": "x.jpg"}, "path must be a file ending in .png, .svg or .pdf. Received: path='x.jpg'"),
    ],
)
def test_wrong_input_is_one_sentence(test, settings, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        find_rate_picture(made(*FALL) if test is None else test, **settings)
