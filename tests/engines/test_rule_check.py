from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from downslope.engines.compiled import fused_update
from downslope.engines.rule_check import Check, Report, RuleError, check_rule
from downslope.engines.update import apply_update
from downslope.errors import InputError
from downslope.rules import RULES, SGD, Optimizer, setting

CHECKS = [
    "settings",
    "one step on arrays",
    "many steps at once",
    "compiled, same bits",
    "finds known minima",
    "documented formula",
]


def rule(body, slots=(), extra=(), doc=None, **settings):
    """A rule class whose `update` has this body; `extra` names more scalars."""
    names = {"HALF": 0.5, "np": np}
    arguments = ", ".join(["xp", "parameter", "gradient", *slots, "learning_rate", *settings, *extra])
    exec(f"def update({arguments}):\n" + "".join(f"    {line}\n" for line in body), names)
    return type("Mine", (Optimizer,), {
        "__doc__": doc,
        "learning_rate": setting(0.1, above=0, meaning="size of a step", scheduled=True),
        "slots": slots,
        "update": names["update"],
        **settings,
    })  # fmt: skip


BETA = setting(0.9, at_least=0, below=1, meaning="share kept")


@pytest.mark.parametrize("found", RULES.values(), ids=RULES)
def test_every_rule_of_the_package_passes(found):
    report = check_rule(found)
    assert [(check.name, check.skipped) for check in report.checks] == [(name, False) for name in CHECKS]
    assert str(report).startswith(f"{found.__name__}: every check passed\n  passed   settings             ")


SCRIPT = """
from downslope.engines.compiled import fused_update
from downslope.engines.rule_check import check_rule
from downslope.rules import Optimizer, setting
class Clipped(Optimizer):
    learning_rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)
    limit = setting(1.0, above=0, meaning="the largest step", unit="steps")
    def update(xp, parameter, gradient, learning_rate, limit):
        return parameter - xp.maximum(-limit, xp.minimum(learning_rate * gradient, limit))
print(check_rule(Clipped))
"""


