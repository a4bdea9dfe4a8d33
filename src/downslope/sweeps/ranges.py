"""The values a setting takes in a sweep: evenly spaced, spaced by a constant factor, or listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from downslope import checks
from downslope.errors import InputError

__all__ = ["Range", "as_range", "linear", "log", "parse_range", "values"]

MOST_VALUES = 100_000
DIGITS = 40  # far more than a float holds, so that what is rounded to one has the same bits everywhere
WIDE = 100  # listed values that span more than this factor are shown by their logarithms


@dataclass(frozen=True, repr=False)
class Range:
    """The values of one setting; made by `linear`, `log` and `values`.

    Attributes
    ----------
    values : tuple of float
        All different, in the order they were given; whole numbers and truth values stay what they are.
    log : bool
        Whether they are to be shown by their logarithms.
    """

    values: tuple[Any, ...]
    log: bool = False
    spaced: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        shown = [f"{value:g}" if isinstance(value, float) else repr(value) for value in self.values]
        if len(shown) > 6:
            shown[3:-1] = ["…"]
        return f"<Range of {len(self)}{' by factors' if self.log else ''}: {', '.join(shown)}>"

    def checked(self, name: str, check: Callable[[Any], Any], *, whole: bool) -> Range:
        """Return the range with every value as `check` returns it, for a setting called `name`.

        Where the setting is whole, spaced values are rounded to whole numbers.

        Raises
        ------
        InputError
            If a value is not legal, or two of them become the same whole number.
        """
        given = self.values
        if whole:
            given = tuple(_as_whole(value, rounded=self.spaced) for value in given)
            same = next((low for low, high in pairwise(given) if low == high), None)
            if same is not None:
                raise InputError(
                    f"{name} must take whole numbers that differ. "
                    f"Received: {len(self)} values of which several round to {same}"
                )
        return Range(tuple(check(value) for value in given), self.log, self.spaced)


def linear(low: float, high: float, count: int) -> Range:
    """Return `count` evenly spaced values from `low` to `high`, both included.

    Value i is low + (high − low)·i/(count − 1), worked out in fractions of the numbers as they are written and rounded
    once: `linear(0, 0.9, 10)` holds exactly 0.1, 0.2, 0.3, …

    Parameters
    ----------
    low, high : float
        The ends; `high` above `low`. They may be equal for a count of 1.
    count : int
        How many, at least 2 where the ends differ and at most 100,000.

    Raises
    ------
    InputError
        If an argument is not legal.

    Examples
    --------
    >>> linear(0, 0.9, 4).values
    (0.0, 0.3, 0.6, 0.9)
    """
    first, last, many = _ends(low, high, count)
    start, end = Fraction(repr(first)), Fraction(repr(last))
    inner = [float(start + (end - start) * place / (many - 1)) for place in range(1, many - 1)]
    return _spaced(first, last, many, inner, log=False)


def log(low: float, high: float, count: int) -> Range:
    """Return `count` values from `low` to `high`, both included, each the same factor times the one before.

    Value i is low·(high/low)^(i/(count − 1)), worked out to 40 decimal digits and rounded once:
    `log(0.001, 10, 5)` holds exactly 0.01, 0.1 and 1.

    Parameters
    ----------
    low, high : float
        The ends, above 0; `high` above `low`. They may be equal for a count of 1.
    count : int
        How many, at least 2 where the ends differ and at most 100,000.

    Raises
    ------
    InputError
        If an argument is not legal.

    Examples
    --------
    >>> log(0.001, 10, 5).values
    (0.001, 0.01, 0.1, 1.0, 10.0)
    """
    checks.real("low", low, checks.Interval(above=0))
    first, last, many = _ends(low, high, count)
    context = Context(prec=DIGITS)
    start, end = (context.ln(Decimal(repr(one))) for one in (first, last))
    gap = context.subtract(end, start)
    inner = [
        float(context.exp(context.add(start, context.divide(context.multiply(gap, Decimal(place)), Decimal(many - 1)))))
        for place in range(1, many - 1)
    ]
    return _spaced(first, last, many, inner, log=True)


def values(given: Iterable[Any]) -> Range:
    """Return the range of exactly these values.

    Parameters
    ----------
    given : sequence of numbers, or of True and False
        At least one and at most 100,000, all finite, all different.

    Raises
    ------
    InputError
        If there is none, one stands there twice, or one is not a finite number.

    Examples
    --------
    >>> values([16, 32, 300]).values
    (16, 32, 300)
    """
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise checks.refuse("values", "a list of numbers", given)
    listed = tuple(_number(f"values[{place}]", value) for place, value in enumerate(given))
    if not 1 <= len(listed) <= MOST_VALUES:
        raise InputError(f"values must hold at least 1 and at most {MOST_VALUES:,} numbers. Received: {len(listed)}")
    seen: set[Any] = set()
    for value in listed:
        if value in seen:
            raise InputError(f"values must differ from one another. Received: {value!r} more than once")
        seen.add(value)
    return Range(listed, min(listed) > 0 and max(listed) / min(listed) > WIDE)


def parse_range(text: str, name: str = "range") -> Range:
    """Read a range from a line of text.

    Parameters
    ----------
    text : str
        "log:1e-3:10:32", "linear:0:0.99:32" or "0:0.99:32" (low, high, count), or a list such as "0.1,0.2,0.5".
    name : str
        What an error calls it: the setting's name.

    Raises
    ------
    InputError
        If the text is none of these, or its numbers are not legal.

    Examples
    --------
    >>> parse_range("log:0.1:10:3").values
    (0.1, 1.0, 10.0)
    """
    rule = "LOW:HIGH:COUNT, log:LOW:HIGH:COUNT or a list such as 0.1,0.2,0.5"
    if not isinstance(text, str):
        raise checks.refuse(name, rule, text)
    head, *rest = (part.strip() for part in text.split(":"))
    try:
        if not rest:
            return values([_read(part) for part in text.split(",")])
        spacing, ends = (head.lower(), rest) if len(rest) == 3 else ("linear", [head, *rest])
        if spacing in {"log", "linear"} and len(ends) == 3:
            low, high, count = (_read(part) for part in ends)
            return (log if spacing == "log" else linear)(low, high, count)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except ValueError:
        pass
    raise checks.refuse(name, rule, text)


def as_range(name: str, given: Any) -> Range:
    """Return a range as it is, a list as `values` and a text as `parse_range` would, for the setting `name`."""
    if isinstance(given, Range):
        return given
    if isinstance(given, str):
        return parse_range(given, name)
    if isinstance(given, Iterable):
        try:
            return values(given)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    raise checks.refuse(name, "a range such as linear(0, 0.99, 32), or a list of values", given)


def _ends(low: Any, high: Any, count: Any) -> tuple[float, float, int]:
    first, last = checks.real("low", low), checks.real("high", high)
    many = checks.whole("count", count, at_least=1, at_most=MOST_VALUES)
    if last < first or (last == first and many > 1):
        raise InputError(f"high must be above low. Received: low={low!r}, high={high!r}")
    if many == 1 and last != first:
        raise InputError(f"count must be at least 2 where low and high differ. Received: count={count!r}")
    return first, last, many


def _spaced(first: float, last: float, many: int, inner: list[float], *, log: bool) -> Range:
    spaced = [first] if many == 1 else [first, *inner, last]
    if any(high <= low for low, high in pairwise(spaced)):
        raise InputError(f"count must leave values that differ. Received: {many} from {first!r} to {last!r}")
    return Range(tuple(spaced), log, spaced=True)


def _number(name: str, value: Any) -> Any:
    """Return a listed value as Python's own bool, int or float."""
    if isinstance(value, bool) or type(value).__name__ == "bool":  # NumPy's too
        return bool(value)
    number = checks.real(name, value)
    return int(value) if hasattr(value, "__index__") else number


def _as_whole(value: Any, *, rounded: bool) -> Any:
    if isinstance(value, float) and (rounded or value.is_integer()):
        return round(value)
    return value


def _read(text: str) -> Any:
    """Return the number, or truth value, that a text stands for; a whole number stays whole."""
    word = text.strip().lower()
    if word in {"true", "false"}:
        return word == "true"
    try:
        return int(word)
    except ValueError:
        return float(word)
