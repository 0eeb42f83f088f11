#!/usr/bin/env python3
"""How often is the gate wrong, and how many samples does it use? Simulates the fixed-size and the sequential gate.

usage: scripts/simulate_gate.py [--quick] [--only a|b|c|d] [--seed 1] [--share 0.5]

Prints four tables: (a) errors of the fixed-size gate where the truth sits on the margin; (b) errors of the sequential
gate there, whenever one stops, and what looking again and again with the fixed-size test would do instead; (c) samples
used where the truth is above or below the margin. Exits 1 if an error rate exceeds its limit: .035 fixed, .025
sequential, each with 3 standard errors of the simulation's own noise. --quick: few repetitions.
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from gate_designs import (
    CLUSTERED,
    HARD,
    SIZED,
    STUDENT,
    TEACHER,
    Design,
    Random,
    clustered_scores,
    drawn_counts,
    uneven_suite,
)
from scipy.stats import norm

from distbench import stats
from distbench.stats import betting
from distbench.stats.anytime import Trail
from distbench.stats.betting import Ledger
from distbench.stats.score import score_contrasts
from distbench.stats.stream import suite_ledger, task_ledger, units_of

ALPHA: Final = 0.05
FIXED_LIMIT, SEQUENTIAL_LIMIT = 0.035, 0.025
TRUTHS: Final = (1.0, 0.99, 0.90, 0.85, 0.80)


@dataclass(frozen=True)
class Rates:
    """Shares of the repetitions by verdict, and the samples used in each."""

    passed: float
    failed: float
    used: np.ndarray


def verdict_rates(verdicts: list[Any]) -> tuple[float, float]:
    each = np.array([str(verdict) for verdict in verdicts])
    return float((each == "PASS").mean()), float((each == "FAIL").mean())


@functools.lru_cache(maxsize=1 << 18)
def fixed_verdict(cells: tuple[float, ...], baseline: float, margin: float, alpha: float = ALPHA) -> Any:
    """Return what the public functions say of these counts at once."""
    student, teacher = stats.Cells(*cells).scores()
    return stats.decide(stats.retained(student, teacher, baseline=baseline, alpha=alpha), margin).verdict


@functools.lru_cache(maxsize=1 << 20)
def score_side(cells: tuple[float, ...], baseline: float, margin: float, alpha: float) -> int:
    """Return 1, −1 or 0: as `fixed_verdict`, without the search for the limits."""
    table = stats.Cells(*cells)
    if not stats.has_signal(table, baseline=baseline, alpha=alpha):
        return 0
    z, critical = stats.score_statistic(table, margin=margin, baseline=baseline), float(norm.isf(alpha / 2))
    return int(z >= critical) - int(z < -critical)


def fixed_errors(design: Design, repetitions: int, random: Random) -> tuple[float, float]:
    """Return the rates of PASS and FAIL of the fixed-size gate."""
    if not design.cluster:
        tables = random.multinomial(design.n, design.shares, size=repetitions).tolist()
        return verdict_rates([fixed_verdict(tuple(t), design.baseline, design.margin) for t in tables])
    verdicts = []
    for _ in range(repetitions):
        student, teacher, clusters = clustered_scores(design, random)
        estimate = stats.retained(student, teacher, baseline=design.baseline, clusters=clusters)
        verdicts.append(stats.decide(estimate, design.margin).verdict)
    return verdict_rates(verdicts)


def level(share: float) -> float:
    return ALPHA / 2 * (1 - share)


def ledger_of(design: Design, counts: np.ndarray) -> Ledger:
    """Return the ledgers that `task_ledger` would make of 0/1 scores with these counts."""
    b = design.baseline
    ranges = np.array([[-b, 1 - b, -b, 1 - b]])
    return Ledger(STUDENT - b, TEACHER - b, counts.astype(float), ranges, np.array([float(design.n)]))


def sequential_rates(design: Design, repetitions: int, random: Random, *, share: float) -> Rates:
    """Return what the sequential gate says of one task of independent 0/1 scores at its margin."""
    looks, counts = drawn_counts(design, repetitions, random)
    trail = Trail(ledger_of(design, counts), design.margin, level(share))
    first = [first_look(p <= trail.level) for p in (trail.p_above, trail.p_below)]
    stop = np.minimum(first[0], first[1])
    passed, failed = (first[0] < first[1]), (first[1] < first[0])
    for i in np.flatnonzero(stop == len(looks)) if share > 0 else ():
        side = score_side(tuple(counts[i, -1].tolist()), design.baseline, design.margin, ALPHA * share)
        passed[i], failed[i] = side > 0, side < 0
    return Rates(float(passed.mean()), float(failed.mean()), looks[np.minimum(stop, len(looks) - 1)])


def first_look(hits: np.ndarray) -> np.ndarray:
    """Return for each repetition the first look that hits, or the number of looks."""
    return np.asarray(np.where(hits.any(axis=1), hits.argmax(axis=1), hits.shape[1]))


def peeking_rates(design: Design, repetitions: int, random: Random) -> tuple[float, float]:
    """Return the rates of PASS and FAIL when the fixed-size test is done at every look until it decides."""
    _, counts = drawn_counts(design, repetitions, random)
    sides = np.array(
        [
            [score_side(tuple(table), design.baseline, design.margin, ALPHA) for table in looks]
            for looks in counts.tolist()
        ]
    )
    above, below = first_look(sides > 0), first_look(sides < 0)
    return float((above < below).mean()), float((below < above).mean())


def clustered_rates(design: Design, repetitions: int, random: Random, *, share: float) -> tuple[float, float]:
    """Return the rates of PASS and FAIL of the sequential gate on one clustered task."""
    sizes = design.sizes()
    plan = stats.ClusterPlan(len(sizes), max(sizes))
    looks = [look["task"] for look in stats.look_schedule({"task": sizes})]
    verdicts = []
    for _ in range(repetitions):
        student, teacher, clusters = clustered_scores(design, random)
        task = stats.GrowingTask("task", student, teacher, design.n, scale=(design.baseline, 1.0), floor=design.margin,
                                 clusters=clusters.tolist(), cluster_plan=plan)  # fmt: skip
        trail = Trail(task_ledger(units_of(task), looks), design.margin, level(share))
        verdicts.append(_verdict(trail, functools.partial(fixed_task_verdict, task, share)))
    return verdict_rates(verdicts)


def fixed_task_verdict(task: stats.GrowingTask, share: float) -> Any:
    estimate = stats.retained(
        task.student, task.teacher, baseline=task.scale[0], clusters=task.clusters, alpha=ALPHA * share
    )
    return stats.decide(estimate, task.floor).verdict


def _verdict(trail: Trail, at_end: Callable[[], Any]) -> Any:
    """Return the first verdict along a trail, else that of the last look."""
    above, below = (first_look((p <= trail.level)[None])[0] for p in (trail.p_above, trail.p_below))
    if above == below:
        return at_end() if trail.level < ALPHA / 2 else "INCONCLUSIVE"
    return "PASS" if above < below else "FAIL"


def suite_rates(designs: list[Design], repetitions: int, random: Random, *, share: float) -> tuple[float, float]:
    """Return the rates of PASS and FAIL of the suite's contrast at .95, over tasks of these designs."""
    looks = stats.look_schedule({str(i): design.n for i, design in enumerate(designs)})
    verdicts = []
    for _ in range(repetitions):
        tasks = []
        for i, design in enumerate(designs):
            kind = random.choice(4, size=design.n, p=design.shares)
            scale = (design.baseline, 1.0)
            tasks.append(stats.GrowingTask(str(i), STUDENT[kind], TEACHER[kind], design.n, scale=scale))
        parts = [(units_of(task), 1 / (1 - task.scale[0])) for task in tasks]
        counts = [[look[task.name] for task in tasks] for look in looks]
        trail = Trail(suite_ledger(parts, counts, rounds=min(d.n for d in designs)), 0.95, level(share))
        verdicts.append(_verdict(trail, functools.partial(fixed_suite_verdict, tasks, share)))
    return verdict_rates(verdicts)