def test_a_rule_in_a_script_of_nine_lines(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT.lstrip(), encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(SCRIPT.strip().splitlines()) < 10
    assert lines[0] == "Clipped: every check passed"
    assert [line[2:9] for line in lines[1:]] == ["passed "] * 5 + ["skipped"]
    assert lines[-1].endswith("because the docstring has no Formula section")


BROKEN = {
    "a literal in the body": (
        rule(["return parameter - 0.3 * learning_rate * gradient"]),
        r"compiled, same bits: in float32 the compiled loop gives other bits than NumPy \(parameter at step 1: .*\)\. "
        r"The number 0\.3 in update makes a single float32 a float64: compute what needs it in per_step",
    ),
    "1 - beta in the body": (
        rule(["m = beta * m + (1 - beta) * gradient", "return parameter - learning_rate * m, m"], ("m",), beta=BETA),
        r"compiled, same bits: in float32 .*The number 1 in update .* per_step",
    ),
    "a number of the module": (
        rule(["return parameter - HALF * learning_rate * gradient * HALF / learning_rate * learning_rate"]),
        r"compiled, same bits: in float32 .*The number HALF in update .* per_step",
    ),
    "a promoted type": (
        rule(["return parameter - learning_rate * gradient * np.float64(0.5)"]),
        r"one step on arrays: the new parameter is float64 where the parameter is float32: .*; compute it in per_step",
    ),
    "a slot too few": (
        rule(["m = beta * m + gradient", "return parameter - learning_rate * m"], ("m",), beta=BETA),
        r"one step on arrays: update must return the new parameter, m: 2 values\. Received: 1 value",
    ),
    "a slot too many": (
        rule(["return parameter - learning_rate * gradient, gradient"]),
        r"one step on arrays: update must return the new parameter: 1 value\. Received: 2 values",
    ),
    "writing into a slot": (
        rule(["m *= beta", "m += gradient", "return parameter - learning_rate * m, m"], ("m",), beta=BETA),
        r"one step on arrays: update writes into one of its arguments: compute a new value",
    ),
    "climbing": (
        rule(["return parameter + learning_rate * gradient"]),
        r"finds known minima: it does not find the minimum of a bowl at any learning rate from 0\.0001 to 100: .* "
        r"Every rate made it larger: has the step the right sign\?",
    ),
    "standing still": (
        rule(["return parameter - learning_rate * (gradient - gradient)"]),
        r"finds known minima: .* in 2000 steps, 1 times the first value was left at best, where 0\.01 is asked\.$",
    ),
    "a word that xp does not have": (
        rule(["return parameter - learning_rate * xp.max(gradient, learning_rate)"]),
        r"one step on arrays: update calls xp\.max, which there is not: xp has absolute, maximum, minimum, sign, sqrt",
    ),
    "not element by element": (
        rule(["return parameter - learning_rate * gradient / gradient.max()"]),
        r"one step on arrays: parameter is not computed element by element",
    ),
    "another shape": (
        rule(["return (parameter - learning_rate * gradient).reshape(-1)"]),
        r"one step on arrays: the new parameter has shape \(1,\) where the parameter has \(\)",
    ),
    "deciding by an array": (
        rule(["return parameter - learning_rate * gradient if gradient > learning_rate else parameter"]),
        r"one step on arrays: update decides by an array: use xp\.where",
    ),
    "boolean indexing": (
        rule([
            "step = np.array(gradient)",
            "step[abs(step) > learning_rate] = learning_rate",
            "return parameter - learning_rate * step",
        ]),
        r"compiled, same bits: Mine\.update cannot be compiled for single numbers: .*Use \+ − × ÷ and xp's functions",
    ),
    "a formula that is not the code's": (
        rule(
            ["return parameter - learning_rate * gradient"],
            doc="Descent.\n\nFormula\n-------\nθ ← θ − learning_rate·g²\n",
        ),
        r"documented formula: the documented formula gives θ = .* where update gives .*\(step 1, θ = ",
    ),
    "a formula that cannot be read": (
        rule(["return parameter - learning_rate * gradient"], doc="Descent.\n\nFormula\n-------\nas usual\n"),
        r"documented formula: Mine's documented formula has a line that cannot be read, 'as usual'",
    ),
    "a scalar from nowhere": (
        rule(["return parameter - learning_rate * gamma * gradient"], extra=("gamma",)),
        r"one step on arrays: gamma, which Mine\.update takes, must be a slot, a setting or returned by per_step",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("broken", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_refused_with_its_own_sentence(broken, message):
    with pytest.raises(RuleError, match=r"^Mine did not pass\.\n  " + message) as caught:
        check_rule(broken)
    assert len(str(caught.value).splitlines()) == 2


def test_another_library_in_the_loop_is_refused():
    """NumPy's vectorized functions are not those a loop calls; on an old processor they may be, for some."""
    x = np.linspace(-3, 3, 500, dtype=np.float32)
    for name in ("sin", "exp", "tanh", "log1p", "cos", "exp2", "arctan"):
        broken = rule([f"return parameter - learning_rate * np.{name}(gradient)"])
        fused, one = x.copy(), broken()
        fused_update(one, 1, fused, x, {})
        if fused.tobytes() != apply_update(one, 1, x, x, {})[0].tobytes():
            with pytest.raises(RuleError, match=r"compiled, same bits: .*\. Use \+ − × ÷ and xp's functions only"):
                check_rule(broken)
            return
    pytest.skip("on this processor NumPy and the loop call the same library for all of them")


class Forgetful(SGD):
    """Other scalars each time it is asked."""

    asked: list[int] = []  # noqa: RUF012 - the fault under test

    def scalars(self, step):
        self.asked.append(step)
        return (0.1 + len(self.asked), 0.0, False)


class Careless(SGD):
    """Takes any momentum; sums velocity where there is none."""

    def __init__(self, learning_rate=1.0, momentum=0.0, nesterov=False):
        object.__setattr__(self, "learning_rate", learning_rate)
        object.__setattr__(self, "momentum", momentum)
        object.__setattr__(self, "nesterov", nesterov)


class Strict(SGD):
    """Refuses what its record calls legal."""

    def __init__(self, learning_rate=1.0, **settings):
        super().__init__(learning_rate, **settings)
        if self.momentum == 0.0 and settings.get("momentum") is not None:
            raise InputError("momentum must be above 0")


class Unruly(SGD):
    """Another error."""

    def __init__(self, learning_rate=1.0, **settings):
        super().__init__(learning_rate if learning_rate is not None else {}["none"], **settings)


def keeps_unused(xp, parameter, gradient, velocity, learning_rate, momentum, nesterov):
    return parameter - learning_rate * gradient, gradient


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Forgetful, "one step on arrays: per_step must give the same scalars whenever it is asked for the same step"),
        (Careless, r"settings: learning_rate=None must be refused: it must be above 0"),
        (Strict, r"settings: momentum=0 is legal and must be accepted, but: InputError: momentum must be above 0"),
        (Unruly, r"settings: learning_rate=None must raise InputError, not KeyError: 'none'"),
        (
            type("Keeping", (SGD,), {"update": keeps_unused}),
            r"one step on arrays: update must return None for velocity, a slot that Keeping\(.*\) leaves unused",
        ),
    ],
)
def test_a_broken_class_is_refused(broken, message):
    with pytest.raises(RuleError, match=rf"^{broken.__name__} did not pass\.\n  {message}"):
        check_rule(broken)


class Rounded(SGD):
    """Another power for an array than for a number."""

    steps_as_arrays = True

    def per_step(self, step):
        return {"momentum": 0.97**step}


class Choosing(SGD):
    """Decides by a step, which an array cannot."""

    steps_as_arrays = True

    def per_step(self, step):
        return {"momentum": 0.5 if step < 3 else self.momentum}


def test_a_rule_that_wrongly_says_it_takes_many_steps_at_once_is_refused():
    ending = r"Use \+ − × ÷ and downslope\.exact's functions there, or leave steps_as_arrays False$"
    with pytest.raises(RuleError, match=r"many steps at once: per_step gives momentum other bits at step .*" + ending):
        check_rule(Rounded)
    failing = r"many steps at once: per_step fails on an array of steps: ValueError: The truth value .*" + ending
    with pytest.raises(RuleError, match=failing):
        check_rule(Choosing)
    honest = type("Mine", (Choosing,), {"steps_as_arrays": False})
    assert check_rule(honest).checks[2] == Check(
        "many steps at once", "per_step is called once a step; with steps_as_arrays = True beside it, once for many"
    )


def test_all_failures_are_listed():
    class Both(Careless):
        def per_step(self, step):
            raise ZeroDivisionError("the first step")

    with pytest.raises(RuleError, match=r"^Both did not pass\.\n  settings: .*\n  one step on arrays: ZeroDiv"):
        check_rule(Both)


@pytest.mark.parametrize("wrong", [SGD(), Optimizer, int, "sgd"])
def test_only_a_rule_class_can_be_checked(wrong):
    with pytest.raises(InputError, match=r"^rule_class must be a subclass of Optimizer.* Received: rule_class="):
        check_rule(wrong)


def test_without_sympy_the_formula_is_skipped(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    last = check_rule(SGD).checks[-1]
    assert (last.name, last.detail, last.skipped) == (CHECKS[-1], "because SymPy is not installed", True)


def test_whole_number_settings_and_narrow_rates():
    every = setting(2, at_least=1, below=4, meaning="steps between moves", unit="steps")
    narrow = setting(0.03, above=0.02, below=0.05, meaning="size of a step")
    found = rule(["return parameter - learning_rate * gradient"])
    assert check_rule(type("Mine", (found,), {"every": every}))
    with pytest.raises(RuleError, match=r"at any learning rate from 0\.0316228 to 0\.0316228"):
        check_rule(type("Mine", (found,), {"learning_rate": narrow}))


def test_a_report_is_a_table():
    report = Report("Mine", (Check("first", "as it should"), Check("the other", "because of this", skipped=True)))
    assert str(report) == (
        "Mine: every check passed\n"
        "  passed   first      as it should\n"
        "  skipped  the other  because of this"
    )  # fmt: skip
