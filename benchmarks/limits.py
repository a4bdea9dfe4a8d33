"""What this machine can do at most: multiply-adds in registers, and the memory's bandwidth.

    python benchmarks/limits.py [--rounds 7]

Peak: a loop that only multiplies and adds float32 vectors held in registers, in as many independent chains as are
fastest; with a multiplication and an addition apart, as strict arithmetic demands, and with both in one instruction
(FMA). The loops are written in LLVM's language, and their machine code is read before they are believed: vector
arithmetic only, no memory. Triad: a = b + s·c over arrays larger than every cache, 12 bytes an element.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import CFUNCTYPE, c_float, c_int64
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from machine import describe_machine

CHAINS = (8, 10, 12, 14, 24)  # independent sums; latency wants many, the registers (16 or 32) allow few
ROUNDS_OF_LOOP = 2_000_000


@dataclass
class Loop:
    """A compiled loop of multiply-adds, and what its machine code holds."""

    lanes: int
    chains: int
    fused: bool
    call: Callable[[int, float, float], float]
    assembly: str
    keep: list[Any] = field(default_factory=list, repr=False)  # the engine owns the code

    @property
    def instructions(self) -> list[str]:
        """The instructions of the loop, between its label and the jump back to it."""
        lines = [line.strip() for line in self.assembly.splitlines() if line.strip()]
        labels = {line[:-1]: place for place, line in enumerate(lines) if re.fullmatch(r"\.?L\w+:", line)}
        for place, line in enumerate(lines):
            jump = re.match(r"(?:j\w+|b\.\w+|cbnz.*,)\s*(\.?L\w+)$", line)
            if jump and labels.get(jump[1], place) < place:
                return [
                    line for line in lines[labels[jump[1]] + 1 : place + 1] if not line.startswith(("#", ".", "//"))
                ]
        return []

    @property
    def is_pure(self) -> bool:
        """Whether each chain is one vector multiplication and one addition, or one FMA, on registers alone."""
        vectors = [line for line in self.instructions if re.search(r"[xyz]mm|v\d+\.4s", line)]
        in_memory = [line for line in self.instructions if "(" in line or "[" in line]
        return len(vectors) == self.chains * (1 if self.fused else 2) and not in_memory

    def speed(self) -> float:
        """Return multiply-adds a second, timed once."""
        started = time.perf_counter()
        self.call(ROUNDS_OF_LOOP, 0.5, 0.25)
        return ROUNDS_OF_LOOP * self.chains * self.lanes / (time.perf_counter() - started)


def build_loop(lanes: int, chains: int, fused: bool) -> Loop:
    """Compile a loop x ← x·a + b over `chains` vectors of `lanes` float32."""
    from llvmlite import binding, ir

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    vector, single, count = ir.VectorType(ir.FloatType(), lanes), ir.FloatType(), ir.IntType(64)
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(single, [count, single, single]), "peak")
    entry, body, done = (function.append_basic_block(name) for name in ("entry", "body", "done"))
    build = ir.IRBuilder(entry)

    def spread(value: Any) -> Any:
        first = build.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        return build.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)

    times, a, b = function.args[0], spread(function.args[1]), spread(function.args[2])
    starts = [build.fadd(b, ir.Constant(vector, [float(chain)] * lanes)) for chain in range(chains)]
    build.branch(body)
    build.position_at_end(body)
    index = build.phi(count)
    sums = [build.phi(vector) for _ in range(chains)]
    fma = ir.Function(module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f32")
    after = [build.call(fma, [x, a, b]) if fused else build.fadd(build.fmul(x, a), b) for x in sums]
    following = build.add(index, ir.Constant(count, 1))
    index.add_incoming(ir.Constant(count, 0), entry)
    index.add_incoming(following, body)
    for phi, start, value in zip(sums, starts, after, strict=True):
        phi.add_incoming(start, entry)
        phi.add_incoming(value, body)
    build.cbranch(build.icmp_signed("<", following, times), body, done)
    build.position_at_end(done)
    total = after[0]
    for value in after[1:]:
        total = build.fadd(total, value)
    result = build.extract_element(total, ir.Constant(ir.IntType(32), 0))
    for lane in range(1, lanes):
        result = build.fadd(result, build.extract_element(total, ir.Constant(ir.IntType(32), lane)))
    build.ret(result)

    features = binding.get_host_cpu_features().flatten()
    target = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=3, jit=True
    )
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    assembly = target.emit_assembly(parsed)
    engine = binding.create_mcjit_compiler(parsed, target)
    engine.finalize_object()
    call = CFUNCTYPE(c_float, c_int64, c_float, c_float)(engine.get_function_address("peak"))
    return Loop(lanes, chains, fused, call, assembly, [engine, target])


@cache
def peak_loop(fused: bool) -> Loop:
    """Return the fastest loop whose machine code is what it should be, of all vector lengths and chains."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    lengths = [4] + [8] * bool(features.get("avx")) + [16] * bool(features.get("avx512f"))
    loops = [build_loop(lanes, chains, fused) for lanes in lengths for chains in CHAINS]
    pure = [loop for loop in loops if loop.is_pure]
    if not pure:
        raise RuntimeError("the compiler made no loop of registers alone; no peak is known on this processor")
    return max(pure, key=lambda loop: max(loop.speed() for _ in range(3)))


