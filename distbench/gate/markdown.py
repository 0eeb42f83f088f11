"""The decision as Markdown: a comment on a pull request, or a job's step summary."""

from __future__ import annotations

import re
from dataclasses import dataclass

from distbench.gate.lines import Line, cell_line, lines, name_of, sentence, terms, worst_first
from distbench.report import words
from distbench.report.visible import markdown_text
from distbench.schema.decision import Decision, StudentDecision

COMMENT_LIMIT = 65_536  # characters of a comment on GitHub
SUMMARY_LIMIT = 1 << 20  # bytes of a step's summary on GitHub
_SPARE = 1_000  # for the remarks on what was left out
_LONGEST = 300
_COLUMNS = ["Verdict", "Student", "Rule", "Asked", "Seen", "Why"]


@dataclass(frozen=True)
class Block:
    """A table or a list: what its rows are, what stands before and after them."""

    noun: str
    head: str
    rows: list[str]
    tail: str = ""


def markdown(decision: Decision, limit: int = COMMENT_LIMIT) -> str:
    """Return the decision, what decided it first, in less than `limit` bytes of UTF-8; what is left out is counted."""
    verdict = words.VERDICTS[decision.verdict]
    said = decision.verdict.replace("_", " ")
    head = [
        f"## {verdict.glyph} {said}: {markdown_text(decision.suite, 100)}",
        markdown_text(sentence(decision)),
        "\n".join(f"- {markdown_text(term)}" for term in terms(decision)),
    ]
    parts = ["\n\n".join(head) + "\n"]
    room = limit - _SPARE - _size(parts[0])
    for block in _blocks(decision):
        kept, room = _fitting(block, room)
        if kept:
            parts += ["\n", block.head, *kept, block.tail]
        left_out = len(block.rows) - len(kept)
        if left_out:
            parts.append(f"\n_{left_out:,} more {block.noun} are left out here; the JSON document has all._\n")
    return "".join(parts)


def _blocks(decision: Decision) -> list[Block]:
    ordered = worst_first(lines(decision))
    failing = [_rule(line) for line in ordered if line.rule.verdict != "PASS"]
    passing = [_rule(line) for line in ordered if line.rule.verdict == "PASS"]
    folded = f"<details><summary>Rules that pass: {len(passing):,}</summary>\n\n"
    blocks = [
        Block(
            "students",
            _table(["Verdict", "Student", "Rules that pass"], "llr"),
            [_student(decision, student) for student in decision.students],
        ),
        Block("rules that do not pass", "### What does not pass\n\n" + _table(_COLUMNS, "lllrrl"), failing),
        Block(
            "cells",
            "### Work without a result\n\n",
            [f"- {markdown_text(cell_line(cell))}\n" for cell in decision.cells],
        ),
        Block("rules that pass", folded + _table(_COLUMNS[:-1], "lllrr"), passing, "\n</details>\n"),
    ]
    return [block for block in blocks if block.rows]


def _table(names: list[str], align: str) -> str:
    marks = ["---:" if each == "r" else "---" for each in align]
    return _row(names) + _row(marks)


def _student(decision: Decision, student: StudentDecision) -> str:
    rules = decision.rules[student.name]
    passing = sum(rule.verdict == "PASS" for rule in rules)
    note = "" if student.required else " (advisory)"
    return _row([_verdict(student.verdict), markdown_text(name_of(student)) + note, f"{passing:,} of {len(rules):,}"])


def _rule(line: Line) -> str:
    """Return a row; what passes needs no reason, and its table has no such column."""
    why = [] if line.rule.verdict == "PASS" else [markdown_text(line.why, _LONGEST)]
    seen = re.sub(r"(?<=\[)[^]]*", lambda found: found[0].replace(" ", "\u00a0"), line.seen)  # an interval stays whole
    rule = markdown_text(line.subject) + line.advisory
    return _row([_verdict(line.rule.verdict), markdown_text(name_of(line.student)), rule, line.asked, seen, *why])


def _verdict(verdict: str) -> str:
    return f"{words.VERDICTS[verdict].glyph} {verdict.replace('_', ' ')}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _fitting(block: Block, room: int) -> tuple[list[str], int]:
    """Return as many rows as there is room for, and the room that is left."""
    left = room - _size(block.head) - _size(block.tail)
    kept: list[str] = []
    for row in block.rows:
        if _size(row) > left:
            break
        kept.append(row)
        left -= _size(row)
    return kept, left if kept else room


def _size(text: str) -> int:
    return len(text.encode("utf-8"))
