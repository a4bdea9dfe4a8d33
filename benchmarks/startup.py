"""How long it takes to start: `import downslope`, `downslope --help` and a first step, beside Python and NumPy alone.

    python benchmarks/startup.py

Each command runs in a new process, all of them in turn, many times; the table shows medians of whole processes and
their ratio to Python alone. The design's limit for the import is 150 ms above Python alone. The first step is that of
the compiled engine in a process that finds its code on disk; with --compile, that of one which finds nothing, once.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from machine import describe_machine

COMMANDS = {
    "python alone": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import downslope": ["-c", "import downslope"],
    "import downslope, use Run": ["-c", "import downslope; downslope.Run"],
    "first step of a training": [
        "-c",
        "import downslope as ds; ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(), ds.Adam()).train(1, progress=False)",
    ],
    "downslope --help": ["-m", "downslope", "--help"],
    "downslope train --help": ["-m", "downslope", "train", "--help"],
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--compile", action="store_true", help="also time the first step where nothing is compiled")
    given = parser.parse_args()
    repeats = given.repeats
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats + 1):  # the first round warms the disk's cache and is dropped
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    alone = statistics.median(seconds["python alone"][1:])
    print(describe_machine())
    print(f"\n{'process':28} {'median':>9} {'min … max':>17} {'above Python':>13}")
    for name, taken in seconds.items():
        counted = [1000 * value for value in taken[1:]]
        middle = statistics.median(counted)
        spread = f"{min(counted):.0f} … {max(counted):.0f}"
        print(f"{name:28} {middle:6.0f} ms {spread:>14} ms {middle - 1000 * alone:10.0f} ms")
    if given.compile:
        with tempfile.TemporaryDirectory() as directory:
            started = time.perf_counter()
            environment = {**os.environ, "DOWNSLOPE_CACHE": directory}
            subprocess.run([sys.executable, *COMMANDS["first step of a training"]], check=True, env=environment)
            print(f"\nfirst step where nothing is compiled yet: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
