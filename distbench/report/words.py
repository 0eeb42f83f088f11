"""The plain words for verdicts, kinds of size and rules: one place, so that every output says the same."""

from __future__ import annotations

from dataclasses import dataclass

from distbench.report.visible import one_line


@dataclass(frozen=True)
class VerdictWords:
    """How a verdict looks. `tone` names its colour; the glyph and the word carry it without colour."""

    glyph: str
    word: str
    meaning: str
    tone: str


VERDICTS = {
    "PASS": VerdictWords("✓", "pass", "Good enough", "pass"),
    "FAIL": VerdictWords("✗", "fail", "Not good enough", "fail"),
    "INCONCLUSIVE": VerdictWords("?", "undecided", "Too close to call with this much data", "undecided"),
    "NO_SIGNAL": VerdictWords("∅", "no signal", "The teacher itself is no better than guessing", "neutral"),
    "INVALID": VerdictWords("!", "invalid", "The comparison cannot be trusted", "neutral"),
}

SIZE_KINDS = {
    "bytes_on_disk": "size on disk",
    "params_unique": "parameters",
    "params_non_embedding": "parameters outside the embeddings",
    "params_active": "active parameters",
    "resident_memory": "resident memory",
    "flops_per_token": "floating-point operations per token",
}

_RULES = {
    "retained": "retained over all tasks",
    "task_floor": "no task far below",
    "speedup": "speed-up",
    "compression": "compression by size on disk",
    "alpha": "error level of the intervals",
}


def humanise(name: str) -> str:
    """Return an identifier as words."""
    return one_line(name.replace("_", " "), 80)


def size_kind(kind: str) -> str:
    """Return what a kind of compression counts."""
    return SIZE_KINDS.get(kind, humanise(kind))


def rule_words(rule: str) -> str:
    """Return a rule of the gate in words."""
    return _RULES.get(rule, humanise(rule))


def plural(number: int, noun: str, many: str | None = None) -> str:
    """Return the number with its noun: 1 task, 2 tasks."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"
