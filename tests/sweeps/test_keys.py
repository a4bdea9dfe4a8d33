import subprocess
import sys

import pytest

import downslope as ds
from downslope.schedules import Schedule
from downslope.schedules.base import number
from downslope.sweeps.keys import UNTOLD, code_of, functions_of, settings_of

SOURCE = """
import downslope as ds
FACTOR = 1.0
def helper(x):
    return 2 * x
class Mine(ds.Optimizer):
    '''Documentation.'''
    learning_rate = ds.setting(0.1, above=0, meaning="size", scheduled=True)
    def per_step(self, step):
        return {"half": helper(0.25) * FACTOR}
    def update(xp, parameter, gradient, learning_rate, half):
        return parameter - learning_rate * gradient * half
"""


def made(source, **settings):
    room = {"__name__": "script"}
    exec(compile(source, "script.py", "exec"), room)
    return room["Mine"](**settings)


def test_the_packages_own_rules_are_named_by_their_settings():
    schedule = ds.InverseTime(1.0, decay=0.001)
    assert code_of(ds.SGD(schedule)) is None
    assert functions_of(ds.SGD(schedule)) == {}
    assert settings_of(ds.SGD(schedule), {}) == {
        "learning_rate": "InverseTime(1.0, decay=0.001)",
        "momentum": "0.0",
        "nesterov": "False",
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("- learning_rate", "+ learning_rate"),  # the formula
        ("helper(0.25)", "helper(0.5)"),  # a constant in per_step
        ("2 * x", "3 * x"),  # what it calls
        ("FACTOR = 1.0", "FACTOR = 1.5"),  # what it reads
    ],
)
def test_a_users_rule_is_named_by_its_code_too(old, new):
    assert old in SOURCE
    same = code_of(made(SOURCE))
    assert same == code_of(made("# a remark\n" + SOURCE)) == code_of(made(SOURCE, learning_rate=0.5))
    assert code_of(made(SOURCE.replace(old, new))) != same


def test_a_subclass_of_a_rule_counts():
    class Half(ds.Adam):
        """Adam."""

        def per_step(self, step):
            return super().per_step(step)

    assert code_of(Half()) is not None


def text(rate):
    optimizer = ds.SGD(rate)
    return settings_of(optimizer, functions_of(optimizer))["learning_rate"]


def test_functions_as_schedules_are_named_by_code_and_what_they_close_over():
    def falling(by):
        return lambda k: 1.0 / (1.0 + by * k)

    assert text(falling(0.1)) == text(falling(0.1)) != text(falling(0.2))
    assert text(lambda k, by=0.1: 1.0 / (1.0 + by * k)) != text(lambda k, by=0.2: 1.0 / (1.0 + by * k))
    assert " at 0x" not in text(falling(0.1))


def test_a_schedule_of_ones_own_is_named_by_its_code_also_inside_another():
    def schedule(formula):
        room = {"__name__": "script", "Schedule": Schedule, "number": number}
        exec(
            "class Mine(Schedule):\n    formula = ''\n    base: float = number(above=0)\n"
            f"    def _rate(self, k):\n        return {formula}\n",
            room,
        )
        return room["Mine"](0.5)

    one, same, other = schedule("self.base"), schedule("self.base"), schedule("self.base / 2")
    assert text(one) == text(same) != text(other)
    assert repr(one) == repr(other)
    assert text(one.for_steps(5).then(ds.Constant(1.0))) != text(other.for_steps(5).then(ds.Constant(1.0)))


def test_what_cannot_be_told_apart_is_equal_only_to_itself():
    class Table:
        def __init__(self, rates):
            self.rates = rates

        def __call__(self, k):
            return self.rates[min(k, 1)]

    table = Table([1.0, 0.5])
    assert text(table) == text(table)
    assert UNTOLD in text(table)
    assert text(table) != text(Table([1.0, 0.5]))
    rule = made("TABLE = {1: 2.0}\n" + SOURCE.replace("helper(0.25)", "TABLE[1]"))
    assert code_of(rule).startswith(UNTOLD)
    assert code_of(rule) == code_of(type(rule)(0.5))


def test_another_process_finds_the_same_code():
    script = (
        "import sys; source = sys.stdin.read(); room = {'__name__': 'script'}; exec(source, room);"
        "from downslope.sweeps.keys import code_of; print(code_of(room['Mine']()))"
    )
    shown = [
        subprocess.run(
            [sys.executable, "-c", script],
            input=SOURCE,
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    assert shown == [code_of(made(SOURCE))] * 2
