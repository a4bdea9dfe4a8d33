import json
import signal
from pathlib import Path

import pytest

import downslope as ds
from downslope.engines.reference import Reference
from downslope.training import course
from downslope.training import run as run_module


@pytest.fixture(scope="session")
def bits():
    """A function of a run: every bit that training changes, as one hashable value."""

    def of(run):
        state = run.state
        slots = tuple((name, slot.dtype.str, slot.tobytes()) for name, slot in sorted(state.slots.items()))
        history = tuple((name, getattr(run.history, name).tobytes()) for name in run.history.names)
        parameters = (state.parameters.dtype.str, state.parameters.tobytes(), state.last_update.tobytes())
        return (state.step, parameters, slots, history)

    return of


@pytest.fixture(scope="session")
def printed_runs():
    """The chapter's eight printed runs: (name, optimizer, rows)."""
    path = Path(ds.__file__).with_name("book") / "printed_runs.json"
    runs = []
    for run in json.loads(path.read_text(encoding="utf-8"))["runs"]:
        settings = dict(run["settings"])
        rule, rate, decay = settings.pop("optimizer"), settings.pop("learning_rate"), settings.pop("decay", 0)
        schedule = ds.InverseTime(rate, decay=decay) if decay else rate
        runs.append((run["name"], getattr(ds, rule)(schedule, **settings), run["printed"]))
    return runs


@pytest.fixture
def disturb(monkeypatch):
    """A function: the next runs made call `action()` once, at one step, before or after that step is kept."""
    monkeypatch.setattr(course, "ENGINES", dict(course.ENGINES))
    # The engine that keeps every step, so that each can be disturbed.
    monkeypatch.setattr(run_module, "engine_name", lambda *_: "reference")

    def at(step, action=lambda: signal.raise_signal(signal.SIGINT), *, after=False):
        class Disturbed(Reference):
            done = False

            def advance(self, problem, rule, state, steps, control, keep, watch=None):
                def disturbed_keep(state, first, records):
                    if state.step != step or self.done:
                        keep(state, first, records)
                        return
                    self.done = True
                    if not after:
                        action()
                    keep(state, first, records)
                    if after:
                        action()

                super().advance(problem, rule, state, steps, control, disturbed_keep, watch)

        course.ENGINES["reference"] = Disturbed

    return at
