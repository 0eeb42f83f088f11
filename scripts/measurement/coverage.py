#!/usr/bin/env python3
"""How often does the interval of a speed-up hold the truth? Simulated machines, quiet and not; a true ratio of 2.

usage: scripts/measurement/coverage.py [--trials 2000]

Every launch has an effect of its own on the ratio, every reading noise of its own. "disturbed": a reading is slowed by
up to four times with probability 0.2, on either side. "restless": the effect of a launch has heavy tails (Student's t
with 3 degrees of freedom). Beside the interval in use, the one it replaced: a percentile bootstrap that draws launches
and rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys

import numpy as np

from distbench.stats.speed import half_width, launch_ratio, paired_ratios

TRUTH = 2.0
ROUNDS = 6
RESAMPLES = 500
MACHINES = {"quiet": (0.007, False, False), "disturbed": (0.007, True, False), "restless": (0.02, False, True)}
Readings = dict[tuple[int, int], float]


def readings(random: np.random.Generator, machine: str, launches: int) -> tuple[Readings, Readings]:
    """Return the times of teacher and student."""
    spread, disturbed, tails = MACHINES[machine]
    teacher: Readings = {}
    student: Readings = {}
    for launch in range(launches):
        effect = spread * (random.standard_t(3) if tails else random.normal())
        for number in range(ROUNDS):
            for side, base in ((teacher, TRUTH * np.exp(effect)), (student, 1.0)):
                slowed = random.uniform(1, 4) if disturbed and random.random() < 0.2 else 1.0
                side[launch, number] = float(base * np.exp(0.01 * random.normal()) * slowed)
    return teacher, student


def bootstrap(random: np.random.Generator, ratios: Readings, launches: int) -> tuple[float, float]:
    """Return the percentile interval over launches and rounds."""
    table = np.array([[ratios[launch, number] for number in range(ROUNDS)] for launch in range(launches)])
    drawn = random.integers(launches, size=(RESAMPLES, launches))
    rounds = random.integers(ROUNDS, size=(RESAMPLES, launches, ROUNDS))
    medians = np.median(table[drawn[:, :, None], rounds].reshape(RESAMPLES, -1), axis=1)
    lo, hi = np.quantile(medians, [0.025, 0.975])
    return float(lo), float(hi)


def main() -> int:
    """Simulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    random = np.random.default_rng(0)
    print("| machine | launches | holds the truth | half-width | error, p95 | bootstrap holds it | half-width |")
    print("|---|---|---|---|---|---|---|")
    for machine in MACHINES:
        for launches in (3, 5, 7, 10, 15):
            held, widths, errors, loose, loose_widths = 0, [], [], 0, []
            for _ in range(trials):
                ratios = paired_ratios(*readings(random, machine, launches), higher_is_better=False)
                found = launch_ratio(ratios)
                assert found.value is not None
                assert found.lo is not None
                assert found.hi is not None
                held += found.lo <= TRUTH <= found.hi
                widths.append(half_width(found) or 0.0)
                errors.append(abs(found.value / TRUTH - 1))
                lo, hi = bootstrap(random, ratios, launches)
                loose += lo <= TRUTH <= hi
                loose_widths.append((hi - lo) / 2 / TRUTH)
            ours = f"{held / trials:.3f} | {statistics.median(widths):.2%} | {np.quantile(errors, 0.95):.2%}"
            theirs = f"{loose / trials:.3f} | {statistics.median(loose_widths):.2%}"
            print(f"| {machine} | {launches} | {ours} | {theirs} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
