"""What a sweep found: a table of runs, a table of cells, the best settings, the picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from downslope import checks
from downslope.engines.update import FloatArray
from downslope.errors import InputError
from downslope.sweeps.keys import FORMAT
from downslope.sweeps.ranges import Range
from downslope.sweeps.store import Store, read_settings

if TYPE_CHECKING:
    import polars
    from matplotlib.figure import Figure

__all__ = ["SweepResult", "best_cell", "open_sweep", "sound"]


class SweepResult:
    """The finished runs of a sweep; while it goes on, those finished so far.

    Attributes
    ----------
    over : dict of Range
        The swept settings.
    settings : dict
        Everything the sweep was made of, as values that JSON can hold.
    directory : Path or None
        Where the results lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.settings: Mapping[str, Any] = store.settings
        self.directory = store.directory
        self.over = {name: Range(tuple(one["values"]), bool(one["log"])) for name, one in self.settings["over"].items()}
        seeds = self.settings["seeds"]
        self._seeds = int(seeds["count"]) if isinstance(seeds, dict) else len(seeds)

    def __repr__(self) -> str:
        return f"<SweepResult of {self.optimizer} over {', '.join(self.over)}: {self.finished} of {self.planned} runs>"

    @property
    def optimizer(self) -> str:
        """The rule with the settings that all runs share, as code reads."""
        return str(self.settings["rule"]["text"])

    @property
    def planned(self) -> int:
        """How many runs the whole sweep has."""
        cells = 1
        for one in self.over.values():
            cells *= len(one)
        return cells * self._seeds

    @property
    def finished(self) -> int:
        """How many of them are done, exploded and failed ones included."""
        return self._store.finished

    @property
    def complete(self) -> bool:
        """Whether all are."""
        return self.finished == self.planned

    @property
    def quantities(self) -> tuple[str, ...]:
        """What was measured of every run and is summed up for every cell."""
        return tuple(self.settings["quantities"])

    def frame(self) -> polars.DataFrame:
        """Return a polars data frame with a row for each finished run, by cell and seed.

        Columns: `key` (a digest of everything that shapes the run), the swept settings, `seed`, `epochs` (complete),
        `steps`, `outcome` ("finished", "exploded" or "failed"), `message` (null unless it exploded or failed); then,
        null where it failed: `loss` and `accuracy` or `r2` after the last update, the same with `validation_` where
        there is a validation part, `first_loss` before the first update, `best_loss` and `best_epoch` (the lowest of
        the epochs' losses and the last), `largest_weight` (the largest absolute value of any parameter at the end)
        and `digest` (of the final parameters' bits). An exploded run is measured where its last good step left it.
        """
        runs = self._store.runs()
        if runs is None:
            raise InputError("a sweep must have a finished run before it has a table. Received: none yet")
        return runs.drop("run")

    def cells(self) -> polars.DataFrame:
        """Return a polars data frame with a row for each cell in which a run is finished.

        Columns: the swept settings, `runs`, `exploded`, `failed`, and for each of `quantities` `_median`, `_low` and
        `_high`: the quartiles over the seeds whose run neither exploded nor failed, null where there is none.
        """
        import polars as pl

        runs = self._store.runs()
        if runs is None:
            raise InputError("a sweep must have a finished run before it has a table. Received: none yet")
        good = pl.col("outcome") == "finished"
        sums = [
            pl.len().cast(pl.Int64).alias("runs"),
            *((pl.col("outcome") == word).sum().cast(pl.Int64).alias(word) for word in ("exploded", "failed")),
        ]
        for name in self.quantities:
            kept = pl.col(name).filter(good).fill_nan(None).drop_nulls()
            for word, share in (("median", 0.5), ("low", 0.25), ("high", 0.75)):
                sums.append(kept.quantile(share, "linear").fill_nan(None).alias(f"{name}_{word}"))
        named = [pl.col(name).first() for name in self.over]
        cell = (pl.col("run") // self._seeds).alias("cell")
        return runs.group_by(cell).agg(*named, *sums).sort("cell").drop("cell")

    @property
    def best(self) -> dict[str, Any] | None:
        """The settings of the cell with the lowest median loss, and its medians; None where every run was lost.

        Of equal cells the first. A cell in which half of the runs or more exploded or failed counts only where there
        is no other.
        """
        row = best_cell(self.cells()) if self.finished else None
        if row is None:
            return None
        medians = {name: row[f"{name}_median"] for name in self.quantities}
        return {name: row[name] for name in self.over} | medians

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        quantity: str = "loss",
        style: Literal["light", "dark"] = "light",
        title: str | None = None,
    ) -> Figure:
        """Return the picture of a quantity over the swept settings, and write it to `path` if that is given.

        Parameters
        ----------
        path : str or path, optional
            A file ending in .png, .svg or .pdf.
        quantity : str
            One of `quantities`.
        style : str
            "light" or "dark".
        title : str, optional
            Left out: the rule and the data.

        Raises
        ------
        InputError
            If an argument is not legal, or no run is finished yet.
        """
        from downslope.figures import MapAxis, map_picture

        checks.one_of("quantity", quantity, self.quantities)
        units = {name: one["unit"] or None for name, one in self.settings["over"].items()}
        axes = [MapAxis(name, tuple(one.values), one.log, unit=units[name]) for name, one in self.over.items()]
        return map_picture(
            axes,
            self.cells(),
            path,
            quantity=quantity,
            seeds=self._seeds,
            style=style,
            title=f"{self.settings['rule']['rule']} on {self.settings['data_name']}" if title is None else title,
            subtitle=f"{self.optimizer}  ·  {self.settings['epochs']:,} epochs",
            planned=self.planned,
        )

    def history(self, key: str) -> polars.DataFrame:
        """Return the kept epochs of one run as `Run.history.frame()` has them; `key` as in `frame()`.

        Raises
        ------
        InputError
            If the sweep keeps no histories (`history_every`) or has no such finished run.
        """
        import polars as pl

        if not self.settings["history_every"]:
            raise InputError("history must be asked of a sweep with history_every. Received: a sweep without")
        rows = self._store.of_run("histories", self._run(key))
        if rows is None:  # it exploded before the first of its epochs ended
            return pl.DataFrame(schema={"epoch": pl.Int64})
        return rows.drop("run").unique(subset="epoch", keep="first").sort("epoch")

    def parameters(self, key: str) -> FloatArray:
        """Return the final weights and biases of one run as one vector; `key` as in `frame()`.

        Raises
        ------
        InputError
            If the sweep keeps no parameters (`keep_parameters`), has no such finished run, or it failed.
        """
        if not self.settings["keep_parameters"]:
            raise InputError("parameters must be asked of a sweep with keep_parameters. Received: a sweep without")
        rows = self._store.of_run("parameters", self._run(key))
        if rows is None:
            raise checks.refuse("key", "that of a run that did not fail", key)
        kind = np.dtype(self.settings["dtype"])
        return np.frombuffer(rows["parameters"][0], dtype=kind.newbyteorder("<")).astype(kind)

    def histories(self) -> polars.DataFrame | None:
        """Return the kept epochs of all runs, with `run`: the place of each among all planned ones; None before any."""
        rows = self._store.of_run("histories", None)
        return None if rows is None else rows.unique(subset=["run", "epoch"], keep="first").sort("run", "epoch")

    def runs(self) -> polars.DataFrame | None:
        """Return what `frame` does, with `run` as in `histories`; None before the first run is done."""
        return self._store.runs()

    def _run(self, key: str) -> int:
        runs = self._store.runs(["key"])
        places = [] if runs is None else runs.filter(runs["key"] == str(key))["run"].to_list()
        if not places:
            raise checks.refuse("key", "that of a finished run, as in frame()", key)
        return int(places[0])


