"""Populations of paired 0/1 scores with a known retention, and draws from them: what `simulate_gate.py` simulates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from distbench import stats

Random = np.random.Generator
# Scores of the cells n11, n10, n01, n00.
STUDENT, TEACHER = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0])


@dataclass(frozen=True)
class Design:
    """A population and a data set of `n` items drawn from it.

    `discordance` is the share of items on which exactly one is right when both are equally good; a student that is
    worse (`retained` < 1) loses further items, one that is better wins some. `cluster` is the mean number of items in a
    cluster of intra-class correlation `icc`, 0 for independent items; `uneven` clusters have half to one and a half
    times as many.
    """

    n: int
    teacher: float = 0.7
    baseline: float = 0.25
    margin: float = 0.95
    discordance: float = 0.05
    retained: float = 1.0
    cluster: int = 0
    icc: float = 0.1
    uneven: bool = False

    @property
    def shares(self) -> np.ndarray:
        """Probabilities of the cells n11, n10, n01, n00."""
        drop = (1 - self.retained) * (self.teacher - self.baseline)
        n10, n01 = self.discordance / 2 + max(drop, 0.0), self.discordance / 2 + max(-drop, 0.0)
        return np.array([self.teacher - n10, n10, n01, 1 - self.teacher - n01])

    @property
    def text(self) -> str:
        """The design in a table."""
        clusters = f", {'uneven ' if self.uneven else ''}clusters of {self.cluster}" if self.cluster else ""
        return (
            f"teacher {self.teacher:g}, b {self.baseline:g}, m {self.margin:g}, "
            f"{self.shares[1] + self.shares[2]:.1%} discordant, n {self.n:,}{clusters}"
        )

    def at_margin(self) -> Design:
        """Return the same design with R = margin."""
        return replace(self, retained=self.margin)

    def sizes(self) -> list[int]:
        """Return the sizes of the clusters."""
        spread = self.cluster // 2 if self.uneven else 0
        sizes = [self.cluster + (-spread, spread)[i % 2] for i in range(self.n // self.cluster)]
        return [*sizes, rest] if (rest := self.n - sum(sizes)) > 0 else sizes


def hard(n: int, teacher: float, baseline: float, margin: float, discordance: float) -> Design:
    """Return a design that has this discordance where the truth sits on the margin."""
    drop = (1 - margin) * (teacher - baseline)
    return Design(n, teacher, baseline, margin, discordance=max(0.0, discordance - drop))


HARD: Final = [
    hard(30, 0.9, 0.0, 0.97, 0.03),
    hard(100, 0.9, 0.0, 0.97, 0.03),
    hard(30, 0.7, 0.25, 0.95, 0.05),
    hard(100, 0.45, 0.25, 0.90, 0.20),
]
SIZED: Final = [
    Design(n, discordance=d)
    for n, d in (
        (745, 0.05),
        (1166, 0.05),
        (1482, 0.1),
        (2316, 0.1),
        (2954, 0.2),
        (4618, 0.2),
        (14042, 0.05),
        (14042, 0.2),
    )
]
CLUSTERED: Final = [
    Design(800, discordance=0.1, cluster=20),
    Design(2000, discordance=0.1, cluster=20),
    Design(2000, discordance=0.1, cluster=20, uneven=True),
]


def clustered_cells(design: Design, random: Random) -> np.ndarray:
    """Draw the cells of each cluster, a Dirichlet–multinomial: every contrast has the same intra-class correlation."""
    shares = random.dirichlet(design.shares * (1 / design.icc - 1), size=len(design.sizes()))
    counts: np.ndarray = random.multinomial(design.sizes(), shares)
    return counts


def clustered_scores(design: Design, random: Random) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts = clustered_cells(design, random)
    kind = np.repeat(np.tile(np.arange(4), len(counts)), counts.ravel())
    return STUDENT[kind], TEACHER[kind], np.repeat(np.arange(len(counts)), design.sizes())


def drawn_counts(design: Design, repetitions: int, random: Random) -> tuple[np.ndarray, np.ndarray]:
    """Return the looks, and the cells counted up to each of them: (repetitions, looks, 4)."""
    looks = np.array(stats.looks(design.n))
    blocks = [random.multinomial(size, design.shares, size=repetitions) for size in np.diff(looks, prepend=0)]
    return looks, np.cumsum(np.stack(blocks, axis=1), axis=1)


def uneven_suite() -> list[Design]:
    """Five tasks of different size whose macro mean of normalised scores sits exactly at .95; one is ruined."""
    weight = 0.45 / 0.75
    designs = [Design(n, discordance=d, retained=0.96) for n, d in ((200, 0.1), (500, 0.05), (800, 0.2), (400, 0.1))]
    others = sum(d.retained for d in designs) * weight
    return [*designs, Design(300, discordance=0.1, retained=(0.95 * 5 * weight - others) / weight)]
