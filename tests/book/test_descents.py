import re

import numpy as np
import pytest

from downslope.book.descents import DESCENTS, basins
from downslope.engines.descent import descend

NUMBERS = [f"10.{k:02d}" for k in range(2, 15)]
ONE = [number for number in NUMBERS if DESCENTS[number].kind == "descent"]


def only(number):
    (path,) = DESCENTS[number].descents()
    return path


def settings(path):
    return path.optimizer.learning_rate, path.optimizer.momentum


def changes(path):
    found = basins(path)
    return int((found[1:] != found[:-1]).sum())


def test_every_figure_is_there():
    assert list(DESCENTS) == NUMBERS
    assert [record.number for record in DESCENTS.values()] == NUMBERS
    assert [DESCENTS[number].kind for number in NUMBERS] == ["function", *["descent"] * 11, "rates"]
    assert DESCENTS["10.02"].descents() == []


@pytest.mark.parametrize("number", NUMBERS)
def test_the_descents_are_those_of_the_settings(number):
    record = DESCENTS[number]
    for (rate, momentum), path in zip(record.settings, record.descents(), strict=True):
        assert settings(path) == (rate, momentum)
        assert path.landscape is record.landscape
        assert path.asked == record.steps
        assert path.start == record.landscape.start
        again = descend(record.landscape, path.optimizer, steps=record.steps)
        assert again.points.tobytes() == path.points.tobytes()


@pytest.mark.parametrize("number", [number for number in ONE if number != "10.11"])
def test_only_one_explodes(number):
    assert not only(number).exploded


@pytest.mark.parametrize(("number", "place"), [("10.03", 0), ("10.04", 1), ("10.05", 2)])
def test_plain_descent_is_stuck_in_the_first_second_and_third_minimum(number, place):
    path = only(number)
    minimum = path.landscape.local_minima[place][0]
    assert path.optimizer.momentum == 0
    assert path.points[0, 0] < minimum  # from the left
    assert abs(path.points[-10:, 0] - minimum).max() < 0.01
    assert basins(path)[-1] == place
    assert path.final_value > path.landscape.minimum + 2


@pytest.mark.parametrize(("number", "steps"), [("10.06", 200), ("10.07", 100), ("10.08", 50)])
def test_momentum_carries_it_to_the_lowest_point(number, steps):
    path = only(number)
    rate, momentum = settings(path)
    assert path.arrived == pytest.approx(steps, rel=0.1)
    assert path.steps > steps
    # A small rate: without momentum it would be stuck in the first or second minimum.
    assert rate < 0.05
    assert momentum > 0.85
    stuck = descend(path.landscape, path.optimizer.replace(momentum=0.0), steps=path.steps)
    assert basins(stuck)[-1] <= 1
    # "Over every hill on its way": from each basin into the next.
    assert set(basins(path)) == {0, 1, 2, 3, 4, 5}


def test_a_rate_too_large_jumps_around():
    path = only("10.09")
    assert path.arrived is None
    assert path.steps == path.asked
    assert changes(path) >= 10
    half = path.points[path.steps // 2 :, 0]
    assert np.ptp(half) > 2
    assert abs(np.diff(half)).mean() > 0.5


def test_a_larger_one_overshoots_at_random():
    path, milder = only("10.10"), only("10.09")
    assert settings(path)[0] > settings(milder)[0]
    assert path.steps == path.asked
    assert changes(path) / path.steps > changes(milder) / milder.steps
    assert np.ptp(path.points[1:]) > 1.5 * np.ptp(milder.points[1:])
    assert abs(np.diff(path.points[:, 0])).mean() > abs(np.diff(milder.points[:, 0])).mean()
    # At random: begun a millionth beside, it ends elsewhere; well chosen settings do not mind.
    for number, elsewhere in (("10.10", True), ("10.13", False)):
        one = only(number)
        beside = descend(one.landscape, one.optimizer, start=[one.start[0] + 1e-6], steps=one.asked)
        assert (basins(beside)[-1] != basins(one)[-1]) == elsewhere


def test_a_gradient_explosion():
    path = only("10.11")
    assert path.exploded
    assert 3 <= path.steps < path.asked  # there are some steps to be seen before
    assert abs(path.points[-1, 0]) > 2 * path.landscape.limits[0][1]
    assert abs(path.landscape.gradient(path.points[-1])[0]) > 1e6


def test_well_chosen_settings():
    some, few = only("10.12"), only("10.13")
    assert some.arrived <= 30
    assert few.arrived <= 10
    assert few.arrived < some.arrived < only("10.08").arrived


def test_four_learning_rates():
    very_high, high, good, low = DESCENTS["10.14"].descents()
    rates = [settings(path)[0] for path in (very_high, high, good, low)]
    assert rates == sorted(rates, reverse=True)
    assert len({settings(path)[1] for path in (very_high, high, good, low)}) == 1
    assert very_high.exploded
    lowest = good.landscape.minimum
    # Good: the lowest, and it stays.
    assert good.arrived is not None
    # High: fast at first, as fast as the good one; then a plateau, clearly above.
    assert high.values[:6].min() < 1.5 + lowest + 1.2
    assert np.ptp(high.values[-20:]) < 0.02
    assert high.final_value > lowest + 2
    # Low: falling all the time, slowly.
    assert (np.diff(low.values) < 0).all()
    assert low.final_value > high.final_value + 3


@pytest.mark.parametrize("number", NUMBERS)
def test_a_caption_is_one_or_two_sentences(number):
    record = DESCENTS[number]
    assert record.title[0].isupper()
    assert record.caption.endswith(".")
    assert "\n" not in record.caption
    if record.kind == "descent":
        rate, _ = record.settings[0]
        assert f"{rate:g}" in record.caption


@pytest.mark.parametrize("number", ["10.06", "10.07", "10.08", "10.12", "10.13"])
def test_captions_tell_the_step_of_arrival(number):
    assert re.search(rf"from step {only(number).arrived}( on)?", DESCENTS[number].caption)


@pytest.mark.parametrize(("number", "word"), [("10.03", "first"), ("10.04", "second"), ("10.05", "third")])
def test_captions_tell_which_minimum(number, word):
    assert f"in the {word} minimum" in DESCENTS[number].caption


def test_captions_tell_numbers_of_the_paths():
    assert DESCENTS["10.02"].caption == (
        "A function of one variable with five local minima on the way from the left to the lowest point, at x = 3.00 "
        "with a value of −1.20, and one behind it."
    )
    assert f"{changes(only('10.09'))} times" in DESCENTS["10.09"].caption
    assert f"in step {only('10.11').steps} " in DESCENTS["10.11"].caption
    exploded, high, good, low = DESCENTS["10.14"].descents()
    told = DESCENTS["10.14"].caption
    assert f"explodes after {exploded.steps} steps" in told
    for value in (high.final_value, good.final_value, low.final_value):
        assert f"{value:.2f}".replace("-", "−") in told
