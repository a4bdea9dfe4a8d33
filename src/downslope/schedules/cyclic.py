"""Schedules of a planned length: warm-up, cosine with and without restarts, one cycle."""

from __future__ import annotations

from typing import Any, ClassVar

from downslope import checks, exact
from downslope.exact import maximum, minimum, where
from downslope.schedules.base import (
    LARGEST_STEP,
    Schedule,
    between,
    choice,
    count,
    half_cosine,
    number,
    switch,
)

__all__ = ["Cosine", "LinearWarmup", "OneCycle"]


class LinearWarmup(Schedule):
    """From `start` to `base` along a straight line; then it stays at `base`.

    Formula: η_k = a + (η − a) · min(k, s)/s.

    Parameters
    ----------
    base : float
        The learning rate η that is reached, above 0.
    steps : int
        s, at least 1: `base` is reached after so many updates.
    start : float
        a, the learning rate of the first update, at least 0. With 0 the first update changes nothing.

    References
    ----------
    Goyal et al. 2017, "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", section 2.2.

    Examples
    --------
    >>> schedule = LinearWarmup(1.0, steps=100)
    >>> schedule(0), schedule(25), schedule(1000)
    (0.0, 0.25, 1.0)
    """

    formula: ClassVar[str] = "η_k = a + (η − a) · min(k, s)/s"
    base: float = number(above=0)
    steps: int = count()
    start: float = number(default=0.0, at_least=0)

    @property
    def length(self) -> int | None:
        """`steps`."""
        return self.steps

    def _rate(self, k: Any) -> Any:
        return between(self.start, self.base, minimum(k, self.steps) / self.steps)


class Cosine(Schedule):
    """From `base` to `final` along half a cosine wave; then it stays at `final`, or starts again.

    Formula: η_k = f + (η − f) · mⁱ · (1 + cos(π·j/s_i)) / 2, where j counts the updates of period i, whose
    length is s_i = s·Tⁱ. Without restarts there is one period: i = 0 and j = min(k, s).

    Parameters
    ----------
    base : float
        The initial learning rate η, above 0.
    steps : int
        s, at least 1: the length of the (first) period.
    final : float
        f, at least 0.
    restarts : bool
        Whether a new period starts at `base` when one has ended ("warm restarts").
    period_factor : int
        T, at least 1: by how much each period is longer than the one before; not used without restarts.
    peak_factor : float
        m, above 0 and at most 1: by how much the height above `final` shrinks at each restart (as Keras's `m_mul`);
        not used without restarts.

    References
    ----------
    Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", section 3, equation 5.

    Examples
    --------
    >>> schedule = Cosine(1.0, steps=100)
    >>> schedule(0), schedule(50), schedule(100), schedule(150)
    (1.0, 0.5, 0.0, 0.0)
    >>> schedule = Cosine(1.0, steps=100, restarts=True, period_factor=2, peak_factor=0.5)
    >>> schedule(100), schedule(200), schedule(300)
    (0.5, 0.25, 0.25)
    """

    formula: ClassVar[str] = "η_k = f + (η − f) · mⁱ · (1 + cos(π·j/s_i)) / 2"
    base: float = number(above=0)
    steps: int = count()
    final: float = number(default=0.0, at_least=0)
    restarts: bool = switch(default=False)
    period_factor: int = count(default=1)
    peak_factor: float = number(default=1.0, above=0, at_most=1)

    @property
    def length(self) -> int | None:
        """`steps`, or None with restarts."""
        return None if self.restarts else self.steps

    def _rate(self, k: Any) -> Any:
        if not self.restarts:
            return between(self.final, self.base, half_cosine(minimum(k, self.steps) / self.steps))
        period, done, length = self._period(k)
        return between(self.final, self.base, exact.power(self.peak_factor, period) * half_cosine(done / length))

    def _period(self, k: Any) -> tuple[Any, Any, Any]:
        """Return the number of the period k lies in, the updates done in it, and its length."""
        if self.period_factor == 1:
            return k // self.steps, k % self.steps, self.steps
        period, start, length = 0 * k, 0 * k, 0 * k + self.steps
        next_start, next_length = self.steps, self.steps * self.period_factor
        while next_start <= LARGEST_STEP:
            reached = k >= next_start
            if not (reached if isinstance(reached, bool) else reached.any()):
                break
            period, start = where(reached, period + 1, period), where(reached, next_start, start)
            # A length beyond the range of int64 is possible here; as a float it is close enough.
            length = where(reached, float(next_length), length)
            next_start, next_length = next_start + next_length, next_length * self.period_factor
        return period, k - start, length


class OneCycle(Schedule):
    """Up to the peak and down to almost nothing, once, in a training of known length; then it stays there.

    Formula: η_k = a + (η − a) · w(d), with w(d) = (1 + cos(π·d)) / 2 ("cosine") or 1 − d ("linear"). Rising, for k ≤ u
    with u = r·s − 1, a = η·start_factor and d = (u − k)/u; falling, a = η·final_factor and d = (k − u)/(s − 1 − u).
    So the last of `steps` updates uses η·final_factor, as in PyTorch's `OneCycleLR` with `div_factor` =
    1/`start_factor` and `final_div_factor` = `start_factor`/`final_factor`, whose defaults these are.

    Parameters
    ----------
    base : float
        The peak learning rate η, above 0.
    steps : int
        s, at least 2: the number of updates of the whole training.
    start_factor : float
        The first learning rate as a fraction of the peak, at least 0 and at most 1.
    final_factor : float
        The last learning rate as a fraction of the peak, at least 0 and at most 1.
    rising : float
        r, the fraction of the updates in which the rate rises, above 1/`steps` and below 1.
    shape : str
        "cosine" or "linear".

    References
    ----------
    Smith & Topin 2018, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    section 3.

    Examples
    --------
    >>> schedule = OneCycle(1.0, steps=101, start_factor=0.5, final_factor=0, rising=51 / 101, shape="linear")
    >>> schedule(0), schedule(25), schedule(50), schedule(75), schedule(100)
    (0.5, 0.75, 1.0, 0.5, 0.0)
    """

    formula: ClassVar[str] = "η_k = a + (η − a) · w(d), d = distance from the peak"
    base: float = number(above=0)
    steps: int = count(at_least=2)
    start_factor: float = number(default=0.04, at_least=0, at_most=1)
    final_factor: float = number(default=4e-6, at_least=0, at_most=1)
    rising: float = number(default=0.3, above=0, below=1)
    shape: str = choice(("cosine", "linear"), default="cosine")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.rising * self.steps - 1.0 < self.steps - 1.0:
            raise checks.refuse("rising", f"above 1/steps = 1/{self.steps} and below 1", self.rising)

    @property
    def length(self) -> int | None:
        """`steps`."""
        return self.steps

    def _rate(self, k: Any) -> Any:
        top = self.rising * self.steps - 1.0
        last = self.steps - 1
        rises = k <= top
        low = self.base * where(rises, self.start_factor, self.final_factor)
        distance = where(rises, maximum(top - k, 0.0) / top, (minimum(k, last) - top) / (last - top))
        return between(low, self.base, half_cosine(distance) if self.shape == "cosine" else 1.0 - distance)
