"""A diff of two runs in words: one wording for terminal, Markdown and page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distbench.report import numbers, words
from distbench.report.numbers import Shown
from distbench.report.visible import one_line
from distbench.report.words import VerdictWords
from distbench.schema.diff import ChangeVerdict, Diff, Fact, MeasureChange, ModelChange, TaskChange
from distbench.schema.estimate import Estimate

VERDICTS: dict[ChangeVerdict, VerdictWords] = {
    "better": VerdictWords("↑", "better", "Surely better than before", "pass"),
    "worse": VerdictWords("↓", "worse", "Surely worse than before", "fail"),
    "unchanged": VerdictWords("=", "unchanged", "Surely no further from before than the margin", "neutral"),
    "cannot_be_told": VerdictWords("?", "cannot be told", "The samples do not say", "undecided"),
}
BASIS = {
    "paired": "same samples in both runs",
    "independent": "two independent samples",
    "identical": "every answer equal",
    "none": "no interval",
}
TOPICS = {
    "model": "Models",
    "weights": "Weights",
    "recipe": "Recipes",
    "training": "Training",
    "size": "Sizes",
    "task": "Tasks",
    "gate": "Gate",
    "versions": "Versions",
    "machine": "Machine",
    "settings": "Settings",
}
_FIRST: dict[ChangeVerdict, int] = {"worse": 0, "better": 1, "cannot_be_told": 2, "unchanged": 3}
_QUOTED = (("latency", "e2e_ms"), ("memory", "peak_bytes"), ("energy", "gross_joules_per_token"))


@dataclass(frozen=True)
class Row:
    """A task of a model, as tables print it."""

    model: ModelChange
    task: TaskChange
    a: Shown
    b: Shown
    change: Shown
    retained: Shown


def level(diff: Diff) -> str:
    """Return the confidence level of the intervals: 95 %."""
    return numbers.whole_percent(1 - diff.alpha)


def headline(diff: Diff) -> tuple[VerdictWords, str]:
    """Return the diff in one sentence, with the verdict whose look it wears."""
    judged = [each for each in diff.students if each.role == "student"]
    if not judged:
        return VERDICTS["cannot_be_told"], "The two runs have no student in common."
    counts = Counter(_overall(each) for each in judged)
    worst: ChangeVerdict = min(counts, key=lambda verdict: _FIRST[verdict])
    said = ", ".join(_phrase(verdict, counts[verdict], diff) for verdict in _FIRST if counts[verdict])
    return VERDICTS[worst], f"{said[:1].upper()}{said[1:]}."


def _overall(model: ModelChange) -> ChangeVerdict:
    """Return worse or better where the whole or any task is; worse wins."""
    said = [model.verdict, *(task.verdict for task in model.tasks)]
    if "worse" in said:
        return "worse"
    return "better" if "better" in said else model.verdict


def _phrase(verdict: ChangeVerdict, number: int, diff: Diff) -> str:
    students = words.plural(number, "student")
    return {
        "worse": f"{students} surely worse, over all tasks or on one",
        "better": f"{students} surely better",
        "unchanged": f"{students} unchanged within {margin(diff)}",
        "cannot_be_told": f"nobody can tell of {students}",
    }[verdict]


def margin(diff: Diff) -> str:
    """Return what counts as unchanged."""
    return f"±{numbers.whole_percent(diff.margin).replace('%', 'points')}"


def models(diff: Diff) -> list[ModelChange]:
    """Return students first, then controls, then teachers."""
    return [*sorted(diff.students, key=lambda each: each.role == "control"), *diff.teachers]


def name(model: ModelChange) -> str:
    """Return a model's label; both, where it goes by two."""
    label = model.label_b if model.label_a == model.label_b else f"{model.label_a} → {model.label_b}"
    return label if model.role == "student" else f"{label} ({model.role})"


def retained(found: Estimate | None) -> Shown:
    """Return a retained share."""
    return numbers.perhaps(found, numbers.as_percent, "it has no retained share in this run")


def points(found: Estimate | None) -> Shown:
    """Return a change of a retained share in points, 100 of which are the teacher's whole skill."""
    return numbers.perhaps(found, lambda each: numbers.as_points(each, (0.0,)), "there is none in both runs")


def rows(diff: Diff, chosen: Sequence[ModelChange] | None = None) -> list[Row]:
    """Return every task of every model, what got worse first."""
    found = [
        Row(
            model,
            task,
            numbers.optional(task.score_a, numbers.plain, "no score in A"),
            numbers.optional(task.score_b, numbers.plain, "no score in B"),
            numbers.as_signed(task.change),
            points(task.retained_change if model.role != "teacher" else None),
        )
        for model in (models(diff) if chosen is None else chosen)
        for task in model.tasks
    ]
    return sorted(found, key=lambda row: _FIRST[row.task.verdict])


def telling(rows_: Sequence[Row]) -> tuple[list[Row], str]:
    """Return the rows worth a line in a short table, and what was left out in words."""
    equal = [row for row in rows_ if row.task.basis == "identical"]
    alone = [row for row in rows_ if row.task.score_a is None or row.task.score_b is None]
    left = [row for row in rows_ if row not in equal and row not in alone]
    said = [f"{numbers.count(len(equal))} more rows where every answer is the same"] if equal else []
    said += [f"{numbers.count(len(alone))} that only one run has"] if alone else []
    return left, ", ".join(said)


def gate_words(model: ModelChange) -> str:
    """Return the gate's verdict before and after."""
    if model.verdict_a is None or model.verdict_b is None:
        return numbers.DASH
    a, b = (words.VERDICTS[each].word for each in (model.verdict_a, model.verdict_b))
    return a if a == b else f"{a} → {b}"


def quoted(model: ModelChange) -> list[MeasureChange]:
    """Return the measures that short tables quote: end-to-end time, peak memory, energy; the smallest workload."""
    found = []
    for key in _QUOTED:
        fitting = [each for each in model.measurements if (each.meter, each.metric) == key]
        found += fitting[:1]
    return found


def measure_title(found: MeasureChange) -> str:
    """Return a measure in words."""
    title = words.metric_words(found.metric)
    return title if found.workload in {"", "process", "loading"} else f"{title} ({found.workload})"


def times(found: Estimate | None) -> Shown:
    """Return a ratio of two runs; above 1 B is better."""
    return numbers.perhaps(found, lambda each: numbers.as_ratio(each, (1.0,)), "not compared")


def facts(diff: Diff) -> list[Fact]:
    """Return everything that is not the same, models first."""
    return [*(fact for model in models(diff) for fact in model.facts), *diff.facts]


def side(fact: Fact, which: str, limit: int | None = None) -> str:
    """Return one side of a fact in words, on one line."""
    value = fact.a if which == "a" else fact.b
    return numbers.DASH if value is None else one_line(value, limit)


def samples(task: TaskChange) -> str:
    """Return how many samples a change rests on; both numbers, where the runs asked different ones."""
    if task.basis in {"paired", "identical"}:
        return numbers.count(task.change.n)
    counts = [numbers.count(each) if each else numbers.DASH for each in (task.n_a, task.n_b)]
    return counts[0] if counts[0] == counts[1] else " / ".join(counts)


def arrivals(diff: Diff) -> list[str]:
    """Return in sentences which models came and went."""
    found = [f"Only in B: {each.label} ({each.role})." for each in diff.added]
    return found + [f"Only in A: {each.label} ({each.role})." for each in diff.removed]
