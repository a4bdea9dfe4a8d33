from __future__ import annotations

import math

import pytest

from downslope.figures.style import STYLES, number, percent, printable, shortened, text_width


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


def test_what_is_not_quite_all_does_not_look_like_it():
    assert [percent(share) for share in (0, 0.001, 0.5, 0.99, 255 / 256, 0.999, 1)] == [
        "0 %", "< 1 %", "50 %", "99 %", "> 99 %", "> 99 %", "100 %",
    ]  # fmt: skip


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


def test_texts_are_cut_between_words_where_one_has_room():
    text = "learning_rate=0.5, momentum=0.9 and more"
    assert shortened(text, text_width("learning_rate=0.5, momentum=0.9 …", 7.0), 7.0, words=True).endswith("=0.9 …")
    assert shortened(text, text_width("learning_rate=0.5, momen…", 7.0), 7.0, words=True) == "learning_rate=0.5 …"
    assert shortened(text, 0.4, 7.0, words=True) == shortened(text, 0.4, 7.0)
    assert shortened("a b", 1.0, 7.0, words=True) == "a b"


def test_characters_the_font_lacks_become_squares():
    assert printable("é 漢\tß") == "é □ ß"


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_64_classes_differ_in_colour_or_marker(style):
    assert len(set(style.classes)) == 8
    assert len({(style.class_colour(label), style.class_marker(label)) for label in range(64)}) == 64


def contrast(colour, page):
    from matplotlib.colors import to_rgb

    def luminance(name):
        light = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(name)]
        return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]

    low, high = sorted((luminance(colour), luminance(page)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_texts_are_readable_in_every_class_colour(style):
    for label in range(8):
        ink = style.class_ink(label)
        assert contrast(ink, style.background) >= 4.5, (label, ink)
        if contrast(style.class_colour(label), style.background) >= 4.5:
            assert ink == style.class_colour(label)
