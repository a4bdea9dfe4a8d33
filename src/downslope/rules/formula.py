"""A rule's documented formula and its code as SymPy expressions, so that the one can be held against the other.

The notation of a docstring's "Formula" section, one assignment a line, read from top to bottom::

    v ← beta·v + (1 − beta)·g²
    θ ← θ − learning_rate·g / √v               if not plain

θ is the parameter, g its gradient, t the step, counted from 1; every other name is a slot, a setting or was assigned
on a line above. Written are + − · / ^ ² √ |x| max min sign exp log, `if` with comparisons, `not`, `and`, `or`. A
section "Where" may define functions of a number, `mu(t) = beta·(1 − 0.5^t)`, also with `if` and in terms of
themselves.
"""

from __future__ import annotations

import ast
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from downslope.errors import InputError, MissingExtraError
from downslope.rules.optimizer import Optimizer

__all__ = ["compare_formula", "derived_update", "documented_update"]

PARAMETER, GRADIENT = "θ", "g"
DIGITS = 50
# Scalars that `per_step` rounds to float64 (a root, an exponential) leave that many digits to compare.
EXACT, ROUNDED = 1e-40, 1e-9

_SIGNS = {"·": "*", "×": "*", "−": "-", "^": "**", "²": "**2", "³": "**3", "≤": "<=", "≥": ">=", "≠": "!="}
_WORD = r"(?:\w|[\u0300-\u036f])+"
_OPERATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def documented_update(rule: Optimizer, step: int) -> dict[str, Any]:
    """Return what the docstring says one step does: the new θ and slots as SymPy expressions of θ, g and the slots.

    Parameters
    ----------
    rule : Optimizer
        The rule; its settings enter as exact fractions.
    step : int
        Which update this is, from 1.

    Raises
    ------
    InputError
        Where there is no Formula section, or naming the line that cannot be read.
    MissingExtraError
        Without SymPy.
    """
    if not rule.documented("Formula"):
        raise InputError(f"{type(rule).__name__} must have a Formula section in its docstring")
    reader = _Reader(rule, step)
    for line in _lines(rule.documented("Where")):
        reader.define(line)
    for line in _lines(rule.documented("Formula")):
        reader.assign(line)
    return {name: reader.names[_plain(name)] for name in (PARAMETER, *rule.slots_in_use())}


def derived_update(rule: Optimizer, step: int) -> dict[str, Any]:
    """Return what the code does in one step: `update` run on SymPy symbols. See `documented_update`."""
    sympy = _sympy()
    used = rule.slots_in_use()
    scalars = _scalars(rule, step)
    slots = [_symbol(name) if name in used else None for name in rule.slots]
    result = rule.update(_vocabulary(), _symbol(PARAMETER), _symbol(GRADIENT), *slots, *scalars)
    values = result if isinstance(result, tuple) else (result,)
    after = dict(zip((PARAMETER, *rule.slots), values, strict=True))
    return {name: sympy.sympify(after[name]) for name in (PARAMETER, *used)}


def compare_formula(rule: Optimizer, step: int) -> str | None:
    """Return None where docstring and code agree at `step`, else one sentence saying where they differ.

    They agree when the expressions are equal, or equal to 40 digits at several points (9 digits where `per_step`
    rounds to float64).
    """
    said, done = documented_update(rule, step), derived_update(rule, step)
    for name, expression in said.items():
        if expression == done[name]:
            continue
        compared = 0
        for point in _points(len(rule.slots) + 2):
            values = dict(zip(map(_symbol, (PARAMETER, GRADIENT, *rule.slots)), point, strict=True))
            here, there = (one.subs(values).evalf(DIGITS) for one in (expression, done[name]))
            if not (here.is_real and there.is_real):  # the root of a negative slot, which never occurs
                continue
            compared += 1
            rounded = any(number.is_Float for number in done[name].atoms())
            if abs(here - there) > (ROUNDED if rounded else EXACT) * (abs(here) + abs(there)):
                return (
                    f"the documented formula gives {name} = {float(here):.9g} where update gives {float(there):.9g} "
                    f"(step {step}, {', '.join(f'{symbol} = {value}' for symbol, value in values.items())}, {rule!r})"
                )
        if not compared:
            return f"{name} cannot be compared: the documented formula gives {expression}, update {done[name]}"
    return None


def _sympy() -> Any:
    try:
        import sympy
    except ImportError as error:
        raise MissingExtraError("Comparing a rule's formula with its code", "sympy") from error
    return sympy


def _symbol(name: str) -> Any:
    return _sympy().Symbol(_plain(name), real=True)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name)  # as Python reads its own names


def _number(value: Any) -> Any:
    """Return a setting as the fraction that is meant (0.9 is 9/10); flags stay flags."""
    return value if isinstance(value, (bool, int)) else _sympy().Rational(repr(float(value)))


def _scalars(rule: Optimizer, step: int) -> list[Any]:
    """Return the scalars of `step`, exact where `per_step` works with fractions, else as it rounds them."""
    sympy = _sympy()
    now = rule.at(step)
    exact = now.unchecked({name: _number(value) for name, value in now.values().items()})
    try:
        scalars = exact.scalars(step)
    except (TypeError, AttributeError, ValueError):
        scalars = now.scalars(step)
    return [
        value if isinstance(value, (bool, int, sympy.Basic)) else sympy.Float(float(value), DIGITS) for value in scalars
    ]


