#!/usr/bin/env python
"""Are the intervals of a diff what they say when the truth is known?

    scripts/simulate_diff.py [--repeats 2000] [--only a|b|c|d]

(a) coverage of the change of a score: paired by sample, and as if the two runs had asked different samples;
(b) coverage of the change of the retained share, when teacher and student were both evaluated twice;
(c) how often a diff of two runs in which nothing changed says "worse", with and without Holm;
(d) how often it says "unchanged" where the truth is a change of exactly the margin.

Exits 1 where an interval covers less than .93, "worse" is said in more than .035 of the diffs (.025 is nominal), or
"unchanged" in more than .04, each with three standard errors of the simulation's own noise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.diff_judge import adjusted, judge

Floats = NDArray[np.float64]
ALPHA, MARGIN = 0.05, 0.02
COVERS, ALARMS, UNCHANGED = 0.93, 0.035, 0.04
missed: list[str] = []


@dataclass(frozen=True)
class Design:
    """Two models on n samples: how often the first is right, which share of the samples the two disagree on, and by how
    much the second is right more often. `clusters` samples share a template, with an intra-class correlation of .1.
    """

    n: int
    right: float
    discordant: float
    change: float = 0.0
    clusters: int = 1

    @property
    def words(self) -> str:
        """The design as a row of a table names it."""
        grouped = f", clusters of {self.clusters}" if self.clusters > 1 else ""
        return (
            f"n {self.n:,}, right {self.right:g}, {self.discordant:.0%} discordant, change {self.change:+.2f}{grouped}"
        )


PAIRED = (
    Design(50, 0.8, 0.06),
    Design(100, 0.8, 0.04),
    Design(200, 0.8, 0.10),
    Design(200, 0.8, 0.10, -0.05),
    Design(1000, 0.6, 0.20),
    Design(1000, 0.6, 0.20, -0.04),
    Design(1000, 0.95, 0.01),
    Design(600, 0.7, 0.15, 0.0, clusters=10),
    Design(600, 0.7, 0.15, -0.05, clusters=10),
)
CORRELATION = 0.1


def pairs(design: Design, random: np.random.Generator) -> tuple[Floats, Floats, NDArray[np.intp] | None]:
    """Draw 0/1 scores (before, after) and the cluster of each sample.

    A sample copies its cluster's draw with a probability that makes the intra-class correlation of every cell .1.
    """
    lost, won = (design.discordant - design.change) / 2, (design.discordant + design.change) / 2
    shares = np.array([design.right - lost, lost, won, 1 - design.right - won])
    cell = random.choice(4, design.n, p=shares)
    labels = None
    if design.clusters > 1:
        labels = np.arange(design.n) // design.clusters
        shared = random.choice(4, labels[-1] + 1, p=shares)
        cell = np.where(random.random(design.n) < np.sqrt(CORRELATION), shared[labels], cell)
    return (cell <= 1).astype(float), (cell % 2 == 0).astype(float), labels


def check(what: str, share: float, limit: float, repeats: int, *, at_least: bool) -> None:
    """Note a share on the wrong side of its limit by more than the simulation's own noise."""
    noise = 3 * float(np.sqrt(limit * (1 - limit) / repeats))
    if share < limit - noise if at_least else share > limit + noise:
        missed.append(f"{what}: {share:.4f}, limit {limit:g}")


def covers(found: stats.Estimate, truth: float) -> bool:
    """Tell whether an interval holds the truth; without an interval it claims nothing."""
    return found.interval is None or found.interval.contains(truth)


def width(found: stats.Estimate) -> float:
    """Return an interval's width."""
    return np.nan if found.interval is None else found.interval.hi - found.interval.lo


def table_a(repeats: int, random: np.random.Generator) -> Iterator[str]:
    """Coverage of the change of a score."""
    yield "| design | paired | as unrelated samples | its width ÷ the paired | truly unrelated samples |"
    yield "|---|---|---|---|---|"
    for design in PAIRED:
        hits, widths = np.zeros(3), np.zeros((repeats, 2))
        for k in range(repeats):
            before, after, labels = pairs(design, random)
            _, elsewhere, _ = pairs(design, random)
            paired = stats.paired_change(after, before, clusters=labels, alpha=ALPHA).estimate
            alone = [stats.rate(each, clusters=labels, alpha=ALPHA) for each in (before, after, elsewhere)]
            loose = stats.independent_change(alone[1], alone[0], alpha=ALPHA).estimate
            apart = stats.independent_change(alone[2], alone[0], alpha=ALPHA).estimate
            hits += [covers(each, design.change) for each in (paired, loose, apart)]
            widths[k] = width(paired), width(loose)
        ratio = float(np.nanmedian(widths[:, 1]) / np.nanmedian(widths[:, 0]))
        shares = hits / repeats
        for share in shares:
            check(design.words, share, COVERS, repeats, at_least=True)
        yield f"| {design.words} | {shares[0]:.4f} | {shares[1]:.4f} | {ratio:.2f} | {shares[2]:.4f} |"


