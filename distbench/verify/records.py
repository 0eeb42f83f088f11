"""Do a record, its own cell and the plan say the same?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from distbench.compare.evidence import Cell
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, models_of
from distbench.schema.plan import PlannedModel
from distbench.schema.record import CellRecord, EvaluateResult, MeasureResult
from distbench.verify.looking import Look
from distbench.verify.subject import Subject


def readable(subject: Subject, look: Look) -> None:
    """Every intact cell has a cell.json and a record.json of this schema, and the samples or the model it is about."""
    look.saw(len(subject.records))
    for name, why in subject.unreadable.items():
        look.damaged(f"cells/{name}", why)
    for name, record in subject.records.items():
        kept = {"evaluate": "samples.parquet", "make": "model"}.get(record.result.kind)
        if kept is not None and not (subject.run.cells / name / kept).exists():
            look.damaged(f"cells/{name}", f"it has no {kept}")


def cells(subject: Subject, look: Look) -> None:
    """A record is about the cell in whose folder it lies: the same id, title, kind, model and task."""
    for name, record, own in _sealed(subject):
        look.saw()
        planned = subject.planned.get(name, own)
        said: dict[str, set[Any]] = {
            "id": {name, record.cell_id, own.id},
            "kind": {record.result.kind, own.kind, planned.kind},
            "title": {record.title, own.title},  # of the plan: another run's, where it came from the cache
            **_about(record, own, planned),
        }
        if wrong := [what for what, values in said.items() if len(values) > 1]:
            look.damaged(subject.title(name), f"record, cell and plan differ in {', '.join(wrong)}")


def _sealed(subject: Subject) -> Iterator[tuple[str, CellRecord, Cell]]:
    for name, record in subject.records.items():
        if name in subject.sealed:
            yield name, record, subject.sealed[name]


def _about(record: CellRecord, own: Cell, planned: Cell) -> dict[str, set[Any]]:
    """Return what must be one value: a name or a path may differ, since a cell can come from another run's cache."""
    every = (own, planned)
    found: dict[str, set[Any]] = {"models": {tuple(ref.identity for ref in models_of(each)) for each in every}}
    if isinstance(own, EvaluateCell) and isinstance(planned, EvaluateCell):
        exclude = {"data", "weight", "group"}
        found["task"] = {each.task.model_dump_json(exclude=exclude) for each in (own, planned)}
        if isinstance(record.result, EvaluateResult):
            found["task's name"] = {record.result.task, own.task.title}
    if isinstance(own, MakeCell) and isinstance(planned, MakeCell):
        found["model plug-in"] = {own.use, planned.use, *([record.result.use] if record.result.kind == "make" else [])}
        found["training"] = {each.train.use if each.train else None for each in (own, planned)}
    if isinstance(own, MeasureCell) and isinstance(planned, MeasureCell):
        found["names of the models"] = {tuple(ref.name for ref in each.models) for each in (own, planned)}
        if isinstance(record.result, MeasureResult):
            found["names of the models"].add(tuple(record.result.models))
    return found


def settings(subject: Subject, look: Look) -> None:
    """A cell ran with the device, dtype, threads and seed that were planned for it."""
    for name, record, own in _sealed(subject):
        look.saw()
        ran = {"device": (record.device, own.settings.device), "threads": (record.threads, own.settings.threads)}
        if wrong := [what for what, (one, other) in ran.items() if one != other]:
            look.damaged(subject.title(name), f"record and cell differ in {', '.join(wrong)}")
        planned = subject.planned.get(name)
        if planned is None or planned.settings == own.settings:
            continue
        # An evaluation may come from the cache: of another run, with more threads, on the second of two boards.
        if _decisive(planned) != _decisive(own):
            look.damaged(subject.title(name), f"it ran as {_words(own)}; planned was {_words(planned)}")


def _decisive(cell: Cell) -> tuple[Any, ...]:
    """Return the settings that decide a cell's numbers; those of a measurement all do."""
    found = cell.settings
    if isinstance(cell, MeasureCell):
        return (found.seed, found.dtype, found.device, found.threads)
    return (found.seed, found.dtype, found.device.split(":")[0])


def _words(cell: Cell) -> str:
    found = cell.settings
    return f"{found.dtype} on {found.device}, {found.threads} threads, seed {found.seed}"


def models(subject: Subject, look: Look) -> None:
    """The models of the manifest are those that the cells ask: by name, role, content, and how they are opened."""
    manifest = subject.manifest
    by_name = {model.name: model for model in manifest.models}
    listed = {cell.id for cell in manifest.cells}
    for model in manifest.models:
        look.saw()
        _role(subject, model, look)
        if model.ref.cell is not None and model.ref.cell not in listed:
            look.damaged("manifest.json", f"model {model.name!r} is made by a cell that is not planned")
    for name, cell in subject.planned.items():
        asked = models_of(cell) if not isinstance(cell, MakeCell) else []
        for ref in asked:
            known = by_name.get(ref.name)
            if known is None:
                look.damaged(f"plan/{name}.json", f"it asks model {ref.name!r}, which the manifest does not have")
            elif known.ref != ref:
                look.damaged(
                    f"plan/{name}.json", f"its model {ref.name!r} is not the one that the manifest calls {ref.name!r}"
                )


def _role(subject: Subject, model: PlannedModel, look: Look) -> None:
    """A teacher is one in the suite, and only teachers are."""
    is_teacher = model.name in subject.manifest.suite.teachers
    if {model.role, model.ref.role} == {"teacher" if is_teacher else model.role} and (model.of == []) == is_teacher:
        return
    look.damaged("manifest.json", f"model {model.name!r} is a {model.role} here, and something else in the suite")
