"""Every check an update rule has to pass, for the package's own rules and for anybody's."""

from __future__ import annotations

import dis
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.checks import refuse
from downslope.engines import vocabulary
from downslope.engines.rule_descent import find_minima
from downslope.engines.scalars import array_scalars
from downslope.engines.update import FloatArray, apply_update, cast_scalars, new_slots
from downslope.errors import DownslopeError, InputError, MissingExtraError, RuleError
from downslope.rules import Optimizer, Setting
from downslope.rules.formula import compare_formula
from downslope.streams import Stream

__all__ = ["Check", "Report", "RuleError", "check_rule"]

TYPES = (np.dtype(np.float32), np.dtype(np.float64))
STEPS = 4
SIZE = 67  # a few whole vectors and a rest
DRAWS = 8
ALONE = "Use + − × ÷ and downslope.exact's functions there, or leave steps_as_arrays False"


@dataclass(frozen=True)
class Check:
    """One check that was made, or `skipped` with its reason in `detail`."""

    name: str
    detail: str
    skipped: bool = False


@dataclass(frozen=True)
class Report:
    """The checks a rule passed; printed, a table."""

    rule: str
    checks: tuple[Check, ...]

    def __str__(self) -> str:
        width = max(len(check.name) for check in self.checks)
        rows = (
            f"  {'skipped' if one.skipped else 'passed ':7}  {one.name:{width}}  {one.detail}" for one in self.checks
        )
        return "\n".join([f"{self.rule}: every check passed", *rows])


def check_rule(rule_class: type[Optimizer]) -> Report:
    """Check that an update rule keeps what every engine relies on.

    Checked are: the message for every wrong setting; that `update` works element by element, on any shape, keeps the
    type, writes into nothing and returns its declared slots; that `per_step` keeps its bits where it says that it takes
    many steps at once; that NumPy and the compiled loop give the same bits in
    float32 and float64; that it finds known minima at some learning rate; and that the documented formula is what
    the code computes. Settings are drawn from their legal intervals. Takes a few seconds.

    Parameters
    ----------
    rule_class : type
        A subclass of `Optimizer`: the class, not an instance.

    Returns
    -------
    Report
        What was checked; `print` it for a table.

    Raises
    ------
    RuleError
        With one sentence for each thing that is wrong.

    Examples
    --------
    >>> from downslope.engines.rule_check import check_rule
    >>> from downslope.rules import Optimizer, setting
    >>> class SignDescent(Optimizer):
    ...     learning_rate = setting(0.01, above=0, meaning="size of a step", scheduled=True)
    ...     def update(xp, parameter, gradient, learning_rate):
    ...         return parameter - learning_rate * xp.sign(gradient)
    >>> print(check_rule(SignDescent))  # doctest: +SKIP
    """
    if not (isinstance(rule_class, type) and issubclass(rule_class, Optimizer) and rule_class is not Optimizer):
        raise refuse("rule_class", "a subclass of Optimizer (the class, not an instance)", rule_class)
    checks: list[Check] = []
    failures: dict[str, Exception] = {}
    for name, check, needs_a_working_rule in (
        ("settings", _settings, False),
        ("one step on arrays", _arrays, False),
        ("many steps at once", _many_steps, True),
        ("compiled, same bits", _compiled, True),
        ("finds known minima", find_minima, True),
        ("documented formula", _formula, True),
    ):
        if failures and needs_a_working_rule:
            continue  # its failures would only repeat the first one
        try:
            result = check(rule_class)
        except DownslopeError as error:
            failures[f"{name}: {error}"] = error
        except Exception as error:  # the rule's own code may raise anything
            failures[f"{name}: {_told(error)}"] = error
        else:
            checks.append(result if isinstance(result, Check) else Check(name, result))
    if failures:
        listed = "".join(f"\n  {failure}" for failure in failures)
        raise RuleError(f"{rule_class.__name__} did not pass.{listed}") from next(iter(failures.values()))
    return Report(rule_class.__name__, tuple(checks))


