"""A corpus as a signal: teachers, tokenizers that differ, the cache, the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distbench.data.text import Text
from distbench.errors import EnvironmentFault, RunError, UsageError
from distbench.protocols import SignalRequest
from tests.conftest import save_tiny_lm
from tests.data.hub_stub import Hub, dataset, serving
from tests.data.texts import DISTRIBUTION, Handle, exchange, lines, options

SENTENCES = [f"the cats number {i} were on the mat " * (1 + i % 4) for i in range(40)]


# -- the signal --------------------------------------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., Text]:
    file = lines(tmp_path / "corpus.jsonl", [{"text": text} for text in SENTENCES])

    def of(**given: Any) -> Text:
        return Text(options(files=file, **{"length": 64, "heldout": 4, **given}))

    return of


def test_the_teacher_is_recorded_on_packed_rows_as_on_each_document(corpus: Callable[..., Text], tiny_lm: Path) -> None:
    teacher = Handle(tiny_lm)
    signal = corpus().signal(SignalRequest(teachers=[teacher], asks=DISTRIBUTION))
    assert signal.recorded is not None
    module = teacher.open().module
    checked = 0
    for row in range(len(signal.train)):
        for number in range(int(signal.train.documents[row].max()) + 1):
            at = (signal.train.documents[row] == number).nonzero().flatten()
            with torch.inference_mode():
                logp = torch.log_softmax(module(signal.train.ids[row, at].long()[None]).logits[0, :-1], dim=-1)
            ids = torch.stack([signal.recorded.ids[row, t].long() for t in at[:-1]])
            recorded = signal.recorded.logp[row, at[:-1]].float()
            torch.testing.assert_close(recorded, logp.gather(-1, ids), atol=5e-3, rtol=0)
            checked += len(at) - 1
    assert checked == signal.train.positions
    assert signal.facts["tokens_learned"] == checked
    assert signal.heldout.logp.shape[0] == len(signal.heldout.at)


def test_the_second_student_opens_no_teacher_and_a_control_sees_the_same_rows(
    corpus: Callable[..., Text], tiny_lm: Path
) -> None:
    first, second = Handle(tiny_lm), Handle(tiny_lm)
    one = corpus(length=48).signal(SignalRequest(teachers=[first], asks=DISTRIBUTION))
    two = corpus(length=48).signal(SignalRequest(teachers=[second]))
    assert (first.opened, second.opened) == (1, 0)
    assert two.from_cache
    assert torch.equal(one.train.ids, two.train.ids)
    assert one.digest == two.digest
    assert one.facts == two.facts


def test_labels_alone_record_nothing_but_the_held_out_part(corpus: Callable[..., Text], tiny_lm: Path) -> None:
    labels = corpus(length=56).signal(SignalRequest(teachers=[Handle(tiny_lm)]))
    assert labels.recorded is None
    assert labels.heldout.logp is not None
    soft = corpus(length=56).signal(SignalRequest(teachers=[Handle(tiny_lm)], asks=DISTRIBUTION))
    assert soft.recorded is not None
    assert soft.digest == labels.digest


def test_the_runs_seed_changes_nothing_and_every_option_of_the_rows_does(
    corpus: Callable[..., Text], tiny_lm: Path
) -> None:
    def digest_of(text: Text, seed: int = 0) -> str:
        return text.signal(SignalRequest(teachers=[], tokenizer=Handle(tiny_lm).tokenizer, seed=seed)).digest

    assert digest_of(corpus(), 0) == digest_of(corpus(), 1)
    variants = [
        {},
        {"length": 32},
        {"packing": False},
        {"samples": 7},
        {"split_seed": 1},
        {"heldout": 0.2},
        {"ends": False},
    ]
    assert len({digest_of(corpus(**given)) for given in variants}) == len(variants)


def test_a_long_document_is_split_and_counted(corpus: Callable[..., Text], tiny_lm: Path) -> None:
    ask = SignalRequest(teachers=[], tokenizer=Handle(tiny_lm).tokenizer)
    short, long = corpus(length=8).signal(ask), corpus(length=512).signal(ask)
    assert long.facts["documents_split"] == 0
    assert int(short.facts["documents_split"]) > 0
    assert short.facts["windows_of_split_documents"] > short.facts["documents_split"]
    assert short.facts["tokens_learned"] == long.facts["tokens_learned"]


def test_the_students_tokenizer_decides_and_a_teacher_with_another_one_is_refused(
    corpus: Callable[..., Text], tiny_lm: Path, tmp_path: Path
) -> None:
    other = Handle(save_tiny_lm(tmp_path / "other"))
    exchange(other.path, 270, 271)
    student = Handle(tiny_lm).tokenizer
    text = corpus(length=40)
    with pytest.raises(UsageError, match=r"the tokenizers differ: .* first at id 270: .*sequence-level"):
        text.signal(SignalRequest(teachers=[other], tokenizer=student, asks=DISTRIBUTION))
    labels = text.signal(SignalRequest(teachers=[other], tokenizer=student))
    across = text.signal(SignalRequest(teachers=[other], tokenizer=student, asks=frozenset({"other-tokenizer"})))
    for signal in (labels, across):
        assert signal.recorded is None
        assert signal.heldout.logp is None
    assert other.opened == 0


def test_a_teacher_that_only_answers_teaches_labels(corpus: Callable[..., Text], tiny_lm: Path) -> None:
    served = Handle(tiny_lm, frozenset({"served", "write"}))
    signal = corpus(length=24).signal(SignalRequest(teachers=[served], tokenizer=Handle(tiny_lm).tokenizer))
    assert signal.recorded is None
    assert served.opened == 0
    assert Text.needs_for(corpus(), DISTRIBUTION) == {"causal-lm"}
    assert Text.needs_for(corpus(), frozenset()) == frozenset()


def test_nobody_has_a_tokenizer(corpus: Callable[..., Text]) -> None:
    with pytest.raises(UsageError, match="has a tokenizer"):
        corpus().signal(SignalRequest(teachers=[]))


def test_documents_without_anything_to_learn(tmp_path: Path, tiny_lm: Path) -> None:
    ask = SignalRequest(teachers=[], tokenizer=Handle(tiny_lm).tokenizer)
    rows = [{"prompt": "the", "completion": c} for c in (" cats", " ", " mat", "")]
    signal = Text(options(files=lines(tmp_path / "rows.jsonl", rows), heldout=1)).signal(ask)
    assert (signal.facts["documents"], signal.facts["documents_heldout"], signal.facts["documents_empty"]) == (1, 1, 2)
    empty = lines(tmp_path / "empty.jsonl", [{"text": " "}])
    with pytest.raises(RunError, match="0 examples"):
        Text(options(files=empty)).signal(ask)


def test_rows_of_completions_score_nothing_else(tmp_path: Path, tiny_lm: Path) -> None:
    rows = [{"prompt": f"the doctor {i} with", "completion": f" the cats {i}"} for i in range(20)]
    ask = SignalRequest(teachers=[], tokenizer=Handle(tiny_lm).tokenizer)
    signal = Text(options(files=lines(tmp_path / "rows.jsonl", rows), heldout=2, length=60)).signal(ask)
    tokenizer = ask.tokenizer() if ask.tokenizer else None
    assert tokenizer is not None
    scored = tokenizer.decode(signal.train.ids[:, 1:][signal.train.scored].tolist())
    assert sorted(part for part in scored.split("<|endoftext|>") if part) == sorted(
        f" the cats {i}" for i in range(20) if f" the cats {i}<" in scored
    )
    assert scored.count("<|endoftext|>") == 18
    assert "doctor" not in scored
    assert np.asarray(signal.train.scored).any(axis=1).all()


# -- the hub -----------------------------------------------------------------------------------------------------------

HUB_CHILD = """
import json, sys
from distbench.data.text import Text, TextOptions
text = Text(TextOptions(hub=sys.argv[1]))
print(json.dumps([text.identity()["hub"], [document.text for document in text.documents()]]))
"""


def test_a_data_set_on_the_hub_is_read_at_its_commit(tmp_path: Path) -> None:
    with serving(Hub({("datasets", "some/corpus"): dataset(train=[{"text": "one"}, {"text": "two"}])})) as hub:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "DISTBENCH_CACHE": str(tmp_path / "cache")}
        command = [sys.executable, "-c", HUB_CHILD, "some/corpus"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    (repo, commit), texts = json.loads(done.stdout.splitlines()[-1])
    assert (repo, len(commit), texts) == ("some/corpus", 40, ["one", "two"])


def test_a_commit_needs_no_hub_and_a_name_alone_does() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert Text(options(hub=f"some/corpus@{commit}")).identity()["hub"] == ["some/corpus", commit]
    with pytest.raises(EnvironmentFault, match="HF_HUB_OFFLINE"):  # as all tests are
        Text(options(hub="some/corpus")).identity()
