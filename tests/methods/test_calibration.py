"""The text that activations are measured on: drawn by the seed, known by its content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from distbench.data.calibration import Calibration, counted
from distbench.errors import RunError, UsageError
from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU

TEXTS = [f"the cats were on the mat number {i}" for i in range(12)]


@pytest.fixture(scope="module")
def model(tiny_lm: Path) -> HFCausal:
    return HFCausal.open(tiny_lm, CPU)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "texts.jsonl"
    path.write_text("\n".join(json.dumps({"body": text}) for text in TEXTS), encoding="utf-8")
    return str(path)


def test_the_parent_writes_by_the_seed(model: HFCausal) -> None:
    given = Calibration(samples=3, length=10)
    one, again, other = given.rows(model, 1), given.rows(model, 1), given.rows(model, 2)
    assert torch.equal(one.ids, again.ids)
    assert not torch.equal(one.ids, other.ids)
    assert one.ids.shape == (3, 11)
    assert set(one.ids[:, 0].tolist()) == {model.tokenizer.bos_token_id}
    assert given.facts(one) == {"texts": "written by the parent", "rows": 3, "tokens": 30}


def test_what_the_parent_writes_follows_its_own_distribution(model: HFCausal) -> None:
    rows = Calibration(samples=400, length=2).rows(model, 0)
    with torch.inference_mode():
        p = model.module(rows.ids[:1, :1].long()).logits[0, -1].softmax(-1)
    seen = torch.bincount(rows.ids[:, 1].long(), minlength=len(p))[p.argmax()].item() / 400
    assert seen == pytest.approx(p.max().item(), abs=5 * (p.max().item() / 400) ** 0.5)


def test_a_file_is_packed_and_every_token_stands_in_its_own_text(model: HFCausal, file: str) -> None:
    given = Calibration(texts=file, field="body", samples=64, length=40)
    rows = given.rows(model, 0)
    mask = counted(rows)
    lengths = [len(model.tokenizer(text)["input_ids"]) for text in TEXTS]
    assert len(rows) < len(TEXTS)  # several texts share a row
    assert sum(lengths) - len(rows) <= int(mask.sum()) <= sum(lengths)  # a row's last token is only predicted
    found = set()
    for row, documents in zip(rows.ids, rows.documents, strict=True):
        for number in range(int(documents.max()) + 1):
            found.add(model.tokenizer.decode(row[documents == number]))
    assert found == set(TEXTS)


def test_no_more_rows_than_asked_for_and_the_seed_draws_which(model: HFCausal, file: str) -> None:
    given = Calibration(texts=file, field="body", samples=2, length=20)
    one, other = given.rows(model, 0), given.rows(model, 5)
    assert len(one) == 2
    assert not torch.equal(one.ids, other.ids)
    assert torch.equal(one.ids, given.rows(model, 0).ids)


def test_it_is_known_by_content_not_by_place(file: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(Path(file).read_bytes())
    assert Calibration(texts=file).identity() == Calibration(texts=str(copy)).identity()
    copy.write_text('{"text": "other"}', encoding="utf-8")
    assert Calibration(texts=file).identity() != Calibration(texts=str(copy)).identity()


def test_bad_files_are_named(model: HFCausal, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.txt does not exist"):
        Calibration(texts=str(tmp_path / "nowhere.txt")).identity()
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(RunError, match="no text of two tokens or more"):
        Calibration(texts=str(tmp_path / "empty.txt")).rows(model, 0)
    (tmp_path / "bad.jsonl").write_text('{"text": "fine text"}\n{"txt": "x"}\n', encoding="utf-8")
    with pytest.raises(RunError, match=r"bad\.jsonl:2: no text in field 'text'"):
        Calibration(texts=str(tmp_path / "bad.jsonl")).rows(model, 0)
