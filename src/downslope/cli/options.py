"""Options made from records: every rule's settings, in sections, with help from the rules themselves."""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from downslope import checks, schedules
from downslope.cli.output import shown
from downslope.errors import InputError
from downslope.rules import RULES, Optimizer, Setting, rule
from downslope.schedules import Schedule

__all__ = [
    "Number",
    "SectionedCommand",
    "optimizer_from",
    "option",
    "rate_schedule",
    "rule_from",
    "rule_options",
    "settings_from",
    "settings_of",
    "whole",
]


class Number(click.ParamType[Any]):
    """A number as it was typed; what is none stays text, for the check that knows the legal values to refuse."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an int (also of 1e3), a float, or the text itself."""
        for kind in (int, float):
            try:
                number = kind(value)
            except ValueError:
                continue
            if "." in str(value) or not abs(number) < 2**63 or number != int(number):
                return number
            return number if kind is int else int(Decimal(value))  # exact, also where a float is not
        return value


MOST = 2**63 - 1


def whole(name: str, value: Any, *, at_least: int = 0) -> int:
    """Return a number that was typed if it is whole; of 1e20, which is, the error says how large one may be."""
    too_large = isinstance(value, (int, float)) and value > MOST
    return checks.whole(name, value, at_least=at_least, at_most=MOST if too_large else None)