def _settings(rule_class: type[Optimizer]) -> str:
    """Try that every wrong value gets its sentence and the ends of every interval are accepted."""
    tried = 0
    for name, record in rule_class.settings.items():
        for value in wrong_values(record):
            tried += 1
            try:
                rule_class(**{name: value})
            except InputError as error:
                if not (str(error).startswith(f"{name} must be ") and f"Received: {name}=" in str(error)):
                    raise RuleError(f"the message for {name}={value!r} must name the setting: {error}") from error
            except Exception as error:
                raise RuleError(f"{name}={value!r} must raise InputError, not {_told(error)}") from error
            else:
                raise RuleError(f"{name}={value!r} must be refused: it must be {record.legal}")
        for value in _extreme_values(record):
            try:
                rule_class(**{name: value})
            except Exception as error:
                raise RuleError(f"{name}={value!r} is legal and must be accepted, but: {_told(error)}") from error
    return f"{tried} wrong values refused, each with its sentence"


def _arrays(rule_class: type[Optimizer]) -> str:
    """Make one step by NumPy: elementwise, any shape, type kept, nothing written, slots as declared."""
    rules = _drawn(rule_class)
    for rule in rules:
        for dtype in TYPES:
            for step in range(1, STEPS + 1):
                if rule.scalars(step) != rule.scalars(step):
                    raise RuleError("per_step must give the same scalars whenever it is asked for the same step")
                whole = _one_step(rule, step, (6,), dtype)
                for shape in ((), (2, 3)):
                    count = math.prod(shape)
                    part = _one_step(rule, step, shape, dtype)
                    for name, value in part.items():
                        if not _same(value.reshape(-1), whole[name][:count]):
                            raise RuleError(
                                f"{name} is not computed element by element: the same element came out differently "
                                f"in an array of {count} and in one of 6"
                            )
    return f"elementwise on shapes (), (6,), (2, 3); type kept; nothing written; {len(rules)} draws of the settings"


def _one_step(rule: Optimizer, step: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, FloatArray]:
    """Return parameter and slots after one step from drawn values in `shape`, or raise RuleError."""
    used = rule.slots_in_use()
    drawn = {
        name: abs(_values(step + k, 6, dtype))[: math.prod(shape)].reshape(shape)
        for k, name in enumerate(("parameter", "gradient", *used))
    }
    for value in drawn.values():
        value.flags.writeable = False
    parameter, gradient = drawn["parameter"], drawn["gradient"]
    try:
        with np.errstate(all="ignore"):
            scalars = cast_scalars(rule, step, dtype)
            result = rule.update(vocabulary, parameter, gradient, *(drawn.get(name) for name in rule.slots), *scalars)
    except Exception as error:
        raise RuleError(_array_error(error)) from error
    values = result if isinstance(result, tuple) else (result,)
    names = ("parameter", *rule.slots)
    if len(values) != len(names):
        raise RuleError(
            f"update must return the new {', '.join(names)}: {_counted(len(names))}. Received: {_counted(len(values))}"
        )
    after = {}
    for name, value in zip(names, values, strict=True):
        if name != "parameter" and name not in used:
            if value is not None:
                raise RuleError(f"update must return None for {name}, a slot that {rule!r} leaves unused")
            continue
        array = np.asarray(value)
        if array.dtype != dtype:
            raise RuleError(
                f"the new {name} is {array.dtype} where the parameter is {dtype}: every number that comes in is of "
                "the parameter's type, so a number of another type is made inside update; compute it in per_step"
            )
        if array.shape != shape:
            raise RuleError(f"the new {name} has shape {array.shape} where the parameter has {shape}")
        after[name] = array
    return after


def _array_error(error: Exception) -> str:
    if isinstance(error, AttributeError) and error.obj is vocabulary:
        return f"update calls xp.{error.name}, which there is not: xp has {', '.join(vocabulary.__all__)}"
    if "read-only" in str(error):
        return "update writes into one of its arguments: compute a new value, m = beta * m + …, and return it"
    if "truth value of an array" in str(error):
        return "update decides by an array: use xp.where(condition, a, b), which decides for each element"
    return f"update fails on arrays: {_told(error)}"


