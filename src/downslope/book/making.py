"""One figure or listing made: what it prints, and the files it leaves."""

from __future__ import annotations

import inspect
import json
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from downslope import book, rules
from downslope.book.catalogue import Entry
from downslope.book.descents import DESCENTS
from downslope.book.printed import EPOCHS, Reproduction, chapter_run, reproduced
from downslope.book.scripts import script
from downslope.book.spread import KINDS, spread, table
from downslope.figures.style import number
from downslope.files import write_table, written_whole

if TYPE_CHECKING:
    import polars

    from downslope.engines.descent import Descent
    from downslope.rules import Optimizer
    from downslope.training import Run

__all__ = ["EPOCHS", "File", "Made", "Table", "make", "read_records"]

DECAY_STEPS = 20
Style = Literal["light", "dark"]
Role = Literal["picture", "animation", "player", "movie", "data"]
ROLES: dict[str, Role] = {".gif": "animation", ".html": "player", ".mp4": "movie"}
RECORDS = "records"
LISTING = "The rule as it is written here, and runs"


@dataclass(frozen=True)
class Table:
    """Columns of text, with a line about them.

    Attributes
    ----------
    title : str
        What it shows.
    columns : list of str
        The heads.
    rows : list of list of str
        As they are printed.
    notes : list of str
        What must be known to read it.
    words : int
        How many columns, from the first, are words rather than numbers.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str]
    words: int = 0


@dataclass(frozen=True)
class File:
    """One file, by its name in the folder: its role and what is to be seen in it."""

    name: str
    role: Role
    about: str


@dataclass(frozen=True)
class Made:
    """Everything that came of an entry; not `complete` where its making was stopped."""

    key: str
    title: str
    about: str
    tables: list[Table]
    files: list[File]
    script: str | None
    seconds: float
    complete: bool = True
    script_title: str = "The script, in the chapter's style"

    @classmethod
    def from_json(cls, text: str) -> Made:
        """Return what `to_json` wrote."""
        record: dict[str, Any] = json.loads(text)
        tables = [Table(**table) for table in record.pop("tables")]
        return cls(tables=tables, files=[File(**file) for file in record.pop("files")], **record)

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)


def make(
    entry: Entry,
    folder: Path | None = None,
    *,
    movies: Sequence[str] = (".gif", ".html"),
    style: Style = "light",
    faithful: bool = False,
) -> Made:
    """Make an entry: run what it runs, and leave its pictures, animations and data in a folder.

    Parameters
    ----------
    entry : Entry
        From `catalogue.entry`.
    folder : path, optional
        An existing directory; without one nothing is written or drawn, and the tables are made all the same.
    movies : sequence of str
        Endings of the animations to write.
    style : "light" or "dark"
        Of pictures and animations.
    faithful : bool
        Animations of trainings as fast and as flashing as the chapter's, behind a warning.

    Raises
    ------
    InputError
        If a file cannot be written, or an animation needs a program that is missing.
    """
    started = time.perf_counter()
    tables: list[Table] = []
    files: list[File] = []
    text, heading = None, Made.script_title
    if entry.kind == "training":
        text = script(entry.settings)
    elif entry.kind == "class":
        text, heading = textwrap.dedent(inspect.getsource(_rule(entry).update)), LISTING
    complete = False
    try:
        for found in _MAKERS[entry.kind](entry, folder, tuple(movies), style, faithful):
            if isinstance(found, Table):
                tables.append(found)
            else:
                files.append(found)
        complete = True
    finally:  # whatever ended it early, what there is is recorded
        if not complete and folder is not None and files:
            _record(Made(entry.key, entry.title, entry.about, tables, files, text, 0.0, complete=False), folder)
    if entry.kind == "training" and folder is not None:
        name = f"{entry.key}.py"
        with written_whole(folder / name) as temporary:
            temporary.write_text(str(text), encoding="utf-8")
        files.append(File(name, "data", "the training as a script in the chapter's style"))
    made = Made(entry.key, entry.title, entry.about, tables, files, text, time.perf_counter() - started, True, heading)
    if folder is not None:
        _record(made, folder)
    return made


def _record(made: Made, folder: Path) -> None:
    (folder / RECORDS).mkdir(exist_ok=True)
    with written_whole(folder / RECORDS / f"{made.key}.json") as temporary:
        temporary.write_text(made.to_json(), encoding="utf-8")


def read_records(folder: Path) -> list[Made]:
    """Return what was made into a folder, in the catalogue's order; records of anything else are left alone."""
    from downslope.book.catalogue import entries

    found = []
    for key in entries():
        record = folder / RECORDS / f"{key}.json"
        if record.is_file():
            try:
                found.append(Made.from_json(record.read_text(encoding="utf-8")))
            except (
                ValueError,
                TypeError,
                KeyError,
                AttributeError,
            ):  # of another version, or not ours: made anew when asked for
                continue
    return found


