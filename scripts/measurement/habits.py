#!/usr/bin/env python3
"""What common ways to measure get wrong, each beside ours on the same work.

usage: scripts/measurement/habits.py

1. a list of token times that is not reset between iterations: the pause between two generations counts as a gap
2. a parent that spins while its child works, on all cores
3. memory by polling RSS, against the kernel's high-water mark, for a spike of 400 MiB held for 130 ms

The first two were found in optimum-benchmark 0.6.0, the third is common; the loops here are ours.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import threading
import time

import psutil

from distbench.meters.process_memory import reset_high_water, status_bytes

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


def spike(every: float) -> None:
    """Hold 400 MiB for 130 ms while a thread polls."""
    if not reset_high_water():
        raise SystemExit("this kernel cannot reset VmHWM")
    me, seen, done = psutil.Process(), [0], threading.Event()

    def poll() -> None:
        while not done.wait(every):
            seen[0] = max(seen[0], me.memory_info().rss)

    start = me.memory_info().rss
    watcher = threading.Thread(target=poll)
    watcher.start()
    block = bytearray(SPIKE)
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(0.13)
    del block
    time.sleep(0.05)
    done.set()
    watcher.join()
    polled, exact = (seen[0] - start) / MIB, ((status_bytes("VmHWM") or 0) - start) / MIB
    print(f"| spike of 400 MiB for 130 ms, polled every {every * 1e3:.0f} ms | {polled:.1f} MiB | {exact:.1f} MiB |")


def main() -> int:
    """Measure."""
    print("| what | the habit | here |\n|---|---|---|")
    token_gaps()
    waiting()
    for every in (0.01, 0.1, 0.5):
        spike(every)
    return 0


if __name__ == "__main__":
    sys.exit(main())
