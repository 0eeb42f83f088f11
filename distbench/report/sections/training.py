"""What training did, and whether the teacher helped."""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.rows import kl_rows
from distbench.report.findings import distillation
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View
from distbench.schema.record import Training
from distbench.schema.result import StudentResult
from distbench.schema.starts import start_words


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
            if student.training
            and (student.training.heldout_kl_after, student.training.heldout_kl_before) != (None, None)
        ]
        figures = {"kl": plain_json(kl_rows(view, with_kl))} if with_kl else {}
        html = fill(
            "sections/training.html",
            view,
            section=self,
            trained=trained,
            sentences=[distillation(view, student) for student in trained if student.role == "student"],
            starts=[(student, starting(student)) for student in trained if student.initial],
            has_kl=bool(with_kl),
            entropy=entropy,
            kl=kl_words,
            budget=budget,
        )
        return Fragment(html, figures)


def starting(student: StudentResult) -> list[tuple[str, str]]:
    """Return what the initialiser of a student chose: what, and in words."""
    return list(start_words(student.initial or {}, numbers.fine))


def entropy(training: Training) -> str:
    """Return the held-out cross-entropy before and after the training; empty where it was not computed."""
    found = training.options.get("heldout_cross_entropy")
    if not (isinstance(found, list) and len(found) == 2 and all(isinstance(each, (int, float)) for each in found)):
        return ""
    return f"cross-entropy {numbers.plain(found[0])} → {numbers.plain(found[1])}{numbers.SPACE}nats"


def kl_words(value: float | None) -> numbers.Shown:
    """Return a held-out KL."""
    return numbers.optional(
        value, lambda found: f"{numbers.plain(found)}{numbers.SPACE}nats", "not computed for this model"
    )


def budget(training: Training) -> str:
    """Return what a training step was given."""
    parts = [f"{numbers.count(training.examples)} examples", f"{numbers.count(training.units)} units seen"]
    parts.append(f"{training.epochs:g} epochs" if training.epochs != 1 else "1 epoch")
    if training.steps is not None:
        parts.append(f"{numbers.count(training.steps)} steps")
    return ", ".join(parts)
