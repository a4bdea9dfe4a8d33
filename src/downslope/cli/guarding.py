"""The guard as `train`, `resume` and `branch` take it: a policy's name, or off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from downslope.cli.options import option
from downslope.cli.problem import TRAINING
from downslope.training import Guard, Run
from downslope.training.guard import POLICIES
from downslope.training.log import Entry

__all__ = ["guard_option", "guarded"]

_MEANINGS = "; ".join(f"{name}: {meaning}" for name, meaning in POLICIES.items())


def guard_option(told: str, **attributes: Any) -> Callable[[Any], Any]:
    """Return the decorator that gives a command `--guard`; `told` is the first sentence of its help."""
    kinds = click.Choice([*POLICIES, "off"])
    return option(TRAINING, "--guard", type=kinds, help=f"{told} {_MEANINGS}.", **attributes)


def guarded(run: Run, policy: str | None) -> list[Entry]:
    """Give a run that goes on another policy, if one is asked for; return what that wrote into its log.

    All else of its guard, such as limits of one's own, stays.
    """
    if policy is None:
        return []
    if policy == "off":
        return run._set_guard(None)
    return run._set_guard(Guard(policy) if run.guard is None else replace(run.guard, policy=policy))
