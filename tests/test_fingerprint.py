from __future__ import annotations

import builtins
import doctest
import os
import subprocess
import sys
from functools import partial
from types import ModuleType

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope import exact, fingerprint
from downslope.fingerprint import code_fingerprint
from downslope.rules import RULES

MODULE = '''
import math, functools, operator
import numpy as np
HALF = 0.5
PAIR = (1, 0.25, ("a", True))
def helper(x, power=2):
    """Help."""
    return x * HALF
class Base:
    def again(self):
        return self
class Scale(Base):
    """A class."""
    factor = 3.0
    def __init__(self, x):
        self.x = x
    @property
    def twice(self):
        return self.x + self.x
def update(xp, parameter, gradient, learning_rate):
    """Return the parameter."""
    step = learning_rate * helper(gradient)
    inner = lambda y: y * math.pi if y in {1, 2} else y
    for i in range(3):
        step = inner(step) + PAIR[1]
    return parameter - xp.sqrt(step)
'''


def made(text=MODULE, old="", new="", name="made", file="made.py"):
    """The module's `update`, with one piece of its text replaced."""
    assert old in text
    module = ModuleType(name)
    exec(compile(text.replace(old, new), file, "exec"), vars(module))
    module.update.__module__ = name
    return module.update


def of(body, before="", arguments="x"):
    text = f"{before}\ndef update({arguments}):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return code_fingerprint(made("import math\nimport numpy as np\n" + text))


EDITS = [
    ("HALF = 0.5", "HALF = 0.25"),
    ("HALF = 0.5", "HALF = 1 / 2 + 1e-16"),
    ("HALF = 0.5", "HALF = np.float32(0.5)"),
    ("0.25, (", "0.26, ("),
    ('"a", True', '"a", 1'),
    ('"a", True', '"b", True'),
    ("x * HALF", "HALF * x"),
    ("power=2", "power=3"),
    ("x, power=2", "x, *, power=2"),
    ("math.pi", "math.e"),
    ("{1, 2}", "{1, 3}"),
    ("range(3)", "range(4)"),
    ("parameter - xp.sqrt(step)", "parameter + xp.sqrt(step)"),
    ("xp.sqrt(step)", "xp.absolute(step)"),
    ("xp.sqrt(step)", "xp.sqrt(gradient)"),
    ("y * math.pi if", "y / math.pi if"),
    ("learning_rate):", "learning_rate=1.0):"),
]


@pytest.mark.parametrize(("old", "new"), EDITS)
def test_an_edit_changes_it(old, new):
    before, after = code_fingerprint(made()), code_fingerprint(made(MODULE, old, new))
    assert None not in (before, after)
    assert before != after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import math", "\n\nimport math"),
        ('"""Return the parameter."""', '"""Return another parameter, and say more."""'),
        ('    """Return the parameter."""\n', ""),
        ('"""Help."""', "'More help.'"),
        ("    for i", "    # a comment\n\n    for i"),
        ("HALF = 0.5", "HALF = 1 / 2"),
        ("HALF = 0.5", "HALF = 0.5\nUNUSED = []\nOTHER = 7"),
        ("parameter, gradient, learning_rate):", "parameter, gradient: float, learning_rate) -> None:"),
    ],
)
def test_what_the_code_does_not_do_changes_nothing(old, new):
    assert code_fingerprint(made()) == code_fingerprint(made(MODULE, old, new, name="another", file="/tmp/else.py"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("if x:\n    if y:\n        z = 1\n    else:\n        z = 2",
         "if x:\n    if y:\n        z = 1\nelse:\n    z = 2"),
        ("try:\n    z = abs(x)\n    z = abs(y)\nexcept ValueError:\n    z = 0",
         "z = abs(x)\ntry:\n    z = abs(y)\nexcept ValueError:\n    z = 0"),
    ],
)  # fmt: skip
def test_the_same_instructions_in_another_order_of_events(one, other):
    found = [of(f"z = 0\n{body}\nz = z + 1\nreturn z", arguments="x, y") for body in (one, other)]
    assert None not in found
    assert found[0] != found[1]


def test_which_argument_has_the_default():
    found = [of("return x", arguments=arguments) for arguments in ("x, *, y=1, z", "x, *, y, z=1", "x, *, y=1, z=1")]
    assert len(set(found)) == 3


def test_a_global_that_is_changed_in_place_is_seen():
    update = made()
    before = code_fingerprint(update)
    update.__globals__["HALF"] = 0.75
    changed = code_fingerprint(update)
    update.__globals__["HALF"] = 0.5
    assert changed != before == code_fingerprint(update)
    update.__globals__["helper"] = lambda x: x * update.__globals__["HALF"]
    assert code_fingerprint(update) != before