def fixed_suite_verdict(tasks: list[stats.GrowingTask], share: float) -> Any:
    parts = []
    for task in tasks:
        estimate = stats.retained(task.student, task.teacher, baseline=task.scale[0], alpha=ALPHA * share)
        parts.append(stats.suite_task(task.name, task.student, task.teacher, estimate=estimate, scale=task.scale))
    return stats.decide(stats.retained_suite(parts, alpha=ALPHA * share).estimate, 0.95).verdict


class Report:
    """Prints rows and remembers whether a rate was too high."""

    def __init__(self) -> None:
        self.too_high: list[str] = []

    def errors(self, text: str, rates: tuple[float, float], repetitions: int, limit: float) -> None:
        noise = 3 * math.sqrt(limit * (1 - limit) / repetitions)
        bad = max(rates) > limit + noise
        if bad:
            self.too_high.append(text)
        print(f"| {text} | {rates[0]:.4f} | {rates[1]:.4f} |{' TOO HIGH' if bad else ''}", flush=True)


def table(title: str, *columns: str) -> None:
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


COLUMNS: Final = ("design, truth on the margin", "false PASS", "false FAIL")


def fixed_table(report: Report, repetitions: int, random: Random) -> None:
    table(f"(a) fixed-size gate, {repetitions:,} repetitions a row, limit {FIXED_LIMIT}", *COLUMNS)
    for design in [*HARD, *SIZED[:1], *CLUSTERED]:
        there = design.at_margin()
        report.errors(there.text, fixed_errors(there, repetitions, random), repetitions, FIXED_LIMIT)


