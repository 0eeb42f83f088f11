"""`Run.samples`: both sides of every sample, as the comparison pairs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distbench
from distbench.errors import RunError, UsageError
from tests.api.finished import N


def test_means_of_the_rows_are_the_scores_of_the_comparison(loaded: distbench.Run) -> None:
    rows = loaded.samples()
    means = rows[rows.kind.notna()].groupby(["student", "task"])[["teacher_score", "student_score"]].mean()
    tasks = loaded.tasks[loaded.tasks.primary].set_index(["student", "task"])
    assert set(means.index) == set(tasks.index) == {("good", "quiz"), ("good", "graded"), ("bad", "quiz")}
    for at in means.index:
        np.testing.assert_allclose(means.loc[at].astype(float), tasks.loc[at, list(means.columns)].astype(float))


def test_kinds_of_flips(loaded: distbench.Run) -> None:
    rows = loaded.samples(task="quiz", student="good").set_index("sample_id")
    assert rows.kind.value_counts().to_dict() == {"both_right": 278, "both_wrong": 19, "lost": 2, "won": 1}
    assert rows.loc["7", ["kind", "teacher_answer", "label"]].tolist() == ["lost", "right", "right"]
    assert rows.loc["40", "kind"] == "won"
    assert rows.loc["3", ["student_status", "student_score"]].tolist() == ["error", 0.0]
    assert "crashed" in rows.loc["3", "reason"]
    assert "\x00" in rows.loc["7", "prompt"]
    graded = loaded.samples(task="graded", student="good")
    assert graded.kind.value_counts().to_dict() == {"equal": 270, "worse": 30}


def test_a_sample_of_one_side_is_there_with_its_reason(loaded: distbench.Run) -> None:
    rows = loaded.samples(task="quiz", student="bad")
    assert len(rows) == N
    alone = rows[rows.student_status == "absent"]
    assert alone.sample_id.tolist() == [str(N - 1)]
    assert alone.kind.isna().all()
    assert alone.student_score.isna().all()
    assert alone.student_answer.isna().all()
    assert alone.reason.tolist() == ["no record of the student"]
    assert alone.prompt.tolist() == [f"question {N - 1}"]


def test_texts_may_stay_on_the_disk(loaded: distbench.Run) -> None:
    rows = loaded.samples(task="quiz", student="good", texts=False)
    assert rows[["prompt", "label", "teacher_answer", "student_answer"]].isna().all(axis=None)
    assert rows.teacher_score.notna().all()


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"student": "goood"}, UsageError, "did you mean 'good'"),
        ({"task": "quizz"}, UsageError, "did you mean 'quiz'"),
        ({"student": "bad", "task": "graded"}, RunError, "bad did not finish graded"),
        ({"metric": "bleu"}, UsageError, "reports a metric 'bleu'"),
    ],
)
def test_what_is_not_there_is_said(
    loaded: distbench.Run, asked: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        loaded.samples(**asked)


def test_a_document_alone_has_no_samples(loaded: distbench.Run, run_path: Path, tmp_path: Path) -> None:
    text = loaded.result.model_dump_json()
    (tmp_path / "result.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="they are in the run directory"):
        distbench.load(tmp_path / "result.json").samples()
    beside = run_path / "result.json"
    beside.write_text(text, encoding="utf-8")
    assert len(distbench.load(beside).samples(task="quiz", student="good")) == N
    beside.unlink()
