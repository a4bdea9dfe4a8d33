"""Downslope's engines beside PyTorch, scikit-learn, JAX with optax and the chapter's NumPy code, in one run.

    python benchmarks/engines.py [--only one,many,large,steps,map,limits] [--rounds 5] [--epochs 10001] [--runs 256]

Prints tables in Markdown for the documentation. Everybody starts from the same weights, trains the same rows in
float32 with Adam, and its loss after 50 epochs is held against the others'. All take turns (A B C A B C …), each in a
process of its own, so that a busy moment hits all; figures are medians and ratios of medians. "processor" is the time
of all threads together: it tells what a figure is worth on a busy machine, and what threads that wait for each other
burn. What is compiled is compiled before the clock starts. The others come with
`pip install -r requirements/bench.txt`; who is not installed is left out and named.

one    the chapter's network 2-64-3 on its 300 points, full batch, one run
many   the same for --runs learning rates from 0.001 to 1, on all cores
large  784-512-512-10, batches of 128, the time of a step
steps  one update of 10 million parameters (benchmarks/update_step.py)
map    learning rate × momentum, 24 × 24 cells, 2 seeds, 2,001 epochs
limits multiply-adds in registers and the memory's bandwidth (benchmarks/limits.py)
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from machine import describe_machine

if TYPE_CHECKING:
    from rivals.players import Contender, Player
    from rivals.work import Work

RATE = 0.05  # the chapter's own, for Adam
SUBSET = 4  # runs, or two a process, by which those who train one after another are measured


def contenders(section: str, vmap_epochs: int) -> list[Contender]:
    """Return who takes part in a section, Downslope first: the others are compared with it."""
    from rivals.players import AS_IT_COMES, ONE_THREAD, Contender

    either, one, torch, jax = (ONE_THREAD, AS_IT_COMES), (ONE_THREAD,), ("torch",), ("jax", "optax")
    return {
        "one": [
            Contender("Downslope", "rivals.ours:compiled"),
            Contender("JAX + optax, one `lax.scan`", "rivals.jax_optax:scan", jax, either),
            Contender("PyTorch, eager", "rivals.pytorch:eager", torch, either),
            Contender("PyTorch, eager, `fused=True`", "rivals.pytorch:fused", torch, either),
            Contender("the chapter's NumPy code", "rivals.chapter:listing", (), either),
            Contender("scikit-learn, `MLPClassifier`", "rivals.sklearn_mlp:classifier", ("scikit-learn",), either),
        ],
        "many": [
            Contender("Downslope", "rivals.ours:ours_many"),
            Contender("JAX + optax, `vmap` of the scan", "rivals.jax_optax:vmap", jax, epochs=vmap_epochs),
            Contender("JAX + optax, scans in two processes", "rivals.jax_optax:scan", jax, one, 2, 4 * SUBSET),
            Contender("PyTorch, eager, two processes", "rivals.pytorch:eager", torch, one, 2, SUBSET),
            Contender("the chapter's NumPy code, two processes", "rivals.chapter:listing", (), one, 2, SUBSET),
        ],
        "large": [
            Contender("Downslope", "rivals.ours:chosen"),
            Contender("PyTorch, eager", "rivals.pytorch:eager", torch, either),
            Contender("PyTorch, eager, `fused=True`", "rivals.pytorch:fused", torch, either),
            Contender("JAX + optax, a jitted step", "rivals.jax_optax:steps", jax, either),
            Contender("JAX + optax, a scan an epoch", "rivals.jax_optax:epoch_scan", jax, either),
        ],
    }[section]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def present(candidates: Sequence[Contender]) -> list[Contender]:
    """Return those whose packages are installed, and print what the others need."""
    from rivals.players import missing

    for contender in candidates:
        if packages := missing(contender):
            print(f"not installed: {contender.name}: pip install {' '.join(packages)}")
    return [contender for contender in candidates if not missing(contender)]


def print_players(players: Sequence[Player], unit: str, per: float, products: float, cores: int, note: str) -> None:
    """Print medians in `unit` for each of `per` parts, ratios to the first player, and the share of the peak."""
    from limits import peak

    # Strict arithmetic is held against the peak that it can reach: multiplication and addition apart.
    limit = cores * max(peak(fused=False) for _ in range(21))  # a limit is the most; anything slower was disturbed
    factor = {"s": 1.0, "ms": 1e3}[unit] / per
    ours = statistics.median(took.wall for took in players[0].took)
    peaks = f"share of the peak, {cores} core{'s' * (cores > 1)}"
    print(f"\n| {note} | {unit} | min … max | processor {unit} | times Downslope's | {peaks} | loss |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for player in players:
        walls = sorted(took.wall for took in player.took)
        middle, processor = statistics.median(walls), statistics.median(took.processor for took in player.took)
        name = ", ".join(filter(None, (player.contender.name, player.detail, player.threads)))
        loss = f"{statistics.median(player.losses):.3f}" + ("" if player.agrees else " (trains differently)")
        print(
            f"| {name} | {middle * factor:.3f} | {walls[0] * factor:.3f} … {walls[-1] * factor:.3f} "
            f"| {processor * factor:.3f} | {middle / ours:.2f} | {products / middle / limit:.1%} | {loss} |",
            flush=True,
        )


def run_one(given: argparse.Namespace) -> None:
    """Measure one training."""
    from rivals.players import take_turns
    from rivals.work import spiral

    work: Work = spiral()
    print(f"\n## One run: 2-64-3, 300 rows, full batch, Adam at {RATE}, {given.epochs:,} epochs\n")
    players = take_turns(present(contenders("one", 0)), work, [RATE], given.epochs, given.rounds)
    print_players(players, "s", 1, work.products * given.epochs, 1, f"median of {given.rounds}")
    print(
        f"\n{work.products:,} multiply-adds a step; the peak is one core's with multiplication and addition apart. "
        "Downslope also keeps accuracy, gradient norm and update ratio of every epoch, the chapter's code the "
        "accuracy, the others only the loss."
    )


def run_many(given: argparse.Namespace) -> None:
    """Measure many trainings at once."""
    from rivals.players import take_turns
    from rivals.work import spiral

    work = spiral()
    rates = [10.0 ** (-3 + 3 * run / max(given.runs - 1, 1)) for run in range(given.runs)]
    short = min(given.vmap_epochs, given.epochs)
    print(f"\n## {given.runs} runs: learning rates 0.001 to 1, {given.epochs:,} epochs each, seconds a run\n")
    chosen = present(contenders("many", short))
    if given.ours_sample:
        chosen[0] = replace(chosen[0], sample=given.ours_sample)
    players = take_turns(chosen, work, rates, given.epochs, given.rounds)
    products = work.products * given.epochs * given.runs
    print_players(players, "s", given.runs, products, cores(), f"median of {given.rounds}, a run")
    print("\nThe loss is the median of the runs measured. Not measured whole, but scaled:")
    for player in players:
        wanted = player.contender
        if wanted.sample is not None and wanted.sample < given.runs:
            print(f"- {wanted.name}: {wanted.sample} of {given.runs} runs, spread over the learning rates.")
        if wanted.epochs is not None and wanted.epochs < given.epochs:
            print(f"- {wanted.name}: {wanted.epochs:,} of {given.epochs:,} epochs.")


def run_large(given: argparse.Namespace) -> None:
    """Measure a network beyond the caches."""
    from rivals.players import take_turns
    from rivals.work import large

    work = large()
    epochs = 2
    print(f"\n## 784-512-512-10: {len(work.inputs):,} rows, batches of {work.batch_size}, Adam, milliseconds a step\n")
    players = take_turns(present(contenders("large", 0)), work, [1e-3], epochs, given.rounds, trial=1)
    steps, note = epochs * work.steps_per_epoch, f"median of {given.rounds}, a step"
    print_players(players, "ms", steps, work.products * epochs, cores(), note)
    print(
        f"\n{work.products / work.steps_per_epoch / 1e6:.0f} million multiply-adds a step, measured over "
        f"{steps} steps, drawing the rows of each batch included."
    )


def run_steps(given: argparse.Namespace) -> None:
    """Measure the update alone."""
    import update_step

    if importlib.util.find_spec("torch") is None:
        print("not installed: PyTorch's fused optimizers: pip install torch")
    print("\n## The update step")
    update_step.table(given.parameters, given.rounds)


def run_map(given: argparse.Namespace) -> None:
    """Measure a map of two settings, as `downslope map` makes it."""
    print("\n## A map: 24 × 24 cells, learning rate × momentum, 2 seeds, 2,001 epochs, the chapter's network\n")
    if importlib.util.find_spec("downslope.sweeps") is None:
        print("not here: this version of Downslope has no sweeps")
        return
    import downslope as ds
    from downslope import sweeps

    over = {"learning_rate": sweeps.log(1e-3, 10, 24), "momentum": sweeps.linear(0, 0.99, 24)}
    readable: list[float] = []
    whole: list[float] = []
    for turn in range(given.rounds + 1):  # the first compiles, and is printed apart
        tenth: list[float] = []
        started = time.perf_counter()

        def watch(result: Any, tenth: list[float] = tenth, started: float = started) -> None:
            if not tenth and result.finished * 10 >= result.planned:
                tenth.append(time.perf_counter() - started)

        result = sweeps.sweep(
            ds.MLP([2, 64, 3]),
            ds.data.spiral(),
            ds.SGD(),
            over=over,
            epochs=2_001,
            seeds=2,
            progress=False,
            on_progress=watch,
        )
        seconds = time.perf_counter() - started
        assert result.complete
        if turn == 0:
            print(f"The first, with whatever had to be compiled: {seconds:.1f} s\n")
            continue
        whole.append(seconds)
        readable += tenth or [seconds]
    print(f"| median of {given.rounds} | s | min … max |\n|---|---:|---:|")
    for name, taken in (("a tenth of the runs done", readable), ("all 1,152 runs", whole)):
        print(f"| {name} | {statistics.median(taken):.2f} | {min(taken):.2f} … {max(taken):.2f} |")


def run_limits(given: argparse.Namespace) -> None:
    """Measure the machine's limits."""
    import limits

    print("\n## Limits")
    limits.table(given.rounds)


SECTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "limits": run_limits,
    "one": run_one,
    "many": run_many,
    "large": run_large,
    "steps": run_steps,
    "map": run_map,
}


def main() -> None:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SECTIONS), metavar="NAMES", help="sections, with commas between")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10_001, help="of each run of the chapter's network")
    parser.add_argument("--runs", type=int, default=256, help="learning rates in the section many")
    parser.add_argument("--vmap-epochs", type=int, default=1_001, help="of which JAX's vmap is scaled to --epochs")
    parser.add_argument("--ours-sample", type=int, help="runs of our own in the section many, of which it is scaled")
    parser.add_argument("--parameters", type=int, default=10_000_000, help="in the section steps")
    given = parser.parse_args()
    asked = given.only.split(",")
    if unknown := [name for name in asked if name not in SECTIONS]:
        parser.error(f"--only must be of {', '.join(SECTIONS)}. Received: {', '.join(unknown)}")
    print(describe_machine("torch", "jax", "jaxlib", "optax", "scikit-learn"))
    print(f"Load when it began: {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores.")
    for name in asked:
        SECTIONS[name](given)


if __name__ == "__main__":
    main()
