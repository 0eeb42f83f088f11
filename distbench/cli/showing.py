"""`show`: a run in a terminal, or one student, task, model, cell or disagreement of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from distbench.cli.output import print_json
from distbench.cli.showing_made import evaluated, show_made
from distbench.cli.wishes import Wish, print_parts, unknown
from distbench.compare.evidence import Evidence
from distbench.compare.reading import read_result
from distbench.errors import RefusedError, UsageError
from distbench.report.terminal.model import model_parts
from distbench.report.terminal.overview import overview
from distbench.report.terminal.samples import Chosen, sample_parts
from distbench.report.terminal.student import student_parts
from distbench.report.terminal.task import task_parts
from distbench.report.terminal.work import cell_parts, cells_grid
from distbench.report.text import verdict_lines
from distbench.report.view import View
from distbench.schema.plan import PlannedModel
from distbench.schema.record import CellRecord
from distbench.schema.result import Result, StudentResult, TeacherResult
from distbench.schema.wording import first_fault
from distbench.store.plain import plain_bytes
from distbench.store.run_dir import RunDir
from distbench.tables import TABLES


def show(path: Path, wish: Wish, *, as_json: bool, quiet: bool = False, verbose: bool = False) -> None:
    """Print what was asked of a run directory, a result.json or the folder of a cell."""
    wish.check()
    if (path / "record.json").is_file():
        if wish != Wish():
            raise UsageError(
                f"{path} is the folder of a cell: it has no students, tasks or further cells to choose from"
            )
        _show_record(read_record(path), as_json=as_json)
    elif wish.cell is not None:
        _show_record(_record_of(path, wish.cell), as_json=as_json)
    elif path.is_dir() and not evaluated(evidence := Evidence(RunDir.existing(path))):
        show_made(evidence, wish, as_json=as_json)
    else:
        result = read_result(path)
        if quiet and not as_json:
            print_parts(verdict_lines(result))
        else:
            _show_result(path, result, wish, as_json=as_json, whole=verbose)


def _show_result(path: Path, result: Result, wish: Wish, *, as_json: bool, whole: bool) -> None:
    if wish.model is not None:
        model = _model(result, wish.model)
        if as_json:
            print_json(model)
        else:
            print_parts(model_parts(View(result), model, _planned(path, model.name)))
    elif wish.samples is not None:
        _show_samples(result, wish, as_json=as_json)
    elif wish.cells:
        if as_json:
            print_json(rows_of(result, "cells"))
        else:
            print_parts(cells_grid(result.cells))
    elif wish.student is not None or wish.task is not None:
        _show_part(result, wish, as_json=as_json)
    elif as_json:
        print_json(result)
    else:
        print_parts(overview(result, whole=whole))


def _show_part(result: Result, wish: Wish, *, as_json: bool) -> None:
    """Show a student, a task, or a student on a task."""
    students = [_student(result, wish.student)] if wish.student is not None else result.students
    kept = result.model_copy(update={"students": students})
    if wish.task is not None:
        kept = _only(kept, _task(result, students, wish.task))
    if as_json:
        print_json(kept.students[0] if wish.student is not None and wish.task is None else _task_document(kept))
    elif wish.task is not None:
        print_parts(task_parts(View(kept), wish.task))
    else:
        print_parts(student_parts(View(result), students[0]))


def _task_document(kept: Result) -> dict[str, Any]:
    return {name: rows_of(kept, name) for name in ("tasks", "groups", "context", "bias", "calibration", "divergences")}


def _only(result: Result, task: str) -> Result:
    """Return the result with one task of each student."""
    students = [
        each.model_copy(
            update={
                "tasks": [found for found in each.tasks if found.task == task],
                "divergence": [found for found in each.divergence if found.task == task],
            }
        )
        for each in result.students
    ]
    return result.model_copy(update={"students": students})


def _show_samples(result: Result, wish: Wish, *, as_json: bool) -> None:
    students = [_student(result, wish.student)] if wish.student is not None else View(result).candidates
    if wish.task is not None:
        _task(result, students, wish.task)
    chosen = choose(students, wish)
    if as_json:
        rows = [{"student": student.name, **sample.model_dump(mode="json")} for student, sample in chosen.samples]
        print_json({"fitting": chosen.fitting, "not_recorded": chosen.unrecorded, "samples": rows})
    else:
        print_parts(sample_parts(chosen))


def choose(students: Sequence[StudentResult], wish: Wish) -> Chosen:
    """Return the disagreements that fit a wish, the first `limit` of them."""
    fitting = [
        (student, sample)
        for student in students
        for sample in student.disagreements
        if wish.samples in {"all", sample.kind} and wish.task in {None, sample.task}
    ]
    unrecorded = sum(max(0, student.disagreements_total - len(student.disagreements)) for student in students)
    return Chosen(fitting[: wish.limit], len(fitting), unrecorded)


def rows_of(result: Result, table: str) -> list[dict[str, Any]]:
    """Return the rows of a tidy table of a result."""
    return TABLES[table].rows(result)


def _student(result: Result, wanted: str) -> StudentResult:
    found = next((each for each in result.students if each.name == wanted), None)
    if found is None:
        raise UsageError(unknown("student", wanted, [each.name for each in result.students]))
    return found


def _task(result: Result, students: Sequence[StudentResult], wanted: str) -> str:
    names = [each.task for student in students for each in student.tasks]
    names += [each.task for student in students for each in student.divergence]
    if wanted not in names:
        raise UsageError(unknown("task", wanted, names))
    return wanted


def _model(result: Result, wanted: str) -> StudentResult | TeacherResult:
    models: list[StudentResult | TeacherResult] = [*result.teachers, *result.students]
    found = next((each for each in models if each.name == wanted), None)
    if found is None:
        raise UsageError(unknown("model", wanted, [each.name for each in models]))
    return found


def _planned(path: Path, name: str) -> PlannedModel | None:
    """Return a model as the run directory planned it; a result.json does not say."""
    if path.is_file():
        return None
    models = RunDir.existing(path).manifest().models
    return next((each for each in models if each.name == name), None)


def _record_of(path: Path, wanted: str) -> CellRecord:
    """Return the record of the cell whose id begins so."""
    if path.is_file():
        raise UsageError(f"{path} is a result document: records of cells are in the run directory")
    run = RunDir.existing(path)
    planned = run.manifest().cells
    found = [cell for cell in planned if cell.id.startswith(wanted)]
    if not found:
        raise UsageError(unknown("cell", wanted, [cell.id for cell in planned]))
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} cells begin with {wanted!r}: give more of the id ({found[0].id}, {found[1].id}, …)"
        )
    cell = found[0]
    if not (run.cells / cell.id).is_dir():
        why = run.last_failure(cell.id) or "it never finished"
        raise UsageError(f"cell {cell.id} ({cell.title}) has no record: {why}")
    return run.record(cell.id)


def read_record(folder: Path) -> CellRecord:
    """Read the record of a cell from its folder."""
    path = folder / "record.json"
    try:
        return CellRecord.model_validate_json(plain_bytes(path))
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise RefusedError(f"{path} is not a record of this version: at {first_fault(error)}") from None


def _show_record(record: CellRecord, *, as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        print_parts(cell_parts(record))