def test_closures_are_read_and_told_apart():
    def scaled(factor, helper):
        def update(xp, parameter):
            return [helper(one * factor) for one in parameter]

        return update

    one = scaled(2.0, abs)
    assert code_fingerprint(one) == code_fingerprint(scaled(2.0, abs)) is not None
    assert len({code_fingerprint(scaled(factor, helper)) for factor in (2.0, 3.0, 2) for helper in (abs, min)}) == 6
    assert code_fingerprint(scaled([2.0], abs)) is None


def test_what_can_change_is_read_anew_each_time():
    text = """
HALF = 0.5
def around(factor):
    def update(x, start=0.0):
        return start + sum(factor * one + HALF for one in x)
    return update
update = around(2.0)
"""
    update, code = made(text), made(text, "start +", "start -").__code__
    names, cell = update.__globals__, update.__closure__[0]
    before, found = code_fingerprint(update), []
    for thing, name, value in [
        (names, "HALF", 0.25),
        (names, "sum", max),
        (names, "sum", code_fingerprint),
        (cell, "cell_contents", 3.0),
        (update, "__defaults__", (1.0,)),
        (update, "__code__", code),
    ]:
        given = vars(builtins)[name] if name == "sum" else names[name] if thing is names else getattr(thing, name)
        change = thing.__setitem__ if thing is names else partial(setattr, thing)
        change(name, value)
        found.append(code_fingerprint(update))
        change(name, given)
        assert code_fingerprint(update) == before
    assert len({before, *found} - {None}) == 6
    assert found[2] is None


def test_code_that_is_forgotten_is_read_again(monkeypatch):
    texts = [MODULE, MODULE.replace("0.5", "0.75"), MODULE.replace("+", "-")]
    before = [code_fingerprint(made(text)) for text in texts]
    monkeypatch.setattr(fingerprint, "MOST_TEXTS", 2)
    assert [code_fingerprint(made(text)) for text in texts] == before
    assert len(fingerprint._TEXTS) <= 2


def test_functions_that_call_each_other():
    text = """
def even(x):
    return True if x == 0 else odd(x - 1)
def odd(x):
    return False if x == 0 else even(x - 1)
def update(x):
    return even(x) + update(x - 1)
"""
    assert code_fingerprint(made(text)) == code_fingerprint(made(text)) is not None
    assert code_fingerprint(made(text)) != code_fingerprint(made(text, "False if", "True if"))
    assert code_fingerprint(made(text)) != code_fingerprint(made(text, "else even", "else odd"))


def test_classes_and_caches_are_read_to_the_end():
    text = MODULE + "@functools.lru_cache(maxsize=3)\ndef update(x):\n    return Scale(x).twice + Scale.factor\n"
    before = code_fingerprint(made(text))
    assert before is not None
    assert before == code_fingerprint(made(text, '"""A class."""', '"""Another word."""'))
    edits = {
        "factor = 3.0": "factor = 3",
        "self.x + self.x": "self.x * self.x",
        "self.x = x": "self.x = -x",
        "return self\n": "return 1\n",
        "@functools": "\n#",
    }
    for old, new in edits.items():
        assert code_fingerprint(made(text, old, new)) not in (before, None)
    assert code_fingerprint(made(text, "factor = 3.0", "factor = []")) is None


def test_functions_that_numba_compiles():
    def plain(x):
        return x + HALF

    assert len({code_fingerprint(plain), code_fingerprint(numba.njit(plain))}) == 2
    assert code_fingerprint(numba.njit(plain)) == code_fingerprint(numba.njit(plain)) is not None
    assert code_fingerprint(numba.njit(plain)) != code_fingerprint(numba.njit(error_model="numpy")(plain))
    assert code_fingerprint(numba.njit(lambda x: x)) != code_fingerprint(numba.njit(lambda x: -x))
    compiled = numba.njit(plain)
    before = code_fingerprint(compiled)
    compiled(1.0)
    assert code_fingerprint(compiled) == before

    def calling(x):
        return compiled(x)

    assert code_fingerprint(calling) is not None


HALF = 0.5

