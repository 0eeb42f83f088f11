"""What the gate decided: the one document behind its text, JSON, Markdown, JUnit file, annotations and exit code."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from distbench.schema.estimate import Verdict
from distbench.schema.policy import OnInconclusive
from distbench.schema.result import GateCheck
from distbench.schema.strict import Strict
from distbench.schema.verification import Soundness

Pairing = Literal["paired", "independent"]


class RuleDecision(GateCheck):
    """One rule on one student: what was asked, what was seen, on how many samples or readings, and the outcome."""

    n: int = Field(description="samples, or paired readings, behind the observed number; 0: there is none")


class StudentDecision(Strict):
    """The verdict on one student; its rules stand under its name in `rules`."""

    name: str
    label: str
    required: bool = Field(description="false: shown, but the whole verdict does not depend on it")
    verdict: Verdict
    reason: str


class PolicyFacts(Strict):
    """The policy that was applied."""

    file: str = Field(description="as it was named")
    sha256: str
    extends: Literal["suite", "nothing"]


class BaselineFacts(Strict):
    """The earlier run that the students were compared with."""

    source: str = Field(description="as it was named")
    run: str
    created_at: str
    distbench: str
    notes: list[str] = Field([], description="how it was compared: sample by sample, or as two unrelated measurements")


class EvidenceFacts(Strict):
    """What was found when the run was checked before the decision, as `distbench verify --quick` does."""

    verdict: Soundness
    checks: int = Field(description="checks that had something to look at")
    suspicious: list[str] = Field([], description="what may not mean what it seems to; a rule of its student says so")


class FailedCell(Strict):
    """A piece of work that has no result."""

    id: str
    title: str
    status: Literal["failed", "missing"]
    error: str | None = None


class Decision(Strict):
    """Everything that `distbench gate RUN --json` prints. `verdict` never depends on `on_inconclusive`."""

    model_config = ConfigDict(title="distbench decision", **Strict.model_config)  # type: ignore[typeddict-item,unused-ignore]

    decision_schema: Literal[1] = 1
    verdict: Verdict
    reason: str
    exit_code: int
    exit_reason: str = Field(description="why this exit code, in words")
    on_inconclusive: OnInconclusive
    run: str
    suite: str
    created_at: str = Field(description="of the run")
    distbench: str = Field(description="version that decided")
    alpha: float = Field(description="two-sided error level of every interval")
    policy: PolicyFacts | None = Field(None, description="null: the suite's own gate")
    baseline: BaselineFacts | None = None
    evidence: EvidenceFacts | None = Field(None, description="null: a result document, whose samples are not at hand")
    students: list[StudentDecision]
    rules: dict[str, list[RuleDecision]] = Field(description="student → its rules")
    cells: list[FailedCell] = Field([], description="work that failed or never ran")
