"""Pages made from the package's own records at each build: optimizers, schedules and the list of public names.

A new rule is one new file in the package and has its page without a line here.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from formula_html import lines_html

import downslope as ds
from downslope import schedules
from downslope.rules import RULES, Optimizer

__all__ = ["public_names", "write_pages"]

STYLES = ("light", "dark")
LANDSCAPE, DESCENT_STEPS, SPIRAL_EPOCHS = "rosenbrock", 400, 1000


def write_pages(folder: Path, say: Callable[[str], object]) -> None:
    """Write every page made from records below the documentation's folder."""
    _write_optimizers(folder / "optimizers", say)
    _write_schedules(folder, say)
    _write_api(folder / "api")


def public_names() -> dict[str, list[str]]:
    """Return the public names by the module that is their home, as `downslope` itself lists them."""
    homes = {home: list(names) for home, names in ds.HOMES.items()}
    known = {name for names in homes.values() for name in names}
    homes["downslope.rules"] += sorted({cls.__name__ for cls in RULES.values()} - known)
    return dict(sorted(homes.items()))


# ---- optimizers


def _write_optimizers(folder: Path, say: Callable[[str], object]) -> None:
    entries = []
    for name, rule in RULES.items():
        say(f"the page of {rule.__name__}")
        _write(folder / f"{name}.rst", "\n".join(_rule_lines(rule, folder)))
        entries.append((name, rule))
    intro = (
        "Every rule below is written once, as a formula for one element; the page, the command's help, the settings' "
        "checks and both engines read that one record. Pictures are made when this site is built."
    )
    lines = [*_title("Optimizers"), intro, "", *_cards(entries), ".. toctree::", "   :hidden:", ""]
    lines += [f"   {name}" for name, _ in entries]
    _write(folder / "index.rst", "\n".join(lines) + "\n")


