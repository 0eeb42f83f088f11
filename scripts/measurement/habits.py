#!/usr/bin/env python3
"""What common ways to measure get wrong, each beside ours on the same work.

usage: scripts/measurement/habits.py

1. a list of token times that is not reset between iterations: the pause between two generations counts as a gap
2. a parent that spins while its child works, on all cores
3. memory by polling RSS, against the kernel's high-water mark, for 400 MiB that are filled and freed at once

The first two were found in optimum-benchmark 0.6.0, the third is common; the loops here are ours.
"""

from __future__ import annotations

import itertools
import os
import random
import select
import statistics
import subprocess
import sys
import time

import psutil

MIB = 1 << 20
SPIKE = 400 * MIB
CHILD = """
import time
import numpy as np
a = np.random.default_rng(0).random((900, 900))
for _ in range(3):
    a @ a
began = time.perf_counter()
for _ in range(20):
    a @ a
print(time.perf_counter() - began)
"""


def token_gaps() -> None:
    """Ten generations of eight tokens, 5 ms a token and 50 ms of prefill and pause."""
    kept: list[float] = []  # never reset
    ours: list[float] = []
    for _ in range(10):
        mine = []
        time.sleep(0.05)
        for _ in range(8):
            time.sleep(0.005)
            now = time.perf_counter()
            kept.append(now)
            mine.append(now)
        ours += [1e3 * (b - a) for a, b in itertools.pairwise(mine)]
    theirs = [1e3 * (b - a) for a, b in itertools.pairwise(kept)]
    print(
        f"| mean gap between tokens (true: 5 ms) | {statistics.mean(theirs):.2f} ms | {statistics.mean(ours):.2f} ms |"
    )
    print(f"| largest gap (true: 5 ms) | {max(theirs):.1f} ms | {max(ours):.1f} ms |")


def child(*, spin: bool) -> float:
    """Return the seconds that a child took for its products, while its parent blocks or spins."""
    work = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    if spin:
        while work.poll() is None:
            pass
    out, _ = work.communicate()
    return float(out)


def waiting() -> None:
    """Alternate: a parent that spins, a parent that blocks."""
    pairs = [(child(spin=True), child(spin=False)) for _ in range(7)]
    spun, blocked = (statistics.median(side) for side in zip(*pairs, strict=True))
    slower = statistics.median(a / b for a, b in pairs)
    print(
        f"| twenty matrix products on {os.cpu_count()} cores | {spun * 1e3:.0f} ms ({slower:.2f}×) "
        f"| {blocked * 1e3:.0f} ms |"
    )


SPIKING = """
import ctypes, mmap, sys, time
from distbench.meters.process_memory import reset_high_water, status_bytes
for line in sys.stdin:
    reset_high_water()
    before = status_bytes("VmRSS")
    time.sleep(float(line))
    block = mmap.mmap(-1, SIZE)
    ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(block)), 1, SIZE)
    del block
    print(status_bytes("VmHWM") - before, flush=True)
"""


def spike(child: subprocess.Popen[str], every: float, pause: float) -> tuple[float, float]:
    """Let the child fill 400 MiB and free them at once while we poll it; return MiB as (polled, high-water mark)."""
    assert child.stdin is not None
    assert child.stdout is not None
    process = psutil.Process(child.pid)
    start = seen = process.memory_info().rss
    print(pause, file=child.stdin, flush=True)
    while not select.select([child.stdout], [], [], every)[0]:
        seen = max(seen, process.memory_info().rss)
    return (seen - start) / MIB, int(child.stdout.readline()) / MIB


def spikes(every: float) -> None:
    """Repeat it at random phases."""
    dice = random.Random(0)  # noqa: S311
    code = SPIKING.replace("SIZE", str(SPIKE))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as one:
        polled, exact = zip(*(spike(one, every, every * (1 + dice.random())) for _ in range(20)), strict=True)
        one.kill()
    seen, marked = (f"{min(side):.1f}, {statistics.median(side):.1f} MiB" for side in (polled, exact))
    print(f"| 20 spikes of 400 MiB, polled every {every * 1e3:.0f} ms: least, median | {seen} | {marked} |")


def main() -> int:
    """Measure."""
    print("| what | the habit | here |\n|---|---|---|")
    token_gaps()
    waiting()
    for every in (0.01, 0.1, 0.5):
        spikes(every)
    return 0


if __name__ == "__main__":
    sys.exit(main())