def peak(fused: bool) -> float:
    """Return multiply-adds a second of one core, timed once."""
    return peak_loop(fused).speed()


@cache
def triad() -> Callable[..., None]:
    """Return the compiled a = b + s·c."""
    import numba

    @numba.njit(nogil=True)
    def loop(a: Any, b: Any, c: Any, s: Any) -> None:
        for i in range(a.size):
            a[i] = b[i] + s * c[i]

    compiled: Callable[..., None] = loop
    return compiled


def bandwidth(threads: int, elements: int = 20_000_000, repeats: int = 3) -> float:
    """Return bytes a second of the triad, each thread on its own part, best of `repeats`."""
    import numpy as np

    a, b, c = (np.full(elements, value, np.float32) for value in (0, 1, 2))
    run, scale, edges = triad(), np.float32(0.5), [elements * part // threads for part in range(threads + 1)]
    parts = [slice(edges[part], edges[part + 1]) for part in range(threads)]
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats + 1):  # the first compiles and touches every page
            started = time.perf_counter()
            list(pool.map(lambda part: run(a[part], b[part], c[part], scale), parts))
            times.append(time.perf_counter() - started)
    return 12 * elements / min(times[1:])


def main() -> None:
    """Measure all limits in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--assembly", action="store_true", help="also print the machine code of the loops")
    given = parser.parse_args()
    print(describe_machine("llvmlite"))
    table(given.rounds)
    if given.assembly:
        for fused in (False, True):
            print("\n" + "\n".join(peak_loop(fused).instructions))


def table(rounds: int) -> None:
    """Print the limits as a Markdown table, medians of rounds in which all take turns."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    measures: dict[str, Callable[[], float]] = {}
    for fused in (False, True):
        loop = peak_loop(fused)
        kind = "FMA" if fused else "multiply and add"
        measures[f"{kind}: {loop.chains} chains of {loop.lanes} float32, one core"] = loop.speed
    for threads in dict.fromkeys((1, cores)):
        measures[f"triad, {threads} thread{'s' * (threads > 1)}"] = lambda threads=threads: bandwidth(threads)  # type: ignore[misc]
    seen: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            seen[name].append(measure())
    print(f"\nLimits, median of {rounds} rounds.\n")
    print("| limit | median | min … max | |")
    print("|---|---:|---:|---|")
    for name, values in seen.items():
        unit = "GB/s" if name.startswith("triad") else "G multiply-adds/s"
        low, middle, high = (value / 1e9 for value in (min(values), statistics.median(values), max(values)))
        print(f"| {name} | {middle:.1f} | {low:.1f} … {high:.1f} | {unit} |", flush=True)


if __name__ == "__main__":
    main()
