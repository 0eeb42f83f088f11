"""When a meter has repeated enough: after its launches, when its ratios are precise, or when its time is spent."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from distbench.cell.book import Book, Key
from distbench.meters.repetition import Repetition
from distbench.schema.record import RatioKind
from distbench.stats.measured import ratio_of
from distbench.stats.speed import FEWEST_LAUNCHES, half_width

T = TypeVar("T")
FEWEST_ROUNDS = 2  # of the first launch: less is no measurement


@dataclass
class Schedule:
    """The repetition of one meter. Seconds count loading of the launches it needed, and its own rounds."""

    meter: str
    options: Repetition
    headline: str | None  # the metric whose ratios have to become precise; None: launches alone decide
    higher_is_better: bool = False
    ratio: RatioKind = "paired"
    seconds: float = 0.0
    launches: int = 0
    stopped: str | None = None

    @property
    def control(self) -> bool:
        """Whether the teacher is measured a second time beside itself."""
        return bool(getattr(self.options, "control", False))

    def out_of_time(self, number: int) -> bool:
        """Say whether round `number` of the present launch may not start any more, and remember why."""
        if self.seconds <= self.options.max_seconds or (self.launches == 0 and number < FEWEST_ROUNDS):
            return False
        self.stopped = (
            f"time budget of {self.options.max_seconds:g} s spent after {number} of {self.options.rounds} rounds of "
            f"launch {self.launches + 1} of {self.options.launches}"
        )
        return True

    def after_launch(self, book: Book, teacher: str, students: Sequence[str]) -> None:
        """Decide whether another launch follows. One look a launch, at the interval's width and never at its place."""
        if self.stopped is not None:
            return
        self.launches += 1
        if book.only_reasons(self.meter):
            self.stopped = "nothing could be read"
            return
        if self.launches < self.options.launches:
            return
        widest = self._widest(book, teacher, students)
        many = f"{self.launches} launch{'es' if self.launches > 1 else ''} of {self.options.rounds} rounds"
        if widest is None:
            if self.launches >= self.options.most_launches:
                self.stopped = f"{many} done"
        elif widest <= self.options.precision:
            self.stopped = f"every ratio is within ±{self.options.precision:.1%} after {many}"
        elif self.launches >= self.options.most_launches:
            self.stopped = (
                f"{many} done; the widest ratio is within ±{widest:.1%} (wanted ±{self.options.precision:.1%})"
            )

    def _widest(self, book: Book, teacher: str, students: Sequence[str]) -> float | None:
        """Return the largest relative half-width over students and workloads; None without intervals over launches."""
        if self.headline is None:
            return None
        found = []
        workloads = {key.workload for key in book.values if key[:3] == (teacher, self.meter, self.headline)}
        for workload in sorted(workloads):
            base = book.by_round(Key(teacher, self.meter, self.headline, workload))
            for student in students:
                other = book.by_round(Key(student, self.meter, self.headline, workload))
                ratio = ratio_of(self.ratio, base, other, higher_is_better=self.higher_is_better)
                over_launches = (ratio.n_clusters or 0) >= FEWEST_LAUNCHES
                found.append(half_width(ratio) if over_launches else None)
        known = [width for width in found if width is not None]
        return max(known) if known and len(known) == len(found) else None


def turns(able: Sequence[T], seed: int, launch: int, number: int, workload: str) -> Iterator[T]:
    """Yield everyone once, in random order; odd rounds mirror the order of the round before (ABBA)."""
    order = random.Random(f"{seed}:{launch}:{number // 2}:{workload}").sample(able, len(able))  # noqa: S311
    yield from order if number % 2 == 0 else reversed(order)
