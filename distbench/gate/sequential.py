"""An early-stopping run: evaluate in growing seeded parts until every student's verdict is final."""

from __future__ import annotations

from distbench.compare.evidence import Evidence
from distbench.compare.run import compared_tasks
from distbench.compare.sequential import wanted
from distbench.compare.sides import forget
from distbench.execute.run import Runner
from distbench.plan.expand import Plan, evaluation
from distbench.schema.cell import EvaluateCell
from distbench.schema.plan import PlannedModel
from distbench.schema.suite import Part
from distbench.store.run_dir import RunDir


def run_until_decided(runner: Runner, run: RunDir, plan: Plan) -> None:
    """Add parts of undecided tasks and run them, until no student needs more samples or none can be had.

    A part that fails is not tried again in this run: what it would have decided stays open.
    """
    while cells := [cell for cell in next_cells(run, plan) if cell.id not in runner.cells]:
        runner.add(cells)


def next_cells(run: RunDir, plan: Plan) -> list[EvaluateCell]:
    """Return the evaluations that the next look needs: teachers first, each model as far as its pairs want it."""
    evidence = Evidence(run)
    forget()
    gate = plan.suite.gate
    assert gate is not None
    models = {model.name: model for model in plan.models}
    stops: dict[str, dict[str, int]] = {}
    for student in (model for model in plan.models if model.role == "student"):
        teacher = models[student.of[0]]
        compared, _, _ = compared_tasks(evidence, student, teacher, None, gate)
        need = wanted(compared, gate)
        # a control answers what its student answers: the gap between them is paired
        controls = [m.name for m in plan.models if m.control_of == student.name or m.name == student.control]
        for name in (teacher.name, student.name, *controls):
            mine = stops.setdefault(name, {})
            for task, stop in need.items():
                mine[task] = max(mine.get(task, 0), stop)
    return [
        cell
        for model in plan.models
        for task, stop in stops.get(model.name, {}).items()
        for cell in _part(evidence, plan, model, task, stop)
    ]


def _part(evidence: Evidence, plan: Plan, model: PlannedModel, task: str, stop: int) -> list[EvaluateCell]:
    done = evidence.evaluated(model, task)
    if done is None or done.result.drawn is None or done.result.drawn.stop >= stop:
        return []
    spec = next(each for each in plan.tasks if each.title == task)
    part = spec.model_copy(update={"part": Part(start=done.result.drawn.stop, stop=stop)})
    return evaluation(model, part, {each.name: each for each in plan.models}, plan.chosen)
