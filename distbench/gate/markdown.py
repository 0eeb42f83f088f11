"""The decision as Markdown: a comment on a pull request, or a job's step summary."""

from __future__ import annotations

from distbench.gate.lines import Line, cell_line, lines, name_of, sentence, terms, worst_first
from distbench.report import words
from distbench.report.visible import markdown_text
from distbench.schema.decision import Decision, StudentDecision

COMMENT_LIMIT = 65_536  # characters of a comment on GitHub
SUMMARY_LIMIT = 1 << 20  # bytes of a step's summary on GitHub
_SPARE = 1_000  # for the remarks on what was left out
_LONGEST = 300


def markdown(decision: Decision, limit: int = COMMENT_LIMIT) -> str:
    """Return the decision, what decided it first, in at most `limit` bytes of UTF-8; what is left out is counted."""
    verdict = words.VERDICTS[decision.verdict]
    said = decision.verdict.replace("_", " ")
    head = [
        f"## {verdict.glyph} {said}: {markdown_text(decision.suite, 100)}",
        markdown_text(sentence(decision)),
        "\n".join(f"- {markdown_text(term)}" for term in terms(decision)),
    ]
    parts = ["\n\n".join(head) + "\n"]
    room = limit - _SPARE - _size(parts[0])
    for noun, title, rows in _blocks(decision):
        kept, room = _fitting(title, rows, room)
        if kept:
            parts.append("\n" + title + "".join(kept))
        left_out = len(rows) - len(kept)
        if left_out:
            parts.append(f"\n_{left_out:,} more {noun} are left out here; the JSON document has all._\n")
    return "".join(parts)


def _blocks(decision: Decision) -> list[tuple[str, str, list[str]]]:
    """Return (what its rows are, heading, rows) of each table."""
    students = [_student(decision, student) for student in decision.students]
    rules = [_rule(line) for line in worst_first(lines(decision))]
    cells = [f"- {markdown_text(cell_line(cell))}\n" for cell in decision.cells]
    found = [
        ("students", _head("", ["Verdict", "Student", "Rules that pass"], "llr"), students),
        ("rules", _head("### Rules, what decides first", ["Verdict", "Student", "Rule", "Asked", "Seen", "Why"],
                        "lllrrl"), rules),
        ("cells", "### Work without a result\n\n", cells),
    ]  # fmt: skip
    return [block for block in found if block[2]]


def _head(title: str, names: list[str], align: str) -> str:
    marks = ["---:" if each == "r" else "---" for each in align]
    return (f"{title}\n\n" if title else "") + _row(names) + _row(marks)


def _student(decision: Decision, student: StudentDecision) -> str:
    rules = decision.rules[student.name]
    passing = sum(rule.verdict == "PASS" for rule in rules)
    note = "" if student.required else " (advisory)"
    return _row([_verdict(student.verdict), markdown_text(name_of(student)) + note, f"{passing:,} of {len(rules):,}"])


def _rule(line: Line) -> str:
    why = "" if line.rule.verdict == "PASS" else markdown_text(line.why, _LONGEST)
    return _row(
        [
            _verdict(line.rule.verdict),
            markdown_text(name_of(line.student)),
            markdown_text(line.subject) + line.advisory,
            line.asked,
            line.seen,
            why,
        ]
    )


def _verdict(verdict: str) -> str:
    return f"{words.VERDICTS[verdict].glyph} {verdict.replace('_', ' ')}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _fitting(title: str, rows: list[str], room: int) -> tuple[list[str], int]:
    """Return as many rows as there is room for under the heading, and the room that is left."""
    left = room - _size(title)
    kept: list[str] = []
    for row in rows:
        if _size(row) > left:
            break
        kept.append(row)
        left -= _size(row)
    return kept, left if kept else room


def _size(text: str) -> int:
    return len(text.encode("utf-8"))
