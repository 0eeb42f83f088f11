"""Bias rates: not retained but transferred; closer to neutral is better."""

from __future__ import annotations

from dataclasses import dataclass

from distbench import stats
from distbench.compare.estimates import published
from distbench.compare.evidence import Evaluated
from distbench.compare.pairs import Pair, pair
from distbench.schema.result import Bias


@dataclass(frozen=True)
class Transfer:
    """One bias rate of both models, and what passed from the teacher to the student."""

    metric: str
    neutral: float
    n: int
    found: stats.BiasTransfer

    def published(self) -> Bias:
        """Return it as the result document holds it."""
        found = self.found
        return Bias(
            metric=self.metric,
            neutral=self.neutral,
            n=self.n,
            teacher=published(found.teacher),
            student=published(found.student),
            transfer=published(found.excess),
            drift=published(found.drift),
            inherited=published(found.inherited),
            closer_to_neutral=found.closer_to_neutral,
        )


def transfers(teacher: Evaluated, student: Evaluated, joined: Pair, alpha: float) -> list[Transfer]:
    """Return the transfer of every bias rate that a task reports on both sides; an invalid comparison has none."""
    found = []
    for facts in teacher.result.metrics:
        if facts.neutral is None or facts.reference or student.facts(facts.name) is None:
            continue
        both = joined if facts.name == joined.facts.name else pair(teacher, student, facts)
        if both.invalid is None and both.n:
            transfer = stats.bias_transfer(
                both.student, both.teacher, neutral=facts.neutral, templates=both.clusters, alpha=alpha
            )
            found.append(Transfer(facts.name, facts.neutral, both.n, transfer))
    return found
