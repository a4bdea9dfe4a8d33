from __future__ import annotations

import math

import pytest

from downslope.figures.style import STYLES, number, printable, shortened, text_width


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.17132, "0.1713"),
        (1.0, "1"),
        (12340.4, "12,340"),
        (3.2e-7, "3.2e−7"),
        (-2.5, "−2.5"),
        (1.5e20, "1.5e20"),
        (99999.7, "100,000"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "undefined"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize("text", ["a", "setosa", "a long name " * 20, "$x^2$", "漢字 and\nmore", ""])
@pytest.mark.parametrize("inches", [0.3, 1.0])
def test_shortened_texts_fit(text, inches):
    short = shortened(text, inches, 7.0)
    assert text_width(short, 7.0) <= inches
    assert "\n" not in short
    if text_width(printable(text), 7.0) <= inches:
        assert short == printable(text)
    else:
        assert short.endswith("…")


def test_characters_the_font_lacks_become_squares():
    assert printable("é 漢\tß") == "é □ ß"


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_64_classes_differ_in_colour_or_marker(style):
    assert len(set(style.classes)) == 8
    assert len({(style.class_colour(label), style.class_marker(label)) for label in range(64)}) == 64