class SectionedCommand(click.Command):
    """A command whose help groups its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section of options after another."""
        sections: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections[getattr(parameter, "section", "Output")].append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class _SectionOption(click.Option):
    def __init__(self, *names: Any, section: str, **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        self.section = section


def option(section: str, *names: str, **attributes: Any) -> Callable[[Any], Any]:
    """Return a decorator like click.option that also says under which heading the option stands."""
    return click.option(*names, cls=_SectionOption, section=section, **attributes)


def rule_options(function: Any) -> Any:
    """Give a command one option for every setting of any rule of the package."""
    holders: dict[str, dict[str, Setting]] = defaultdict(dict)
    for name, found in sorted(RULES.items(), key=lambda entry: entry[0] != "sgd"):  # the best known settings first
        for record in found.settings.values():
            holders[record.name][name] = record
    for setting_name, records in reversed(holders.items()):
        first = next(iter(records.values()))
        name = first.option + (f"/--no-{first.option[2:]}" if first.kind is bool else "")
        attributes: dict[str, Any] = {"default": None, "help": _help(records)}
        if first.kind is not bool:
            attributes |= {"type": Number(), "metavar": "X"}
        function = option("Optimizer", name, f"setting_{setting_name}", **attributes)(function)
    return function


def _help(records: Mapping[str, Setting]) -> str:
    """Return the meanings, legal values and defaults of a setting that several rules share."""
    meanings = _groups((record.meaning, name) for name, record in records.items())
    legal = _groups((record.legal, name) for name, record in records.items() if record.kind is not bool)
    defaults = _groups((shown(record.default), name) for name, record in records.items())
    told = [text for groups in (meanings, legal) for text in (_named(groups) if len(groups) > 1 else groups)]
    sentence = "; ".join(told)
    return f"{sentence[0].upper()}{sentence[1:]}. Default: {'; '.join(_named(defaults))}."


def _named(groups: Mapping[str, list[str]]) -> list[str]:
    """Return each text with the rules that share it."""
    return [f"{text} ({', '.join(names)})" for text, names in groups.items()]


def _groups(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for text, name in pairs:
        groups[text].append(name)
    return groups


def settings_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the options of `rule_options` gave, by the settings' names; None where nothing was given."""
    return {name.removeprefix("setting_"): value for name, value in options.items() if name.startswith("setting_")}


def optimizer_from(
    name: str,
    settings: Mapping[str, Any],
    extra: tuple[str, ...] = (),
    *,
    decay: Any = None,
    schedule: str | None = None,
) -> Optimizer:
    """Return the optimizer that the command's options describe.

    Parameters
    ----------
    name : str
        A rule's name, or `script.py:Class` for a rule of one's own.
    settings : mapping
        What was given for each setting, None where nothing was.
    extra : tuple of str
        `name=value` texts, for settings only a user's own rule has.
    decay, schedule
        At most one of them: how the learning rate changes.
    """
    chosen = rule_from(name)
    defaults = {key: record.default for key, record in chosen.settings.items()}
    given = settings_from(extra, {key: value for key, value in settings.items() if value is not None}, defaults)
    if decay is not None or schedule is not None:
        record, rate = chosen.settings["learning_rate"], given.get("learning_rate")
        checked = None if rate is None else record.check(rate)
        given["learning_rate"] = rate_schedule(checked, record.default, decay=decay, text=schedule)
    return chosen(**given)


def settings_from(
    texts: Iterable[str], given: Mapping[str, Any] | None = None, present: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the settings that `--set name=value` texts give, joined to those given by options of their own.

    Parameters
    ----------
    texts : iterable of str
        A value is a number, `true` or `false`, or a schedule as `downslope.schedules.parse` reads it.
    given : mapping, optional
        Settings that other options gave: each may be given once.
    present : mapping, optional
        What a schedule that names no `base` starts from, by setting; 1 where it is not known.

    Raises
    ------
    InputError
        If a text is not name=value, a setting is given twice, or a schedule cannot be read.

    Examples
    --------
    >>> settings_from(["momentum=0.5", "learning-rate=cosine:steps=90"], present={"learning_rate": 0.1})
    {'momentum': 0.5, 'learning_rate': Cosine(0.1, steps=90)}
    """
    found = dict(given or {})
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals and value):
            raise InputError(f"--set must be given as name=value. Received: --set {shlex.quote(text)}")
        key = key.replace("-", "_")
        if key in found:
            raise InputError(f"{key} must be given once. Received: {key}={found[key]!r} and --set {text}")
        found[key] = _value(value, (present or {}).get(key, 1.0))
    return found


def _value(text: str, base: Any) -> Any:
    """Return the number, truth value or schedule that a text stands for; else the text, which its check refuses."""
    words = {"true": True, "false": False}
    value = words.get(text.lower(), Number().convert(text, None, None))
    if isinstance(value, str) and (":" in value or value.split()[0] in schedules.names()):
        return schedules.parse(value, base)
    return value


def rate_schedule(given: Any, otherwise: float, *, decay: Any = None, text: str | None = None) -> Schedule:
    """Return the learning rate's schedule that `--decay` or `--schedule` asks for.

    Parameters
    ----------
    given : float or None
        The rate that was asked for beside it.
    otherwise : float
        The rate to start from where none was.
    decay, text
        One of the two.

    Raises
    ------
    InputError
        If both are given, or a rate besides a schedule that has rates of its own.
    """
    if decay is not None and text is not None:
        told = "the learning rate must change in one way only: give --decay or --schedule, not both"
        raise InputError(f"{told}. Received: --decay {decay} --schedule {shlex.quote(text)}")
    rate = otherwise if given is None else given
    if callable(rate):
        told = "the learning rate must change in one way only: give a schedule once"
        beside = f"--decay {decay}" if text is None else f"--schedule {text}"
        raise InputError(f"{told}. Received: {rate!r} and {beside}")
    if text is None:
        return schedules.InverseTime(rate, decay=decay)
    found = schedules.parse(text, rate)
    if given is not None and found == schedules.parse(text, 2 * rate):
        raise InputError(f"--schedule {text} has rates of its own: leave --learning-rate out. Received: {given!r}")
    return found


def rule_from(name: str, option: str = "optimizer") -> type[Optimizer]:
    """Return the rule of that name, or the one of a user's own that `script.py:Class` names, as `option` gave it."""
    if name.lower().endswith(".py"):
        raise InputError(f"a rule in a script must be named as script.py:Class. Received: {name}")
    return _own_rule(name, option) if ":" in name else rule(name)


def _own_rule(text: str, option: str) -> type[Optimizer]:
    """Return the class a user named as `script.py:Class`; the script is run, as a module beside its neighbours."""
    import runpy

    file, _, name = text.rpartition(":")
    if not Path(file).is_file():
        rule = "script.py:Class" if option == "--rule" else "a rule's name or script.py:Class"
        raise InputError(f"{option} must be {rule}. Received: {text}, and there is no file {file!r}")
    sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        found = runpy.run_path(file).get(name)
    except (Exception, SystemExit) as error:  # the script may do anything
        raise InputError(f"{file} could not be run: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    if not (isinstance(found, type) and issubclass(found, Optimizer)):
        raise InputError(f"{file} must define a subclass of Optimizer called {name}. Received: {found!r}")
    return found