def _cards(entries: list[tuple[str, type[Optimizer]]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 18 60 22", "   :class: wide", ""]
    lines += ["   * - Rule", "     - What it does", "     - Kept for each parameter"]
    for name, rule in entries:
        slots = ", ".join(f"``{slot}``" for slot in rule.slots) or "nothing"
        lines += [f"   * - :doc:`{rule.__name__} <{name}>`", f"     - {_rst(_summary(rule))}", f"     - {slots}"]
    return [*lines, ""]


def _rule_lines(rule: type[Optimizer], folder: Path) -> Iterator[str]:
    name = rule.name()
    yield from _title(rule.__name__)
    yield from (_rst(_summary(rule)), "")
    if rule.documented("Formula"):
        yield from _title("Formula", "-")
        yield from ("θ is the parameter, g its gradient, t the step, counted from 1.", "")
        yield from _raw(lines_html(rule.documented("Formula"), "←"))
        if rule.documented("Where"):
            yield from ("where", "")
            yield from _raw(lines_html(rule.documented("Where"), "="))
    yield from _pictures_of(rule, folder)
    yield from _title("Settings", "-")
    yield from _settings(rule)
    for section, heading in (("State", "State"), ("Other frameworks", "In other frameworks"), ("References", "Source")):
        text = rule.documented(section)
        if text or section == "State":
            yield from _title(heading, "-")
        if section == "State":
            yield from (_slots(rule), "")
        yield from (_rst(text), "")
    yield from _title("Use it", "-")
    yield from (".. code-block:: console", "", f"   $ downslope train spiral --optimizer {name} --plot {name}.png", "")
    settings = ", ".join(f"{one.name}={_value(one.default)}" for one in rule.settings.values())
    yield from (f".. py:class:: downslope.{rule.__name__}({settings})", "   :no-index-entry:", "")
    yield from (f"   {_rst(_summary(rule))}", "")
    yield from (
        f"   A subclass of :py:class:`downslope.Optimizer`, whose methods it has; `{name}` on the command line.",
        "",
    )


def _settings(rule: type[Optimizer]) -> Iterator[str]:
    units = any(record.unit for record in rule.settings.values())
    heads = ["Setting", "Symbol", "Default", "Legal", *(["Unit"] if units else []), "Meaning"]
    yield from (".. list-table::", "   :header-rows: 1", "   :class: wide settings", "")
    yield from _table_row(heads)
    for record in rule.settings.values():
        varies = "; may follow a schedule" if record.scheduled else ""
        yield from _table_row(
            [
                f"``{record.name}``",
                f":symbol:`{record.name}`" if record.kind is not bool else "",
                f"``{_value(record.default)}``",
                record.legal,
                *([record.unit] if units else []),
                _rst(f"{record.meaning}{varies}"),
            ]
        )
    yield ""


def _value(value: Any) -> str:
    return repr(value).replace("e-0", "e-")


def _slots(rule: type[Optimizer]) -> str:
    if not rule.slots:
        return "Nothing is kept from one step to the next."
    names = ", ".join(f"``{slot}``" for slot in rule.slots)
    return f"Kept for each parameter, zero at the start: {names}."


def _pictures_of(rule: type[Optimizer], folder: Path) -> Iterator[str]:
    """Draw the rule beside SGD, each at its best learning rate: descending a landscape, and training on the spiral."""
    others = [ds.SGD(), ds.SGD(momentum=0.9)] if rule is ds.SGD else [rule(), ds.SGD()]
    rival = "SGD without and with momentum" if rule is ds.SGD else f"{rule.__name__} and SGD"
    land = ds.landscape(LANDSCAPE)

    @functools.cache
    def descents() -> list[ds.Descent]:
        best = [ds.tuned(land, one, steps=DESCENT_STEPS)[0] for one in others]
        return [ds.descend(land, one, steps=DESCENT_STEPS) for one in best]

    @functools.cache
    def compared() -> ds.Comparison:
        network, data = ds.MLP([2, 64, 3]), ds.data.spiral()
        return ds.compare(network, data, others, epochs=SPIRAL_EPOCHS, seeds=8, tune=True, progress=False)

    yield from _title("Pictures", "-")
    yield from (f"{rival} on {land.title}, each at the learning rate that serves it best there:", "")
    yield from _both_styles(
        folder / "pictures" / f"{rule.name()}-descent",
        lambda path, style: ds.descent_picture(descents(), path, style=style),
        f"{rival} on {land.title}: their paths, and their values against steps",
        "pictures",
    )
    yield from ("And training on the spiral, again each at its best rate, eight initial weights each:", "")
    yield from _both_styles(
        folder / "pictures" / f"{rule.name()}-spiral",
        lambda path, style: compared().plot(path, style=style),
        f"{rival} on the spiral: loss and accuracy against epochs",
        "pictures",
    )


def _summary(rule: object) -> str:
    return (inspect.getdoc(rule) or "").split("\n\n")[0].replace("\n", " ")


# ---- schedules

SAMPLES = {
    "decay": 0.005,
    "rate": 0.99,
    "steps": 800,
    "every": 200,
    "values": (1.0, 0.5, 0.1),
    "boundaries": (300, 600),
}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "exponential": {
        "rate 0.5, every 200 steps": {"rate": 0.5, "steps": 200},
        "staircase": {"rate": 0.5, "steps": 200, "staircase": True},
    },
    "polynomial": {"power 1": {"steps": 800}, "power 2": {"steps": 800, "power": 2.0}},
    "cosine": {
        "once": {"steps": 800},
        "restarts, periods twice as long": {"steps": 140, "restarts": True, "period_factor": 2},
    },
    "one-cycle": {
        "cosine": {"steps": 1000, "final_factor": 0.0},
        "linear": {"steps": 1000, "final_factor": 0.0, "shape": "linear"},
    },
    "piecewise": {"1, then 0.5, then 0.1": {}},
}  # fmt: skip


def _write_schedules(folder: Path, say: Callable[[str], object]) -> None:
    lines = [*_title("Schedules")]
    lines += [
        "The learning rate as a function of k, the number of updates already done: k = 0 at the first. A schedule "
        "stands where a rule takes its learning rate, ``ds.SGD(ds.Cosine(0.1, steps=900))``, or after `--schedule` on "
        "the command line, where `--learning-rate` is its base η. Every schedule is exact: the same bits for one k and "
        "for an array of them, on every machine.",
        "",
    ]
    for name in schedules.names():
        say(f"the curve of {name}")
        cls = schedules.by_name(name)
        lines += [*_title(cls.__name__, "-"), _rst(_summary(cls)), "", *_raw(lines_html(cls.formula, "="))]
        variants = VARIANTS.get(name, {"": {}})
        named = {label: _sample(cls, given) for label, given in variants.items()}
        shown = {label or repr(one): one for label, one in named.items()}
        lines += _both_styles(
            folder / "_pictures" / f"schedule-{name}",
            functools.partial(_schedule_picture, shown),
            f"The learning rate over 1,000 steps: {', '.join(map(repr, named.values()))}",
            "_pictures",
        )
        code = "\n   ".join(f"ds.{one!r}" for one in named.values())
        lines += [".. code-block:: python", "", f"   {code}", ""]
        lines += [f"More: :py:class:`downslope.{cls.__name__}`, `downslope schedules {name}`.", ""]
    both = ds.LinearWarmup(1.0, steps=100).then(ds.Cosine(1.0, steps=900))
    lines += [*_title("One after the other", "-")]
    lines += ["A schedule of known length may be followed by another, which counts its own k from 0.", ""]
    lines += _both_styles(
        folder / "_pictures" / "schedule-then",
        lambda path, style: _schedule_picture({"warm-up, then cosine": both}, path, style),
        "The learning rate over 1,000 steps: a straight line up for 100, then half a cosine down",
        "_pictures",
    )
    lines += [".. code-block:: python", "", "   ds.LinearWarmup(1.0, steps=100).then(ds.Cosine(1.0, steps=900))", ""]
    lines += [
        ".. code-block:: console",
        "",
        "   $ downslope train spiral --learning-rate 1 --epochs 1000 \\",
        "       --schedule 'linear-warmup:steps=100 then cosine:steps=900'",
        "",
    ]
    lines += ["One that goes on for ever is given a length first: ``ds.Constant(0.1).for_steps(100).then(…)``.", ""]
    _write(folder / "schedules.rst", "\n".join(lines))


def _sample(cls: type[Any], given: dict[str, Any]) -> Any:
    """Return a schedule with a base of 1 and a value for every setting that has no default."""
    needed = [field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING]
    values = {name: SAMPLES.get(name, 1.0) for name in needed} | given
    base = [values.pop("base", 1.0)] if "base" in values else []
    return cls(*base, **values)


def _schedule_picture(shown: dict[str, Any], path: Path, style: Any) -> None:
    ds.schedule_picture(shown, path, steps=1000, style=style, title="Learning rate")


# ---- public names

TITLES = {
    "downslope.data": "Data",
    "downslope.errors": "Errors",
    "downslope.figures": "Figures",
    "downslope.network": "Networks",
    "downslope.rules": "Update rules",
    "downslope.schedules": "Schedules",
    "downslope.sweeps": "Sweeps and comparisons",
    "downslope.training": "Training",
    "downslope.engines.rule_check": "Checking a rule",
    "downslope.landscapes": "Landscapes",
    "downslope.engines.descent": "Descents",
}


def _write_api(folder: Path) -> None:
    pages = []
    for home, names in {**public_names(), "downslope.data": _data_names()}.items():
        prefix = "downslope.data" if home == "downslope.data" else "downslope"
        title = TITLES.get(home, home.rpartition(".")[2].replace("_", " ").capitalize())
        module = importlib.import_module(home)
        lines = [*_title(title), _rst(_summary(module)), ""]
        for name in sorted(names, key=str.lower):
            value = getattr(importlib.import_module(prefix), name)
            if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer:
                continue  # it has a page of its own, in the chapter on optimizers
            if isinstance(value, type):
                lines += [f".. autoclass:: {prefix}.{name}", "   :members:", *_inherited(value), ""]
            elif callable(value):
                lines += [f".. autofunction:: {prefix}.{name}", ""]
        if home == "downslope.rules":
            lines += ["The rules themselves have :doc:`pages of their own </optimizers/index>`.", ""]
        page = home.removeprefix("downslope.").replace(".", "-")
        pages.append(page)
        _write(folder / f"{page}.rst", "\n".join(lines))
    index = [*_title("API")]
    index += [
        "Everything here is a name of `downslope` itself: ``import downslope as ds``, then `ds.Run`, `ds.sweep`, …",
        "",
    ]
    index += [".. toctree::", "   :maxdepth: 2", "", *(f"   {page}" for page in sorted(pages)), ""]
    _write(folder / "index.rst", "\n".join(index))


def _inherited(kind: type) -> list[str]:
    """Return the option that shows what a class has from bases of this package that are no public names themselves."""
    public = {getattr(ds, name) for names in ds.HOMES.values() for name in names}
    others = [base for base in kind.__mro__[1:] if base in public or not base.__module__.startswith("downslope.")]
    if len(others) == len(kind.__mro__) - 1:
        return []
    return [f"   :inherited-members: {', '.join(base.__name__ for base in others)}"]


def _data_names() -> list[str]:
    from downslope import data

    return [name for name in data.__all__ if callable(getattr(data, name))]


# ---- reStructuredText


def _rst(text: str) -> str:
    """Return plain text with what reStructuredText would take for markup escaped; `names` in backticks stay."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part[:1] == "`" else re.sub(r"([*|\\]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts)


def _title(text: str, sign: str = "=") -> tuple[str, str, str]:
    return text, sign * len(text), ""


def _raw(text: str) -> list[str]:
    return [".. raw:: html", "", f"   {text}", ""]


def _table_row(cells: list[str]) -> list[str]:
    return [f"   {'*' if i == 0 else ' '} - {cell}".rstrip() for i, cell in enumerate(cells)]


def _both_styles(file: Path, draw: Callable[[Path, Any], object], alt: str, shown: str) -> list[str]:
    """Draw a picture on white and on near black; the page shows the one that suits the reader's.

    It is drawn again only where the package changed since.
    """
    lines: list[str] = []
    file.parent.mkdir(parents=True, exist_ok=True)
    key = file.with_name(f".{file.name}.key")
    current = key.exists() and key.read_text(encoding="utf-8") == _sources()
    for style in STYLES:
        path = file.with_name(f"{file.name}-{style}.png")
        if not (current and path.exists()):
            draw(path, style)
        lines += [
            f".. image:: {shown}/{path.name}",
            f"   :alt: {alt}",
            f"   :class: only-{style}",
            "   :width: 800px",
            "",
        ]
    key.write_text(_sources(), encoding="utf-8")
    return lines


@functools.cache
def _sources() -> str:
    """Return a digest of everything a picture may depend on: the package's code, and this file."""
    files = [Path(__file__), *sorted(Path(ds.__file__).parent.rglob("*.py"))]
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=20).hexdigest()


def _write(file: Path, text: str) -> None:
    """Write a page unless it is there as it is, so that a second build reads only what changed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
