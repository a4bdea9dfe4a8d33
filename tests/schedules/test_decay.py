from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from downslope.errors import InputError
from downslope.schedules import Constant, Exponential, InverseTime, Piecewise, Polynomial, Step

# The learning rates the chapter prints, by epoch; the row of an epoch shows the rate its last update used.
PRINTED = {
    "SGD, decay 1e-2": (1.0, 0.01, {
        0: 1.0, 100: 0.5025125628140703, 200: 0.33444816053511706, 300: 0.2506265664160401, 400: 0.2004008016032064,
        500: 0.1669449081803005, 600: 0.14306151645207438, 700: 0.1251564455569462, 800: 0.11123470522803114,
        900: 0.10010010010010009, 1000: 0.09099181073703366, 2000: 0.047641734159123386, 3000: 0.03226847370119393,
        4000: 0.02439619419370578, 5000: 0.019611688566385566, 7000: 0.014086491055078181,
        10000: 0.009901970492127933,
    }),
    "SGD, decay 1e-3": (1.0, 0.001, {
        0: 1.0, 100: 0.9099181073703367, 200: 0.8340283569641367, 1700: 0.3705075954057058,
        1800: 0.35727045373347627, 1900: 0.3449465332873405, 2000: 0.33344448149383127, 2100: 0.32268473701193934,
        3200: 0.23815194093831865, 5000: 0.16669444907484582, 6000: 0.1428775539362766, 8000: 0.11112345816201799,
        9800: 0.09260116677470137, 9900: 0.09175153683824203, 10000: 0.09091735612328393,
    }),
    "SGD, momentum 0.5": (1.0, 0.001, {
        0: 1.0, 100: 0.9099181073703367, 200: 0.8340283569641367, 1800: 0.35727045373347627,
        1900: 0.3449465332873405, 3100: 0.2439619419370578, 3200: 0.23815194093831865, 3300: 0.23261223540358225,
        3400: 0.22732439190725165, 4600: 0.1786033220217896, 4700: 0.1754693805930865, 6000: 0.1428775539362766,
        8000: 0.11112345816201799, 10000: 0.09091735612328393,
    }),
    "SGD, momentum 0.9": (1.0, 0.001, {
        0: 1.0, 100: 0.9099181073703367, 200: 0.8340283569641367, 300: 0.7698229407236336, 400: 0.7147962830593281,
        500: 0.66711140760507, 600: 0.6253908692933083, 700: 0.5885815185403178, 800: 0.5558643690939411,
        900: 0.526592943654555, 1000: 0.5002501250625312, 2200: 0.31259768677711786, 2900: 0.25647601949217746,
        3800: 0.20837674515524068, 7100: 0.12347203358439313, 10000: 0.09091735612328393,
    }),
    "Adagrad": (1.0, 0.0001, {
        0: 1.0, 100: 0.9901970492127933, 200: 0.9804882831650161, 300: 0.9709680551509855, 1200: 0.892936869363336,
        1700: 0.8547739123001966, 4700: 0.6803183890060548, 5100: 0.6622955162593549, 6700: 0.5988382537876519,
        7500: 0.5714612263557918, 9900: 0.5025378159706518, 10000: 0.5000250012500626,
    }),
    "RMSprop": (0.001, 0.0001, {
        0: 0.001, 100: 0.0009901970492127933, 200: 0.0009804882831650162, 300: 0.0009709680551509856,
        1000: 0.0009091735612328393, 4800: 0.0006757213325224677, 5800: 0.0006329514526235838,
        7100: 0.0005848295221942804, 10000: 0.0005000250012500625,
    }),
    "RMSprop, tuned": (0.02, 1e-05, {
        0: 0.02, 100: 0.01998021958261321, 200: 0.019960279044701046, 600: 0.019880913329158343,
        1000: 0.019802176259170884, 1800: 0.01964655841412981, 3800: 0.01926800836231563, 6200: 0.018832569044906263,
        6600: 0.018761902081633034, 7100: 0.018674310684506857, 9500: 0.018265006986365174,
        9600: 0.018248341681949654, 9700: 0.018231706761228456, 9800: 0.018215102141185255,
        9900: 0.018198527739105907, 10000: 0.018181983472577025,
    }),
}  # fmt: skip


