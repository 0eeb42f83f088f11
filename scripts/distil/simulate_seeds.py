"""How often an interval over training seeds holds the truth: `python scripts/distil/simulate_seeds.py [SIMULATIONS]`.

Items differ in difficulty, training runs in ability (spread τ, logits), and each answer has luck of its own. Teacher
and distilled student share part of what an item asks beyond its difficulty; the controls share another part. The truth
is that of the method: the mean over all runs and all items.

Coverage of five 95 % intervals. Of the gap that the method recovers: as built (both sources, a quantile each), with one
quantile by Satterthwaite, and from the first seed alone over items. Of distilled − control: the paired t over seeds,
and as built. "no gap": how often the teacher could not be told from the controls, so there was no interval.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.stats.clusters import Moments

Floats = NDArray[np.float64]
SEEDS, SPREADS, ITEMS = (3, 5, 10), (0.0, 0.15, 0.5), 600
EFFECTS = {"none": 0.0, "half": 0.7, "most": 1.3}  # of distillation on the ability, logits
TEACHER, CONTROL, DIFFICULTY, OWN = 3.2, 1.8, 1.5, 0.8
COLUMNS = ("gap", "satterthwaite", "first seed", "difference, t over seeds", "difference, both")
ENOUGH = 1_000_000  # items that the truth is computed from


@dataclass(frozen=True)
class World:
    """One run of the whole study: 0/1 answers of teacher [n], students and controls [K, n]."""

    teacher: Floats
    student: Floats
    control: Floats


def draw(random: np.random.Generator, seeds: int, items: int, tau: float, effect: float) -> World:
    """Return the answers of one teacher, and of `seeds` training runs a side, on `items` items."""
    difficulty = random.normal(0, DIFFICULTY, items)
    taught, plain = random.normal(0, OWN, (2, items))

    def answers(ability: Floats, own: Floats) -> Floats:
        luck = random.logistic(0, 1, (ability.size, items))
        return (ability[:, None] + own - difficulty + luck > 0).astype(np.float64)

    teacher = answers(np.array([TEACHER]), taught)[0]
    student = answers(CONTROL + effect + random.normal(0, tau, seeds), 0.7 * taught + 0.3 * plain)
    return World(teacher, student, answers(CONTROL + random.normal(0, tau, seeds), plain))


def truth(tau: float, effect: float) -> tuple[float, float]:
    """Return (gap recovered, distilled − control) over all runs and items; every item gets a run of its own."""
    random, parts = np.random.default_rng(1), []
    for _ in range(ENOUGH // 1000):
        world = draw(random, 20, 1000, tau, effect)
        parts.append((world.teacher.mean(), world.student.mean(), world.control.mean()))
    t, s, c = np.mean(parts, axis=0)
    return float((s - c) / (t - c)), float(s - c)


def satterthwaite(world: World) -> stats.Estimate:
    """Return the gap with one quantile for both sources, its degrees of freedom after Satterthwaite (1946)."""
    numerator, denominator = world.student - world.control, world.teacher - world.control
    runs = np.stack([numerator.mean(axis=1), denominator.mean(axis=1)])
    items = np.stack([numerator.mean(axis=0), denominator.mean(axis=0)])
    parts = [np.cov(runs) / runs.shape[1], np.cov(items) / items.shape[1]]
    ratio = runs.mean(axis=1)[0] / runs.mean(axis=1)[1]
    weight = np.array([1.0, -ratio])
    variances = [float(weight @ part @ weight) for part in parts]
    dfs = runs.shape[1] - 1, items.shape[1] - 1
    spread = sum(v**2 / df for v, df in zip(variances, dfs, strict=True))
    df = sum(variances) ** 2 / spread if spread else math.inf
    return stats.ratio_of_means(Moments(runs.mean(axis=1), parts[0] + parts[1], df, items.shape[1]))


@dataclass
class Tally:
    """How often each interval held its truth, and how wide the gap's was."""

    held: dict[str, list[bool]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    widths: list[float] = field(default_factory=list)
    without: int = 0

    def see(self, name: str, found: stats.Estimate, value: float) -> None:
        """Count an interval, where there is one."""
        if found.lo is not None and found.hi is not None:
            self.held[name].append(found.lo <= value <= found.hi)


def study(seeds: int, tau: float, effect: float, n: int) -> Tally:
    """Simulate one design `n` times."""
    gap, difference = truth(tau, effect)
    random, tally = np.random.default_rng(seeds), Tally()
    estimators: dict[str, tuple[Callable[[World], stats.Estimate], float]] = {
        "gap": (lambda w: stats.gap_over_seeds([stats.SeededTask(w.teacher, w.student, w.control)]), gap),
        "satterthwaite": (satterthwaite, gap),
        "first seed": (lambda w: stats.gap_recovered(w.teacher, w.student[0], w.control[0]), gap),
        COLUMNS[3]: (lambda w: stats.seed_difference(w.student.mean(axis=1), w.control.mean(axis=1)), difference),
        COLUMNS[4]: (lambda w: stats.difference_over_seeds(w.student, w.control), difference),
    }
    for _ in range(n):
        world = draw(random, seeds, ITEMS, tau, effect)
        for name, (estimate, value) in estimators.items():
            found = estimate(world)
            tally.see(name, found, value)
            if name == "gap" and found.lo is None:
                tally.without += 1
            elif name == "gap" and found.hi is not None and found.lo is not None:
                tally.widths.append((found.hi - found.lo) / 2)
    return tally


def main(n: int) -> None:
    """Print the table."""
    print(f"{n} simulations a row, {ITEMS} items; standard error of a coverage {math.sqrt(0.95 * 0.05 / n):.1%}\n")
    print(f"| seeds | τ | effect | no gap | half-width of the gap | {' | '.join(COLUMNS)} |")
    print(f"|---|---|---|---|---|{'---|' * len(COLUMNS)}")
    for seeds in SEEDS:
        for tau in SPREADS:
            for name, effect in EFFECTS.items():
                found = study(seeds, tau, effect, n)
                shares = " | ".join(f"{np.mean(found.held[column]):.1%}" for column in COLUMNS)
                width = f"±{np.median(found.widths):.0%}" if found.widths else "none"
                print(f"| {seeds} | {tau:g} | {name} | {found.without / n:.1%} | {width} | {shares} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
