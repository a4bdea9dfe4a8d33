"""Which learning rate: the range test, and beside it the rate at which training explodes, both on a copy."""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.checks import Interval
from downslope.engines.problem import Control
from downslope.interrupt import deferred_interrupt
from downslope.rules import Optimizer
from downslope.schedules import Exponential
from downslope.training.rate_trials import Copy, Trial, trials
from downslope.training.setup import expect

if TYPE_CHECKING:
    import polars

    from downslope.training.run import Run

__all__ = ["RateTest", "Trial", "find_rate", "rate_range"]

PIECE = 16  # steps of the ramp between two looks at its losses
FALLEN = 0.9  # share of the loss's whole fall that is made at the suggested rate: see benchmarks/find_rate.py
BELOW_HELD = 2.0  # the suggestion is at least so many times below the largest rate that held
ROUNDING = 8 * float(np.finfo(np.float32).eps)  # of a loss: what falls by no more than that share has not fallen
LATE = 0.95  # of the ramp: a loss that is lowest after it was still falling; one batch may end the fall a little early


@dataclass(frozen=True, eq=False)
class RateTest:
    """What `find_rate` found.

    Attributes
    ----------
    rates, losses, smoothed : float64 arrays, shape (n,)
        The learning rate of each step of the ramp; the loss of its batch before it, penalty included; that smoothed.
    ended : "risen", "not finite", "whole" or "stopped"
        Why the ramp ended: the smoothed loss rose above `stop` times its lowest; the next step met a number that is
        not finite; all steps were made; Ctrl-C.
    trials : tuple of Trial
        Every constant rate that was tried, in the order of trying.
    finished : bool
        Whether all was done; False in what `on_progress` is given before.
    optimizer : Optimizer
        The run's rule, whose other settings were in force.
    step : int
        How many updates the run had made.
    level : float
        The run's loss on the training rows, penalty included.
    hold : int
        The updates of a trial.
    title, details : str
        What was tested: the data's name; network, loss, batches, updates made and seed.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    ended: Literal["risen", "not finite", "whole", "stopped"]
    trials: tuple[Trial, ...]
    finished: bool
    optimizer: Optimizer
    step: int
    level: float
    hold: int
    title: str
    details: str

    @property
    def start(self) -> float:
        """The loss that falls are counted from: `level`, or that of the first batch where it is larger."""
        return max(self.level, float(self.smoothed[0])) if len(self.smoothed) else self.level

    @property
    def lowest(self) -> float | None:
        """The rate at which the smoothed loss was lowest; None where it never fell by more than rounding."""
        place = int(self.smoothed.argmin()) if len(self.smoothed) else 0
        fall = self.start - self.smoothed[place] if place else 0.0
        return float(self.rates[place]) if fall > ROUNDING * abs(self.start) else None

    @property
    def threshold(self) -> float | None:
        """The smallest rate that exploded; None where none did."""
        return min((trial.rate for trial in self.trials if trial.exploded), default=None)

    @property
    def held(self) -> float | None:
        """The largest rate that held below the threshold, in the end at most 5 % below it; None where none did."""
        limit = math.inf if self.threshold is None else self.threshold
        return max((trial.rate for trial in self.trials if not trial.exploded and trial.rate < limit), default=None)

    @property
    def fallen(self) -> float | None:
        """The first rate at which the smoothed loss had made nine tenths of its fall; None where it never fell."""
        if self.lowest is None:
            return None
        limit = self.start - FALLEN * (self.start - self.smoothed.min())
        return float(self.rates[int((self.smoothed <= limit).argmax())])

    @property
    def suggestion(self) -> float | None:
        """The learning rate to begin with: `fallen`, and at most half of `held`.

        None where the loss never fell, every rate that was tried exploded, or Ctrl-C ended the ramp.
        """
        if self.ended == "stopped":
            return None
        if self.threshold is None or self.fallen is None:
            return self.fallen
        return None if self.held is None else min(self.fallen, self.held / BELOW_HELD)

    @property
    def lower_bound(self) -> bool:
        """Whether the loss was still falling at the end of the range: with a larger `high` more may be suggested.

        Not where the suggestion is half of what held, which no range moves.
        """
        if self.ended != "whole" or self.suggestion is None or self.suggestion != self.fallen:
            return False
        down = self.start - FALLEN * (self.start - self.smoothed.min())
        return bool(self.smoothed.argmin() >= LATE * (len(self.smoothed) - 1) and self.smoothed[-1] <= down)

    def frame(self) -> polars.DataFrame:
        """Return the ramp as a polars data frame with the columns learning_rate, loss and smoothed_loss."""
        import polars as pl

        return pl.DataFrame({"learning_rate": self.rates, "loss": self.losses, "smoothed_loss": self.smoothed})

    def describe(self) -> dict[str, Any]:
        """Return what was found as values that JSON can hold; a loss that is not finite is None."""
        return {
            "suggestion": self.suggestion,
            "lower_bound": self.lower_bound,
            "lowest": self.lowest,
            "held": self.held,
            "threshold": self.threshold,
            "ended": self.ended,
            "finished": self.finished,
            "step": self.step,
            "level": self.level,
            "hold": self.hold,
            "trials": [
                {name: value if math.isfinite(value) else None for name, value in trial._asdict().items()}
                for trial in self.trials
            ],
        }

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        style: Literal["light", "dark"] = "light",
        title: str | None = None,
        others: Sequence[RateTest] = (),
    ) -> Any:
        """Draw it, and write it to `path` (.png, .svg or .pdf): `downslope.find_rate_picture`.

        Returns the matplotlib figure.
        """
        figures = importlib.import_module("downslope.figures")
        return figures.find_rate_picture(self, path, style=style, title=title, others=others)

    def __repr__(self) -> str:
        suggestion, threshold = (
            "none" if rate is None else f"{rate:.3g}" for rate in (self.suggestion, self.threshold)
        )
        return f"<RateTest of {len(self.rates)} rates: suggestion {suggestion}, threshold {threshold}>"


def find_rate(
    run: Run,
    *,
    low: float = 1e-6,
    high: float = 100.0,
    steps: int = 200,
    smoothing: float = 0.9,
    stop: float = 4.0,
    hold: int = 200,
    on_progress: Callable[[RateTest], None] | None = None,
) -> RateTest:
    """Test learning rates on a copy of a run as it stands: a range test, and the rate at which training explodes.

    The run itself is untouched: its state, history, log and future are what they would have been. What it finds holds
    for this state, rule, data and batch size; all other settings stay as they are, slots go on from the run's. The
    same run gives the same numbers.

    **The range test.** One update at each of `steps` rates, η_i = low · (high/low)^(i/(steps − 1)), on the batches that
    would have come next. The loss L_i of batch i before its update is smoothed to s_i = m_i / (1 − β^(i+1)) with
    m_i = β m_{i−1} + (1 − β) L_i, m_{−1} = 0 and β = `smoothing`. It ends early where s_i is above `stop` times the
    lowest so far, or a number is not finite. The *suggestion* is the first rate at which s_i had made nine tenths of
    the way from the start (the run's loss, or s_0 where it is larger) to the lowest s_i, and at most half of the
    largest rate that held (below). It depends on the range: if the loss is still falling at `high`, its lowest value
    is not known, and the suggestion is a *lower bound*.

    **The threshold.** From the present state, `hold` updates at one constant rate, their losses averaged over a tenth
    of them. It *exploded* if a loss, gradient, weight or slot was not finite; if the highest of these means was at
    least ten times the run's loss, and ten times the loss C of the best outputs that are the same for all rows; or if
    the last mean was at least twice the run's loss, and half of C. So a brief spike is no explosion, and a trained
    run's loss near 0 may grow a lot. Tried are rates from where the suggestion is read off, up or down by factors of 2
    within [low, high], then between the last that held and the first that exploded until they are at most 5 % apart. A
    rate below one that held is taken to hold.

    Parameters
    ----------
    run : Run
        At any step.
    low, high : float
        The ends of the rates, above 0, and no further apart than a number can say.
    steps : int
        The number of rates of the range test, at least 2.
    smoothing : float
        β, at least 0 and below 1.
    stop : float
        Above 1.
    hold : int
        The updates of each trial; with 0 no threshold is looked for.
    on_progress : callable, optional
        Called with what is found so far: after pieces of the range test, after each trial, and when Ctrl-C ends it.

    Returns
    -------
    RateTest

    Raises
    ------
    InputError
        If an argument is not legal, or the run's loss is not finite.
    KeyboardInterrupt
        At Ctrl-C, after the step under way.

    References
    ----------
    Smith (2017), "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186, section 3.3: the range test,
    with rates that grow linearly and the accuracy looked at. Geometric growth, one update a rate, the smoothed loss and
    the stop at four times its lowest are from Gugger (2018), "How Do You Find A Good Learning Rate", as in fastai. The
    suggestions usual there, a tenth of the rate with the lowest loss or the one where it falls most steeply, are
    further from the best rate of a sweep than the one used here: see benchmarks/find_rate.py.

    Examples
    --------
    >>> import downslope as ds
    >>> run = ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(), ds.SGD(momentum=0.9))
    >>> test = find_rate(run)
    >>> test.suggestion < test.held < test.threshold
    True
    """
    from downslope.training.run import Run

    expect("run", run, Run, "a run such as Run(MLP([2, 64, 3]), data, SGD())")
    least, most = rate_range(low, high)
    rate = run.optimizer.settings["learning_rate"]
    for end in (least, most):
        rate.check(end)
    count, held = checks.whole("steps", steps, at_least=2), checks.whole("hold", hold)
    beta, ratio = (
        checks.real("smoothing", smoothing, Interval(at_least=0, below=1)),
        checks.real("stop", stop, Interval(above=1)),
    )
    if on_progress is not None and not callable(on_progress):
        raise checks.refuse("on_progress", "a function of what was found so far", on_progress)

    copy, control = Copy(run._copied()), Control()  # whole, if another thread trains it meanwhile
    ramp = Exponential(least, rate=most / least, steps=count - 1)
    rates = np.asarray(ramp(np.arange(count)))
    losses = np.empty(0)
    tried: list[Trial] = []
    ended: Literal["risen", "not finite", "whole", "stopped"] = "stopped"
    details = [repr(run.network), f"{run.loss.name} loss"]
    if run.problem.steps_per_epoch > 1:
        details.append(f"batches of {run.problem.batch_size:,}")
    details.append(f"after {copy.state.step:,} updates" if copy.state.step else "before training")
    details.append(f"seed={run.seed!r}")

    def found(finished: bool = False) -> RateTest:
        test = RateTest(
            rates[: len(losses)],
            losses,
            smoothed(losses, beta),
            ended,
            tuple(tried),
            finished,
            copy.rule,
            copy.state.step,
            copy.level,
            held,
            run.data.name,
            "  ·  ".join(details),
        )
        if on_progress is not None:
            on_progress(test)
        return test

    with deferred_interrupt(control.stop):
        state, begin = copy.state, least
        while not control.stopping and ended == "stopped":
            made, state, failed = copy.train(ramp, min(PIECE, count - len(losses)), control, state)
            losses = np.concatenate([losses, made])
            smooth = smoothed(losses, beta)
            risen = np.flatnonzero(smooth > ratio * np.minimum.accumulate(smooth))
            if len(risen):
                losses, ended = losses[: risen[0] + 1], "risen"
            elif failed:
                ended = "not finite"
            elif len(losses) == count:
                ended = "whole"
            begin = found().fallen or least
        if held and not control.stopping:
            for trial in trials(lambda rate: copy.trial(rate, held, control), begin, least, most):
                tried.append(trial)
                found()
        return found(finished=not control.stopping)  # after Ctrl-C the block raises instead


def rate_range(low: Any, high: Any, names: tuple[str, str] = ("low", "high")) -> tuple[float, float]:
    """Return the ends of the rates to be tested, checked; the caller calls them `names`."""
    least, most = (checks.real(name, end, Interval(above=0)) for name, end in zip(names, (low, high), strict=True))
    if not least < most:
        raise checks.refuse(names[1], f"above {names[0]}, which is {least:g}", high)
    if not math.isfinite(most / least):
        raise checks.refuse(names[1], f"at most {sys.float_info.max:.2g} times {names[0]}, which is {least:g}", high)
    return least, most


def smoothed(losses: NDArray[np.float64], smoothing: float) -> NDArray[np.float64]:
    """Return the running mean m_i = β m_{i−1} + (1 − β) L_i, divided by 1 − β^(i+1) so that it does not begin at 0."""
    mean, result = 0.0, np.empty_like(losses)
    for place, loss in enumerate(losses):
        mean = smoothing * mean + (1.0 - smoothing) * float(loss)
        result[place] = mean / (1.0 - smoothing ** (place + 1))
    return result