def _vocabulary() -> Any:
    """Return the twins of `engines/vocabulary.py` for symbols."""
    sympy = _sympy()

    def where(condition: Any, a: Any, b: Any) -> Any:
        return (
            sympy.Piecewise((a, condition), (b, True)) if isinstance(condition, sympy.Basic) else a if condition else b
        )

    return SimpleNamespace(
        sqrt=sympy.sqrt, absolute=sympy.Abs, sign=sympy.sign, maximum=sympy.Max, minimum=sympy.Min, where=where
    )


def _points(count: int) -> list[list[Any]]:
    """Return points to compare at: fractions of several sizes, all positive first, then of mixed signs."""
    rational = _sympy().Rational
    return [
        [rational((7 * i + 5 * k) % 11 + 1, (3 * i + k) % 7 + 2) * (-1) ** (k >> i & 1) for i in range(count)]
        for k in range(0, 2 ** min(count, 5), 3)
    ]


def _lines(section: str) -> list[str]:
    return [line.strip() for line in section.splitlines() if line.strip()]


def _parse(text: str) -> ast.expr:
    for written, python in _SIGNS.items():
        text = text.replace(written, python)
    text = re.sub(rf"√({_WORD})", r"sqrt(\1)", text).replace("√", "sqrt")
    text = re.sub(r"\|([^|]+)\|", r"absolute(\1)", text)
    return ast.parse(re.sub(r"(?<![<>!=])=(?!=)", "==", text).strip(), mode="eval").body


class _Reader:
    """Reads the lines of one docstring for one rule and step."""

    def __init__(self, rule: Optimizer, step: int) -> None:
        sympy = _sympy()
        used = rule.slots_in_use()
        now = rule.at(step).values()
        self.names: dict[str, Any] = {_plain(name): _number(value) for name, value in now.items()}
        self.names |= {_plain(name): _symbol(name) if name in used else sympy.Integer(0) for name in rule.slots}
        self.names |= {_plain(name): _symbol(name) for name in (PARAMETER, GRADIENT)}
        self.names["t"] = sympy.Integer(step)
        words = {"abs": sympy.Abs, "max": sympy.Max, "min": sympy.Min, "exp": sympy.exp, "log": sympy.log}
        self.functions: dict[str, Callable[..., Any]] = {**vars(_vocabulary()), **words}
        self.definitions: dict[str, list[tuple[str, ast.expr, ast.expr]]] = {}
        self.rule = type(rule).__name__

    def assign(self, line: str) -> None:
        """Read `name ← expression` with or without `if condition`."""
        target, expression, condition = self._split(line, "←", _WORD)
        try:
            holds = self._value(condition, self.names)
            if isinstance(holds, _sympy().Basic) and holds not in (True, False):
                value = self._value(expression, self.names)
                self.names[_plain(target)] = _vocabulary().where(holds, value, self.names[_plain(target)])
            elif holds:
                self.names[_plain(target)] = self._value(expression, self.names)
        except (KeyError, ZeroDivisionError, RecursionError, TypeError) as error:
            raise self._unread(line, error) from error

    def define(self, line: str) -> None:
        """Read `name(argument) = expression` with or without `if condition`."""
        target, expression, condition = self._split(line, "=", rf"{_WORD}\({_WORD}\)")
        name, argument = target.rstrip(")").split("(")
        cases = self.definitions.setdefault(_plain(name), [])
        cases.append((_plain(argument), expression, condition))

    def _split(self, line: str, sign: str, target: str) -> tuple[str, ast.expr, ast.expr]:
        match = re.fullmatch(rf"({target})\s*{sign}\s*(.+?)(?:\s+if\s+(.+))?", line)
        if match is None:
            raise self._unread(line, f"it must read name {sign} expression")
        try:
            return match[1], _parse(match[2]), _parse(match[3] or "True")
        except SyntaxError as error:
            raise self._unread(line, error.msg) from error

    def _unread(self, line: str, why: object) -> InputError:
        reason = f"{why.args[0]} is not known here" if isinstance(why, KeyError) else str(why)
        return InputError(f"{self.rule}'s documented formula has a line that cannot be read, {line!r}: {reason}")

    def _value(self, node: ast.expr, names: Mapping[str, Any]) -> Any:  # noqa: PLR0911 - one return for each kind
        match node:
            case ast.Constant(value=bool() as value):
                return value
            case ast.Constant(value=int() | float() as value):
                return _sympy().Rational(repr(value))
            case ast.Name(id=name):
                return names[name]
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                value = _OPERATIONS[type(op)](self._value(left, names), self._value(right, names))
                if _sympy().sympify(value).has(_sympy().zoo, _sympy().nan):
                    raise ZeroDivisionError(f"{ast.unparse(node)} divides by zero")
                return value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._value(operand, names)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._value(operand, names)
            case ast.BoolOp(op=op, values=values):
                together = all if isinstance(op, ast.And) else any
                return together(self._value(value, names) for value in values)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, [self._value(argument, names) for argument in arguments])
        raise TypeError(f"{ast.unparse(node)} is not part of the notation")

    def _call(self, name: str, arguments: list[Any]) -> Any:
        if name not in self.definitions:
            return self.functions[name](*arguments)
        for argument, expression, condition in self.definitions[name]:
            names = {**self.names, argument: arguments[0]}
            if self._value(condition, names):
                value = self._value(expression, names)
                return value if value.is_rational else value.evalf(DIGITS)
        raise TypeError(f"no definition of {name} holds for {arguments[0]}")
