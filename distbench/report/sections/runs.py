"""The runs of which a page was made: where every number comes from, and what keeps some of them apart."""

from __future__ import annotations

from distbench.report import numbers, words
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View
from distbench.schema.merged import MergedRun


class Runs:
    """A row a run, with its verdict under its own gate, its models and its machine."""

    title = "Runs"
    anchor = "runs"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None for a result of one run."""
        runs = view.result.runs
        if not runs:
            return None
        machines = len({run.machine for run in runs}) > 1
        html = fill(
            "sections/runs.html", view, section=self, runs=runs, conflicts=view.result.conflicts, machines=machines,
            gate=gate_words, twins=twins(view), labels={name: one.label for name, one in view.by_name.items()},
        )  # fmt: skip
        return Fragment(html)


def gate_words(run: MergedRun) -> str:
    """Return a run's gate in one line."""
    limits = [(rule, value) for rule, value in run.thresholds.items() if value is not None]
    said = [f"{words.rule_words(rule)} {_sign(rule)} {_limit(rule, value)}" for rule, value in limits]
    said += [f"floor of {task} ≥ {numbers.whole_percent(floor)}" for task, floor in run.task_floors.items()]
    return "; ".join([*said, f"intervals at {numbers.whole_percent(1 - run.alpha)}"])


def _sign(rule: str) -> str:
    return "≤" if rule.startswith("max_") else "≥"


def _limit(rule: str, value: float) -> str:
    if rule in words.RATIO_RULES:
        return numbers.whole_ratio(value)
    return numbers.whole_plain(value) if rule in words.PLAIN_RULES else numbers.whole_percent(value)


def twins(view: View) -> list[str]:
    """Say which students of several runs are one model, and which only share a name."""
    found = []
    by_identity: dict[str, list[str]] = {}
    for student in view.result.students:
        if student.identity is not None and student.role == "student":
            by_identity.setdefault(student.identity, []).append(student.label)
    found += [f"{_and(labels)} are one model: equal content." for labels in by_identity.values() if len(labels) > 1]
    return found


def _and(labels: list[str]) -> str:
    return f"{', '.join(labels[:-1])} and {labels[-1]}"
