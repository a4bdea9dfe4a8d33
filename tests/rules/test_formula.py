from __future__ import annotations

import sys

import pytest
import sympy

from downslope.errors import InputError, MissingExtraError
from downslope.rules import RULES, SGD, Adam, AdEMAMix, NAdam, Optimizer, RAdam, RMSprop, setting
from downslope.rules.formula import compare_formula, derived_update, documented_update

θ, g = sympy.symbols("θ g", real=True)  # noqa: PLC2401 - the parameter is called so
m, v, velocity = sympy.symbols("m v velocity", real=True)


def documented(*formula, where=(), **settings):
    """A rule with momentum and this Formula section; its code is SGD's with Polyak's momentum."""
    sections = {"Formula": formula, "Where": where}
    lines = ["A rule.", ""]
    for name, section in sections.items():
        lines += [name, "-" * len(name), *section, ""] if section else []

    def update(xp, parameter, gradient, velocity, learning_rate, momentum):
        velocity = momentum * velocity - learning_rate * gradient
        return parameter + velocity, velocity

    body = {
        "__doc__": "\n".join(lines),
        "learning_rate": setting(0.1, above=0, meaning="size of a step"),
        "momentum": setting(0.9, at_least=0, below=1, meaning="share kept"),
        "plain": setting(False, meaning="unused"),
        "slots": ("velocity",),
        "update": update,
    }
    return type("Mine", (Optimizer,), body)(**settings)


RIGHT = ("velocity ← momentum·velocity − learning_rate·g", "θ ← θ + velocity")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("step", [1, 5, 100])
def test_documented_formulas_are_the_code(rule, step):
    assert compare_formula(rule(), step) is None


@pytest.mark.parametrize(
    "rule",
    [
        SGD(momentum=0.9, nesterov=True),
        RMSprop(centered=True, momentum=0.5),
        RAdam(beta_2=0.5),
        AdEMAMix(warmup=10, weight_decay=0.25, beta_3=0.97),
        AdEMAMix(warmup=10, beta_3=0.5),
        NAdam(momentum_decay=1.5),
        SGD(learning_rate=lambda k: 1 / (k + 1), momentum=lambda k: 0.5 + 0.1 * k),
    ],
    ids=repr,
)
@pytest.mark.parametrize("step", [1, 4])
def test_documented_formulas_are_the_code_with_other_settings(rule, step):
    assert compare_formula(rule, step) is None


def test_expressions():
    adam = Adam(learning_rate=0.5, beta_1=0.5, beta_2=0.75, epsilon=0.125)
    new_m, new_v = m / 2 + g / 2, v * sympy.Rational(3, 4) + g**2 / 4
    step = (new_m / (1 - sympy.Rational(1, 4))) / (
        sympy.sqrt(new_v / (1 - sympy.Rational(9, 16))) + sympy.Rational(1, 8)
    )
    for update in (documented_update(adam, 2), derived_update(adam, 2)):
        assert list(update) == ["θ", "m", "v"]
        assert update["m"] == new_m
        assert update["v"] == new_v
        assert sympy.simplify(update["θ"] - (θ - step / 2)) == 0
    assert documented_update(SGD(0.25), 1) == {"θ": θ - g / 4} == derived_update(SGD(0.25), 1)
    assert list(derived_update(RMSprop(momentum=0.5), 1)) == ["θ", "cache", "velocity"]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("θ ← −g² + g³ × 2", 2 * g**3 - g**2),
        ("θ ← 2^t·θ", 8 * θ),
        ("θ ← √(g² + 1) / |g − θ|", sympy.sqrt(g**2 + 1) / sympy.Abs(g - θ)),
        ("θ ← max(θ, min(g, 1)) + sign(g)", sympy.Max(θ, sympy.Min(g, 1)) + sympy.sign(g)),
        ("θ ← exp(log(3)·t)·0.5", sympy.Rational(27, 2)),
        ("θ ← θ/2·g", θ * g / 2),
        ("θ ← g if momentum > 0.8 and not plain", g),
        ("θ ← g if t = 2 or momentum ≤ 0.5", θ),
        ("θ ← g if g > θ", sympy.Piecewise((g, g > θ), (θ, True))),
        ("θ ← double(half(g) + 1)", g + 2),
        ("θ ← count(t)", sympy.Integer(6)),
    ],
)
def test_notation(formula, expected):
    where = ("half(x) = x/2", "double(x) = 2·x", "count(k) = count(k − 1) + k if k > 0", "count(k) = 0 if k <= 0")
    assert sympy.simplify(documented_update(documented(formula, where=where), 3)["θ"] - expected) == 0