def _many_steps(rule_class: type[Optimizer]) -> str:
    """Compare the scalars of an array of steps with those of each step alone, bit by bit."""
    if not rule_class.steps_as_arrays:
        return "per_step is called once a step; with steps_as_arrays = True beside it, once for many"
    rules = _drawn(rule_class)
    # From everywhere in a long run, so that every case of a formula that looks at the step is met.
    ages = np.array([*range(1, 40), *range(990, 1010), 9_999, 10_000, 10_001, 2**20 + 1])
    for rule in rules:
        # Scheduled settings come as arrays too: here of a value that stays the same.
        held = {name: getattr(rule, name) for name, record in rule_class.settings.items() if record.scheduled}
        many = rule.unchecked({name: np.full(len(ages), value) for name, value in held.items()})
        with np.errstate(all="ignore"):
            try:
                together = array_scalars(many, ages)
            except Exception as error:  # the rule's own code may raise anything
                raise RuleError(f"per_step fails on an array of steps: {_told(error)}. {ALONE}") from error
            alone = np.array([list(map(float, rule.named_scalars(age).values())) for age in ages.tolist()])
        for i, j in np.argwhere(_bits(together) != _bits(alone)).tolist():
            raise RuleError(
                f"per_step gives {rule_class.scalar_names[j]} other bits at step {ages[i]} in an array of steps than "
                f"alone: {float(together[i, j]).hex()} against {float(alone[i, j]).hex()}. {ALONE}"
            )
    return f"per_step gives the same bits for {len(ages)} steps at once; {len(rules)} draws of the settings"


def _compiled(rule_class: type[Optimizer]) -> str:
    """Compare NumPy and the compiled loop, bit by bit."""
    from downslope.engines.compiled import fused_update

    rules = _drawn(rule_class)
    for rule in rules:
        for dtype in TYPES:
            parameters = _values(0, SIZE, dtype)
            fused, slots = parameters.copy(), new_slots(rule, parameters)
            fused_slots = new_slots(rule, parameters)
            for step in range(1, STEPS + 1):
                gradient = _values(step, SIZE, dtype)
                parameters, slots = apply_update(rule, step, parameters, gradient, slots)
                fused_update(rule, step, fused, gradient, fused_slots)
                pairs = {name: (slots[name], fused_slots[name]) for name in slots} | {"parameter": (parameters, fused)}
                for name, (numpy, loop) in pairs.items():
                    if not _same(numpy, loop):
                        i = int(np.flatnonzero(_bits(numpy) != _bits(loop))[0])
                        raise RuleError(
                            f"in {dtype} the compiled loop gives other bits than NumPy ({name} at step {step}: "
                            f"{float(loop[i]).hex()} against {float(numpy[i]).hex()}). {_why_other_bits(rule_class)}"
                        )
    return f"NumPy and the loop agree bit for bit in float32 and float64; {len(rules)} draws of the settings"


def _why_other_bits(rule_class: type[Optimizer]) -> str:
    """Name the number in the body that turns float32 into float64, if there is one."""
    known = rule_class.update.__globals__
    for one in dis.get_instructions(rule_class.update):
        value = known.get(one.argval) if one.opname.startswith("LOAD_GLOBAL") else one.argval
        if one.opname.startswith(("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_GLOBAL")) and type(value) in (int, float):
            return (
                f"The number {one.argval} in update makes a single float32 a float64: compute what needs it in "
                "per_step, return it there by name and take it as an argument of update"
            )
    return "Use + − × ÷ and xp's functions only: they are correctly rounded everywhere"


