"""What changed between two runs: the answer, over all tasks, task by task, measured, and what is not the same."""

from __future__ import annotations

from distbench.report import changes, numbers
from distbench.report.changes import BASIS, TOPICS, VERDICTS
from distbench.report.figures.changes import change_rows, drawable, note, overall_rows
from distbench.report.figures.frame import plain_json
from distbench.report.sections.section import Fragment
from distbench.report.several import Part, filled
from distbench.schema.diff import Diff

_MOST_ROWS = 40


def changes_part(diff: Diff) -> list[Part]:
    """Return the sections of a diff; those without data are left out."""
    parts = [_answer(diff), _overall(diff), _tasks(diff), _measured(diff), _facts(diff)]
    return [part for part in parts if part is not None]


def _answer(diff: Diff) -> Part:
    look, sentence = changes.headline(diff)
    html = filled(
        "sections/changes.html", part="answer", diff=diff, look=look, sentence=sentence, margin=changes.margin(diff),
        level=changes.level(diff), arrivals=changes.arrivals(diff), verdict_words=VERDICTS,
    )  # fmt: skip
    return Part("Answer", "answer", Fragment(html))


def _overall(diff: Diff) -> Part | None:
    models = [model for model in changes.models(diff) if model.role != "teacher"]
    if not models:
        return None
    drawn = [model for model in models if model.retained_change is not None and model.retained_change.value is not None]
    figures = {"overall": plain_json(overall_rows(drawn, diff.margin))} if drawn else {}
    html = filled(
        "sections/changes.html", part="overall", diff=diff, models=models, drawn=bool(drawn), name=changes.name,
        retained=changes.retained, points=changes.points, gate=changes.gate_words, basis=BASIS, looks=VERDICTS,
        margin=changes.margin(diff), level=changes.level(diff), size=_size,
    )  # fmt: skip
    return Part("Over all tasks", "overall", Fragment(html, figures))


def _tasks(diff: Diff) -> Part | None:
    rows = changes.rows(diff)
    if not rows:
        return None
    fitting = drawable(rows)
    shown = fitting[:_MOST_ROWS]
    figures = {"task-changes": plain_json(change_rows(shown, diff.margin))} if shown else {}
    html = filled(
        "sections/changes.html", part="tasks", diff=diff, rows=rows, drawn=bool(shown), name=changes.name,
        samples=changes.samples, basis=BASIS, looks=VERDICTS, margin=changes.margin(diff), level=changes.level(diff),
        note=note(len(rows) - len(shown)), retained=changes.retained,
    )  # fmt: skip
    return Part("Tasks", "task-changes-section", Fragment(html, figures))


def _measured(diff: Diff) -> Part | None:
    models = [model for model in changes.models(diff) if model.measurements]
    if not models:
        return None
    html = filled(
        "sections/changes.html", part="measured", diff=diff, models=models, name=changes.name, times=changes.times,
        title=changes.measure_title, looks=VERDICTS, level=changes.level(diff),
    )  # fmt: skip
    return Part("Measured", "measured", Fragment(html))


def _facts(diff: Diff) -> Part | None:
    found = changes.facts(diff)
    if not found:
        return None
    html = filled("sections/changes.html", part="facts", diff=diff, facts=found, topics=TOPICS, side=changes.side)
    return Part("Not the same", "differences", Fragment(html))


def _size(value: float | None) -> numbers.Shown:
    return numbers.optional(value, numbers.ratio, "no size on disk of the model or its teacher")