def best_cell(cells: polars.DataFrame) -> dict[str, Any] | None:
    """Return the row with the lowest median loss of those `SweepResult.cells` gives; see `SweepResult.best`."""
    import polars as pl

    cells = cells.filter(pl.col("loss_median").is_not_null())
    lasting = cells.filter(sound())
    chosen = (lasting if len(lasting) else cells).sort("loss_median", maintain_order=True)
    return chosen.row(0, named=True) if len(chosen) else None


def sound() -> polars.Expr:
    """Return whether fewer than half of the runs exploded or failed, by the columns `runs`, `exploded` and `failed`.

    Where half or more did, the median is one of the luckier runs and tells little of the setting.
    """
    import polars as pl

    return 2 * (pl.col("exploded") + pl.col("failed")) < pl.col("runs")


def open_sweep(directory: str | os.PathLike[str]) -> SweepResult:
    """Return the results in a sweep's directory, finished or not; another process may be writing to it.

    Raises
    ------
    InputError
        If it is not the directory of a sweep, or that of a newer Downslope.
    """
    if not isinstance(directory, (str, os.PathLike)):
        raise checks.refuse("directory", "the directory of a sweep", directory)
    path = Path(directory)
    settings = read_settings(path)
    if settings["format"] > FORMAT:
        raise InputError(f"directory must be that of a Downslope no newer than this one. Received: {path}")
    return SweepResult(Store(settings, path))
