"""A suite becomes cells: a function of the suite, its files and this machine; nothing is written or loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.data.pull import check_pulled
from distbench.plan.capabilities import check_processes, check_runs, check_task, check_work
from distbench.plan.device import Chosen, choose, measured_on
from distbench.plan.identity import id_of, of_evaluation, of_measurement, of_task
from distbench.plan.models import ModelPlanner
from distbench.plan.tasks import resolve_tasks
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, ModelRef, Settings
from distbench.schema.plan import PlannedModel
from distbench.schema.strict import Use
from distbench.schema.suite import Suite, TaskSpec

Cell = MakeCell | EvaluateCell | MeasureCell
GROUP = 4  # students measured beside one teacher at a time: five loaded models is what a small machine holds


@dataclass
class Plan:
    """Every model and cell of a suite, in an order in which they can run."""

    suite: Suite
    chosen: Chosen
    models: list[PlannedModel]
    tasks: list[TaskSpec]
    cells: list[MakeCell | EvaluateCell | MeasureCell]
    warnings: list[str] = field(default_factory=list)
    elsewhere: dict[str, str] = field(default_factory=dict)  # cells whose device is not here, and why


def expand(
    suite: Suite, directory: Path, device: str | None = None, trusted: Sequence[Path] = (), *, elsewhere: bool = False
) -> Plan:
    """Return the plan of a suite. `trusted`: folders of task files that may run code of their own; `elsewhere`: its
    cells run on other machines, whose devices are not looked for here.

    Raises UsageError, EnvironmentFault or RefusedError for everything that can be known before a model is loaded.
    """
    check_pulled(directory)
    chosen = choose(suite, device, elsewhere=elsewhere)
    tasks = resolve_tasks(suite, directory, trusted)
    planner = ModelPlanner(directory, chosen.settings)
    for name, teacher in suite.teachers.items():
        planner.teacher(name, teacher)
    for student in suite.students:
        planner.student(student)
    models = _used(list(planner.models.values()))
    cells: list[MakeCell | EvaluateCell | MeasureCell] = []
    questions, have = Questions(planner.models, chosen), set[str]()
    for model in models:
        made = _makes(model, planner.cells, have)
        have |= {cell.id for cell in made}
        cells += made
        for task in tasks:
            cells += questions.cells(model, task)
    meters, absent = _meters(suite, directory), dict[str, str]()
    several = suite.devices is not None
    for settings, why in measured_on(suite, chosen, elsewhere=elsewhere):
        measures = _measures(meters, models, tasks, settings, one_of_several=several)
        absent |= {cell.id: why for cell in measures if why is not None}
        cells += measures
    first: dict[str, MakeCell | EvaluateCell | MeasureCell] = {}
    for cell in cells:  # two models with one content are evaluated once, under the first one's title
        first.setdefault(cell.id, cell)
    check_processes(list(first.values()))
    return Plan(suite, chosen, models, tasks, list(first.values()), elsewhere=absent)


def _used(models: list[PlannedModel]) -> list[PlannedModel]:
    """Leave out teachers that no student names: nothing would be compared with them."""
    named = {name for model in models for name in model.of}
    return [model for model in models if model.role != "teacher" or model.name in named]


def _makes(model: PlannedModel, cells: dict[str, MakeCell], have: set[str]) -> list[MakeCell]:
    """Return the cells that make a model, parents first, without those already planned."""
    wanted: list[MakeCell] = []

    def visit(cell_id: str) -> None:
        if cell_id in have or any(cell.id == cell_id for cell in wanted):
            return
        for parent in cells[cell_id].needs:
            visit(parent)
        wanted.append(cells[cell_id])

    if model.ref.cell:
        visit(model.ref.cell)
    return wanted


class Questions:
    """The tasks as the models of each teacher are asked them: bound and hashed once, not again for every model."""

    def __init__(self, models: Mapping[str, PlannedModel], chosen: Chosen) -> None:
        self._models, self._chosen = models, chosen
        self._known: dict[tuple[str, str, str], tuple[TaskSpec, list[Any]]] = {}

    def cells(self, model: PlannedModel, task: TaskSpec) -> list[EvaluateCell]:
        """Return the cell that asks a model a task; none for a teacher where the task compares with the teacher."""
        check_task(task, model.ref.use, model.name, model.ref.options)
        teacher = self._models[model.of[0]] if model.of else model
        compares = bool(getattr(plugins.load("tasks", task.use), "compares", False))
        if compares and teacher is model:
            return []
        bound, asked = self._asked(task, teacher)
        return [_cell(model, bound, asked, self._chosen.settings, teacher.ref if compares else None)]

    def _asked(self, task: TaskSpec, teacher: PlannedModel) -> tuple[TaskSpec, list[Any]]:
        part = task.part.model_dump_json() if task.part else ""
        key = (task.title, part, teacher.name)
        if key not in self._known:
            bind = getattr(plugins.load("tasks", task.use), "bind", None)
            bound = bind(task, teacher.ref) if bind else task
            self._known[key] = bound, of_task(bound)
        return self._known[key]


def evaluation(
    model: PlannedModel, task: TaskSpec, models: Mapping[str, PlannedModel], chosen: Chosen
) -> list[EvaluateCell]:
    """Return the cell that asks a model a task, as `Questions` does for a whole plan."""
    return Questions(models, chosen).cells(model, task)


def _cell(
    model: PlannedModel, task: TaskSpec, asked: list[Any], settings: Settings, reference: ModelRef | None
) -> EvaluateCell:
    """Return the evaluation of a model on a task."""
    decided_by = of_evaluation(model.ref, asked, settings, reference)
    return EvaluateCell(
        id=id_of(decided_by),
        title=f"{model.name} on {task.title}" + (f" from {task.part.start}" if task.part else ""),
        needs=[ref.cell for ref in (model.ref, reference) if ref is not None and ref.cell],
        model=model.ref,
        reference=reference,
        task=task,
        settings=settings,
        decided_by=decided_by,
    )


def _meters(suite: Suite, directory: Path) -> dict[str, dict[str, Any]]:
    """Return the options of every meter with their defaults; paths of instruments start at the suite's folder."""
    meters = {}
    for name, given in suite.measure.items():
        options, kind = plugins.options("meters", Use(use=name, **(given or {}))), plugins.load("meters", name)
        located = kind.located(options, directory) if hasattr(kind, "located") else options
        meters[name] = located.model_dump(mode="json")
    return meters


