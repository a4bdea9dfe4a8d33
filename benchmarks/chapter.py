"""What the chapter costs here: everything of it made into a folder, and its scripts over `downslope.book`.

    python benchmarks/chapter.py --only all          `downslope chapter all`: seconds, files, the largest animation
    python benchmarks/chapter.py --only scripts      the chapter's loop over downslope.book beside its plain NumPy code
    python benchmarks/chapter.py --only frames       one training animation: milliseconds a frame, drawn and written

The two kinds of script run in turns of 500 epochs in one process, each going on where it stopped; the table shows the
median of the turns' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from machine import describe_machine
from rivals import chapter as plain

TURN = 500


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["all", "scripts", "frames"], help="one of the three; all when left out")
    parser.add_argument("--rounds", type=int, default=9, help="turns of the scripts")
    given = parser.parse_args()
    print(describe_machine("matplotlib", "pillow"))
    if given.only in (None, "scripts"):
        scripts(given.rounds)
    if given.only in (None, "frames"):
        frames()
    if given.only in (None, "all"):
        everything()


def everything() -> None:
    """Time `downslope chapter all` and weigh what it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        words = [sys.executable, "-m", "downslope", "chapter", "all", "--out", folder]
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        moving = [path for path in files if path.suffix in (".gif", ".html", ".mp4") and path.name != "index.html"]
        largest = max(moving, key=lambda path: path.stat().st_size)
        total = sum(path.stat().st_size for path in files)
        size = largest.stat().st_size / 1e6
        print(f"\ndownslope chapter all: {seconds:.0f} s, {len(files)} files, {total / 1e6:.0f} MB")
        print(f"largest of {len(moving)} animations: {largest.name}, {size:.1f} MB")


def frames() -> None:
    """Time the drawing and writing of one training animation."""
    import downslope as ds
    from downslope.book.printed import chapter_run

    run = chapter_run("sgd_momentum_0.9")
    run.train(10_001, progress=False)
    with tempfile.TemporaryDirectory() as folder:
        ds.training_animation(run, Path(folder) / "first.gif", frames=8, progress=False)  # loads what is needed
        for ending in (".gif", ".html"):
            started = time.perf_counter()
            path = Path(folder) / f"run{ending}"
            ds.training_animation(run, path, frames=60, progress=False)
            taken = time.perf_counter() - started
            print(f"{ending}: {1000 * taken / 60:.0f} ms a frame, {path.stat().st_size / 1e6:.1f} MB for 60 frames")


def scripts(rounds: int) -> None:
    """Compare the chapter's loop over `downslope.book` with its plain NumPy code."""
    from downslope import book

    book.init()
    inputs, labels = book.spiral_data(100, 3)
    weights = [(0.01 * np.random.randn(*shape)).astype(np.float32) for shape in ((2, 64), (64, 3))]  # noqa: NPY002

    def ours(place: int) -> Any:
        layer = book.Layer_Dense(*weights[place].shape)
        layer.weights, layer.biases = weights[place].copy(), np.zeros((1, weights[place].shape[1]), dtype=np.float32)
        return layer

    def theirs(place: int) -> Any:
        return plain.Layer_Dense(weights[place], np.zeros((1, weights[place].shape[1]), dtype=np.float32))

    players = [_loop(book, ours, inputs, labels), _loop(plain, theirs, inputs, labels)]
    for play in players:  # warm
        play(TURN)
    ratios = []
    for _ in range(rounds):
        seconds = [play(TURN) for play in players]
        ratios.append(seconds[0] / seconds[1])
    low, high = min(ratios), max(ratios)
    print(f"\nAdam over downslope.book: {statistics.median(ratios):.2f} ({low:.2f} … {high:.2f}) of plain NumPy's time")


def _loop(names: Any, layer: Callable[[int], Any], inputs: Any, labels: Any) -> Callable[[int], float]:
    dense1, activation1, dense2 = layer(0), names.Activation_ReLU(), layer(1)
    loss_activation, optimizer = names.Activation_Softmax_Loss_CategoricalCrossentropy(), names.Optimizer_Adam()

    def play(epochs: int) -> float:
        started = time.perf_counter()
        for _ in range(epochs):
            dense1.forward(inputs)
            activation1.forward(dense1.output)
            dense2.forward(activation1.output)
            loss_activation.forward(dense2.output, labels)
            loss_activation.backward(loss_activation.output, labels)
            dense2.backward(loss_activation.dinputs)
            activation1.backward(dense2.dinputs)
            dense1.backward(activation1.dinputs)
            optimizer.pre_update_params()
            optimizer.update_params(dense1)
            optimizer.update_params(dense2)
            optimizer.post_update_params()
        return time.perf_counter() - started

    return play


if __name__ == "__main__":
    main()
