"""The paired 2 × 2 table of a binary metric."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distbench.stats.samples import FloatArray, is_binary, paired


@dataclass(frozen=True)
class Cells:
    """Counts of samples by who is right: both, only the teacher, only the student, neither.

    Counts may be fractional (a design effect shrinks them) but never negative. Raises `ValueError` for an empty table.
    """

    n11: float  # both right
    n10: float  # teacher right, student wrong
    n01: float  # teacher wrong, student right
    n00: float  # both wrong

    def __post_init__(self) -> None:
        counts = self.counts
        if not all(np.isfinite(count) and count >= 0 for count in counts) or not sum(counts) > 0:
            raise ValueError(f"cells {counts} must be finite counts ≥ 0 with at least one sample")

    @classmethod
    def from_scores(cls, student: ArrayLike, teacher: ArrayLike) -> Cells:
        """Count paired 0/1 scores. Raises `ValueError` for any other value."""
        s, t = paired(student=student, teacher=teacher)
        if not is_binary(s, t):
            raise ValueError("a 2 × 2 table needs scores that are 0 or 1")
        n11 = int(np.sum((s == 1) & (t == 1)))
        n10, n01 = int(t.sum()) - n11, int(s.sum()) - n11
        return cls(n11, n10, n01, s.size - n11 - n10 - n01)

    @property
    def counts(self) -> tuple[float, float, float, float]:
        """The four counts in the order n11, n10, n01, n00."""
        return self.n11, self.n10, self.n01, self.n00

    @property
    def n(self) -> float:
        """Number of samples."""
        return self.n11 + self.n10 + self.n01 + self.n00

    @property
    def teacher_rate(self) -> float:
        """Share of samples that the teacher gets right."""
        return (self.n11 + self.n10) / self.n

    @property
    def student_rate(self) -> float:
        """Share of samples that the student gets right."""
        return (self.n11 + self.n01) / self.n

    @property
    def discordant(self) -> float:
        """Number of samples that exactly one of the two gets right."""
        return self.n10 + self.n01

    def complement(self) -> Cells:
        """Return the table with right and wrong exchanged (for a metric where 1 is bad)."""
        return Cells(self.n00, self.n01, self.n10, self.n11)

    def scaled(self, factor: float) -> Cells:
        """Return the same shares at `factor` times as many samples."""
        return Cells(*(count * factor for count in self.counts))

    def scores(self) -> tuple[FloatArray, FloatArray]:
        """Return 0/1 arrays (student, teacher) with these counts. Raises `ValueError` for fractional counts."""
        counts = [int(count) for count in self.counts]
        if tuple(counts) != self.counts:
            raise ValueError(f"cells {self.counts} are not whole numbers of samples")
        student, teacher = (1.0, 0.0, 1.0, 0.0), (1.0, 1.0, 0.0, 0.0)
        return np.repeat(student, counts), np.repeat(teacher, counts)
