from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import downslope
from downslope import rules
from downslope.errors import InputError
from downslope.rules import RULES, Optimizer, rule

PACKAGE = Path(downslope.__file__).parent
FILES = [file for file in (PACKAGE / "rules").glob("*.py") if file.stem not in {*rules.SHARED_FILES, "__init__"}]

NEW_RULE = '''
from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import setting

class SignDescent(Optimizer):
    """Every parameter moves by the same amount."""

    learning_rate = setting(0.01, above=0, meaning="size of a step", scheduled=True)

    def update(xp, parameter, gradient, learning_rate):
        return parameter - learning_rate * xp.sign(gradient)
'''


def python(code, *path):
    # The copy goes before the installed package.
    code = f"import sys; sys.path[:0] = {[str(one) for one in path]!r}; " + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_rules_by_name():
    assert list(RULES) == sorted(RULES)
    assert set(RULES) == {
        "adadelta", "adagrad", "adam", "adamax", "adamw", "ademamix", "amsgrad", "lion", "nadam", "radam", "rmsprop",
        "sgd",
    }  # fmt: skip
    for name, found in RULES.items():
        assert rule(name) is found
        assert found.name() == name
        assert getattr(rules, found.__name__) is found
        assert found.__name__ in rules.__all__
        assert isinstance(found(), Optimizer)


def test_an_unknown_rule_is_told_with_the_nearest():
    with pytest.raises(InputError, match=r"^optimizer must be one of adadelta, .*'adm'\. Did you mean 'adam'\?$"):
        rule("adm")
    with pytest.raises(AttributeError, match="SignDescent"):
        _ = rules.SignDescent


def test_a_new_file_is_a_new_rule(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "downslope", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "downslope/rules/sign_descent.py").write_text(NEW_RULE, encoding="utf-8")
    code = (
        "import downslope.rules as r; print(r.__file__); print(r.rule('signdescent')(0.5));"
        "print(r.SignDescent.name()); print(len(r.RULES), 'SignDescent' in r.__all__)"
    )
    printed = python(code, tmp_path)
    assert Path(printed[0]).is_relative_to(tmp_path)
    assert printed[1:] == ["SignDescent(learning_rate=0.5)", "signdescent", str(len(RULES) + 1), "True"]


def test_the_rules_load_neither_numpy_nor_numba_nor_sympy():
    loaded = "print(*sorted({'numpy', 'numba', 'sympy'} & set(sys.modules)))"
    assert python(f"import downslope.rules, downslope.rules.formula; {loaded}") == []


@pytest.mark.parametrize("found", RULES.values(), ids=RULES)
def test_every_rule_is_documented(found):
    assert found.__doc__.splitlines()[0].endswith(".")
    for section in ("Formula", "State", "References"):
        assert found.documented(section), section
    for slot in found.slots:
        assert re.search(rf"\b{slot}\b", found.documented("State")), slot
    for name in found.settings:
        assert name in found.documented("Formula") + found.documented("Where"), name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_rule_is_one_short_file(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 120
    assert file.stem in RULES
