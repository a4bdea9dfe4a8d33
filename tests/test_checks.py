from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from downslope import checks
from downslope.checks import Interval
from downslope.errors import DownslopeError, InputError, MissingExtraError, NonFiniteError


def message(check, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        check(*args, **kwargs)
    return str(caught.value)


def test_refuse_returns_the_error_with_a_shortened_value():
    error = checks.refuse("x", "short", "a" * 200)
    assert isinstance(error, InputError)
    assert str(error) == "x must be short. Received: x='" + "a" * 76 + "..."
    assert str(checks.refuse("x", "short", "a" * 78)) == "x must be short. Received: x='" + "a" * 78 + "'"


@pytest.mark.parametrize(
    ("interval", "text", "inside", "outside"),
    [
        (Interval(), "a finite number", [0, -1e308], [math.inf, -math.inf, math.nan]),
        (Interval(at_least=0), "at least 0", [0, 5e-324, 1e308], [-5e-324, math.inf, math.nan]),
        (Interval(above=0), "above 0", [5e-324], [0, -1, math.inf]),
        (Interval(at_most=1), "at most 1", [1, -1e308], [1.0000000000000002, -math.inf]),
        (Interval(below=1), "below 1", [0.9999999999999999], [1, 2]),
        (Interval(at_least=0, below=1), "at least 0 and below 1", [0, 0.5], [1, -0.1]),
        (Interval(above=0.5, at_most=1.5), "above 0.5 and at most 1.5", [1.5], [0.5]),
    ],
)
def test_intervals(interval, text, inside, outside):
    assert str(interval) == text
    assert all(value in interval for value in inside)
    assert not any(value in interval for value in outside)


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int8(1), Fraction(1)])
def test_real_returns_a_float(value):
    number = checks.real("x", value, Interval(above=0))
    assert type(number) is float
    assert number == 1.0


UNIT = Interval(at_least=0, below=1)


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [
        (1.5, UNIT, "momentum must be at least 0 and below 1. Received: momentum=1.5"),
        (math.nan, UNIT, "momentum must be a finite number. Received: momentum=nan"),
        (math.inf, None, "momentum must be a finite number. Received: momentum=inf"),
        ("0.5", UNIT, "momentum must be a number at least 0 and below 1. Received: momentum='0.5'"),
        ("0.5", None, "momentum must be a finite number. Received: momentum='0.5'"),
        (None, None, "momentum must be a finite number. Received: momentum=None"),
        (True, UNIT, "momentum must be a number at least 0 and below 1. Received: momentum=True"),
        (1j, UNIT, "momentum must be a number at least 0 and below 1. Received: momentum=1j"),
        (Decimal("0.5"), None, "momentum must be a finite number. Received: momentum=Decimal('0.5')"),
        (10**400, None, f"momentum must be a finite number. Received: momentum=1{'0' * 76}..."),
    ],
)
def test_real_refuses(value, interval, expected):
    assert message(checks.real, "momentum", value, interval) == expected


def test_whole_returns_an_int():
    assert checks.whole("n", 0) == 0
    assert type(checks.whole("n", np.uint8(7), at_most=7)) is int
    assert checks.whole("n", -3, at_least=-3) == -3
    assert checks.whole("n", 10**400) == 10**400


@pytest.mark.parametrize(
    ("value", "bounds", "expected"),
    [
        (-1, {}, "epochs must be a whole number at least 0. Received: epochs=-1"),
        (0, {"at_least": 1}, "epochs must be a whole number at least 1. Received: epochs=0"),
        (9, {"at_most": 8}, "epochs must be a whole number at least 0 and at most 8. Received: epochs=9"),
        (2.0, {}, "epochs must be a whole number at least 0. Received: epochs=2.0"),
        ("2", {}, "epochs must be a whole number at least 0. Received: epochs='2'"),
        (True, {}, "epochs must be a whole number at least 0. Received: epochs=True"),
        (None, {}, "epochs must be a whole number at least 0. Received: epochs=None"),
    ],
)
def test_whole_refuses(value, bounds, expected):
    assert message(checks.whole, "epochs", value, **bounds) == expected


def test_flag():
    for value in (True, False, np.True_, np.False_):
        got = checks.flag("nesterov", value)
        assert type(got) is bool
        assert got == value
    assert message(checks.flag, "nesterov", 1) == "nesterov must be True or False. Received: nesterov=1"
    assert message(checks.flag, "nesterov", "yes") == "nesterov must be True or False. Received: nesterov='yes'"
    assert message(checks.flag, "nesterov", None) == "nesterov must be True or False. Received: nesterov=None"


def test_text():
    assert checks.text("title", "") == ""
    assert message(checks.text, "title", 3) == "title must be a text. Received: title=3"
    assert message(checks.text, "title", None) == "title must be a text. Received: title=None"


def test_one_of():
    assert checks.one_of("loss", "mse", iter(["mse", "hinge"])) == "mse"
    rule = "loss must be one of mse, hinge. Received: loss="
    assert message(checks.one_of, "loss", "hnge", ["mse", "hinge"]) == rule + "'hnge'. Did you mean 'hinge'?"
    assert message(checks.one_of, "loss", "zzz", ["mse", "hinge"]) == rule + "'zzz'"
    assert message(checks.one_of, "loss", 3, ["mse", "hinge"]) == rule + "3"
    assert message(checks.one_of, "loss", None, {"mse": 1, "hinge": 2}) == rule + "None"


def test_errors_are_also_the_errors_python_users_expect():
    assert issubclass(InputError, ValueError)
    assert issubclass(MissingExtraError, ImportError)
    assert issubclass(NonFiniteError, ArithmeticError)
    for error in (InputError, MissingExtraError, NonFiniteError):
        assert issubclass(error, DownslopeError)
    missing = MissingExtraError("export", "torch")
    assert missing.extra == "torch"
    assert str(missing) == "export needs an optional library. Install it with: pip install 'downslope[torch]'"


@pytest.mark.parametrize("given", ["", "a\0b", 3, None, b"x"])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(InputError, match=r"^directory must be a place\. Received: directory="):
        checks.path("directory", given, "a place")


def test_a_number_python_does_not_print_is_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"Received: epochs=a whole number of \d+ bits"):
        checks.whole("epochs", 10**5000, at_most=5)