OPAQUE = {
    "a list": ("return TABLE[0]", "TABLE = [1]"),
    "a dictionary": ("return TABLE['a']", "TABLE = {'a': 1}"),
    "an array": ("return TABLE[0]", "TABLE = np.ones(3)"),
    "an object": ("return TABLE.x", "import types\nTABLE = types.SimpleNamespace(x=1)"),
    "a bound method": ("return TABLE(x)", "TABLE = [].append"),
    "a list inside a tuple": ("return TABLE[0][0]", "TABLE = ([1],)"),
    "a default that may change": ("return y", "", "x, y=[]"),
    "an unknown name": ("return unknown(x)",),
    "a module handed on": ("return vars_of(math)", "vars_of = str"),
    "a module chosen": ("return (math if x else np).sqrt(x)",),
    "a missing attribute": ("return math.unknown(x)",),
    "an import": ("import random\nreturn random.random()",),
    "an import of a part": ("from math import pi\nreturn pi",),
    "an import in two ways": ("import math as m\nif x:\n    m = x\nreturn m.sqrt(x)",),
    "a global that is written": ("global COUNT\nCOUNT += 1\nreturn COUNT", "COUNT = 0"),
    "a class inside": ("class A:\n    pass\nreturn A",),
    "eval": ("return eval('x')",),
    "globals": ("return globals()['x']",),
    "getattr": ("return getattr(x, 'y')",),
    "a function's attribute": ("return helper.count", "def helper():\n    pass"),
    "a function with attributes": ("return helper()", "def helper():\n    return 1\nhelper.count = 1"),
    "somebody's ufunc": ("return f(x)", "f = np.frompyfunc(lambda x: x, 1, 1)"),
    "an instance": ("return f(x)", "class F:\n    def __call__(self, x):\n        return x\nf = F()"),
    "NumPy's hidden state": ("return f(x)", "f = np.random.default_rng(0).normal"),
}


@pytest.mark.parametrize("case", OPAQUE.values(), ids=OPAQUE)
def test_what_cannot_be_told_has_no_fingerprint(case):
    assert of(*case) is None


def test_not_a_function():
    assert code_fingerprint([]) is None
    assert code_fingerprint(object()) is None
    assert code_fingerprint(staticmethod(made())) == code_fingerprint(staticmethod(made())) is not None


def test_what_is_compiled_into_libraries_is_told_by_name_and_version(monkeypatch):
    bodies = [
        "return math.sqrt(x)", "return math.sin(x)", "return np.sqrt(x)", "return np.where(x, x, x)",
        "import numpy as np\nreturn np.where(x, x, x)", "return np.multiply.accumulate(x)", "return np.float32(x)",
        "return x * np.pi", "return np.linalg.norm(x)", "return abs(x)", "return float(x)",
    ]  # fmt: skip
    found = [of(body) for body in bodies]
    assert None not in found
    assert len(set(found)) == len(bodies)
    assert of("return sqrt(x)", "from math import sqrt") not in (None, of("return sqrt(x)", "from numpy import sqrt"))
    monkeypatch.setattr(np, "__version__", "9.9")
    assert [before == of(body) for before, body in zip(found, bodies, strict=True)] == [
        "np." not in body or "np.pi" in body for body in bodies
    ]


SHORT = [st.text(max_size=5), st.binary(max_size=5), st.integers(-(2**70), 2**70)]
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.complex_numbers(), *SHORT),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_values_are_told_apart_as_they_are_written(a, b):
    def reading(value):
        def update():
            return value

        return update

    assert (code_fingerprint(reading(a)) == code_fingerprint(reading(b))) == (canonical(a) == canonical(b))


def canonical(value):
    """The value as text, bit by bit; sets in an order."""
    if isinstance(value, tuple):
        return f"({', '.join(map(canonical, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(canonical, value)))}}}"
    if isinstance(value, (float, complex)):
        return f"{type(value).__name__} {np.array(value).tobytes().hex()}"
    return repr(value)


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from made_here import update, Scale
from downslope.fingerprint import code_fingerprint
from downslope.rules import RULES
print(code_fingerprint(update))
print(code_fingerprint(lambda x: Scale(x) in {"a", "b", "c", 1.5, None, (2, "d")}))
for rule in RULES.values():
    print(code_fingerprint(rule.update), code_fingerprint(rule.per_step))
"""


def test_two_processes_in_two_places_agree(tmp_path):
    printed = []
    for number in range(3):
        place = tmp_path / f"place{number}"
        place.mkdir()
        (place / "made_here.py").write_text("\n" * number + MODULE, encoding="utf-8")
        environment = {**os.environ, "PYTHONHASHSEED": str(number)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(place)], capture_output=True, text=True, check=True, env=environment
        )
        printed.append(done.stdout.split())
    assert printed[0] == printed[1] == printed[2]
    assert "None" not in printed[0]
    assert printed[0][0] == code_fingerprint(made())
    assert printed[0][2:] == [
        code_fingerprint(part) for rule in RULES.values() for part in (rule.update, rule.per_step)
    ]


def test_every_rule_of_the_package_has_its_own():
    found = [code_fingerprint(rule.update) for rule in RULES.values()]
    assert None not in found
    assert len(set(found)) == len(found)
    assert None not in [code_fingerprint(getattr(exact, name)) for name in exact.__all__]


def test_the_standard_library_is_enough():
    code = (
        "import sys; from downslope.fingerprint import code_fingerprint; HALF = 0.5\n"
        "print(len(code_fingerprint(lambda x: x * HALF)), sorted({'numpy', 'numba'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "40 []\n"


def test_the_example_in_the_docstring():
    assert doctest.testmod(fingerprint)[0] == 0
