"""Colours, sizes and the wording of numbers: everything two pictures share."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from downslope import checks

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.ft2font import FT2Font

__all__ = [
    "HEADING",
    "MARKERS",
    "SMALL",
    "TEXT",
    "TITLE",
    "Style",
    "diverging",
    "number",
    "percent",
    "printable",
    "readable",
    "shortened",
    "styled",
    "text_width",
]

# One type scale, in points.
TITLE, HEADING, TEXT, SMALL = 12.0, 8.5, 7.5, 7.0
FONT = "DejaVu Sans"  # comes with matplotlib, so a picture is the same everywhere
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "p")
CONTRAST = 4.5  # of text against what it stands on, at least
MISSING_GLYPH = "\N{WHITE SQUARE}"


@dataclass(frozen=True)
class Style:
    """One set of colours.

    Attributes
    ----------
    background, ink, muted, rule, grid
        The page; text; secondary text (at least 4.5:1 against the page); axes; grid lines.
    positive, zero, negative
        Ends and middle of the colours of weights: red, a quiet grey, blue.
    validation
        The line and the marker edges of the validation part; training is drawn in ink.
    classes
        Eight colours that stay apart for colour-blind readers: Okabe & Ito (2008), "Color universal design", with
        black and yellow replaced by tones that show on the page.
    field
        Matplotlib's colour map for predicted values over two inputs.
    """

    background: str
    ink: str
    muted: str
    rule: str
    grid: str
    positive: str
    zero: str
    negative: str
    validation: str
    classes: tuple[str, ...]
    field: str = "cividis"

    def class_colour(self, label: int) -> str:
        """Return the colour of a label; with more than eight they repeat, under other markers."""
        return self.classes[label % len(self.classes)]

    def class_ink(self, label: int) -> str:
        """Return the colour of a label for text: darkened until it is at least 4.5:1 against the page."""
        return readable(self.class_colour(label), self.background)

    def class_marker(self, label: int) -> str:
        """Return the marker of a label; colour and marker together tell 64 classes apart."""
        return MARKERS[(label + label // len(self.classes)) % len(MARKERS)]


STYLES = {
    "light": Style(
        background="#ffffff",
        ink="#1c2128",
        muted="#59626d",
        rule="#aab2bc",
        grid="#e8ebef",
        positive="#b2182b",
        zero="#eceef1",
        negative="#2166ac",
        validation="#8a3fd1",
        classes=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b5b4b", "#a3a500"),
    ),
    "dark": Style(
        background="#15181d",
        ink="#e9ebee",
        muted="#a4adb8",
        rule="#59626d",
        grid="#272c34",
        positive="#ff6b5c",
        zero="#2b3038",
        negative="#4ea3f5",
        validation="#c79bff",
        classes=("#3fa0e0", "#f08030", "#1fc294", "#e391bd", "#f2b632", "#8fd3ff", "#b39b84", "#d0d32a"),
    ),
}


def styled(name: str) -> Style:
    """Return the style of a name, "light" or "dark", or raise InputError."""
    return STYLES[checks.one_of("style", name, STYLES)]


@functools.cache
def readable(colour: str, background: str) -> str:
    """Return a colour, mixed with black or white as little as makes it 4.5:1 against a background.

    Source: Web Content Accessibility Guidelines 2.2, criterion 1.4.3 and "contrast ratio".
    """
    from matplotlib.colors import to_hex, to_rgb

    page = _luminance(to_rgb(background))
    end = 0.0 if page > 0.18 else 1.0
    for share in range(101):
        red, green, blue = (part + (end - part) * share / 100 for part in to_rgb(colour))
        mixed = to_hex((red, green, blue))
        low, high = sorted((page, _luminance(to_rgb(mixed))))
        if (high + 0.05) / (low + 0.05) >= CONTRAST:
            break
    return mixed


def _luminance(colour: tuple[float, float, float]) -> float:
    """Return the relative luminance of sRGB in 0 … 1."""
    light = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


@functools.cache
def diverging(style: Style) -> Colormap:
    """Return the colours from −1 (negative, blue) through 0 to 1 (positive, red)."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("signed", [style.negative, style.zero, style.positive], N=255)


def number(value: float, digits: int = 4, largest: float = 1e6) -> str:
    """Return a number in few digits: 0.1713, 12,340, 3.2e−7, ∞; with a power of ten from `largest` on."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if -4 <= size < digits and abs(value) < largest:
        text = f"{value:.{digits}g}"
    elif digits <= size and abs(value) < largest:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{digits - 1}e}"
        mantissa, exponent = text.split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """Return a share in whole percent; what is not quite all, or not quite nothing, does not look like it.

    Examples
    --------
    >>> percent(1.0), percent(255 / 256), percent(0.904), percent(0.001), percent(0.0)
    ('100 %', '> 99 %', '90 %', '< 1 %', '0 %')
    """
    if 0.99 < share < 1:
        return "> 99 %"
    return "< 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def printable(text: str) -> str:
    """Return text on one line, with a square for each character the font has no sign for."""
    font = _font()
    return "".join(
        character if font.get_char_index(ord(character)) else MISSING_GLYPH for character in " ".join(text.split())
    )


def text_width(text: str, size: float) -> float:
    """Return how wide a line of text is, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    if not text:
        return 0.0
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(family=FONT, size=size), False)
    return float(width) / 72.0


def shortened(text: str, inches: float, size: float, *, words: bool = False) -> str:
    """Return text on one line, printable and at most so wide, with an ellipsis where it was cut.

    With `words` it is cut between two words, where a first one has room.
    """
    text = printable(text)
    if text_width(text, size) <= inches:
        return text
    kept = text.split(" ") if words else []
    while len(kept) > 1:
        kept.pop()
        cut = f"{' '.join(kept).rstrip(',')} …"
        if text_width(cut, size) <= inches:
            return cut
    short, longer = 0, len(text)  # the longest prefix that fits lies in [short, longer)
    while longer - short > 1:
        middle = (short + longer) // 2
        if text_width(text[:middle].rstrip() + "…", size) <= inches:
            short = middle
        else:
            longer = middle
    return text[:short].rstrip() + "…"


@functools.cache
def _font() -> FT2Font:
    from matplotlib import font_manager

    return font_manager.get_font(font_manager.findfont(font_manager.FontProperties(family=FONT)))
