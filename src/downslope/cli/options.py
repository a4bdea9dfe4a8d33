"""Options made from records: every rule's settings, in sections, with help from the rules themselves."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from downslope import schedules
from downslope.cli.output import shown
from downslope.errors import InputError
from downslope.rules import RULES, Optimizer, Setting, rule
from downslope.schedules import Schedule

__all__ = ["Number", "SectionedCommand", "optimizer_from", "option", "rule_from", "rule_options"]


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
            return int(number) if "." not in str(value) and abs(number) < 2**53 and number == int(number) else number
        return value


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
    given = {key: value for key, value in settings.items() if value is not None}
    for text in extra:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set must be given as name=value. Received: --set {text}")
        key = key.strip().replace("-", "_")
        if key in given:
            raise InputError(f"{key} must be given once. Received: {key}={given[key]!r} and --set {text}")
        words = {"true": True, "false": False}
        given[key] = words.get(value.strip().lower(), Number().convert(value.strip(), None, None))
    if decay is not None or schedule is not None:
        given["learning_rate"] = _schedule(chosen, given.get("learning_rate"), decay, schedule)
    return chosen(**given)


def _schedule(chosen: type[Optimizer], given: Any, decay: Any, text: str | None) -> Schedule:
    """Return the learning rate's schedule; `given` is the rate that was asked for, None where none was."""
    if decay is not None and text is not None:
        raise InputError("the learning rate must change in one way only: give --decay or --schedule, not both")
    record = chosen.settings["learning_rate"]
    rate = record.check(record.default if given is None else given)
    if text is None:
        return schedules.InverseTime(rate, decay=decay)
    found = schedules.parse(text, rate)
    if given is not None and found == schedules.parse(text, 2 * rate):
        raise InputError(f"--schedule {text} has rates of its own: leave --learning-rate out. Received: {given!r}")
    return found


def rule_from(name: str) -> type[Optimizer]:
    """Return the rule of that name, or the one of a user's own that `script.py:Class` names."""
    if name.lower().endswith(".py"):
        raise InputError(f"a rule in a script must be named as script.py:Class. Received: {name}")
    return _own_rule(name) if ":" in name else rule(name)


def _own_rule(text: str) -> type[Optimizer]:
    """Return the class a user named as `script.py:Class`; the script is run, as a module beside its neighbours."""
    import runpy

    file, _, name = text.rpartition(":")
    if not Path(file).is_file():
        raise InputError(f"optimizer must be a rule's name or script.py:Class. Received: no file {file!r}")
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
