"""A model: where it comes from, what it is, how it was made, how large it is."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from distbench.report import numbers, words
from distbench.report.measured import tokens_equal
from distbench.report.terminal.facts import Fact, fact_lines
from distbench.report.terminal.overview import sizes
from distbench.report.terminal.work import training_facts
from distbench.report.view import View
from distbench.schema.plan import PlannedModel
from distbench.schema.record import Footprint, Training
from distbench.schema.result import StudentResult, TeacherResult
from distbench.schema.trusted import Trusted


def model_parts(view: View, model: StudentResult | TeacherResult, planned: PlannedModel | None) -> list[RenderableType]:
    """Return what is known of a model. `planned`: from the run directory, which says how it is opened."""
    facts = list(_teacher(model) if isinstance(model, TeacherResult) else _student(view, model))
    facts += _opened(planned, model)
    facts += _size(model.footprint)
    if isinstance(model, StudentResult):
        facts += [
            Fact(f"smaller by {words.size_kind(kind)}", None if value is None else numbers.ratio(value))
            for kind, value in model.compression.items()
        ]
    parts: list[RenderableType] = fact_lines(facts)
    training: Training | None = model.training
    if training is not None:
        parts += [Text(), *fact_lines(list(training_facts(training)))]
    if isinstance(model, StudentResult) and model.agreement is not None:
        found = model.agreement
        parts += [
            Text(),
            *fact_lines([
                Fact("agreement with its source", f"{tokens_equal(found)} greedy tokens equal"),
                Fact("same first token", numbers.percent(found.top1)),
                Fact("KL from its source", f"{numbers.fine(found.kl)} nats per position"),
            ]),
        ]  # fmt: skip
    return parts


def made_parts(planned: PlannedModel, footprint: Footprint, training: Training | None) -> list[RenderableType]:
    """Return what is known of a model that was made and not yet evaluated."""
    facts = [
        Fact("model", planned.label),
        Fact("name", planned.name),
        Fact("role", planned.role if planned.control_of is None else f"control of {planned.control_of}"),
        Fact("made by", planned.made_by),
        Fact("origin", planned.origin),
        Fact("identity", planned.ref.identity),
        *_opened(planned, None),
        *_size(footprint),
        *(Fact("note", note) for note in planned.notes),
        *_allowed(planned.ref.trusted),
    ]
    return [*fact_lines(facts), *([Text(), *fact_lines(list(training_facts(training)))] if training else [])]


def _teacher(model: TeacherResult) -> Iterator[Fact]:
    yield Fact("model", model.label)
    yield Fact("name", model.name)
    yield Fact("role", "teacher")
    yield Fact("source", model.source)
    yield Fact("identity", model.identity)
    for task, score in model.scores.items():
        yield Fact(f"score on {task[:60]}", None if score is None else numbers.plain(score))
    yield from (Fact("note", note) for note in model.notes)
    yield from _allowed(model.trusted)


def _allowed(trusted: Trusted | None) -> Iterator[Fact]:
    yield from (Fact("allowed", words) for words in (trusted.words() if trusted else []))


def _student(view: View, model: StudentResult) -> Iterator[Fact]:
    teacher = view.teacher_of(model)
    yield Fact("model", model.label)
    yield Fact("name", model.name)
    role = model.role if model.control_of is None else f"control of {model.control_of}"
    yield Fact("role", role + ("" if model.required or model.role == "control" else " (optional)"))
    yield Fact("compared with", teacher.label if teacher else ", ".join(model.of))
    yield Fact("made by", model.made_by)
    if model.control:
        yield Fact("its control", model.control)
    if model.study is not None:
        yield Fact(
            "study", f"{model.study.name}: {', '.join(f'{key} {value}' for key, value in model.study.at.items())}"
        )
    if model.seeds is not None:
        yield Fact("training runs", ", ".join(f"seed {row.seed}" for row in model.seeds.rows))
    yield Fact("identity", model.identity)
    if model.weights is not None:
        yield Fact("weights", model.weights)
    yield from _allowed(model.trusted)
    yield Fact("verdict", f"{model.verdict}: {model.verdict_reason}")
    yield Fact("retained", str(view.retained(model)))


def _opened(planned: PlannedModel | None, model: StudentResult | TeacherResult | None) -> Iterator[Fact]:
    """Yield what only the run directory says; a teacher's result has its source and notes already."""
    if planned is None:
        return
    if isinstance(model, StudentResult):
        yield Fact("origin", planned.origin)
        yield from (Fact("note", note) for note in planned.notes)
    options = ", ".join(f"{name} {value}" for name, value in planned.ref.options.items())
    yield Fact("opened with", planned.ref.use + (f" ({options})" if options else ""))
    if planned.ref.path:
        yield Fact("files", planned.ref.path)
    if planned.ref.cell:
        yield Fact("made in cell", planned.ref.cell)


def _size(found: Footprint) -> Iterator[Fact]:
    disk, count = sizes(found)
    yield Fact("on disk", None if disk.missing else disk.text)
    yield Fact("parameters", None if count.missing else count.text)
    yield Fact("stored in", found.dtype)
    if found.note:
        yield Fact("about its size", found.note)
