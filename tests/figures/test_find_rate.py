import math
import re

import numpy as np
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.figures.find_rate import find_rate_picture
from downslope.training.rate_test import RateTest, Trial, find_rate


def found(sizes, data, optimizer, settings=None, **asked):
    return find_rate(ds.Run(ds.MLP(sizes), data, optimizer, **(settings or {})), **asked)


def made(rates, losses, tried=(), **changes):
    described = {"ended": "whole", "finished": True, "optimizer": ds.Adam(), "step": 4000, "level": 1.0, "hold": 200}
    described |= {"title": "made, MLP([2, 2])", "details": "mse loss", **changes}
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
    "exactly equal": lambda: made([1, 2, 3], [1, 1, 1]),
    "a long name": lambda: made(*FALL, title="a $name$ of 漢字 " * 20, details="loss  ·  " * 40),
}


@pytest.mark.parametrize("style", ["light", "dark"])
@pytest.mark.parametrize("name", TESTS)
def test_no_texts_collide(name, style, misplaced):
    assert misplaced(find_rate_picture(TESTS[name](), style=style)) == []


def drawn_texts(figure):
    return [text.get_text() for text in figure.texts]


def test_it_says_and_marks_what_was_found():
    test = TESTS["spiral"]()
    figure = find_rate_picture(test)
    told = " ".join(drawn_texts(figure))
    assert f"suggestion {test.suggestion:.2g}" in told
    assert f"explodes from {test.threshold:.3g}" in told
    assert f"lowest smoothed loss {test.smoothed.min():.3g} at {test.lowest:.2g}" in told
    panel, strip, *marks = figure.axes
    raw, smooth, lowest = panel.get_lines()
    assert raw.get_ydata().tolist() == test.losses.tolist()
    assert smooth.get_ydata().tolist() == test.smoothed.tolist()
    assert lowest.get_xdata().tolist() == [test.lowest]
    dots, crosses = strip.get_lines()
    assert sorted([*dots.get_xdata(), *crosses.get_xdata()]) == sorted(trial.rate for trial in test.trials)
    assert min(crosses.get_xdata()) == test.threshold
    low, high = panel.get_xlim()
    places = [mark.get_lines()[0].get_xdata()[0] for mark in marks]
    wanted = [math.log(rate / low) / math.log(high / low) for rate in (test.suggestion, test.threshold)]
    assert places == pytest.approx(wanted)


def test_the_fall_is_what_the_scale_shows():
    """An explosion far above does not press the rest flat, and is told in words."""
    figure = find_rate_picture(made(np.geomspace(1e-3, 1, 7), [1.0, 0.99, 0.9, 0.8, 0.7, 0.6, 1e30]))
    low, high = figure.axes[0].get_ylim()
    assert 0.4 < low < 0.6
    assert 1.0 < high < 1.5
    assert any("rises to 1e30" in text for text in drawn_texts(figure))


def test_what_was_not_found_is_said():
    assert "no explosion up to 100 (" in " ".join(drawn_texts(find_rate_picture(TESTS["never explodes"]())))
    assert "No suggestion  ·  training explodes from 10 on (" in " ".join(
        drawn_texts(find_rate_picture(TESTS["only too large"]()))
    )
    assert "No suggestion" in drawn_texts(find_rate_picture(TESTS["nothing"]()))


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
        (None, {"path": "x.jpg"}, "path must be a file ending in .png, .svg or .pdf. Received: path='x.jpg'"),
    ],
)
def test_wrong_input_is_one_sentence(test, settings, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        find_rate_picture(made(*FALL) if test is None else test, **settings)
