"""What a comparison found: a table of runs, curves over the epochs, a table of optimizers, the picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from downslope import checks
from downslope.errors import InputError
from downslope.files import TABLES, place, write_table
from downslope.network import Dropout
from downslope.rules.text import code_text
from downslope.sweeps.comparison_job import ComparisonJob, level_above
from downslope.sweeps.comparison_tuning import Tuning
from downslope.sweeps.result import SweepResult, sound

if TYPE_CHECKING:
    import polars
    from matplotlib.figure import Figure

__all__ = ["Comparison"]

QUARTILES = (("median", 0.5), ("low", 0.25), ("high", 0.75))
SHARES = (("p5", 0.05), ("p25", 0.25), ("median", 0.5), ("p75", 0.75), ("p95", 0.95))


class Comparison:
    """The finished runs of a comparison; while it goes on, those finished so far.

    Attributes
    ----------
    labels : tuple of str
        What each optimizer is called.
    optimizers : tuple of Optimizer
        What was compared, with tuned learning rates where asked for.
    tuning : Tuning or None
        How learning rates were chosen; None where none were.
    every : int
        Every so many-th epoch is kept for the curves.
    """

    def __init__(
        self, job: ComparisonJob, result: SweepResult, labels: Sequence[str], tuning: Tuning | None, reach: float | None
    ) -> None:
        self._job, self._result, self._asked = job, result, reach
        self.labels, self.optimizers, self.tuning = tuple(labels), job.optimizers, tuning
        self.every: int = job.history_every or 1

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(self.labels)}: {self.finished} of {self.planned} runs>"

    @property
    def planned(self) -> int:
        """How many runs the comparison has."""
        return self._job.planned

    @property
    def finished(self) -> int:
        """How many of them are done, exploded and failed ones included."""
        return self._result.finished

    @property
    def complete(self) -> bool:
        """Whether all are."""
        return self.finished == self.planned

    @property
    def seeds(self) -> tuple[Any, ...]:
        """The seeds that tables, curves and pictures compare: those with which every optimizer's run is done.

        A run that exploded or failed is done too. In a comparison that was stopped some optimizers may have had more
        seeds than others; `frame` has all runs. As long as there is no such seed, all runs are shown.
        """
        return tuple(self._job.seeds[place] for place in self._places())

    @property
    def score(self) -> str:
        """What is measured beside the loss: "accuracy", or "r2" in regression."""
        return self._job.score

    @property
    def quantities(self) -> tuple[str, ...]:
        """What `curves` can be asked for."""
        validated = ["validation_loss", f"validation_{self.score}"] * self._job.validated
        others = ["learning_rate", "penalty", "gradient_norm", "update_ratio", "largest_weight"]
        return ("loss", self.score, *others, *validated)

    @property
    def reach(self) -> float | None:
        """The loss of which tables say when it was first reached.

        As `compare` was told. Left out, it is chosen so that it tells those that learn apart: of the optimizers that
        made at least half of the best one's way down, from the median first loss to the median final one, the highest
        median final loss, rounded up by at most 2.5 % to a round number. So half of the finished runs of each of these
        reach it. None where every optimizer lost half of its runs or more, or none came down by more than that.
        """
        import polars as pl

        if self._asked is not None or not self.finished:
            return self._asked
        runs = self._shared(self._runs())
        good = pl.col("outcome") == "finished"
        found = runs.group_by("optimizer").agg(
            pl.len().cast(pl.Int64).alias("runs"),
            *((pl.col("outcome") == word).sum().cast(pl.Int64).alias(word) for word in ("exploded", "failed")),
            pl.col("loss").filter(good).fill_nan(None).median().alias("last"),
            pl.col("first_loss").filter(good).median().alias("first"),
        )
        lasting = found.filter(sound() & (pl.col("last") < pl.col("first")))
        if not len(lasting):
            return None
        start, best = float(found["first"].median()), float(lasting["last"].min())  # type: ignore[arg-type]  # numbers
        highest: Any = lasting.filter(pl.col("last") <= (start + best) / 2)["last"].max()
        level = None if highest is None else level_above(highest)
        return level if level is not None and level < start else None

    def frame(self, *, reach: float | None = None) -> polars.DataFrame:
        """Return a polars data frame with a row for each finished run, by optimizer and seed: all, not only of `seeds`.

        Columns: `label`; `optimizer`, as code reads; then as `SweepResult.frame` has them; `seconds`, beside the runs
        that were trained at the same time; `reached`, the first epoch whose loss was not above `reach` (with
        mini-batches its mean over the epoch), null where there was none.

        Parameters
        ----------
        reach : float, optional
            Another loss than `Comparison.reach`: a round number, such as 0.25.
        """
        return self._frame(self._runs(), reach)

    def _frame(self, runs: polars.DataFrame, reach: float | None) -> polars.DataFrame:
        import polars as pl

        level = self._level(reach)
        at = None if level is None else self._job.levels.index(level)
        reached = pl.lit(None, dtype=pl.Int64) if at is None else pl.col("reached").list.get(at, null_on_oob=True)
        places = runs["optimizer"].to_list()
        texts = [code_text(one) for one in self.optimizers]
        return runs.with_columns(
            pl.Series("label", [self.labels[one] for one in places], dtype=pl.String),
            pl.Series("optimizer", [texts[one] for one in places], dtype=pl.String),
            reached.alias("reached"),
        ).select("label", "optimizer", pl.exclude("label", "optimizer", "run"))

    def curves(self, quantity: str = "loss") -> polars.DataFrame:
        """Return how a quantity went over the epochs, as its spread over `seeds`.

        Columns: `label`, `epoch`, `runs` (how many got so far), and over these `p5`, `p25`, `median`, `p75`, `p95`
        (linear interpolation). An exploded run counts until it ends; a failed one does not. Epochs are every
        `every`-th from 0, as `History` has them, and last what was measured after the last update, where that is the
        same measure: not for the training loss and score of mini-batches or with dropout.

        Parameters
        ----------
        quantity : str
            One of `quantities`.
        """
        import polars as pl

        checks.one_of("quantity", quantity, self.quantities)
        runs, seeds = self._shared(self._runs()), len(self._job.seeds)
        whole = runs.filter(pl.col("outcome") != "failed")
        kept = self._result.histories()
        parts = []
        if kept is not None:
            parts.append(kept.join(whole, on="run", how="semi").select("run", "epoch", pl.col(quantity).alias("value")))
        if self._measured_alike(quantity):
            last = whole.filter(pl.col("epochs") == self._job.epochs)
            parts.append(last.select("run", pl.col("epochs").alias("epoch"), pl.col(quantity).alias("value")))
        schema = {"run": pl.UInt32, "epoch": pl.Int64, "value": pl.Float64}
        rows = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
        value = pl.col("value").fill_nan(None).drop_nulls()
        spread = [value.quantile(share, "linear").alias(name) for name, share in SHARES]
        cell = (pl.col("run") // seeds).alias("place")
        found = rows.group_by(cell, "epoch").agg(value.len().cast(pl.Int64).alias("runs"), *spread)
        found = found.sort("place", "epoch")
        names = pl.Series("label", [self.labels[one] for one in found["place"].to_list()], dtype=pl.String)
        return found.select(names, "epoch", "runs", *(name for name, _ in SHARES))

    def table(self, *, reach: float | None = None) -> polars.DataFrame:
        """Return a polars data frame with a row for each optimizer over `seeds`, in the order they were given.

        Columns: `label`; `optimizer`, as code reads; `runs`, `finished`, `exploded`, `failed`; for the final loss,
        accuracy or R², and those of the validation part, `_median`, `_low` and `_high`: the quartiles over the
        finished runs; `exploded_share`; `reach`, a loss; `reached_share` of all runs; `reached_median`, the epoch by
        which half of all runs had reached it, null where fewer than half did; `seconds`, the median of a run, beside
        those trained at the same time. A run that exploded or failed counts as one that never reached it.

        Parameters
        ----------
        reach : float, optional
            Another loss than `Comparison.reach`: a round number, such as 0.25.
        """
        import polars as pl

        level = self._level(reach)
        runs = self._frame(self._shared(self._runs()), level)
        rows = []
        for label, one in zip(self.labels, self.optimizers, strict=True):
            mine = runs.filter(pl.col("label") == label)
            good = mine.filter(pl.col("outcome") == "finished")
            lost = {word: len(mine.filter(pl.col("outcome") == word)) for word in ("exploded", "failed")}
            row = {"label": label, "optimizer": code_text(one), "runs": len(mine), "finished": len(good), **lost}
            for name in self._job.quantities[:-2]:
                values = good[name].drop_nulls().drop_nans()
                row |= {f"{name}_{word}": values.quantile(share, "linear") for word, share in QUARTILES}
            row["exploded_share"] = lost["exploded"] / len(mine) if len(mine) else None
            reached, half = good["reached"].drop_nulls().sort(), -(-len(mine) // 2)
            in_time = level is not None and bool(half) and len(reached) >= half
            row |= {
                "reach": level,
                "reached_share": len(reached) / len(mine) if len(mine) and level is not None else None,
                "reached_median": reached[half - 1] if in_time else None,
                "seconds": mine["seconds"].median(),
            }
            rows.append(row)
        whole = {"runs", "finished", "exploded", "failed", "reached_median"}
        kinds = {name: pl.Int64 if name in whole else pl.Float64 for name in rows[0]}
        return pl.DataFrame(rows, schema={**kinds, "label": pl.String, "optimizer": pl.String}, orient="row")

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        style: Literal["light", "dark"] = "light",
        title: str | None = None,
        reach: float | None = None,
    ) -> Figure:
        """Return the picture of the comparison, and write it to `path` if that is given; see `comparison_picture`.

        Parameters
        ----------
        path : str or path, optional
            A file ending in .png, .svg or .pdf.
        style : str
            "light" or "dark".
        title : str, optional
            Left out: the data and the network.
        reach : float, optional
            As of `table`.

        Raises
        ------
        InputError
            If an argument is not legal, or no run is finished yet.
        """
        from downslope.figures.comparison import comparison_picture

        job = self._job
        return comparison_picture(
            self.table(reach=reach),
            self._frame(self._shared(self._runs()), reach),
            {name: self.curves(name) for name in ("loss", self.score)},
            path,
            style=style,
            title=f"{self._compared()} on {job.data.name}" if title is None else title,
            subtitle=" · ".join(self.notes()),
            epochs=job.epochs,
        )

    def notes(self) -> list[str]:
        """Return what a reader of the numbers must know: the network, how long, how often, the learning rates."""
        job = self._job
        told = [repr(job.network), f"{job.epochs:,} epoch{'s' * (job.epochs != 1)}"]
        if not self.complete:
            told.append(self.seeds_in_words())
        if job.batch_size is not None and job.batch_size < job.rows:
            told.append(f"batches of {job.batch_size:,}")
        if self.tuning is not None:
            chosen = [one for one in self.tuning.chosen if one is not None]
            many = f" of {len(chosen)}" if len(chosen) < len(self.labels) else ""
            edges = sum(one.at_edge for one in chosen)
            at_edge = f", {edges} at the end of those tried" if edges else ""
            told.append(f"learning rates{many} tuned on other seeds{at_edge}")
        return told

    def seeds_in_words(self) -> str:
        """Return which seeds are compared: `first 45 seeds of 64`, where those are done by every optimizer."""
        places, planned = self._places(), len(self._job.seeds)
        if not places:
            return f"none of {planned:,} seeds done by all"
        first = "first " if places == list(range(len(places))) and len(places) < planned else ""
        return f"{first}{len(places):,} seed{'s' * (len(places) != 1)} of {planned:,}"

    def write(self, path: str | os.PathLike[str], what: Literal["runs", "table", "curves"] = "runs") -> None:
        """Write the data to a file ending in .csv, .tsv or .parquet.

        Parameters
        ----------
        path : str or path
            The file; it is whole or not there.
        what : str
            "runs" for `frame`, "table", or "curves": those of loss and score, with a first column `quantity`.

        Raises
        ------
        InputError
            If it cannot be written, or no run is finished yet.
        """
        checks.one_of("what", what, ["runs", "table", "curves"])
        file = place("path", path, TABLES)
        if what == "curves":
            import polars as pl

            parts = [(name, self.curves(name)) for name in ("loss", self.score)]
            frame = pl.concat([part.select(pl.lit(name).alias("quantity"), pl.all()) for name, part in parts])
        else:
            frame = self.frame() if what == "runs" else self.table()
        write_table(frame, file)

    def _compared(self) -> str:
        return f"{len(self.labels)} optimizers" if len(self.labels) > 1 else self.labels[0]

    def _runs(self) -> polars.DataFrame:
        runs = self._result.runs()
        if runs is None:
            raise InputError("a comparison must have a finished run before it has a table. Received: none yet")
        return runs

    def _places(self) -> list[int]:
        """Return the places of `seeds` among all."""
        import polars as pl

        if self.complete:
            return list(range(len(self._job.seeds)))
        runs = self._result.runs()
        if runs is None:
            return []
        counts = runs.group_by((pl.col("run") % len(self._job.seeds)).alias("place")).len()
        return sorted(counts.filter(pl.col("len") == len(self.labels))["place"].to_list())

    def _shared(self, runs: polars.DataFrame) -> polars.DataFrame:
        """Return the runs with the seeds that are compared."""
        import polars as pl

        places = self._places()
        if self.complete or not places:
            return runs
        return runs.filter((pl.col("run") % len(self._job.seeds)).is_in(places))

    def _level(self, reach: float | None) -> float | None:
        if reach is None:
            return self.reach
        level = checks.real("reach", reach, checks.Interval(above=0))
        if level not in self._job.levels:
            near = sorted(self._job.levels, key=lambda one: abs(one - level))[:2]
            told = " or ".join(f"{one:g}" for one in sorted(near))
            raise checks.refuse("reach", f"a round number, here {told}, or the one that compare was told", reach)
        return level

    def _measured_alike(self, quantity: str) -> bool:
        """Whether the value after the last update is measured as the history's are."""
        job = self._job
        if quantity.startswith("validation"):
            return True
        whole = job.batch_size is None or job.batch_size >= job.rows
        dropout = any(isinstance(layer, Dropout) for layer in job.network.layers)
        return quantity in ("loss", self.score) and whole and not dropout
