"""Errors a person can act on: each message is one sentence naming the thing, the rule and what was received."""

from __future__ import annotations

__all__ = [
    "DownslopeError",
    "ExplosionError",
    "GuardWarning",
    "InputError",
    "MissingExtraError",
    "NonFiniteError",
    "RuleError",
]


class DownslopeError(Exception):
    """Base of every error Downslope raises on purpose."""


class InputError(DownslopeError, ValueError):
    """A setting, a table or a file that cannot be used; the command ends with status 2."""


class MissingExtraError(DownslopeError, ImportError):
    """An optional library is not installed; the message holds the exact `pip install`."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional library. Install it with: pip install 'downslope[{extra}]'")
        self.extra = extra


class ExplosionError(DownslopeError, ArithmeticError):
    """Training ended because the loss explodes; the run stands at its last good state.

    `step` is the update at which it was noticed, None where that is not known.
    """

    def __init__(self, message: str, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step

    def __reduce__(self) -> tuple[type[ExplosionError], tuple[str, int | None]]:
        """Return how a copy is made, in another process too."""
        return type(self), (str(self), self.step)


class NonFiniteError(ExplosionError):
    """A loss, gradient or weight became infinite or NaN; the run stopped and kept its last finite state."""


class GuardWarning(UserWarning):
    """Something in the training looks wrong; the sentence names a setting and a direction."""


class RuleError(DownslopeError):
    """A rule's own code is at fault: its formula cannot be run, or does not keep what every engine relies on."""