Found = Iterator[Table | File]


def _training(entry: Entry, folder: Path | None, movies: tuple[str, ...], style: Style, faithful: bool) -> Found:
    run = chapter_run(entry.printed or entry.settings)
    run.train(EPOCHS, progress=False)
    yield from _rows(entry, run)
    if folder is None:
        return
    from downslope.book.spread_pictures import spread_picture
    from downslope.figures import training_animation, training_picture

    title = f"Figure {entry.number}: {entry.title}" if entry.number else entry.title
    name = f"{entry.key}.png"
    training_picture(run, folder / name, style=style, title=title)
    yield File(name, "picture", "The network after training, one update after the last row.")
    if entry.printed is not None:
        name = f"{entry.key}-spread.png"
        spread_picture(entry.printed, folder / name, style=style)
        yield File(name, "picture", "The book's printed rows inside the spread of many runs.")
    if movies:
        paths = [folder / f"{entry.key}{ending}" for ending in movies]
        training_animation(run, paths, style=style, faithful=faithful, title=title, progress=False)
        yield from _movies(paths, "The training, epoch by epoch.")
    yield _data(run.history.frame(), folder, f"{entry.key}.csv", "Every epoch.")
    if entry.printed is not None:
        yield _data(table(entry.printed), folder, f"{entry.key}-printed.csv", "The printed rows beside ours.")


def _rows(entry: Entry, run: Run) -> Found:
    """Yield our rows, beside the book's where it prints some."""
    if entry.printed is None:
        rows = [run.history.row(epoch) for epoch in (0, 100, 200, 500, 1000, 2000, 5000, 10_000)]
        told = [
            [f"{row['epoch']:,}", f"{row['accuracy']:.3f}", f"{row['loss']:.3f}", repr(row["learning_rate"])]
            for row in rows
        ]
        yield Table("Here", ["epoch", "acc", "loss", "lr"], told, ["The chapter prints no rows of this run."])
        return
    found, beside = reproduced(entry.printed), table(entry.printed).to_dicts()
    told = []
    for row, numbers in zip(found.rows, beside, strict=True):
        met = " " if row.met else "≠"
        told.append([
            f"{row.epoch:,}",
            f"{row.book.accuracy:.3f}",
            f"{row.book.loss:.3f}",
            f"{row.ours.accuracy:.3f}",
            f"{row.ours.loss:.3f}",
            met,
            repr(row.ours.learning_rate),
            *(f"{numbers[f'{kind}_loss_percentile']:.1f}" for kind in KINDS),
        ])  # fmt: skip
    columns = ["epoch", "acc", "loss", "acc here", "loss here", "", "learning rate", "seeds %", "last bit %"]
    yield Table("The book's rows beside ours", columns, told, _notes(found))


def _notes(found: Reproduction) -> list[str]:
    met = sum(row.met for row in found.rows)
    notes = [f"{met} of {len(found.rows)} rows meet the book to every printed digit."]
    if found.parts_at is not None:
        notes[0] += f" From epoch {found.parts_at:,} on the run here goes its own way, the same on every processor."
        notes.append("The script computes with NumPy, whose roundings lead it another way again.")
    if any(row.learning_rate_met is not None for row in found.rows):
        notes.append(
            "Every printed learning rate is met to all its digits."
            if found.learning_rates_met
            else "Not every printed learning rate is met."
        )
    runs = " and ".join(f"{spread(found.name, kind).runs:,}" for kind in KINDS)
    notes.append(
        f"seeds %, last bit %: the percentile of the book's loss among {runs} runs, equal ones counted half (other "
        "data and weights; the chapter's, each weight moved by at most its last bit)."
    )
    return notes


def _landscape(entry: Entry, folder: Path | None, movies: tuple[str, ...], style: Style, faithful: bool) -> Found:
    record = DESCENTS[str(entry.number)]
    descents = record.descents()
    if descents:
        yield _descents(descents)
    if folder is None:
        return
    from downslope.figures import descent_animation, descent_picture, landscape_picture, rates_picture

    title = f"Figure {entry.number}: {entry.title}"
    name = f"{entry.key}.png"
    if entry.kind == "rates":
        labels = [f"{word}, {rate:g}" for word, (rate, _) in zip(record.names, record.settings, strict=True)]
        rates_picture(descents, folder / name, style=style, title=title, labels=labels)
    elif descents:
        descent_picture(descents, folder / name, style=style, title=title)
    else:
        landscape_picture(record.landscape, folder / name, style=style, title=title)
    yield File(name, "picture", entry.about)
    if entry.animated and movies:
        paths = [folder / f"{entry.key}{ending}" for ending in movies]
        descent_animation(descents, paths, style=style, title=title)
        yield from _movies(paths, "The descent, step by step.")