@pytest.mark.parametrize("run", PRINTED)
def test_inverse_time_meets_every_digit_the_chapter_prints(run):
    rate, decay, rows = PRINTED[run]
    schedule = InverseTime(rate, decay=decay)
    assert {epoch: schedule(max(epoch - 1, 0)) for epoch in rows} == rows
    updates = np.maximum(np.array(list(rows)) - 1, 0)
    assert schedule(updates).tolist() == list(rows.values())


def test_inverse_time_meets_the_chapters_small_example():
    schedule = InverseTime(1.0, decay=0.1)
    assert (schedule(0), schedule(1), schedule(19), schedule(20)) == (
        1.0,
        0.9090909090909091,
        0.3448275862068965,
        0.3333333333333333,
    )


def test_inverse_time_without_decay_and_with_an_enormous_one():
    assert InverseTime(0.3, decay=0)(10**9) == 0.3
    assert InverseTime(0.3, decay=1e308)(10**9) == 0.0


@pytest.mark.parametrize(("rate", "steps"), [(0.96, 10), (0.5, 3), (1.01, 7), (0.999, 1), (1e-3, 1000)])
def test_exponential_is_base_times_rate_to_the_kth_over_steps(rate, steps):
    schedule = Exponential(0.7, rate=rate, steps=steps)
    with mpmath.workdps(50):
        for k in [0, 1, 2, steps - 1, steps, steps + 1, 10 * steps + 3, 100 * steps]:
            expected = mpmath.mpf(0.7) * mpmath.mpf(rate) ** (mpmath.mpf(k) / steps)
            tolerance = (k // steps + 12) * 2.0**-52
            assert abs(schedule(k) - expected) <= tolerance * expected


def test_exponential_its_staircase_and_step_agree_at_whole_multiples():
    smooth = Exponential(0.7, rate=0.9, steps=10)
    stairs = Exponential(0.7, rate=0.9, steps=10, staircase=True)
    step = Step(0.7, every=10, factor=0.9)
    k = np.arange(500)
    assert np.array_equal(stairs(k), step(k))
    assert np.array_equal(stairs(k), np.repeat(smooth(k[::10]), 10))
    assert (np.diff(smooth(k)) < 0).all()


def test_exponential_reaches_zero_and_infinity_without_a_warning():
    k = np.array([0, 10**5, 10**6])
    assert Exponential(1.0, rate=0.5)(k).tolist() == [1.0, 0.0, 0.0]
    assert Exponential(1.0, rate=2.0)(k).tolist() == [1.0, np.inf, np.inf]
    assert Exponential(1.0, rate=2.0)(10**5) == np.inf


def test_step_multiplies_exactly_by_repeated_squaring():
    schedule = Step(3.0, every=4, factor=0.5)
    assert [schedule(k) for k in (0, 3, 4, 7, 8, 40)] == [3.0, 3.0, 1.5, 1.5, 0.75, 3.0 * 2.0**-10]
    assert Step(1.0, every=1)(3) == 0.1 * (0.1 * 0.1)


def test_piecewise_changes_at_its_boundaries():
    schedule = Piecewise([0.5, 0.2, 0.0], boundaries=[10, 20])
    assert schedule(np.array([0, 9, 10, 19, 20, 10**9])).tolist() == [0.5, 0.5, 0.2, 0.2, 0.0, 0.0]
    assert Piecewise((1,), boundaries=())(7) == 1.0
    assert Piecewise(np.array([1, 2]), boundaries=np.array([3])) == Piecewise([1, 2], [3])


@pytest.mark.parametrize("power", [1, 2, 5, 0.5, 2.7])
def test_polynomial_follows_its_formula(power):
    schedule = Polynomial(0.9, steps=60, final=0.3, power=power)
    with mpmath.workdps(50):
        for k in [*range(61), 1000]:
            left = 1 - mpmath.mpf(min(k, 60)) / 60
            expected = mpmath.mpf(0.3) + (mpmath.mpf(0.9) - mpmath.mpf(0.3)) * left ** mpmath.mpf(power)
            assert abs(schedule(k) - expected) <= 8 * 2.0**-53
    assert (schedule(0), schedule(60), schedule(61)) == (0.9, 0.3, 0.3)


def test_a_straight_line_is_exact_where_fractions_are():
    schedule = Polynomial(1.0, steps=64)
    assert all(Fraction(schedule(k)) == Fraction(64 - k, 64) for k in range(65))


def test_lengths():
    assert Polynomial(1.0, steps=9).length == 9
    endless = [Constant(1), InverseTime(1, 0.1), Exponential(1, 0.5), Step(1, 3), Piecewise([1, 0], [3])]
    assert [schedule.length for schedule in endless] == [None] * 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(0), "base must be above 0. Received: base=0"),
        (lambda: Constant("0.1"), "base must be a number above 0. Received: base='0.1'"),
        (lambda: Constant(float("inf")), "base must be a finite number. Received: base=inf"),
        (lambda: InverseTime(1.0, decay=-1), "decay must be at least 0. Received: decay=-1"),
        (lambda: InverseTime(-1.0, decay=1), "base must be above 0. Received: base=-1.0"),
        (lambda: Exponential(1.0, rate=0), "rate must be above 0. Received: rate=0"),
        (lambda: Exponential(0.0, rate=1), "base must be above 0. Received: base=0.0"),
        (lambda: Exponential(1.0, 0.5, steps=0), "steps must be a whole number at least 1. Received: steps=0"),
        (lambda: Exponential(1.0, 0.5, 2, staircase=1), "staircase must be True or False. Received: staircase=1"),
        (lambda: Step(1.0, every=2.5), "every must be a whole number at least 1. Received: every=2.5"),
        (lambda: Step(1.0, every=2**60), f"every must be at most 2**53. Received: every={2**60}"),
        (lambda: Step(0.0, every=2), "base must be above 0. Received: base=0.0"),
        (lambda: Step(1.0, every=1, factor=0.0), "factor must be above 0. Received: factor=0.0"),
        (lambda: Piecewise(0.1, boundaries=[]), "values must be a sequence of numbers. Received: values=0.1"),
        (lambda: Piecewise([0, 1], boundaries=[3]), "values[0] must be above 0. Received: values[0]=0.0"),
        (lambda: Piecewise([1, -1], boundaries=[3]), "values[1] must be at least 0. Received: values[1]=-1"),
        (
            lambda: Piecewise([1, 2], boundaries=[0]),
            "boundaries[0] must be a whole number at least 1. Received: boundaries[0]=0",
        ),
        (
            lambda: Piecewise([1, 2, 3], boundaries="ab"),
            "boundaries must be a sequence of whole numbers. Received: boundaries='ab'",
        ),
        (
            lambda: Piecewise([1, 2, 3], boundaries=[5, 5]),
            "boundaries[1] must be above the boundary before it, 5. Received: boundaries[1]=5",
        ),
        (
            lambda: Piecewise([1, 2], boundaries=[]),
            "values must hold one number more than boundaries. Received: 2 values and 0 boundaries",
        ),
        (
            lambda: Piecewise([], boundaries=[]),
            "values must hold one number more than boundaries. Received: 0 values and 0 boundaries",
        ),
        (lambda: Polynomial(0, steps=1), "base must be above 0. Received: base=0"),
        (lambda: Polynomial(1.0, steps=0), "steps must be a whole number at least 1. Received: steps=0"),
        (lambda: Polynomial(1.0, steps=1, final=-0.1), "final must be at least 0. Received: final=-0.1"),
        (lambda: Polynomial(1.0, steps=1, power=0), "power must be above 0. Received: power=0"),
    ],
)
def test_wrong_settings_get_one_sentence(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message