def _has_speed(model: PlannedModel) -> bool:
    return model.role != "control" and model.seed_of is None


def _measures(
    meters: dict[str, dict[str, Any]],
    models: list[PlannedModel],
    tasks: list[TaskSpec],
    settings: Settings,
    *,
    one_of_several: bool,
) -> list[MeasureCell]:
    if not meters:
        return []
    workload = next((task for task in tasks if hasattr(plugins.load("tasks", task.use), "work")), None)
    for model in models:
        check_work(workload, model.ref.use, model.name)
        if one_of_several:
            check_runs("models", model.ref.use, f"model {model.name!r}", settings.device)
    cells, where = [], f" on {settings.device}" if one_of_several else ""
    for teacher in (model for model in models if model.role == "teacher"):
        # a control, or another training run, is its student's architecture with other weights: its speed is known
        students = [model for model in models if model.of[:1] == [teacher.name] and _has_speed(model)]
        for first in range(0, len(students), GROUP):
            group = [teacher, *students[first : first + GROUP]]
            refs = [model.ref.model_copy(update={"name": model.name}) for model in group]
            decided_by = of_measurement(refs, meters, workload, settings, one_of_several=one_of_several)
            cells.append(
                MeasureCell(
                    id=id_of(decided_by),
                    title=f"measure {', '.join(model.name for model in group)}{where}",
                    needs=list(dict.fromkeys(ref.cell for ref in refs if ref.cell)),
                    models=refs,
                    meters=meters,
                    workload=workload,
                    settings=settings,
                    decided_by=decided_by,
                )
            )
    return cells