def sequential_table(report: Report, repetitions: int, random: Random, share: float) -> None:
    title = f"(b) sequential gate, stopped at any look, {repetitions:,} repetitions a row, limit {SEQUENTIAL_LIMIT}"
    table(title, *COLUMNS)
    for design in [*HARD, *SIZED]:
        there = design.at_margin()
        rates = sequential_rates(there, repetitions, random, share=share)
        report.errors(there.text, (rates.passed, rates.failed), repetitions, SEQUENTIAL_LIMIT)
    for design in CLUSTERED:
        there = design.at_margin()
        each = clustered_rates(there, repetitions, random, share=share)
        report.errors(there.text, each, repetitions, SEQUENTIAL_LIMIT)
    suites = {
        "suite of 5 tasks of 200 to 800 items, each on the margin": [d.at_margin() for d in uneven_suite()],
        "the same, four at .96 and one ruined, the macro mean on the margin": uneven_suite(),
    }
    for text, designs in suites.items():
        report.errors(text, suite_rates(designs, repetitions, random, share=share), repetitions, SEQUENTIAL_LIMIT)
    table("what it prevents: the fixed-size test at every look", *COLUMNS)
    there = SIZED[0].at_margin()
    wrong = peeking_rates(there, max(500, repetitions // 4), random)
    print(f"| {there.text} | {wrong[0]:.4f} | {wrong[1]:.4f} |")


def sample_table(repetitions: int, random: Random, share: float) -> None:
    table(
        f"(c) samples used by the sequential gate, {repetitions:,} repetitions a row", "items", "discordant", "true R",
        "right verdict", "reached", "by the fixed gate", "median used", "of all", "mean of all", "oracle",
    )  # fmt: skip
    for row in sample_rows(repetitions, random, share):
        print(row, flush=True)


def sample_rows(repetitions: int, random: Random, share: float) -> Iterator[str]:
    for base in SIZED:
        for truth in TRUTHS:
            design = replace(base, retained=truth)
            rates = sequential_rates(design, repetitions, random, share=share)
            few = random.multinomial(design.n, design.shares, size=max(200, repetitions // 2)).tolist()
            power = np.mean([score_side(tuple(t), design.baseline, design.margin, ALPHA) != 0 for t in few])
            side = 1.0 if truth > design.margin else -1.0
            fastest = best_growth(design, side)
            yield (
                f"| {design.n:,} | {design.discordance:.0%} | {truth:g} | {'PASS' if side > 0 else 'FAIL'} "
                f"| {rates.passed if side > 0 else rates.failed:.2f} | {power:.2f} | {np.median(rates.used):,.0f} "
                f"| {np.median(rates.used) / design.n:.2f} | {rates.used.mean() / design.n:.2f} | {fastest:,.0f} |"
            )


Grid = Callable[[float, float], tuple[np.ndarray, np.ndarray]]


def grid(variance: float, tilt: float, size: int) -> Grid:
    """Return a rule for the bets as `betting.bets` has it, with other constants."""

    def bets(capacity: float, level: float) -> tuple[np.ndarray, np.ndarray]:
        smallest = math.sqrt(2 * math.log(1 / level) / (max(capacity, 1.0) * variance))
        shares = np.geomspace(min(0.5, smallest), 0.98, size)
        weights = shares**-tilt
        return shares, np.log(weights / weights.sum())

    return bets


GRIDS: Final[dict[str, Grid]] = {
    "as built": betting.bets,
    "smallest bet for the largest variance": grid(1.0, 0.5, 16),
    "smallest bet for a ninth of it": grid(1 / 9, 0.5, 16),
    "no tilt to small bets": grid(0.25, 0.0, 16),
    "tilt by 1/λ": grid(0.25, 1.0, 16),
    "half as many bets": grid(0.25, 0.5, 8),
    "twice as many bets": grid(0.25, 0.5, 32),
    "even shares, 1 to 99 %": lambda _capacity, _level: (np.linspace(0.01, 0.99, 99), np.full(99, -math.log(99))),
}


def grid_table(repetitions: int, random: Random) -> None:
    """Print the verdicts that betting alone reaches and the mean samples used, for other grids on the same draws."""
    designs = [SIZED[0], SIZED[4], SIZED[6], SIZED[7], replace(SIZED[5], retained=0.85)]
    names = [f"n {d.n:,}, {d.discordance:.0%}, R {d.retained:g}" for d in designs]
    table(f"(d) other grids of bets, betting alone: verdicts reached / samples used, {repetitions:,} repetitions",
          "grid", *names)  # fmt: skip
    seed, built = int(random.integers(1 << 32)), betting.bets
    for name, rule in GRIDS.items():
        cells = []
        for design in designs:
            betting.bets = rule  # type: ignore[assignment]
            rates = sequential_rates(design, repetitions, np.random.default_rng(seed), share=0.0)
            betting.bets = built
            reached = rates.passed if design.retained > design.margin else rates.failed
            cells.append(f"{reached:.2f} / {rates.used.mean() / design.n:.3f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def best_growth(design: Design, side: float) -> float:
    """Return log(1/.025) ÷ the fastest growth of wealth: what a bettor who knew the truth would need on average."""
    z = side * np.array(score_contrasts(design.margin, design.baseline))
    bets = np.linspace(0, 0.9999, 5000) / -z.min()
    return float(-math.log(ALPHA / 2) / (design.shares @ np.log1p(np.outer(z, bets))).max())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=stats.FINAL_SHARE, help="of alpha kept for the last look")
    parser.add_argument("--only", choices=["a", "b", "c", "d"])
    options = parser.parse_args(arguments)
    report, repetitions = Report(), 400 if options.quick else 4000
    for name in options.only or "abcd":
        random = np.random.default_rng([options.seed, ord(name)])  # so that --only prints the same table
        if name == "a":
            fixed_table(report, repetitions, random)
        elif name == "b":
            sequential_table(report, repetitions, random, options.share)
        elif name == "c":
            sample_table(repetitions // 2, random, options.share)
        else:
            grid_table(repetitions // 2, random)
    if report.too_high:
        print(f"\nerror rates above their limit: {'; '.join(report.too_high)}")
    return 1 if report.too_high else 0


if __name__ == "__main__":
    sys.exit(main())
