"""Kill a process while it saves, again and again, and load what it left: prints one JSON object of counts.

    python tests/training/kills.py --kills 1000

A process forks savers, so that each begins at once. A saver loads the run, trains and saves in a loop, and tells the
step of each save that returned. It is killed after a random time. What is then in the directory must load, stand at the
last step told or later, have the bits of a run that was never interrupted, and let the next saver go on at once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

import downslope as ds
from downslope.training import checkpoint, checkpoint_place

SAVES_A_KILL = 1  # about; the longest wait adjusts itself to the disk


def fresh():
    """Return the run before its first step."""
    data = ds.data.spiral(10)
    return ds.Run(ds.MLP([2, 8, 3]), data, ds.Adam(0.01), batch_size=16, engine="reference", seed=1)


def save_for_ever(directory, tell, quick):
    """Go on with the run and save it until killed."""
    checkpoint_place.PATIENCE_SECONDS = 0.0  # nobody alive holds the lock
    if quick:
        os.fsync = lambda handle: time.sleep(0.001)
    run = ds.Run.load(directory) if any(directory.glob("checkpoint-*.json")) else fresh()
    while True:
        run.train(1, progress=False)
        run.save(directory)
        os.write(tell, f"{run.step}\n".encode())


def serve(directory, quick):
    """Fork a saver for each line of the input; print its process id, and its steps through a file of that name."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who are killed
    ds.Run(ds.MLP([2, 8, 3]), ds.data.spiral(10), ds.Adam(0.01), engine="reference").train(1, progress=False)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "run"
        fresh().save(place)
        ds.Run.load(place)  # all modules are loaded from here on
    for line in sys.stdin:
        told = os.open(line.strip(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        child = os.fork()
        if not child:
            try:
                save_for_ever(directory, told, quick)
            except BaseException as error:
                os.write(told, f"failed: {error}\n".encode())
            os._exit(1)
        os.close(told)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def kill(kills, seed, place, quick):
    """Return the counts."""
    chance, control = random.Random(seed), fresh()
    counts = {"kills": 0, "saves": 0, "between_saves": 0, "skipped": 0, "unloadable": 0, "older": 0, "other_bits": 0}
    counts |= {"failed_savers": 0, "unfinished": 0}
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        directory, told = Path(scratch) / "run", Path(scratch) / "told"
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        with subprocess.Popen(
            [sys.executable, __file__, "--serve", str(directory), *["--quick"] * quick],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        ) as server:  # fmt: skip
            last, longest = 0, 0.01
            while counts["kills"] < kills:
                server.stdin.write(f"{told}\n")
                server.stdin.flush()
                child = int(server.stdout.readline())
                time.sleep(chance.uniform(0.0, longest))
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                while Path(f"/proc/{child}").exists():
                    time.sleep(0.0005)
                lines = told.read_text().split()
                if "failed:" in lines:
                    counts["failed_savers"] += 1
                    sys.stderr.write(told.read_text())
                    lines = []
                counts["kills"] += 1
                counts["saves"] += len(lines)
                last = int(lines[-1]) if lines else last
                longest *= 0.9 if len(lines) >= SAVES_A_KILL else 1.1
                if not any(directory.glob("checkpoint-*.json")) and not last:
                    continue
                counts["unfinished"] += any(directory.glob(".checkpoint*"))
                try:
                    run = ds.Run.load(directory)
                except ds.InputError as error:
                    counts["unloadable"] += 1
                    sys.stderr.write(f"{error}\n")
                    continue
                counts["older"] += run.step < last
                counts["between_saves"] += run.step > last
                counts["skipped"] += bool(checkpoint.read_checkpoint(directory).skipped)
                control.train(max(run.epoch - control.epoch, 0), progress=False)
                counts["other_bits"] += run.parameters.tobytes() != control.parameters.tobytes()
                last = max(last, run.step)
            server.stdin.close()
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--place", type=Path, help="on which disk; left out, that of temporary files")
    parser.add_argument("--quick", action="store_true", help="a short wait for each fsync, which a kill does not need")
    parser.add_argument("--serve", type=Path)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.quick)
    else:
        sys.stdout.write(json.dumps(kill(given.kills, given.seed, given.place, given.quick)) + "\n")
