"""The compiled engine: whole stretches of training inside machine code, with the same bits on every processor."""

from __future__ import annotations

from typing import Any

import numpy as np

from downslope.engines.compiled.kernels import kernel
from downslope.engines.compiled.plan import Plan, aligned, columns, plan_of
from downslope.engines.compiled.stretch import (
    Stretch,
    Work,
    check_parameters,
    check_state,
    in_stretches,
    place,
    places,
    scores_of,
)
from downslope.engines.problem import Control, Keep, Part, Problem, Scores, State, Watch
from downslope.engines.scalars import ScalarTable, is_quick
from downslope.engines.update import FloatArray
from downslope.rules import Optimizer

__all__ = ["Compiled"]

STRETCH_SECONDS = 0.05  # about how long one call into machine code takes
FIRST_STEPS = 32  # the first one at most, where it is not known how long a schedule takes


class Compiled:
    """Trains inside machine code, many steps a call, without holding Python's lock.

    The same problem, rule and state give the same bits on every processor, in one go or in pieces, alone or beside
    others: strict arithmetic, sums in fixed lanes and trees, own elementary functions (DESIGN, section 2).
    """

    name = "compiled"

    def advance(
        self,
        problem: Problem,
        rule: Optimizer,
        state: State,
        steps: int,
        control: Control,
        keep: Keep,
        watch: Watch | None = None,
    ) -> None:
        """Make `steps` updates, keeping about every twentieth of a second; see `Engine.advance`."""
        plan = plan_of(problem)
        check_state(plan, rule, state)
        first = state.step

        def make(state: State, table: ScalarTable, control: Control) -> Stretch:
            return _make(plan, problem, Work(plan, problem, rule, state, table, watch, first), state, control)

        count = int(STRETCH_SECONDS * 2e10 / (plan.products + 20_000))
        if not is_quick(rule):
            count = min(FIRST_STEPS, count)
        in_stretches(make, rule, state, steps, control, keep, watch, count=count, seconds=STRETCH_SECONDS)

    def describe(self) -> dict[str, Any]:
        """Return the name: nothing else decides the bits."""
        return {"name": self.name}

    def measure(self, problem: Problem, parameters: FloatArray, part: Part) -> Scores:
        """Return loss and score of `parameters` on a part, without dropout."""
        plan = plan_of(problem)
        check_parameters(plan, "parameters", parameters)
        rows = plan.known(problem, part) or columns(part, plan.lanes)
        out = np.zeros(2 + plan.tallies)
        workspace = aligned(plan.workspace, plan.dtype)
        sizes = plan.sizes()
        parameters = np.ascontiguousarray(parameters)
        kernel("measure", plan.dtype).function(
            *places(sizes, *plan.tables, parameters, rows.inputs), rows.stride, place(rows.targets), rows.rows,
            *places(workspace, out),
        )  # fmt: skip
        return scores_of(plan, problem, part, out)


def _make(plan: Plan, problem: Problem, work: Work, state: State, control: Control) -> Stretch:
    """Make the work's steps in one call."""
    shuffled = problem.rows if problem.batch_size < problem.rows else 0
    order, bins = np.empty(shuffled, dtype=np.int64), np.empty(shuffled + 1, dtype=np.int64)
    drawn = np.empty(shuffled, dtype=np.uint64)
    held_out = plan.held_out or plan.training
    workspace = aligned(plan.workspace, plan.dtype)
    kernel("train", plan.dtype).function(
        *places(
            work.sizes, *plan.tables, work.parameters, work.before, work.gradient, work.addresses, work.scalars,
            plan.training.inputs, plan.training.targets, order, bins, drawn, held_out.inputs, held_out.targets,
            workspace, work.records, control.cells, work.report, work.numbers,
            work.rates, work.limits, work.memory, work.signals, work.alerts,
        ),
        work.steps, state.step + 1, state.epoch, state.batch,
    )  # fmt: skip
    return work.done()
