"""What the numbers say in sentences: whether distillation helped, and what to be careful about."""

from __future__ import annotations

from distbench.compare.seeds import ENOUGH
from distbench.report import numbers
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.schema.result import StudentResult

_MOST_TASKS = 2
# The interval covers the choice of test items; at small budgets two seeds can disagree about the sign.
SEEDS = " One training run a side: another seed may answer differently."


def distillation(view: View, student: StudentResult) -> tuple[str, str, str]:
    """Say whether distillation helped a student: (tone, answer, why)."""
    label = one_line(student.label, 80)
    gap, control = student.gap_recovered, view.by_name.get(student.control or "")
    kl = _kl_sentence(student, control) + (f" Its control: {one_line(control.made_by, 160)}." if control else "")
    kl += _untrained_sentence(view, student)
    if gap is None:
        why = "Its control has no result to compare with" if student.control else "No control was trained beside it"
        return "neutral", f"{label}: nobody can say.", f"{why}.{kl}"
    if gap.value is None:
        return "neutral", f"{label}: cannot be said.", f"{gap.reason or 'no value'}.{kl}".replace("..", ".")
    kl += _seeds_sentence(student)
    shown = view.gap(student)
    gain = f"It closes {shown} of the gap between its control and the teacher ({numbers.items(gap.n)})"
    if gap.lo is not None and gap.lo > 0:
        return "pass", f"{label}: distillation helped.", f"{gain}.{kl}"
    if gap.hi is not None and gap.hi < 0:
        return "fail", f"{label}: distillation made it worse.", f"{gain}: below 0 the control is better.{kl}"
    return "undecided", f"{label}: no clear gain from distillation.", f"{gain}, and the interval holds 0.{kl}"


def _seeds_sentence(student: StudentResult) -> str:
    """Say how many training runs stand behind a sentence; from three on, what they say of the method."""
    spread = student.seeds
    if spread is None or not spread.every:
        return SEEDS
    runs = len(spread.rows)
    if runs < ENOUGH:
        return f" Only {runs} training runs a side, and a claim about a method needs {ENOUGH}: another may differ."
    found = [(task.task, task.delta) for task in spread.every if task.delta]
    said = "; ".join(f"{numbers.as_signed_fine(each)} on {one_line(task, 60)}" for task, each in found[:_MOST_TASKS])
    more = f"; and {len(found) - _MOST_TASKS} more tasks" if len(found) > _MOST_TASKS else ""
    return (
        f" Over {runs} training runs a side, distilled − control: {said}{more} (interval over seeds). The interval of "
        "the gap covers training runs and test items."
    )


def _untrained_sentence(view: View, student: StudentResult) -> str:
    """Say what the student was before any training, where that was evaluated."""
    start = next((each for each in view.controls if (each.control_of, each.kind) == (student.name, "untrained")), None)
    return "" if start is None else f" Untrained it retains {view.retained(start)}."


def _kl_sentence(student: StudentResult, control: StudentResult | None) -> str:
    own = student.training.heldout_kl_after if student.training else None
    other = control.training.heldout_kl_after if control and control.training else None
    if own is None or other is None:
        return ""
    words = "closer to the teacher than" if own < other else "further from the teacher than" if own > other else "like"
    against = (other,), (own,)
    return (
        f" On held-out data it is {words} its control: KL {numbers.plain(own, against[0])} against "
        f"{numbers.plain(other, against[1])} nats."
    )


def warnings(view: View) -> list[tuple[str, str]]:
    """Return (about whom, what) for each warning; failed cells are warnings too."""
    result = view.result
    found = [("", text) for text in result.warnings]
    found += [(student.label, text) for student in view.students for text in student.warnings]
    found += [
        (cell.title, f"failed: {cell.error or 'no reason given'}") for cell in result.cells if cell.status == "failed"
    ]
    found += [
        (cell.title, "is missing: its numbers are not in this report")
        for cell in result.cells
        if cell.status == "missing" and cell.error is None  # what was left out on purpose is one of the result's
    ]
    return found
