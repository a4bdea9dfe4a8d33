"""What a save costs beside a plain write of the same bytes, and what a checkpoint survives, counted.

    python benchmarks/checkpoints.py
    python benchmarks/checkpoints.py --kills 1000
    python benchmarks/checkpoints.py --bits

The plain write is one file, written and brought to the disk by fsync. Both are measured in turn in the same directory;
the table shows medians. "of 60 s" is the share of the time that autosave takes where it saves every minute. With
--kills a process that saves in a loop is killed so many times, and what it left is loaded. With --bits every bit of a
small checkpoint's files is flipped, and every file is cut off at every byte. The first save writes the data too; a
load makes the run anew, with its scales and its initial weights, and holds them against what was saved.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import downslope as ds
from downslope.errors import InputError
from downslope.training.checkpoint import Writer, read_checkpoint, write_checkpoint
from machine import describe_machine

KILLS = Path(__file__).parents[1] / "tests" / "training" / "kills.py"
# Widths of the network, and rows of its data.
SIZES = [
    ([2, 64, 3], 300),
    ([64, 256, 256, 10], 2_000),
    ([784, 1000, 1000, 10], 60_000),
    ([784, 3000, 3000, 10], 2_000),
]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--directory", type=Path, help="on which disk; left out, that of temporary files")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--bits", action="store_true")
    given = parser.parse_args()
    print(describe_machine("safetensors"))
    if given.kills:
        place = [] if given.directory is None else ["--place", str(given.directory)]
        subprocess.run([sys.executable, str(KILLS), "--kills", str(given.kills), *place], check=True)
    if given.bits:
        flip()
    if not (given.kills or given.bits):
        heads = f"{'save':>10} {'MB/s':>7} {'plain':>10} {'ratio':>6} {'of 60 s':>8} {'load':>10}"
        print(f"\n{'network':>22} {'MB':>8} {heads} {'first save':>11}")
        for widths, rows in SIZES:
            with tempfile.TemporaryDirectory(dir=given.directory) as place_of:
                measure(widths, rows, Path(place_of), given.repeats)


def measure(widths: list[int], rows: int, place: Path, repeats: int) -> None:
    """Print the line of one size."""
    generator = np.random.default_rng(0)
    labels = np.arange(rows) % widths[-1]
    data = ds.data.arrays(generator.standard_normal((rows, widths[0])), labels, kind="classification")
    run = ds.Run(ds.MLP(widths), data, ds.Adam(), batch_size=64, engine="reference", guard=None)
    first = _milliseconds(lambda: run.save(place / "run"))
    size = next((place / "run").glob("checkpoint-*.safetensors")).stat().st_size
    content = bytes(generator.integers(0, 256, size, dtype=np.uint8))
    saves, plains = [], []
    for _ in range(repeats):
        saves.append(_milliseconds(lambda: run.save(place / "run")))
        plains.append(_milliseconds(lambda: _write(place / "plain", content)))
    load = _milliseconds(lambda: ds.Run.load(place / "run"))
    save, plain = statistics.median(saves), statistics.median(plains)
    print(
        f"{'-'.join(map(str, widths)):>22} {size / 1e6:8.2f} {save:7.1f} ms {size / 1e3 / save:7.0f} {plain:7.1f} ms "
        f"{save / plain:6.2f} {save / 600:6.2f} % {load:7.0f} ms {first:8.0f} ms"
    )


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _milliseconds(action: object) -> float:
    assert callable(action)
    started = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - started)


def flip() -> None:
    """Print how many flipped bits and cut ends were tried, and how many were accepted."""
    with tempfile.TemporaryDirectory() as place:
        directory, writer = Path(place), Writer("run")
        for value in (1, 2):
            write_checkpoint(directory, {"p": np.full(4, value, np.float32)}, {"value": value}, writer=writer)
        tried = cut = accepted = 0
        for path in (directory / "checkpoint-00000002.json", next(directory.glob("checkpoint-00000002-*"))):
            whole = bytearray(path.read_bytes())
            for bit in range(8 * len(whole)):
                whole[bit // 8] ^= 1 << bit % 8
                path.write_bytes(whole)
                whole[bit // 8] ^= 1 << bit % 8
                tried, accepted = tried + 1, accepted + _accepted(directory)
            for length in range(len(whole)):
                path.write_bytes(whole[:length])
                cut, accepted = cut + 1, accepted + _accepted(directory)
            path.write_bytes(whole)
    print(f"flipped bits: {tried}; cut off: {cut}; accepted silently, or the one before not found: {accepted}")


def _accepted(directory: Path) -> bool:
    try:
        found = read_checkpoint(directory)
    except InputError:
        return True
    return not (found.skipped and found.document["value"] == 1 == found.arrays["p"][0])


if __name__ == "__main__":
    main()
