"""What looks inside a classifier, or adapts one, is checked before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from distbench.errors import UsageError
from distbench.plan.expand import Plan, expand
from distbench.suite.load import load_suite

SUITE = """\
version: 1
name: inside
device: cpu
threads: 1
teachers:
  big: {use: TEACHER, fit: {use: hard-labels, data: {use: sklearn-digits, as: images}}}
students:
  - name: small
    of: big
    init: {use: STUDENT}
    distil: {DISTIL, data: {use: sklearn-digits, as: images}}
tasks:
  - {use: classification, data: {use: sklearn-digits, as: images}}
"""
INSIDE = "use: combined, losses: [{use: forward-kl}, {use: hidden}]"


def planned(folder: Path, teacher: str, student: str, distil: str) -> Plan:
    (folder / "s.yaml").write_text(
        SUITE.replace("TEACHER", teacher).replace("STUDENT", student).replace("DISTIL", distil)
    )
    loaded = load_suite(folder / "s.yaml")
    return expand(loaded.suite, loaded.directory)


def test_a_teacher_that_is_looked_into_is_asked_in_every_step(tmp_path: Path) -> None:
    cells = {cell.title: cell for cell in planned(tmp_path, "hf-classifier", "hf-classifier", INSIDE).cells}
    assert not cells["make small"].record  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("teacher", "student", "distil", "words"),
    [
        ("hf-classifier", "mlp", INSIDE, "needs hidden-states, which 'mlp' does not offer"),
        ("hf-classifier", "decision-tree", INSIDE, "needs hidden-states, which 'decision-tree' does not offer"),
        ("mlp", "hf-classifier", INSIDE, "needs hidden-states, which 'mlp' does not offer"),
        ("mlp", "mlp", "use: soft-labels, lora: {rank: 2}", "lora needs lora, which 'mlp' does not offer"),
        ("mlp", "hf-classifier", "use: soft-labels, lora: {rank: 2}", "init 'hf-classifier' makes random ones"),
        ("mlp", "mlp", "use: soft-labels, teacher_outputs: online", "only records what a teacher says before"),
        ("mlp", "mlp", "use: combined, losses: [{use: logit-mse}]", "only records what a teacher says before"),
        ("hf-classifier", "hf-classifier", INSIDE + ", on_policy: 0.5", "only records what a teacher says before"),
        (
            "hf-classifier",
            "hf-classifier",
            "use: combined, losses: [{use: forward-kl}, {use: forward-kl, temperature: 2.0}, {use: hidden}]",
            "only records what a teacher says before",
        ),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, teacher: str, student: str, distil: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(tmp_path, teacher, student, distil)
    assert words in str(caught.value)
