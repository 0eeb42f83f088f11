"""In which order cells say most: what reduces the uncertainty of the verdict per second comes first.

A task says something about a student when the teacher and the student have both answered it, so the unit is such a
pair, with everything that it needs, and with the student's control: half a finding is none. The cells that pairs
share (a teacher's answers, the training of a student) are paid by the pair that comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from distbench import plugins
from distbench.plan.arrange import Bundle, arrange
from distbench.plan.estimates.likeness import samples_of
from distbench.plan.expand import Plan
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.plan import PlannedModel
from distbench.schema.suite import GateSpec, TaskSpec

Cell = MakeCell | EvaluateCell | MeasureCell
HALF = 100.0  # samples after which half is known of what a task can say: ten times as many say less than twice as much
NEEDED, ADVISORY_TASKS, ADVISORY_STUDENTS, REST = range(4)


def ordered(plan: Plan, seconds: Mapping[str, float], have: frozenset[str] = frozenset()) -> list[Bundle]:
    """Return every cell that is not in `have` once, the most informative first, in bundles.

    Tier 0 is what a verdict cannot do without: gated tasks and measurements of required students.
    """
    cells = {cell.id: cell for cell in plan.cells}
    bundles = arrange(list(_bundles(plan, cells)), seconds, have)
    placed = have | {cell_id for bundle in bundles for cell_id in bundle.cells}
    rest = tuple(cell_id for cell_id in cells if cell_id not in placed)
    return [*bundles, Bundle(rest, REST, 0.0, "the rest")] if rest else bundles


def _bundles(plan: Plan, cells: Mapping[str, Cell]) -> Iterator[Bundle]:
    if all(isinstance(cell, MakeCell) for cell in plan.cells):  # nothing is asked: `distil`
        yield from _students(plan, cells)
        return
    gate = plan.suite.gate or GateSpec()
    models = {model.name: model for model in plan.models}
    asked = {
        (cell.model.identity, cell.task.title, cell.reference.identity if cell.reference else None): cell.id
        for cell in plan.cells
        if isinstance(cell, EvaluateCell)
    }

    def answers(model: PlannedModel, task: TaskSpec, teacher: PlannedModel) -> list[str]:
        found = [asked.get((model.ref.identity, task.title, beside)) for beside in (None, teacher.ref.identity)]
        return [cell_id for cell_id in found if cell_id is not None]

    controls: dict[str, list[PlannedModel]] = {}
    for model in plan.models:
        if model.control_of is not None and model.kind == "no-teacher":
            controls.setdefault(model.control_of, []).append(model)
    for student in plan.models:
        if student.role == "teacher" or student.kind == "no-teacher":
            continue
        teacher = models[student.of[0]]
        group = [teacher, student, *controls.get(student.name, [])]
        for task in plan.tasks:
            wanted = [cell_id for model in group for cell_id in answers(model, task, teacher)]
            about = f"{student.name} on {task.title}"
            yield Bundle(_with_needs(wanted, cells), _tier(student, task, gate), _gain(task), about)
    yield from _measurements(plan, cells, gate)


def _students(plan: Plan, cells: Mapping[str, Cell]) -> Iterator[Bundle]:
    """Yield the students that are made, each with its controls; further training runs come last."""
    made = [model for model in plan.models if model.ref.cell in cells and model.role != "teacher"]
    for student in (model for model in made if model.role == "student"):
        group = [student, *(model for model in made if model.control_of == student.name)]
        tier = REST if student.seed_of is not None else NEEDED if student.required else ADVISORY_STUDENTS
        wanted = [model.ref.cell for model in group if model.ref.cell is not None]
        yield Bundle(_with_needs(wanted, cells), tier, 1.0, f"make {student.name}")


def _with_needs(wanted: list[str], cells: Mapping[str, Cell]) -> tuple[str, ...]:
    """Return cells with everything that they need, which comes before them."""
    found: dict[str, None] = {}

    def visit(cell_id: str) -> None:
        if cell_id not in found:
            for need in cells[cell_id].needs:
                visit(need)
            found[cell_id] = None

    for cell_id in wanted:
        visit(cell_id)
    return tuple(found)


def _measurements(plan: Plan, cells: Mapping[str, Cell], gate: GateSpec) -> Iterator[Bundle]:
    """Yield the measurements; where they are gated each counts as much as all tasks of its students together."""
    gated = gate.speedup is not None or gate.energy is not None
    required = {model.name for model in plan.models if model.role == "student" and model.required}
    for cell in plan.cells:
        if isinstance(cell, MeasureCell):
            count = sum(ref.name in required for ref in cell.models)
            tier = NEEDED if gated and count else REST
            gain = max(1, count) * sum(_gain(task) for task in plan.tasks) or 1.0
            yield Bundle(_with_needs([cell.id], cells), tier, gain, cell.title)


def _tier(student: PlannedModel, task: TaskSpec, gate: GateSpec) -> int:
    """Return how soon a pair is wanted. An untrained control, or another training run, comes last."""
    if student.role != "student" or student.seed_of is not None:
        return REST
    if student.required:
        return NEEDED if _gated(task, gate) else ADVISORY_TASKS
    return ADVISORY_STUDENTS if _gated(task, gate) else REST


def _gated(task: TaskSpec, gate: GateSpec) -> bool:
    """Say whether a verdict can hang on a task: one without retention only where the gate sets its ceiling."""
    own = gate.tasks.get(task.title) or gate.tasks.get(task.group or "")
    if own is not None and not own.required:
        return False
    return gate.max_kl is not None or not getattr(plugins.load("tasks", task.use), "compares", False)


def _gain(task: TaskSpec) -> float:
    """Return how much a task says: its weight, and of that the share that so many samples can settle."""
    samples = samples_of(task) or HALF
    return task.weight * samples / (samples + HALF)
