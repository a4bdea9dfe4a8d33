"""Runs trained one after the other, each bit for bit as `Run` trains it alone, and what is kept of them."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from downslope.engines.choice import ENGINES
from downslope.engines.problem import Control, Engine, EpochRecord, Scores, State
from downslope.engines.update import FloatArray
from downslope.errors import DownslopeError, NonFiniteError
from downslope.sweeps.job import CHAPTER, Job
from downslope.training.history import History
from downslope.training.setup import Setup

if TYPE_CHECKING:
    import polars

__all__ = ["Bench", "Finished", "Stop", "lost", "parameters_digest", "summary_schema", "work"]

MOST_BYTES = 256 * 2**20  # of set-ups kept for the next run
EXPLODED_ABOVE = 2.0  # times the first loss
LOSS = EpochRecord._fields.index("loss")


class Finished(NamedTuple):
    """What is kept of some finished runs, as tables; they can be sent from one process to another.

    Attributes
    ----------
    summary : DataFrame
        A row a run; see `summary_schema`.
    histories : DataFrame or None
        A row a kept epoch: the run, the epoch and the columns of `History`. None unless asked for.
    parameters : DataFrame or None
        A row a run: the run and the bytes of its final parameters. None unless asked for.
    seconds : float
        What it took.
    """

    summary: polars.DataFrame
    histories: polars.DataFrame | None
    parameters: polars.DataFrame | None
    seconds: float


class Stop:
    """The wish that a sweep end: once set, the runs under way in this process stop after their step.

    It is set from a signal handler, between any two instructions of the main thread, so it takes no lock.
    """

    def __init__(self) -> None:
        self._wished = False
        self._controls: set[Control] = set()

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._wished

    def set(self) -> None:
        """Ask all runs to stop, those under way and those to come."""
        self._wished = True
        for control in tuple(self._controls):
            control.stop()

    @contextmanager
    def control(self) -> Iterator[Control]:
        """Yield a control that is told of the wish for as long as the block lasts."""
        control = Control()
        self._controls.add(control)
        try:
            if self.is_set():
                control.stop()
            yield control
        finally:
            self._controls.discard(control)


class Asked(Protocol):
    """Whatever can be asked whether to stop, such as `threading.Event`."""

    def is_set(self) -> bool:
        """Whether to stop."""


class Bench:
    """Where runs of one job are trained: what they begin with is made once for each seed and batch size, and shared.

    Threads may use one bench together; each has an engine of its own.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._kept: OrderedDict[tuple[Any, int | None], tuple[Setup, Scores]] = OrderedDict()
        self._lock = threading.Lock()
        self._own = threading.local()

    def work(self, runs: Iterable[int], stop: Asked | None = None) -> Finished:
        """Train these runs one after the other and return what is kept of them.

        A run that explodes or fails is a record like the others. Once `stop` is set the run under way is given up,
        and what was finished before is returned.
        """
        started = time.perf_counter()
        kept = [kept for kept in self._each(runs, stop) if kept is not None]
        job = self.job
        return Finished(
            _table([one.row for one in kept], summary_schema(job)),
            None if job.history_every is None else _histories(job, kept),
            _parameters(kept) if job.keep_parameters else None,
            time.perf_counter() - started,
        )

    def _each(self, runs: Iterable[int], stop: Asked | None) -> Iterator[_Kept | None]:
        own: AbstractContextManager[Control] = stop.control() if isinstance(stop, Stop) else nullcontext(Control())
        with own as control:
            for run in runs:
                if stop is not None and stop.is_set():
                    return
                yield self._one(run, control)

    def _one(self, run: int, control: Control) -> _Kept | None:
        """Train one run; None where it was stopped on the way."""
        job = self.job
        settings, seed = job.settings_of(run // len(job.seeds)), job.seed_of(run)
        row: dict[str, Any] = {"run": run, **settings, "seed": seed, "epochs": 0, "steps": 0, "outcome": "failed"}
        trace = _Trace(job.history_every, job.levels)
        started = time.perf_counter()
        final: FloatArray | None = None
        try:
            rule, batch_size = job.rule_of(settings), job.batch_size_of(settings)
            row["key"] = job.key_of(rule, batch_size, seed)
            setup, first = self._begin(seed, batch_size)
            problem, engine = setup.problem, self._engine(batch_size)
            trace.state = State.start(setup.parameters, rule)
            try:
                engine.advance(problem, rule, trace.state, job.epochs * problem.steps_per_epoch, control, trace.keep)
                if trace.state.epoch < job.epochs:
                    return None
                row["outcome"] = "finished"
            except NonFiniteError as error:
                row |= {"outcome": "exploded", "message": str(error)}
            state = trace.state
            scores = engine.measure(problem, state.parameters, problem.training)
            row |= {"epochs": state.epoch, "steps": state.step, "loss": scores.loss, job.score: scores.score}
            if problem.validation is not None:
                held_out = engine.measure(problem, state.parameters, problem.validation)
                row |= {"validation_loss": held_out.loss, f"validation_{job.score}": held_out.score}
            if row["outcome"] == "finished" and not scores.loss <= EXPLODED_ABOVE * first.loss:
                above = f"above twice the first loss, {first.loss:.4g}"
                row |= {"outcome": "exploded", "message": f"The last loss is {scores.loss:.4g}, {above}."}
            best, best_epoch = trace.best(scores.loss)
            final = state.parameters
            row |= {"first_loss": first.loss, "best_loss": best, "best_epoch": best_epoch}
            row |= {"largest_weight": float(np.abs(final).max()), "digest": parameters_digest(final)}
            if job.levels:
                row |= {"seconds": time.perf_counter() - started, "reached": trace.reached(scores.loss)}
        except Exception as error:  # whatever one run raises, the others go on
            _fail(job, row, error)
            final = None
        return _Kept(row, trace.epochs, trace.rows, final)

    def _begin(self, seed: Any, batch_size: int | None) -> tuple[Setup, Scores]:
        """Return what a run begins with and its loss there, from those kept or anew."""
        with self._lock:  # a second thread waits, rather than prepare the same
            known = (seed, batch_size)
            if known not in self._kept:
                setup = self.job.set_up(seed, batch_size)
                first = self._engine(batch_size).measure(setup.problem, setup.parameters, setup.problem.training)
                setup.parameters.flags.writeable = False
                self._kept[known] = (setup, first)
                while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > MOST_BYTES:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(known)
            return self._kept[known]

    def _engine(self, batch_size: int | None) -> Engine:
        """Return this thread's engine for runs with this batch size."""
        engines: dict[str, Engine] = self._own.__dict__.setdefault("engines", {})
        name = self.job.engine_of(batch_size)
        if name not in engines:
            engines[name] = ENGINES[name]()
        return engines[name]


_bench: Bench | None = None


def work(job: Job, runs: Iterable[int], stop: Asked | None = None) -> Finished:
    """Train these runs of a job in this process; see `Bench.work`. The bench is kept for the job's next runs."""
    global _bench  # noqa: PLW0603 - a worker process is given one job after another, each many times
    bench = _bench
    if bench is None or bench.job.digest != job.digest:
        bench = _bench = Bench(job)
    return bench.work(runs, stop)


def lost(job: Job, runs: Iterable[int], error: BaseException) -> Finished:
    """Return the records of runs whose chunk could not be executed at all: failed, each with the error's message."""
    rows = []
    for run in runs:
        settings = job.settings_of(run // len(job.seeds))
        row = {"run": run, **settings, "seed": job.seed_of(run), "key": job.key(run), "epochs": 0, "steps": 0}
        _fail(job, row, error)
        rows.append(row)
    return Finished(_table(rows, summary_schema(job)), None, None, 0.0)


def parameters_digest(parameters: FloatArray) -> str:
    """Return 32 hexadecimal digits that change with any bit of the parameters."""
    little = np.ascontiguousarray(parameters, dtype=parameters.dtype.newbyteorder("<"))
    return hashlib.blake2b(little.data, digest_size=16).hexdigest()


def summary_schema(job: Job) -> dict[str, Any]:
    """Return the columns of a summary and their types, in order; all but the first few may be null."""
    import polars as pl

    kinds = {bool: pl.Boolean, int: pl.Int64, float: pl.Float64}
    schema: dict[str, Any] = {"run": pl.UInt32, "key": pl.String}
    schema |= {name: kinds[type(one.values[0])] for name, one in job.over.items()}
    schema |= {"seed": pl.String if job.seeds == CHAPTER else pl.UInt64, "epochs": pl.Int64, "steps": pl.Int64}
    schema |= {"outcome": pl.String, "message": pl.String, "loss": pl.Float64, job.score: pl.Float64}
    if job.validated:
        schema |= {"validation_loss": pl.Float64, f"validation_{job.score}": pl.Float64}
    schema |= {
        "first_loss": pl.Float64,
        "best_loss": pl.Float64,
        "best_epoch": pl.Int64,
        "largest_weight": pl.Float64,
        "digest": pl.String,
    }
    return schema | {"seconds": pl.Float64, "reached": pl.List(pl.Int64)} if job.levels else schema


class _Kept(NamedTuple):
    row: dict[str, Any]
    epochs: list[NDArray[np.int64]]
    rows: list[NDArray[np.float64]]
    parameters: FloatArray | None


class _Trace:
    """What one run leaves behind while it is trained: its last state, its best loss, some of its epochs.

    And, for each of some falling losses, the first epoch whose loss was not above it.
    """

    state: State

    def __init__(self, every: int | None, levels: Sequence[float] = ()) -> None:
        self.every = every
        self._falling = -np.asarray(levels)  # rising, as a search needs it
        self._reached: list[int] = []
        self.epochs: list[NDArray[np.int64]] = []
        self.rows: list[NDArray[np.float64]] = []
        self._best, self._best_epoch = math.inf, 0

    def keep(self, state: State, first: int, records: Sequence[EpochRecord] | NDArray[np.float64]) -> None:
        """Receive what an engine keeps."""
        self.state = state
        if not len(records):
            return
        rows = np.asarray(records, dtype=np.float64)
        losses = rows[:, LOSS]
        place = int(losses.argmin())
        if losses[place] < self._best:
            self._best, self._best_epoch = float(losses[place]), first + place
            self._note(losses, first)
        if self.every is not None and (start := -first % self.every) < len(rows):
            self.rows.append(rows[start :: self.every].copy())
            self.epochs.append(np.arange(first + start, first + len(rows), self.every))

    def _note(self, losses: NDArray[np.float64], first: int) -> None:
        """Note the epochs at which these losses first reached the levels that none before them did."""
        start, end = len(self._reached), int(self._falling.searchsorted(-self._best, side="right"))
        if end > start:
            lowest = np.minimum.accumulate(losses)
            self._reached += (first + (-lowest).searchsorted(self._falling[start:end])).tolist()

    def reached(self, last: float) -> list[int]:
        """Return the epochs at which the levels were reached, as far as they were; `last` as in `best`."""
        end = int(self._falling.searchsorted(-last, side="right")) if math.isfinite(last) else 0
        return self._reached + [self.state.epoch] * (end - len(self._reached))

    def best(self, last: float) -> tuple[float | None, int | None]:
        """Return the lowest loss and its epoch, the loss after the last update being that of the epoch to come."""
        if last < self._best:
            return last, self.state.epoch
        return (self._best, self._best_epoch) if math.isfinite(self._best) else (None, None)


def _fail(job: Job, row: dict[str, Any], error: BaseException) -> None:
    """Make a row that of a run which raised something: its message, and no numbers."""
    plain = isinstance(error, DownslopeError)
    for name in ("loss", job.score, "validation_loss", f"validation_{job.score}", "first_loss", "best_loss"):
        row.pop(name, None)
    row |= {"outcome": "failed", "message": str(error) if plain else f"{type(error).__name__}: {error}"}


def _table(rows: list[dict[str, Any]], schema: dict[str, Any]) -> polars.DataFrame:
    import polars as pl

    return pl.DataFrame({name: [row.get(name) for row in rows] for name in schema}, schema=schema)


def _histories(job: Job, kept: list[_Kept]) -> polars.DataFrame:
    import polars as pl

    names = History(job.data.kind, validation=job.validated).names[1:]
    places = [EpochRecord._fields.index(name.replace(job.score, "score")) for name in names]
    runs = [np.full(sum(map(len, one.epochs)), one.row["run"], dtype=np.uint32) for one in kept]
    epochs = [np.zeros(0, dtype=np.int64), *(part for one in kept for part in one.epochs)]
    rows = [np.zeros((0, len(EpochRecord._fields))), *(part for one in kept for part in one.rows)]
    values = np.concatenate(rows)
    columns = {name: np.ascontiguousarray(values[:, place]) for place, name in zip(places, names, strict=True)}
    return pl.DataFrame({
        "run": np.concatenate([np.zeros(0, dtype=np.uint32), *runs]),
        "epoch": np.concatenate(epochs),
        **columns,
    })  # fmt: skip


def _parameters(kept: list[_Kept]) -> polars.DataFrame:
    import polars as pl

    whole = [one for one in kept if one.parameters is not None]
    content = [_little(one.parameters) for one in whole if one.parameters is not None]
    schema = {"run": pl.UInt32, "parameters": pl.Binary}
    return pl.DataFrame({"run": [one.row["run"] for one in whole], "parameters": content}, schema=schema)


def _little(parameters: FloatArray) -> bytes:
    return np.asarray(parameters, dtype=parameters.dtype.newbyteorder("<")).tobytes()


def _size(kept: tuple[Setup, Scores]) -> int:
    setup, _ = kept
    parts = [part for part in (setup.problem.training, setup.problem.validation) if part is not None]
    return 2048 + setup.parameters.nbytes + sum(part.inputs.nbytes + part.targets.nbytes for part in parts)
