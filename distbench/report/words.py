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
    "bytes_on_disk": "size on disk (bytes of the weight files)",
    "params_unique": "parameters (tied tensors counted once)",
    "params_non_embedding": "parameters outside the embeddings",
    "params_active": "active parameters",
    "resident_memory": "resident memory (measured)",
    "flops_per_token": "floating-point operations per token",
}

_RULES = {
    "retained": "retained over all tasks",
    "task_floor": "no task far below",
    "speedup": "speed-up",
    "compression": "compression by size on disk",
    "alpha": "error level of the intervals",
}

METHOD = [
    (
        "Retained",
        "(student − chance) ÷ (teacher − chance): the share of the teacher's skill above guessing that the student "
        "keeps. Over all tasks it is the ratio of the macro means. Never clipped: above 100 % the student is better.",
    ),
    (
        "Raw",
        "student ÷ teacher without subtracting chance: what papers usually print. It flatters weak students.",
    ),
    ("Δ (delta)", "The mean paired difference, in the units of the metric; + means that the student is better."),
    (
        "Interval [low, high]",
        "Where the true value lies at the stated confidence, for other test items of the same kind. It covers the "
        "choice of test items for this checkpoint, not other training seeds: a claim about a method needs three seeds.",
    ),
    (
        "Verdict",
        "pass: the lower limit reaches the threshold. fail: the upper limit is below it. undecided: the interval "
        "holds the threshold. no signal: the teacher is not above chance. invalid: the evidence does not match.",
    ),
    ("Worst task", "The task with the lowest retained share: a fine average may hide one ruined task."),
    ("Compression", "teacher ÷ student by the named kind of size; above 1 the student is smaller."),
    (
        "Speed-up, memory, loading",
        "Ratios from runs in which teacher and student alternate on the same machine; above 1 the student is better. "
        "The absolute values are medians.",
    ),
    (
        "Gap recovered",
        "(student − control) ÷ (teacher − control). The control is the same student, trained for the same time "
        "without the teacher: the one number that says whether distillation itself helped.",
    ),
    (
        "Held-out KL",
        "How far the model's predicted distribution is from the teacher's on unseen data (nats); 0 is identical.",
    ),
    (
        "Agreement, flips",
        "Agreement: share of items with the same answer. Lost: teacher right, student wrong. Won: the reverse.",
    ),
    (
        "Pareto front",
        "The models that no other beats on both axes; between two of them the lower one is what you can get.",
    ),
    ("n", "The number of test items (or of paired measurements) behind a number."),
]


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
