"""What training did, and whether the teacher helped."""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.rows import kl_rows
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.schema.record import Training
from distbench.schema.result import StudentResult


class TrainingCost:
    """Training of students and controls: budget, held-out KL, and the gap that distillation closed."""

    title = "Training"
    anchor = "training"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where nothing was trained."""
        trained = [student for student in view.students if student.training]
        if not trained:
            return None
        with_kl = [
            student
            for student in trained
            if student.training and (student.training.heldout_kl_after, student.training.heldout_kl_before) != (None, None)
        ]
        figures = {"kl": plain_json(kl_rows(view, with_kl))} if with_kl else {}
        html = fill(
            "sections/training.html",
            view,
            section=self,
            trained=trained,
            sentences=[distillation(view, student) for student in trained if student.role == "student"],
            has_kl=bool(with_kl),
            kl=kl_words,
            budget=budget,
        )
        return Fragment(html, figures)


def distillation(view: View, student: StudentResult) -> tuple[str, str, str]:
    """Say whether the teacher helped a student: (tone, answer, why)."""
    label = one_line(student.label, 80)
    gap, control = student.gap_recovered, view.by_name.get(student.control or "")
    kl = _kl_sentence(student, control)
    if gap is None:
        return "neutral", f"{label}: nobody can say.", f"No control was trained without the teacher.{kl}"
    if gap.value is None:
        return "neutral", f"{label}: cannot be said.", f"{gap.reason or 'no value'}.{kl}".replace("..", ".")
    shown = view.gap(student)
    gain = f"It closes {shown} of the gap between its control and the teacher (n = {numbers.count(gap.n)})"
    if gap.lo is not None and gap.lo > 0:
        return "pass", f"{label}: the teacher helped.", f"{gain}.{kl}"
    if gap.hi is not None and gap.hi < 0:
        return "fail", f"{label}: the teacher made it worse.", f"{gain}: below 0 the control is better.{kl}"
    return "undecided", f"{label}: no clear help from the teacher.", f"{gain}, and the interval holds 0.{kl}"


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


def kl_words(value: float | None) -> numbers.Shown:
    """Return a held-out KL."""
    return numbers.optional(value, lambda found: f"{numbers.plain(found)}{numbers.SPACE}nats", "not computed for this model")


def budget(training: Training) -> str:
    """Return what a training step was given."""
    parts = [f"{numbers.count(training.examples)} examples", f"{numbers.count(training.units)} units seen"]
    parts.append(f"{training.epochs:g} epochs" if training.epochs != 1 else "1 epoch")
    if training.steps is not None:
        parts.append(f"{numbers.count(training.steps)} steps")
    return ", ".join(parts)
