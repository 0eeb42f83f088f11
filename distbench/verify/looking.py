"""What a check writes down while it looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from distbench.errors import one_line
from distbench.schema.verification import Check, Finding, Soundness
from distbench.verify.subject import Subject

ORDER: tuple[Soundness, ...] = ("ok", "not_checked", "warning", "suspicious", "damaged")
MOST_KEPT = 100
NONE = "there is nothing of this kind in the run"


def worst(verdicts: Sequence[Soundness]) -> Soundness:
    """Return the worst of some verdicts; ok where there is none."""
    return max(verdicts, key=ORDER.index, default="ok")


@dataclass
class Look:
    """How much a check has looked at, and what it found."""

    checked: int = 0
    findings: list[Finding] = field(default_factory=list)
    note: str | None = None

    def saw(self, number: int = 1) -> None:
        """Count what was looked at."""
        self.checked += number

    def damaged(self, where: str, what: str, student: str | None = None) -> None:
        """Something is not what was written, or contradicts something else."""
        self._found("damaged", where, what, student)

    def suspicious(self, where: str, what: str, student: str | None = None) -> None:
        """Something may not mean what it seems to."""
        self._found("suspicious", where, what, student)

    def warning(self, where: str, what: str) -> None:
        """Something is worth knowing."""
        self._found("warning", where, what)

    def unknown(self, where: str, what: str) -> None:
        """Something cannot be checked."""
        self._found("not_checked", where, what)

    def nothing(self, reason: str) -> None:
        """Say why there is nothing to look at."""
        self.note = reason

    def _found(self, verdict: Soundness, where: str, what: str, student: str | None = None) -> None:
        self.findings.append(Finding(verdict=verdict, where=one_line(where), what=one_line(what), student=student))


@dataclass(frozen=True)
class Kind:
    """A check: what is true where it is ok, what it counts, what to do where it is not, and who looks.

    `full`: only where everything is checked, not for the gate.
    """

    id: str
    title: str
    unit: str
    remedy: str
    look: Callable[[Subject, Look], None]
    full: bool = False

    def done(self, look: Look) -> Check:
        """Return what a look saw; where it saw nothing at all it says why, and is not ok."""
        note = look.note
        verdict = worst([each.verdict for each in look.findings])
        if verdict == "ok" and not look.checked:
            verdict, note = "not_checked", note or NONE
        found = sorted(look.findings, key=lambda each: -ORDER.index(each.verdict))
        return Check(
            id=self.id,
            title=self.title,
            verdict=verdict,
            checked=look.checked,
            unit=self.unit,
            note=note,
            findings=found[:MOST_KEPT],
            findings_total=len(found),
            remedy=self.remedy if verdict in {"warning", "suspicious", "damaged"} else None,
        )
