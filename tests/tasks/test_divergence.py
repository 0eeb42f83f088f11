"""KL, JS and agreement of next-token distributions against known values, and a teacher that is its own student."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from distbench.errors import RunError, UsageError
from distbench.schema.cell import Settings
from distbench.schema.suite import TaskSpec
from distbench.stats import js_divergence, kl_divergence
from distbench.tasks.divergence import DivergenceTask, divergences, read_texts

SETTINGS = Settings(seed=0, device="cpu", dtype="float32", threads=1)


class Fixed(torch.nn.Module):
    """A model that answers every position with the logits it was given."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(logits))

    def forward(self, input_ids: Any, use_cache: bool) -> Any:
        return SimpleNamespace(logits=self.logits[None, : input_ids.shape[1]])


class Words:
    """A tokenizer of one token a letter."""

    def __init__(self, letters: str = "abc") -> None:
        self.special_tokens_map: dict[str, str] = {}
        self.vocab = {letter: i for i, letter in enumerate(letters)}

    def get_vocab(self) -> dict[str, int]:
        return self.vocab

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [self.vocab[letter] for letter in text]}


def model(logits: list[list[float]], letters: str = "abc") -> Any:
    return SimpleNamespace(module=Fixed(logits), tokenizer=Words(letters))


TEACHER = [[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [5.0, 0.0, 0.0]]
STUDENT = [[0.0, 1.0, 0.0], [0.0, 1.0, 0.5], [5.0, 0.0, 0.0]]


def task(tmp_path: Path, texts: list[str], **given: Any) -> DivergenceTask:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return DivergenceTask(
        DivergenceTask.resolve(TaskSpec(use="divergence", data={"texts": str(file)}, **given), tmp_path)
    )


def test_the_values_are_those_of_the_statistics_over_the_whole_vocabulary() -> None:
    found = divergences(Fixed(STUDENT), Fixed(TEACHER), [0, 1, 2, 0])
    p, q = (torch.tensor(logits).softmax(-1).double().numpy() for logits in (TEACHER, STUDENT))
    np.testing.assert_allclose(found["kl"], kl_divergence(p, q), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["js"], js_divergence(p, q), rtol=1e-4, atol=1e-7)
    assert found["same"].tolist() == [0.0, 1.0, 1.0]
    assert found["kl"][2] == 0.0


def test_the_last_token_predicts_nothing_that_is_in_the_text() -> None:
    assert len(divergences(Fixed(STUDENT), Fixed(TEACHER), [0, 1])["kl"]) == 1


def test_a_document_gives_one_row_a_metric_and_its_tokens_are_the_denominator(tmp_path: Path) -> None:
    outcome = task(tmp_path, ["abca", "ab", "a"]).run_beside(model(STUDENT), model(TEACHER), SETTINGS, lambda *_: None)
    rows = {(s.sample_id.split("-")[0], s.metric): s for s in outcome.samples}
    assert {index for index, _ in rows} == {"0", "1"}, "a text of one token predicts nothing"
    assert rows["0", "kl"].denominator == 3.0
    assert rows["1", "kl"].numerator == pytest.approx(divergences(Fixed(STUDENT), Fixed(TEACHER), [0, 1])["kl"][0])
    assert [m.name for m in outcome.metrics if m.primary] == ["kl"]
    assert all(m.reference for m in outcome.metrics)


def test_a_student_that_is_its_teacher_differs_by_exactly_nothing(tmp_path: Path) -> None:
    outcome = task(tmp_path, ["abca"]).run_beside(model(TEACHER), model(TEACHER), SETTINGS, lambda *_: None)
    scores = {s.metric: s.score for s in outcome.samples}
    assert scores["kl"] == scores["js"] == scores["kl_p99"] == 0.0
    assert scores["token_agreement"] == 1.0


def test_a_probability_of_zero_is_infinite_and_no_nan_where_both_have_none() -> None:
    teacher = [[0.0, 0.0, -math.inf]]
    found = divergences(Fixed([[0.0, -math.inf, -math.inf]]), Fixed(teacher), [0, 1])
    assert math.isinf(found["kl"][0])
    assert math.isfinite(found["js"][0])


def test_a_nan_is_an_error_of_its_document(tmp_path: Path) -> None:
    broken = [[math.nan, 0.0, 0.0], *STUDENT[1:]]
    outcome = task(tmp_path, ["abca"]).run_beside(model(broken), model(TEACHER), SETTINGS, lambda *_: None)
    assert {s.status for s in outcome.samples} == {"error"}


def test_other_vocabularies_have_no_divergence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="different vocabularies"):
        task(tmp_path, ["ab"]).run_beside(model(STUDENT, "bca"), model(TEACHER), SETTINGS, lambda *_: None)


def test_one_model_alone_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be asked of one model"):
        task(tmp_path, ["ab"]).run(model(STUDENT), SETTINGS, lambda *_: None)


def test_bad_files_are_named_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text('{"text": "a"}\n{"txt": "b"}\n', encoding="utf-8")
    with pytest.raises(RunError, match=r"t\.jsonl:2: no text in field 'text'"):
        list(read_texts(file, "text"))
    file.write_text('{"text": "a"}\n{"text": \n', encoding="utf-8")
    with pytest.raises(RunError, match=r"t\.jsonl:2: not JSON"):
        list(read_texts(file, "text"))
    with pytest.raises(UsageError, match="does not exist"):
        DivergenceTask.resolve(TaskSpec(use="divergence", data={"texts": "no.jsonl"}), tmp_path)
    with pytest.raises(UsageError, match="needs data"):
        DivergenceTask.resolve(TaskSpec(use="divergence"), tmp_path)
