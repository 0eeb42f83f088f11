"""The decision for a terminal and a log: one line a rule."""

from __future__ import annotations

from distbench.gate.lines import Line, cell_line, headline, lines_of, name_of, sentence, terms
from distbench.schema.decision import Decision, StudentDecision


def text(decision: Decision) -> str:
    """Return the decision as plain lines, the verdict first."""
    rows = [headline(decision), sentence(decision), *terms(decision)]
    if not decision.students:
        rows.append("There is no student.")
    for student in decision.students:
        rows += ["", *_student(decision, student)]
    if decision.cells:
        rows += ["", "Work without a result:", *(f"  {cell_line(cell)}" for cell in decision.cells)]
    return "\n".join(rows) + "\n"


def _student(decision: Decision, student: StudentDecision) -> list[str]:
    note = "" if student.required else " (advisory)"
    rules = lines_of(decision, student)
    rows = [f"{student.verdict:<13} {name_of(student)}{note}"]
    rows += [_rule(line) for line in rules] if rules else ["  no rule was asked"]
    return rows


def _rule(line: Line) -> str:
    note = "" if line.rule.required else " (advisory)"
    why = "" if line.rule.verdict == "PASS" else f"; {line.why}"
    return f"  {line.rule.verdict:<13} {line.title}{note}: {line.seen}{why}"
