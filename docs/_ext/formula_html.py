"""A documented formula as MathML, which browsers draw themselves: no script, no font and no network is needed.

The text is read by the package's own parser (`downslope.rules.formula`), so what the page shows is what `check_rule`
holds against the code. A line that it cannot read is shown as it was written.
"""

from __future__ import annotations

import ast
import html
import re
import unicodedata

from downslope.rules import formula

__all__ = ["lines_html", "symbol_html"]

LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η", "theta": "θ", "lambda": "λ",
    "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ",
    "psi": "ψ", "omega": "ω",
}  # fmt: skip
NAMES = {"learning_rate": "η"}
ACCENTS = {"\u0302": "^", "\u0303": "~", "\u0304": "¯"}
SIGNS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "−", ast.Mult: "·", ast.Lt: "&lt;", ast.LtE: "≤", ast.Gt: "&gt;", ast.GtE: "≥", ast.Eq: "=",
    ast.NotEq: "≠",
}  # fmt: skip
PLUS = "ᐩ"  # in an index, where Python's names have no plus
STRENGTH: dict[type, int] = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 3, ast.Pow: 3}
FENCES = {"absolute": ("|", "|"), "abs": ("|", "|"), "floor": ("⌊", "⌋")}


def symbol_html(name: str) -> str:
    """Return one name as inline MathML: `beta_1` is β with the index 1."""
    return f"<math>{_name(name)}</math>"


def lines_html(text: str, sign: str) -> str:
    """Return the lines of a formula as a table: what is set, the sign, to what, and on what condition.

    Parameters
    ----------
    text : str
        One assignment a line, in the notation of `downslope.rules.formula`.
    sign : str
        "←" for steps, "=" for definitions.
    """
    rows = [_row(line.strip(), sign) for line in text.splitlines() if line.strip()]
    return f'<div class="formula"><table>{"".join(rows)}</table></div>'


def _row(line: str, sign: str) -> str:
    formula, *words = re.split(r",\s+(?=\w+ = )", line, maxsplit=1)  # "…, d = distance from the peak"
    parts = re.fullmatch(rf"(.+?)\s*{sign}\s*(.+?)(?:\s+(if|for)\s+(.+))?", formula)
    try:
        if parts is None:
            raise SyntaxError(line)
        left, right = _math(parts[1]), _math(parts[2])
        condition = f"{parts[3]} {_math(parts[4])}" if parts[4] else f"where {html.escape(words[0])}" if words else ""
    except (SyntaxError, KeyError, TypeError):
        return f'<tr><td colspan="4" class="unread">{html.escape(line)}</td></tr>'
    return f'<tr><td>{left}</td><td>{sign}</td><td>{right}</td><td class="condition">{condition}</td></tr>'


def _math(text: str) -> str:
    text = re.sub(r"⌊([^⌋]+)⌋", r"floor(\1)", text.replace("ⁱ", "^i"))
    text = re.sub(r"_\{(\w)\+(\w)\}", rf"_\1{PLUS}\2", text)
    return f'<math displaystyle="true">{_node(formula._parse(text))}</math>'


def _node(node: ast.expr, flat: bool = False) -> str:  # noqa: PLR0911, PLR0912 - one return for each kind
    """Return an expression as MathML; `flat` writes a/b in a line, as in an exponent."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return f"<mn>{value}</mn>"
        case ast.Name(id=name):
            return _name(name)
        case ast.BinOp(left=left, op=ast.Div(), right=right) if flat:
            return f"{_within(left, 2, flat)}<mo>/</mo>{_within(right, 4, flat)}"
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return f"<mfrac><mrow>{_node(left)}</mrow><mrow>{_node(right)}</mrow></mfrac>"
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            raised, exponent = _within(left, 4, flat), f"<mrow>{_node(right, flat=True)}</mrow>"
            if raised.startswith("<msub>") and isinstance(left, ast.Name):  # the exponent stands above the index
                return f"<msubsup>{raised[len('<msub>') : -len('</msub>')]}{exponent}</msubsup>"
            return f"<msup><mrow>{raised}</mrow>{exponent}</msup>"
        case ast.BinOp(left=left, op=op, right=right):
            strength = STRENGTH[type(op)]
            return f"{_within(left, strength, flat)}<mo>{SIGNS[type(op)]}</mo>{_within(right, strength + 1, flat)}"
        case ast.Compare(left=left, ops=operators, comparators=right):
            pairs = zip(operators, right, strict=True)
            return _node(left) + "".join(f"<mo>{SIGNS[type(op)]}</mo>{_node(one)}" for op, one in pairs)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"<mo>−</mo>{_within(operand, 2, flat)}"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"<mtext>not&#160;</mtext>{_node(operand)}"
        case ast.BoolOp(op=op, values=values):
            word = "and" if isinstance(op, ast.And) else "or"
            return f"<mtext>&#160;{word}&#160;</mtext>".join(_node(value) for value in values)
        case ast.Call(func=ast.Name(id="sqrt"), args=[argument]):
            return f"<msqrt>{_node(argument, flat)}</msqrt>"
        case ast.Call(func=ast.Name(id=name), args=[argument]) if name in FENCES:
            return f"<mo>{FENCES[name][0]}</mo>{_node(argument, flat)}<mo>{FENCES[name][1]}</mo>"
        case ast.Call(func=ast.Name(id=name), args=arguments):
            listed = "<mo>,</mo>".join(_node(argument, flat=True) for argument in arguments)
            return f"{_name(name)}<mo>(</mo>{listed}<mo>)</mo>"
    raise TypeError(ast.unparse(node))


def _within(node: ast.expr, strength: int, flat: bool = False) -> str:
    """Return a part of a product, sum or power, in parentheses where it binds less than what surrounds it."""
    weak = (isinstance(node, ast.BinOp) and STRENGTH[type(node.op)] < strength) or isinstance(node, ast.UnaryOp)
    shown = _node(node, flat)
    return f"<mrow><mo>(</mo>{shown}<mo>)</mo></mrow>" if weak else shown


def _name(name: str) -> str:
    name = NAMES.get(name, name)
    base, _, index = name.partition("_")
    letters = unicodedata.normalize("NFD", base)
    accent = ACCENTS.get(letters[-1])
    if accent:
        base = letters[:-1]
    base = LETTERS.get(base, base)
    if len(base) > 1 or not index:
        base, index = (base, "") if not index else (f"{base}_{index}", "")
    shown = f"<mi>{html.escape(base)}</mi>"
    if accent:
        shown = f'<mover accent="true">{shown}<mo stretchy="false">{accent}</mo></mover>'
    kinds = [("mn" if one.isdigit() else "mi", html.escape(one)) for one in index.split(PLUS)]
    below = "<mo>+</mo>".join(f"<{kind}>{one}</{kind}>" for kind, one in kinds)
    return f"<msub>{shown}<mrow>{below}</mrow></msub>" if index else shown
