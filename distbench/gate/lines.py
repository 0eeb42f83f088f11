"""What every rendering of a decision says in the same words: the head, a rule, the terms under which it was decided."""

from __future__ import annotations

from dataclasses import dataclass

from distbench.compare.severity import SEVERITY
from distbench.report import checks, numbers, words
from distbench.report.visible import one_line
from distbench.schema.decision import Decision, FailedCell, RuleDecision, StudentDecision

LONGEST_NAME, LONGEST_REASON = 100, 400
MOST_NAMED = 3  # students, and rules of a student, that the sentence of the verdict names


@dataclass(frozen=True)
class Line:
    """One rule of one student, in words: `asked` is "≥ 95 %", `seen` has value, interval and number of samples."""

    student: StudentDecision
    rule: RuleDecision
    subject: str
    asked: str
    seen: str
    why: str
    required: bool

    @property
    def title(self) -> str:
        """The rule with its threshold."""
        return f"{self.subject} {self.asked}"

    @property
    def advisory(self) -> str:
        """The remark on a rule, or a student, that no verdict depends on."""
        if self.required:
            return ""
        return " (advisory)" if self.student.required else " (advisory: the student is not required)"


def lines(decision: Decision) -> list[Line]:
    """Return every rule of every student, in order."""
    return [line for student in decision.students for line in lines_of(decision, student)]


def lines_of(decision: Decision, student: StudentDecision) -> list[Line]:
    """Return the rules of one student."""
    return [_line(student, rule) for rule in decision.rules[student.name]]


def _line(student: StudentDecision, rule: RuleDecision) -> Line:
    shown = checks.seen(rule)
    sample = f", {numbers.items(rule.n)}" if rule.n and rule.observed.method != "exact" else ""
    known = "no number" if shown.missing else f"{shown}{sample}"
    why = one_line(rule.reason or rule.observed.reason or "no reason given", LONGEST_REASON)
    required = rule.required and student.required
    return Line(student, rule, checks.subject(rule), checks.asked(rule), known, why, required)


def worst_first(found: list[Line]) -> list[Line]:
    """Return first what does not pass, required before advisory, by severity; then the rest in its order."""
    return sorted(
        found, key=lambda line: (line.rule.verdict == "PASS", not line.required, SEVERITY.index(line.rule.verdict))
    )


def name_of(student: StudentDecision) -> str:
    """Return what a student is called."""
    return one_line(student.label, LONGEST_NAME)


def headline(decision: Decision) -> str:
    """Return the verdict, the suite and the exit code on one line."""
    return f"{decision.verdict}: {one_line(decision.suite, LONGEST_NAME)} (exit code {decision.exit_code})"


def sentence(decision: Decision) -> str:
    """Return the verdict in plain words, and which rules of which students it rests on."""
    meaning = words.VERDICTS[decision.verdict].meaning
    deciding = [each for each in decision.students if each.required and each.verdict == decision.verdict]
    if decision.verdict == "PASS" or not deciding:
        return f"{meaning}: {one_line(decision.reason, LONGEST_REASON)}"
    said = [_why(decision, student) for student in deciding[:MOST_NAMED]]
    return f"{meaning}: {' — '.join(said)}{_more(len(deciding) - MOST_NAMED, 'student')}"


def _why(decision: Decision, student: StudentDecision) -> str:
    """Return a student's deciding rules in words."""
    found = [each for each in lines_of(decision, student) if each.required and each.rule.verdict == student.verdict]
    said = [f"{each.title}: {each.why}" for each in found[:MOST_NAMED]] or [one_line(student.reason, LONGEST_REASON)]
    return f"{name_of(student)}: {'; '.join(said)}{_more(len(found) - MOST_NAMED, 'rule')}"


def _more(number: int, noun: str) -> str:
    return f"; and {words.plural(number, f'more {noun}')}" if number > 0 else ""


def terms(decision: Decision) -> list[str]:
    """Return under which terms this was decided: exit code, policy, baseline, error level."""
    found = [f"Exit code {decision.exit_code}: {decision.exit_reason}."]
    policy = decision.policy
    if policy is None:
        found.append("Rules: the suite's own gate.")
    else:
        beyond = "beside the suite's own gate" if policy.extends == "suite" else "instead of the suite's own gate"
        found.append(f"Rules: {one_line(policy.file, LONGEST_NAME)} (sha256 {policy.sha256[:12]}), {beyond}.")
    if decision.baseline is not None:
        base = decision.baseline
        made = f" of {one_line(base.created_at, 40)}" if base.created_at else ""
        found.append(f"Baseline: {one_line(base.source, LONGEST_NAME)}, run {one_line(base.run, LONGEST_NAME)}{made}.")
        found += [one_line(note, LONGEST_REASON) for note in base.notes]
    found.append(_evidence(decision))
    found.append(f"Intervals at {numbers.whole_percent(1 - decision.alpha)}; a verdict rests on their ends.")
    return found


def _evidence(decision: Decision) -> str:
    """Return how far what this rests on was checked."""
    known = decision.evidence
    if known is None:
        return "Evidence: not checked: a result document has no samples."
    found = f", {words.plural(len(known.suspicious), 'suspicious finding')}" if known.suspicious else ": intact"
    return f"Evidence: {words.plural(known.checks, 'check')} of the run's files{found} (`distbench verify`)."


def cell_line(cell: FailedCell) -> str:
    """Return what is known of work without a result."""
    status = "failed" if cell.status == "failed" else "never ran"
    error = f": {one_line(cell.error, LONGEST_REASON)}" if cell.error else ""
    return f"{one_line(cell.title, LONGEST_NAME)} {status}{error}"
