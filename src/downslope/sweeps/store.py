"""Where a sweep's results lie: a directory of Parquet files, each whole or not there; or, without one, memory.

    settings.json       the plan; a directory holds one sweep
    runs/*.parquet      a row a run
    histories/*.parquet, parameters/*.parquet    what was asked to be kept besides

A run counts as finished once its row is in `runs/`, which is written last. Rows are appended as new files; many small
ones become one larger one from time to time. A kill between the two leaves a row twice, and reading takes it once.
"""

from __future__ import annotations

import io
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from downslope import checks
from downslope.errors import InputError
from downslope.files import locked, written_whole
from downslope.sweeps.keys import UNTOLD
from downslope.sweeps.work import Finished

if TYPE_CHECKING:
    import polars

__all__ = ["Store", "read_settings"]

SETTINGS, LOCK = "settings.json", ".lock"
KINDS = ("runs", "histories", "parameters")
SECONDS_BETWEEN_WRITES = 1.0
MOST_BYTES_HELD = 32 * 2**20
MOST_TABLES_HELD = 256
PARTS_OF_A_SIZE, LARGE_PART = 16, 1 << 22

T = TypeVar("T")


class Store:
    """The results of one sweep, as they come in.

    Parameters
    ----------
    settings : dict
        The sweep's plan (`Job.settings`).
    directory : path or None
        Where results lie; None keeps them in memory.
    """

    def __init__(self, settings: Mapping[str, Any], directory: Path | None = None) -> None:
        self.settings, self.directory = settings, directory
        self._held: dict[str, list[polars.DataFrame]] = {kind: [] for kind in KINDS}
        self._own: dict[Path, int] = {}  # files of runs, and the rows in each
        self._lock: int | None = None
        self._written_at = time.monotonic()
        self._count: int | None = 0 if directory is None else None

    @classmethod
    def begun(cls, settings: Mapping[str, Any], directory: str | os.PathLike[str] | None) -> Store:
        """Return a store to write to: new, or the one of an earlier call of the same sweep, to go on with.

        Raises
        ------
        InputError
            If the directory cannot be made or written, holds something else or another sweep, or is in use by another
            process.
        """
        if directory is None:
            return cls(settings)
        path = Path(checks.path("directory", directory, "a directory for the results"))
        if path.exists() and not path.is_dir():
            raise checks.refuse("directory", "a directory, not a file", str(path))
        if path.is_dir() and not (path / SETTINGS).exists():
            strange = next((one.name for one in _listed(path) if not one.name.startswith(".")), None)
            if strange is not None:
                rule = "new, empty, or that of an earlier call of this sweep"
                raise InputError(f"directory must be {rule}. Received: {path}, which holds {strange}")
        store = cls(settings, path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            store._lock = _locked(path / LOCK)
            for kind in KINDS:
                if kind == "runs" or settings[{"histories": "history_every", "parameters": "keep_parameters"}[kind]]:
                    (path / kind).mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{path} could not be written: {error.strerror or error}") from error
        try:
            store._settle()
            store._own = {part: len(_read(part, ["run"])) for part in store._parts("runs")}
            store._count = store.finished
        except BaseException:
            store.close()
            raise
        return store

    @property
    def finished(self) -> int:
        """How many runs are done."""
        if self._count is None:  # another process may be writing
            runs = self.runs([])
            return 0 if runs is None else len(runs)
        return self._count

    def _settle(self) -> None:
        """Write the settings, or see that those of an earlier call are the same."""
        assert self.directory is not None
        if not (self.directory / SETTINGS).exists():
            with written_whole(self.directory / SETTINGS) as temporary:
                temporary.write_text(json.dumps(self.settings, indent=1) + "\n", encoding="utf-8")
            return
        before, now = read_settings(self.directory), json.loads(json.dumps(self.settings))
        names = [name for name in dict.fromkeys([*now, *before]) if now.get(name) != before.get(name)]
        if "rule" in names and UNTOLD in str(now["rule"]):
            raise InputError(
                "directory must be new for a rule whose code reaches a list, a dictionary or an object, since its "
                f"changes cannot be seen. Received: {self.directory}"
            )
        if names:
            raise _another(self.directory, before, now, names)

    def add(self, finished: Finished) -> None:
        """Keep what was made of some runs; at most a second later it is on the disk."""
        import polars as pl

        for kind, table in zip(KINDS, finished[:3], strict=True):
            if table is not None and len(table):
                self._held[kind].append(table)
                if len(self._held[kind]) > MOST_TABLES_HELD:
                    self._held[kind] = [pl.concat(self._held[kind], rechunk=True)]
        self._count = self.finished + len(finished.summary)
        if self.directory is not None:
            waited = time.monotonic() - self._written_at
            if waited >= SECONDS_BETWEEN_WRITES or self._bytes_held() > MOST_BYTES_HELD:
                self.flush()

    def flush(self) -> None:
        """Write what is held in memory.

        Raises
        ------
        InputError
            If it cannot be written: the disk is full, or the directory gone.
        """
        if self.directory is None:
            return
        import polars as pl

        for kind in reversed(KINDS):  # a run's row last: from then on it counts as finished
            if self._held[kind]:
                table = pl.concat(self._held[kind])
                part = self._write(kind, table)
                self._held[kind] = []
                if kind == "runs":
                    self._own[part] = len(table)
        self._written_at = time.monotonic()
        self._merge()

    def close(self) -> None:
        """Let another process use the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def runs(self, columns: Iterable[str] | None = None) -> polars.DataFrame | None:
        """Return the rows of all finished runs, each once, by run; None before the first."""
        import polars as pl

        wanted = None if columns is None else ["run", *columns]

        def read() -> list[polars.DataFrame]:
            return [_read(part, wanted) for part in self._parts("runs")]

        tables = _while_files_move(read)
        tables += [table if wanted is None else table.select(wanted) for table in self._held["runs"]]
        return pl.concat(tables).unique(subset="run", keep="first").sort("run") if tables else None

    def of_run(self, kind: str, run: int | None) -> polars.DataFrame | None:
        """Return one run's rows of "histories" or "parameters", or with None all runs'; None where there are none."""
        import polars as pl

        mine = pl.lit(True) if run is None else pl.col("run") == run
        tables = [table.filter(mine) for table in self._held[kind]]
        if parts := self._parts(kind):
            try:
                tables.append(pl.scan_parquet(parts).filter(mine).collect())
            except (OSError, pl.exceptions.PolarsError) as error:
                raise InputError(f"{self.directory}/{kind} could not be read: {error}") from error
        found = [table for table in tables if len(table)]
        return pl.concat(found) if found else None

    def _parts(self, kind: str) -> list[Path]:
        if self.directory is None:
            return []
        return sorted((self.directory / kind).glob("[!.]*.parquet"))

    def _bytes_held(self) -> int:
        return sum(int(table.estimated_size()) for tables in self._held.values() for table in tables)

    def _write(self, kind: str, table: polars.DataFrame) -> Path:
        assert self.directory is not None
        part = self.directory / kind / f"{uuid.uuid4().hex}.parquet"
        content = io.BytesIO()
        table.write_parquet(content)
        with written_whole(part) as temporary:
            temporary.write_bytes(content.getbuffer())
        return part

    def _merge(self) -> None:
        """Where there are many files of about the same size, write them as one and remove them."""
        import polars as pl

        sizes: dict[int, list[Path]] = {}
        for part, rows in self._own.items():
            if rows < LARGE_PART:  # merging more would hold the sweep up for minutes
                sizes.setdefault(rows.bit_length() // 4, []).append(part)
        for parts in sizes.values():
            if len(parts) < PARTS_OF_A_SIZE:
                continue
            table = pl.concat([_read(part, None) for part in parts]).unique(subset="run", keep="first")
            self._own[self._write("runs", table)] = len(table)
            for part in parts:
                part.unlink(missing_ok=True)
                del self._own[part]


def read_settings(directory: Path) -> dict[str, Any]:
    """Return the plan of the sweep in a directory, or raise InputError where there is none."""
    try:
        settings: dict[str, Any] = json.loads((directory / SETTINGS).read_text(encoding="utf-8"))
        if isinstance(settings, dict) and {"format", "over", "seeds"} <= set(settings):
            return settings
    except FileNotFoundError:
        raise InputError(f"directory must hold a sweep's {SETTINGS}. Received: {directory}") from None
    except OSError as error:
        raise InputError(f"{directory / SETTINGS} could not be read: {error.strerror or error}") from error
    except ValueError:
        pass
    raise InputError(f"{directory / SETTINGS} must be what a sweep wrote. Received: something else")


def _listed(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError as error:
        raise InputError(f"{path} could not be read: {error.strerror or error}") from error


def _read(part: Path, columns: list[str] | None) -> polars.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(part.read_bytes(), columns=columns)
    except FileNotFoundError:
        raise
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{part} could not be read; without that file its runs are trained again: {error}") from error


def _while_files_move(read: Callable[[], T]) -> T:
    """Return what `read` reads; again where another process has just merged the files it was about to read."""
    for _ in range(10):
        try:
            return read()
        except FileNotFoundError:
            continue
    return read()


def _locked(path: Path) -> int:
    """Return an open file that no other process can lock until this one closes it or ends, however it ends."""
    handle = locked(path)
    if handle is None:
        rule = "used by one sweep at a time; another process is writing to it"
        raise InputError(f"directory must be {rule}. Received: {path.parent}")
    return handle


def _another(directory: Path, before: Mapping[str, Any], now: Mapping[str, Any], names: Sequence[str]) -> InputError:
    """Return the error for a directory that holds another sweep, or one of a comparison's: that is a level above."""
    name, thing, within = names[0], "sweep", ""
    has, wanted = (_short(one.get(name)) for one in (before, now))
    if "compared" in now.get("rule", ()):
        directory, thing, within = directory.parent, "comparison", "tuning " * (directory.name == "tuning")
        # Rates that were tuned otherwise follow from something else that differs.
        name = next((one for one in names if one not in ("rule", "over")), "optimizers")
        shown = [one["rule"].get("text") if name == "optimizers" else one.get(name) for one in (before, now)]
        has, wanted = map(_short, shown)
    return InputError(
        f"directory must be that of this {thing}, with {within}{name}={wanted}. "
        f"Received: {directory}, whose {within or thing + ' '}has {name}={has}"
    )


def _short(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
