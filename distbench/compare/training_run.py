"""One training run of a student, with everything that was compared of it and of its control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from distbench.compare.divergence import Statement
from distbench.compare.tasks import Compared
from distbench.schema.plan import PlannedModel
from distbench.schema.result import SuiteScore


@dataclass(frozen=True)
class Beyond:
    """What speaks of one model against its teacher alone: divergences, and the held-out KL (nats) after training."""

    statements: Sequence[Statement] = ()
    heldout: float | None = None

    @property
    def divergences(self) -> dict[str, Statement]:
        """The primary divergence of each task."""
        return {each.result.task: each for each in self.statements if each.result.primary}


@dataclass(frozen=True)
class Trained:
    """One training run with what was compared of it. `model.control`: a control was planned beside it."""

    model: PlannedModel
    compared: list[Compared]
    absent: list[str]
    suite: SuiteScore
    beyond: Beyond = field(default_factory=Beyond)
    control_beyond: Beyond | None = None

    @property
    def retentions(self) -> dict[str, Compared]:
        """The tasks that are in the suite's retention, by name."""
        return {c.result.task: c for c in self.compared if c.part is not None and c.pair.invalid is None}

    @property
    def rates(self) -> dict[str, Compared]:
        """The tasks whose metric is a ratio of sums without a retention, such as bits per byte, by name."""
        return {
            c.result.task: c
            for c in self.compared
            if c.part is None and c.pair.facts.kind == "ratio_of_sums" and c.pair.invalid is None
        }

    @property
    def finished(self) -> bool:
        """Whether the run, and its control on what has a retention, answered every task."""
        controls = [c.control for c in self.retentions.values()] if self.model.control else []
        return not self.absent and all(c is not None and c.invalid is None for c in controls)