def table_b(repeats: int, random: np.random.Generator) -> Iterator[str]:
    """Coverage of the change of what is retained: b = .25, teacher right on 0.8 of the samples, twice evaluated."""
    yield "| design of the student | teacher answers alike twice | teacher differs on 4 % | over 4 such tasks |"
    yield "|---|---|---|---|"
    for design in (Design(200, 0.7, 0.10), Design(200, 0.7, 0.10, -0.05), Design(1000, 0.7, 0.05, -0.02)):
        hits = np.zeros(3)
        truth = design.change / (0.8 - 0.25)
        for _ in range(repeats):
            rows = [_twice(design, random, share) for share in (0.0, 0.04, 0.04, 0.04, 0.04)]
            for place, tasks in enumerate((rows[:1], rows[1:2], rows[1:])):
                hits[place] += covers(stats.retained_change(tasks, alpha=ALPHA).estimate, truth)
        for hit in hits:
            check(f"retained, {design.words}", hit / repeats, COVERS, repeats, at_least=True)
        yield f"| {design.words} | {' | '.join(f'{hit / repeats:.4f}' for hit in hits)} |"


def _twice(design: Design, random: np.random.Generator, differs: float) -> stats.RetainedTwice:
    before, after, _ = pairs(design, random)
    # the teacher tends to be right where the student is
    teacher = np.where(before == 1, random.random(design.n) < 0.95, random.random(design.n) < 0.45).astype(float)
    lost = (teacher == 1) & (random.random(design.n) < differs / 2 / 0.8)
    won = (teacher == 0) & (random.random(design.n) < differs / 2 / 0.2)
    again = np.where(lost, 0.0, np.where(won, 1.0, teacher))
    return stats.RetainedTwice(after=(after, again), before=(before, teacher), scale=(0.25, 1.0))


def table_c(repeats: int, random: np.random.Generator) -> Iterator[str]:
    """False alarms of whole diffs in which nothing changed."""
    yield "| tasks | “worse” somewhere, after Holm | without Holm | “better” somewhere, after Holm |"
    yield "|---|---|---|---|"
    for many, design in ((1, PAIRED[2]), (5, PAIRED[2]), (20, PAIRED[2]), (20, PAIRED[0]), (20, PAIRED[7])):
        alarms = np.zeros(3)
        for _ in range(repeats):
            changes = [_change(design, random) for _ in range(many)]
            holm = adjusted([each.p_value for each in changes])
            said = [judge(each, p, 0.0, alpha=ALPHA)[0] for each, p in zip(changes, holm, strict=True)]
            raw = [judge(each, each.p_value, 0.0, alpha=ALPHA)[0] for each in changes]
            alarms += ["worse" in said, "worse" in raw, "better" in said]
        check(f"worse, {many} tasks", alarms[0] / repeats, ALARMS, repeats, at_least=False)
        yield f"| {many} × ({design.words}) | {' | '.join(f'{x / repeats:.4f}' for x in alarms)} |"


def _change(design: Design, random: np.random.Generator) -> stats.Change:
    before, after, labels = pairs(design, random)
    return stats.paired_change(after, before, clusters=labels, alpha=ALPHA)


def table_d(repeats: int, random: np.random.Generator) -> Iterator[str]:
    """Wrong "unchanged": the truth is a loss of exactly the margin."""
    yield f"| design, margin {MARGIN:g} | said “unchanged” | said it where nothing changed |"
    yield "|---|---|---|"
    for n, discordant, clusters in ((1000, 0.05, 1), (4000, 0.05, 1), (4000, 0.05, 10)):
        shares = []
        for change in (-MARGIN, 0.0):
            design = Design(n, 0.8, discordant, change, clusters)
            found = [_change(design, random) for _ in range(repeats)]
            said = [judge(each, each.p_value, MARGIN, alpha=ALPHA)[0] for each in found]
            shares.append(said.count("unchanged") / repeats)
        check(f"unchanged, n {n}", shares[0], UNCHANGED, repeats, at_least=False)
        yield f"| {Design(n, 0.8, discordant, 0.0, clusters).words} | {shares[0]:.4f} | {shares[1]:.4f} |"


TABLES = {"a": table_a, "b": table_b, "c": table_c, "d": table_d}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--only", choices=list(TABLES))
    options = parser.parse_args()
    for name, table in TABLES.items():
        if options.only in (None, name):
            print(f"({name}) {table.__doc__} {options.repeats:,} repeats.\n")
            for line in table(options.repeats, np.random.default_rng(ord(name))):
                print(line, flush=True)
            print()
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
