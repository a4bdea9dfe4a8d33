"""Options made from records: every rule's settings, in sections, with help from the rules themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from downslope.cli.lines import shown
from downslope.errors import InputError
from downslope.rules import RULES, Optimizer, Setting, rule

__all__ = ["Number", "SectionedCommand", "optimizer_from", "option", "rule_options"]


class Number(click.ParamType[Any]):
    """A number as it was typed; what is none stays text, for the check that knows the legal values to refuse."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an int, a float, or the text itself."""
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                pass
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
    def __init__(self, *names: Any, section: str = "Other", **attributes: Any) -> None:
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
    meaning = max(meanings, key=lambda text: len(meanings[text]))
    intervals = list(legal) if len(legal) <= 1 else [f"{text} ({', '.join(names)})" for text, names in legal.items()]
    listed = "; ".join(f"{value} ({', '.join(names)})" for value, names in defaults.items())
    return f"{'; '.join([meaning[0].upper() + meaning[1:], *intervals])}. Default: {listed}."


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
    chosen = _own_rule(name) if ":" in name else rule(name)
    given = {key: value for key, value in settings.items() if value is not None}
    for text in extra:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set must be given as name=value. Received: --set {text}")
        key = key.strip().replace("-", "_")
        words = {"true": True, "false": False}
        given[key] = words.get(value.strip().lower(), Number().convert(value.strip(), None, None))
    if decay is not None or schedule is not None:
        from downslope import schedules

        if decay is not None and schedule is not None:
            raise InputError("the learning rate must change in one way only: give --decay or --schedule, not both")
        record = chosen.settings["learning_rate"]
        rate = record.check(given.get("learning_rate", record.default))
        if decay is not None:
            given["learning_rate"] = schedules.InverseTime(rate, decay=decay)
        else:
            given["learning_rate"] = schedules.parse(str(schedule), rate)
    return chosen(**given)


def _own_rule(text: str) -> type[Optimizer]:
    """Return the class a user named as `script.py:Class`; the script is run."""
    import runpy

    file, _, name = text.rpartition(":")
    if not Path(file).is_file():
        raise InputError(f"optimizer must be a rule's name or script.py:Class. Received: no file {file!r}")
    try:
        found = runpy.run_path(file).get(name)
    except Exception as error:  # the script may do anything
        raise InputError(f"{file} could not be run: {type(error).__name__}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Optimizer)):
        raise InputError(f"{file} must define a subclass of Optimizer called {name}. Received: {found!r}")
    return found
