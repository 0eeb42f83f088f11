"""The page says what a student kept of its teacher before it was trained."""

from __future__ import annotations

from typing import Any

from distbench.report.sections.training import TrainingCost
from distbench.report.view import View
from distbench.schema.result import Result


def with_initial(result: Result, initial: dict[str, Any] | None) -> str:
    """Return the section of a result whose trained students all started so."""
    students = [student.model_copy(update={"initial": initial}) for student in result.students]
    section = TrainingCost().render(View(result.model_copy(update={"students": students})))
    assert section is not None
    return str(section.html)


def test_the_start_stands_in_the_training_section(synthetic: Result) -> None:
    hostile = "</script><script>alert(1)</script>\u202e|=HYPERLINK(1)\x00"
    section = with_initial(synthetic, {"kept_blocks": [0, 1, 2, 5], "hidden_size": 64, "odd": hostile})
    assert "blocks kept: <bdi>0–2, 5 (counted from 0; 4 in all)</bdi>" in section
    assert "widths: <bdi>hidden_size 64</bdi>" in section
    assert "<script>alert" not in section
    assert "&lt;/script&gt;" in section
    assert "⟨U+202E⟩|=HYPERLINK(1)⟨U+0000⟩" in section


def test_without_it_nothing_is_said(synthetic: Result) -> None:
    assert "training-starts" not in with_initial(synthetic, None)


def test_the_cross_entropy_stands_beside_the_divergence(synthetic: Result) -> None:
    students = [
        student.model_copy(
            update={
                "training": student.training
                and student.training.model_copy(update={"options": {"heldout_cross_entropy": [4.5, 4.0]}})
            }
        )
        for student in synthetic.students
    ]
    section = with_initial(synthetic.model_copy(update={"students": students}), None)
    assert "cross-entropy 4.500 → 4.000\u00a0nats" in section
    assert "cross-entropy 4" not in with_initial(synthetic, None)