def _formula(rule_class: type[Optimizer]) -> str | Check:
    """Hold the documented formula against the code."""
    if not rule_class.documented("Formula"):
        return Check("documented formula", "because the docstring has no Formula section", skipped=True)
    rules = _drawn(rule_class)[: DRAWS // 2]
    try:
        for rule in rules:
            for step in (1, 2, 6):
                difference = compare_formula(rule, step)
                if difference:
                    raise RuleError(difference)
    except MissingExtraError:
        return Check("documented formula", "because SymPy is not installed", skipped=True)
    return f"equal to the code at steps 1, 2 and 6; {len(rules)} draws of the settings"


def wrong_values(record: Setting) -> Iterator[Any]:
    """Yield values a setting must refuse: just outside each end, not finite, of another type."""
    yield from (None, "0.5", 1j)
    if record.kind is bool:
        yield from (1, 0.0)
        return
    yield from (True, math.nan, math.inf, -math.inf)
    if not record.scheduled:
        yield math.sqrt
    ends = record.interval
    if record.kind is int:
        yield 0.5
        yield (ends.at_least or 0) - 1
        if ends.at_most is not None:
            yield ends.at_most + 1
        return
    yield from (end for end in (ends.above, ends.below) if end is not None)
    if ends.at_least is not None:
        yield math.nextafter(ends.at_least, -math.inf)
    if ends.at_most is not None:
        yield math.nextafter(ends.at_most, math.inf)


def _extreme_values(record: Setting) -> Iterator[Any]:
    """Yield the outermost values a setting must accept."""
    ends = record.interval
    if record.kind is bool:
        yield from (True, False)
        return
    yield from (end for end in (ends.at_least, ends.at_most) if end is not None)
    if ends.above is not None:
        yield math.nextafter(ends.above, math.inf)
    if ends.below is not None:
        yield math.nextafter(ends.below, -math.inf)


def _drawn(rule_class: type[Optimizer]) -> list[Optimizer]:
    """Return the rule with its own settings, then with settings drawn from their intervals, no two alike."""
    rules = [rule_class()]
    for i in range(DRAWS):
        draws = Stream(i, "settings").uniform((len(rule_class.settings), 2))
        rules.append(rule_class(**{
            record.name: _draw(record, *pair) for record, pair in zip(rule_class.settings.values(), draws, strict=True)
        }))  # fmt: skip
    return list(dict.fromkeys(rules))


def _draw(record: Setting, kind: float, where: float) -> Any:
    """Return one legal value: the closed lower end (it may switch a slot off) one time in three, else inside."""
    ends = record.interval
    if record.kind is bool:
        return where < 0.5
    if ends.at_least is not None and kind < 1 / 3:
        return record.kind(ends.at_least)
    low = ends.above if ends.at_least is None else ends.at_least
    high = ends.below if ends.at_most is None else ends.at_most
    if record.kind is int:
        return int(low or 0) + int(where * (min(20, math.inf if high is None else high - (low or 0)) + 1))
    if low is not None and high is not None:
        value = low + (high - low) * where
    else:
        size = 10 ** (9 * where - 8)
        value = low + size if low is not None else (high or 0.0) - size
    value = float(f"{value:.3g}")
    return value if value in ends else record.default


def _values(index: int, count: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return numbers of both signs and many sizes, 1e-8 to 10; in long arrays also zeros, huge, tiny, not finite."""
    uniform = Stream(index, "gradients").uniform((2, count))
    values = 10.0 ** (9 * uniform[0] - 8) * np.where(uniform[1] < 0.5, -1.0, 1.0)
    special = [0.0, -0.0, 1e30, -1e30, 1e-41, math.inf, -math.inf, math.nan]
    if count > len(special) * 2:
        values[np.roll(np.arange(count), index)[: len(special)]] = special
    drawn: FloatArray = values.astype(dtype)
    return drawn


def _bits(array: FloatArray) -> Any:
    """Return the bits of every number; all NaN count as one."""
    one_nan = np.where(np.isnan(array), array.dtype.type(math.nan), array)
    bits: Any = one_nan.view(np.uint32 if array.dtype == np.float32 else np.uint64)
    return bits


def _same(a: FloatArray, b: FloatArray) -> bool:
    return bool(np.array_equal(_bits(a), _bits(b)))


def _counted(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