def _descents(descents: Sequence[Descent]) -> Table:
    """Return a row for each descent: its settings, and where it ended."""
    rows = []
    for one in descents:
        point = ", ".join(number(x) for x in one.points[-1])
        rows.append([repr(one.optimizer), f"{one.steps:,}", point, number(one.final_value), _outcome(one)])
    return Table("The descent", ["optimizer", "steps", "ends at", "value", ""], rows, [], words=1)


def _outcome(descent: Descent) -> str:
    return "exploded" if descent.exploded else ""


def _schedule(entry: Entry, folder: Path | None, movies: tuple[str, ...], style: Style, faithful: bool) -> Found:
    from downslope.schedules import InverseTime

    decays = {f"decay {decay:g}": InverseTime(1.0, decay=decay) for decay in (0.1, 0.01, 0.001, 0.0001)}
    first = decays["decay 0.1"]
    rows = [[f"{step}", repr(first(step))] for step in range(DECAY_STEPS + 1)]
    yield Table("Learning rate 1, decay 0.1", ["step", "learning rate"], rows, [])
    if folder is None:
        return
    from downslope.figures import schedule_picture

    for name, steps, schedules in (("decay", DECAY_STEPS + 1, {"decay 0.1": first}), ("decay-long", EPOCHS, decays)):
        path = folder / f"{name}.png"
        schedule_picture(schedules, path, steps=steps, style=style, title="A learning rate of 1 that decays")
        yield File(path.name, "picture", f"The rate of {steps:,} steps.")


def _claims(entry: Entry, folder: Path | None, movies: tuple[str, ...], style: Style, faithful: bool) -> Found:
    from downslope.book.claims import check_claims
    from downslope.book.spread_pictures import claims_picture

    frame = check_claims()
    rows = [
        [
            row["says"],
            *("yes" if row[who] else "no" for who in ("book", "ours")),
            *(_share(row, kind) for kind in KINDS),
        ]
        for row in frame.iter_rows(named=True)
    ]
    notes = [f"{row['says']}: {row['definition']}. {row['verdict']}" for row in frame.iter_rows(named=True)]
    columns = ["claim", "the book's run", "ours", "other seeds", "last bits moved"]
    yield Table("How often each claim holds, with 95 % intervals", columns, rows, notes, words=1)
    if folder is None:
        return
    claims_picture(folder / f"{entry.key}.png", style=style)
    yield File(f"{entry.key}.png", "picture", "How often each claim holds, with 95 % intervals.")
    yield _data(frame, folder, f"{entry.key}.csv", "Every claim.")


def _share(row: Mapping[str, Any], kind: str) -> str:
    from downslope.figures.style import percent

    share, low, high = (percent(row[f"{kind}_{field}"]) for field in ("share", "low", "high"))
    return f"{share} ({low.removesuffix(' %')} – {high.removesuffix(' %')})"


def _movies(paths: Sequence[Path], about: str) -> Found:
    for path in paths:
        yield File(path.name, ROLES[path.suffix], about)


def _data(frame: polars.DataFrame, folder: Path, name: str, about: str) -> File:
    write_table(frame, folder / name)
    return File(name, "data", about)


def _class(entry: Entry, folder: Path | None, movies: tuple[str, ...], style: Style, faithful: bool) -> Found:
    """Yield an optimizer's arguments, with what it leaves on a layer as it is seen after one update."""
    chosen, rule = getattr(book, f"Optimizer_{entry.settings['optimizer']}"), _rule(entry)
    told = {name: record.meaning for name, record in rule.settings.items()}
    told["decay"] = "how fast the learning rate falls: learning_rate / (1 + decay · iterations)"
    arguments = inspect.signature(chosen).parameters.values()
    rows = [[one.name, repr(one.default), told[one.name]] for one in arguments]
    one = np.ones((1, 1))
    layer = SimpleNamespace(weights=one.copy(), biases=one.copy(), dweights=one, dbiases=one)
    before = set(vars(layer))
    made = chosen(momentum=0.9) if "momentum" in told and rule.name() == "sgd" else chosen()
    made.update_params(layer)
    left = ", ".join(name for name in vars(layer) if name not in before)
    notes = [line.strip() for line in rule.documented("Formula").splitlines() if line.strip()]
    notes.append(f"It leaves on a layer: {left}.")
    yield Table(f"Optimizer_{entry.settings['optimizer']}", ["argument", "default", "meaning"], rows, notes, words=3)


def _rule(entry: Entry) -> type[Optimizer]:
    found: type[Optimizer] = getattr(rules, entry.settings["optimizer"])
    return found


_MAKERS: dict[str, Any] = {
    "class": _class,
    "training": _training,
    "landscape": _landscape,
    "rates": _landscape,
    "schedule": _schedule,
    "claims": _claims,
}
