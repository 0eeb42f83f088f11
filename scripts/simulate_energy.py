"""How often the 95 % interval of an energy ratio holds the truth: `python scripts/simulate_energy.py [SIMULATIONS]`.

Windows are log-normal with a spread of their own (within), one that the windows of a model share in a launch (between),
and one that both models share in a launch (drift). The student's own spreads are half the teacher's. "as windows" is
Welch's interval over windows that forgets launches.
"""

from __future__ import annotations

import sys

import numpy as np

from distbench.stats.energy import window_ratio
from distbench.stats.speed import Round

TRUTH = 1.8
DESIGNS = ((1, 5), (2, 5), (3, 2), (3, 3), (5, 2), (10, 2))  # launches, windows in each
SPREADS = ((0.01, 0.0, 0.0), (0.01, 0.01, 0.0), (0.005, 0.03, 0.0), (0.01, 0.01, 0.1))  # within, between, drift
Spread = tuple[float, float, float]


def windows(
    random: np.random.Generator, mean: float, design: tuple[int, int], spread: Spread, drift: np.ndarray
) -> dict[Round, float]:
    """Return joules by (launch, round)."""
    launches, rounds = design
    logs = random.normal(0, spread[1], (launches, 1)) + random.normal(0, spread[0], (launches, rounds)) + drift
    return {(a, b): float(mean * np.exp(logs[a, b])) for a in range(launches) for b in range(rounds)}


def covered(
    design: tuple[int, int], spread: Spread, n: int, *, flat: bool = False, seed: int = 0
) -> tuple[float, float]:
    """Return (share of intervals that hold the truth, median half-width as a part of the ratio) of n simulations."""
    random = np.random.default_rng(seed)
    held, widths = 0, []
    for _ in range(n):
        drift = random.normal(0, spread[2], (design[0], 1))
        half = (spread[0] / 2, spread[1] / 2, spread[2])
        sides = [windows(random, TRUTH, design, spread, drift), windows(random, 1.0, design, half, drift)]
        if flat:
            sides = [{(0, index): value for index, value in enumerate(side.values())} for side in sides]
        found = window_ratio(*sides).interval
        assert found is not None
        held += found.lo <= TRUTH <= found.hi
        widths.append((found.hi - found.lo) / 2 / TRUTH)
    return held / n, float(np.median(widths))


def main(n: int) -> None:
    """Print the table."""
    print(f"{n} simulations a cell; standard error {np.sqrt(0.95 * 0.05 / n):.2%}\n")
    print("| launches × windows | within | between | drift | coverage | half-width | as windows | half-width |")
    print("|---|---|---|---|---|---|---|---|")
    for design in DESIGNS:
        for spread in SPREADS:
            held, width = covered(design, spread, n)
            flat, wide = covered(design, spread, n, flat=True)
            told = f"{held:.1%} | ±{width:.1%} | {flat:.1%} | ±{wide:.1%}"
            parts = " | ".join(f"{part:.1%}" for part in spread)
            print(f"| {design[0]} × {design[1]} | {parts} | {told} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
