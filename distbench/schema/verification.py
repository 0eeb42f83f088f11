"""What `distbench verify` found: every check with how much it looked at, its verdict, where, and what to do."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from distbench.schema.strict import Strict

Soundness = Literal["ok", "not_checked", "warning", "suspicious", "damaged"]
"""ok: looked at, nothing found. not_checked: nobody can tell, and the reason is given. warning: true and worth knowing.
suspicious: the evidence may not mean what it seems to; look before you believe a verdict. damaged: it is not what was
written, or its parts contradict each other."""

Depth = Literal["full", "quick"]
"""quick: what the gate does: weights of models are not read, and result.json and report.html are not computed again."""


class Finding(Strict):
    """One thing that a check found."""

    verdict: Soundness
    where: str = Field(description="the file, cell or model; relative to the run")
    what: str
    student: str | None = Field(None, description="the only student whose verdict rests on it; null: all of them")


class Check(Strict):
    """One check of a run."""

    id: str
    title: str = Field(description="what is true where it is ok")
    verdict: Soundness = Field(description="the worst of its findings")
    checked: int = Field(description="how many were looked at, in `unit`")
    unit: str
    note: str | None = Field(None, description="why nothing could be checked, or what to know of what was")
    findings: list[Finding] = Field([], description="at most 100, the worst first")
    findings_total: int = 0
    remedy: str | None = Field(None, description="what to do where it is not ok")


class RunVerification(Strict):
    """One run, checked from its directory alone."""

    path: str = Field(description="as it was named")
    run: str | None = Field(None, description="its name; null: its manifest cannot be read")
    depth: Depth
    verdict: Soundness = Field(description="damaged, suspicious, or else warning, or ok where nothing was found")
    checks: list[Check]

    def found(self, verdict: Soundness) -> list[tuple[Check, Finding]]:
        """Return the findings of one verdict, each with its check."""
        return [(check, each) for check in self.checks for each in check.findings if each.verdict == verdict]


class Verification(Strict):
    """Everything that `distbench verify RUN… --json` prints."""

    model_config = ConfigDict(title="distbench verification", **Strict.model_config)  # type: ignore[typeddict-item,unused-ignore]

    verification_schema: Literal[1] = 1
    distbench: str = Field(description="version that checked")
    verdict: Soundness = Field(description="the worst of the runs")
    exit_code: int = Field(description="0; 3 where something is suspicious; 6 where something is damaged")
    runs: list[RunVerification]