def test_hats_are_part_of_a_name():
    rule = documented("v̂ ← momentum·velocity", "ĝ ← √v̂^2 − learning_rate·g", "velocity ← ĝ", "θ ← θ + ĝ")
    assert documented_update(rule, 1)["velocity"] == sympy.Rational(9, 10) * velocity - g / 10


@pytest.mark.parametrize(
    ("formula", "wrong"),
    [
        (("velocity ← momentum·velocity + learning_rate·g", RIGHT[1]), "θ"),
        ((RIGHT[0], "θ ← θ − velocity"), "θ"),
        ((RIGHT[1], RIGHT[0]), "θ"),
        ((RIGHT[0], "θ ← θ + velocity", "velocity ← 0.5·velocity"), "velocity"),
        (("velocity ← learning_rate·velocity − learning_rate·g", RIGHT[1]), "θ"),
        ((RIGHT[0], "θ ← θ + velocity·(1 + 10^(−30))"), "θ"),
        ((RIGHT[0], "θ ← θ + velocity if t < 3"), "θ"),
    ],
)
def test_a_wrong_formula_is_noticed(formula, wrong):
    assert compare_formula(documented(*RIGHT), 3) is None
    difference = compare_formula(documented(*formula), 3)
    assert difference is not None
    assert difference.startswith(f"the documented formula gives {wrong} = ")
    assert "where update gives" in difference
    assert "step 3, θ = " in difference


def test_what_has_no_value_is_not_taken_for_equal():
    difference = compare_formula(documented(RIGHT[0], "θ ← √(−1 − g²)"), 1)
    assert (
        difference
        == "θ cannot be compared: the documented formula gives sqrt(-g**2 - 1), update -g/10 + 9*velocity/10 + θ"
    )


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        (Adam(), "θ − learning_rate·m̂", "θ − learning_rate·m"),
        (Adam(), "+ epsilon", "+ 2·epsilon"),
        (NAdam(), "mu(t + 1)·m", "mu(t)·m"),
        (NAdam(), "0.96", "0.95"),
        (AdEMAMix(warmup=20), "slower(t/warmup))", "slower((t − 1)/warmup))"),
        (RAdam(), "rho_t > 4", "rho_t > 5"),
        (RMSprop(centered=True), "− mean²", "− mean"),
    ],
    ids=str,
)
def test_a_wrong_formula_of_our_own_would_be_noticed(rule, old, new):
    assert old in rule.documented("Formula") + rule.documented("Where")
    wrong = type(type(rule).__name__, (type(rule),), {"__doc__": type(rule).__doc__.replace(old, new)})
    assert compare_formula(wrong(**rule.values()), 5) is not None


@pytest.mark.parametrize(
    ("formula", "where", "message"),
    [
        ("the usual step", (), r"a line that cannot be read, 'the usual step': it must read name ← expression"),
        ("θ ← θ − rate·g", (), r"'θ ← θ − rate·g': rate is not known here"),
        ("θ ← θ − (g", (), r"'θ ← θ − \(g': "),
        ("θ ← θ − f(g)", (), r"'θ ← θ − f\(g\)': f is not known here"),
        ("θ ← [θ]", (), r"'θ ← \[θ\]': \[θ\] is not part of the notation"),
        ("θ ← θ/(1 − 1^t)", (), r"'θ ← θ/\(1 − 1\^t\)': .* divides by zero$"),
        ("θ ← θ·a(t)", ("so it is",), r"'so it is': it must read name = expression"),
        ("θ ← θ·a(t)", ("a(t) = 1 if t > 5",), r"no definition of a holds for 3"),
        ("θ ← θ·a(t)", ("a(t) = a(t + 1)",), r"'θ ← θ·a\(t\)': "),
    ],
)
def test_a_line_that_cannot_be_read_is_named(formula, where, message):
    with pytest.raises(InputError, match=r"^Mine's documented formula has " + ".*" + message):
        documented_update(documented(formula, where=where), 3)


def test_without_a_formula_or_without_sympy(monkeypatch):
    with pytest.raises(InputError, match=r"^Mine must have a Formula section in its docstring$"):
        documented_update(documented(), 1)
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(MissingExtraError, match=r"Comparing a rule.* needs an optional library"):
        compare_formula(SGD(), 1)
