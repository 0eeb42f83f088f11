"""Text as training data: every form of file, chat templates, completions, tokenizers that differ, the cache."""

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
from pydantic import ValidationError

from distbench import plugins
from distbench.data.text import Text, TextOptions
from distbench.data.text_documents import Pair, Plain, Talk, files_digest
from distbench.data.text_prompts import difference, opening_of, prompt_ids, separator_of
from distbench.data.text_tokens import Tokeniser
from distbench.errors import EnvironmentFault, RunError, UsageError
from distbench.models.hf_causal import HFCausal
from distbench.protocols import SignalRequest
from tests.conftest import CPU, save_tiny_lm
from tests.data.hub_stub import Hub, dataset, serving

CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|endoftext|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
DISTRIBUTION = frozenset({"distribution"})
SENTENCES = [f"the cats number {i} were on the mat " * (1 + i % 4) for i in range(40)]


class Handle:
    """A teacher, as a cell gives it."""

    def __init__(self, path: Path, offers: frozenset[str] = HFCausal.offers) -> None:
        self.path, self.offers, self.opened = path, offers, 0
        self.identity = self.writer = str(path)

    def open(self) -> HFCausal:
        self.opened += 1
        return HFCausal.open(self.path, CPU)

    def tokenizer(self) -> Any:
        return HFCausal.tokenizer_of(self.path)


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def options(**given: Any) -> TextOptions:
    return plugins.validated(TextOptions, given)  # type: ignore[return-value]


@pytest.fixture
def tokenizer(tiny_lm: Path) -> Any:
    loaded = HFCausal.tokenizer_of(tiny_lm)
    loaded.chat_template = CHAT
    return loaded


# -- files -------------------------------------------------------------------------------------------------------------


def test_every_form_of_file_gives_the_same_documents(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet
    from datasets import Dataset, DatasetDict

    texts = ["one\u2028still one", "two", "three"]
    rows = [{"text": text} for text in texts]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "all.md").write_text("one\u2028still one\n\n\ntwo\n\nthree\n", encoding="utf-8")
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "id": [1, 2, 3]}), tmp_path / "all.parquet")
    Dataset.from_list(rows).save_to_disk(str(tmp_path / "one"))
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(str(tmp_path / "several"))
    expected = [Plain(text) for text in texts]
    for given in (
        {"files": str(tmp_path / "?.txt")},
        {"files": lines(tmp_path / "all.jsonl", rows)},
        {"files": str(tmp_path / "all.parquet")},
        {"files": str(tmp_path / "one")},
        {"files": str(tmp_path / "several")},
        {"files": [str(tmp_path / f"{n}.txt") for n in range(3)]},
    ):
        assert Text(options(**given)).documents() == expected, given
    found = Text(options(files=str(tmp_path / "all.md"), unit="paragraph")).documents()
    assert len(found) == 3
    with pytest.raises(UsageError, match="no split 'test'; it has train"):
        Text(options(files=str(tmp_path / "several"), split="test")).documents()


def test_a_row_is_a_text_a_conversation_or_a_completion(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    file = lines(
        tmp_path / "rows.jsonl",
        [
            {"text": "t"},
            {"messages": talk},
            {"prompt": "p", "completion": "c"},
            {"prompt": talk[:1], "completion": talk[1:]},
        ],
    )
    assert Text(options(files=file)).documents() == [
        Plain("t"),
        Talk(talk),
        Pair("p", "c"),
        Pair(talk[:1], "a"),
    ]


@pytest.mark.parametrize(
    ("content", "core"),
    [
        (b'{"text": "a"}\n{"text"', ":2: not JSON"),
        (b"[1]\n", ":1: expected an object, got list"),
        (b'{"body": "a"}\n', ":1: no 'text', 'messages' or 'prompt' \\(it has 'body'\\)"),
        (b'{"text": 3}\n', ":1: text should be a text, got int"),
        (b'{"text": "\\ud800"}\n', "half of a surrogate pair"),
        (b'{"messages": [{"role": "user", "content": "q"}]}\n', "the assistant says nothing"),
        (b'{"messages": [{"role": "robot", "content": "q"}]}\n', "a message needs a role"),
        (b'{"messages": []}\n', "without messages"),
        (b'{"prompt": "p", "completion": [{"role": "user", "content": "c"}]}\n', "one message of the assistant"),
        (b"\xff\xfe\n", "not UTF-8 text: byte 0xff at offset 0"),
        (b"\n\n", "0 examples"),
    ],
)
def test_a_damaged_row_is_told_with_its_place(tmp_path: Path, content: bytes, core: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(RunError, match=core):
        Text(options(files=str(file))).documents()


def test_another_field_is_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    file = lines(tmp_path / "rows.jsonl", [{"body": "b", "text": "t"}])
    assert Text(options(files=file, field="body")).documents() == [Plain("b")]
    with pytest.raises(RunError, match="no 'title'"):
        Text(options(files=file, field="title")).documents()


def test_what_means_no_file_is_refused_while_planning(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.jsonl does not exist"):
        Text(options(files=str(tmp_path / "absent.jsonl"))).identity()
    with pytest.raises(UsageError, match="is a folder and no saved data set"):
        Text(options(files=str(tmp_path))).identity()
    for given in (
        {},
        {"files": "a", "hub": "b"},
        {"files": []},
        {"files": "a", "heldout": 1.5},
        {"files": "a", "length": 1},
    ):
        with pytest.raises(ValidationError):
            options(**given)


def test_identity_is_the_content_and_neither_name_nor_place(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    first, second = tmp_path / "a.txt", tmp_path / "sub" / "b.txt"
    first.write_text("same", encoding="utf-8")
    second.write_text("same", encoding="utf-8")
    assert files_digest([str(first)]) == files_digest([str(second)])
    second.write_text("other", encoding="utf-8")
    assert files_digest([str(first)]) != files_digest([str(second)])


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_text_is_learned_from_its_first_token_to_its_end(tokenizer: Any) -> None:
    (found,) = Tokeniser(tokenizer)([Plain("the cats")])
    separator = separator_of(tokenizer)
    assert found.ids.tolist() == [separator, *tokenizer("the cats")["input_ids"], separator]
    assert found.taught.all()
    (open_ended,) = Tokeniser(tokenizer, ends=False)([Plain("the cats")])
    assert open_ended.ids.tolist() == found.ids.tolist()[:-1]


def test_a_prompt_is_seen_and_only_the_completion_is_learned(tokenizer: Any) -> None:
    (found,) = Tokeniser(tokenizer)([Pair("the cats were", " on the mat")])
    learned = tokenizer.decode(found.ids[found.taught])
    assert learned == " on the mat<|endoftext|>"
    assert tokenizer.decode(found.ids[~found.taught]) == "the cats were"


def test_a_token_that_begins_in_the_prompt_is_not_learned(tokenizer: Any) -> None:
    """'doctor' is one token, cut in the middle by the end of the prompt."""
    assert len(tokenizer(" doctor")["input_ids"]) == 1
    (found,) = Tokeniser(tokenizer)([Pair("the doct", "or with")])
    assert tokenizer.decode(found.ids[~found.taught]) == "the doctor"
    assert tokenizer.decode(found.ids[found.taught]) == " with<|endoftext|>"


def test_of_a_conversation_only_the_assistant_is_learned(tokenizer: Any) -> None:
    talk = [
        {"role": "user", "content": "the cats"},
        {"role": "assistant", "content": "on the mat"},
        {"role": "user", "content": "the doctor"},
        {"role": "assistant", "content": "very kind"},
    ]
    (found,) = Tokeniser(tokenizer)([Talk(talk)])
    assert tokenizer.decode(found.ids) == tokenizer.apply_chat_template(talk, tokenize=False)
    assert tokenizer.decode(found.ids[found.taught]) == "on the mat<|endoftext|>very kind<|endoftext|>"
    (last,) = Tokeniser(tokenizer)([Pair(talk[:3], "very kind")])
    assert tokenizer.decode(last.ids[last.taught]) == "very kind<|endoftext|>"
    assert last.ids.tolist() == found.ids.tolist()


def test_a_template_that_rewrites_earlier_answers_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'] if loop.last else '(cut)' }}|{% endfor %}"
        "{% if add_generation_prompt %}>{% endif %}"
    )
    talk = [
        {"role": r, "content": c} for r, c in (("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b"))
    ]
    with pytest.raises(UsageError, match="shows an answer otherwise once the conversation goes on"):
        list(Tokeniser(tokenizer)([Talk(talk)]))


def test_messages_need_a_template(tiny_lm: Path) -> None:
    bare = HFCausal.tokenizer_of(tiny_lm)
    with pytest.raises(UsageError, match="chat template"):
        list(Tokeniser(bare)([Talk([{"role": "assistant", "content": "a"}])]))


def test_what_a_tokenizer_puts_before_a_text_stays(tokenizer: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    assert opening_of(tokenizer) == []
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)]
    )
    assert opening_of(tokenizer) == [0]
    assert prompt_ids(tokenizer, "the cats")[0] == 0
    assert prompt_ids(tokenizer, "the cats")[1:] == tokenizer("the cats", add_special_tokens=False)["input_ids"]
    (found,) = Tokeniser(tokenizer)([Pair("the", " cats")])
    assert found.ids[0] == 0
    assert int(found.taught.sum()) == len(tokenizer(" cats", add_special_tokens=False)["input_ids"]) + 1


def test_a_prompt_is_at_least_one_token(tokenizer: Any) -> None:
    assert prompt_ids(tokenizer, "") == [separator_of(tokenizer)]


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
    assert "token 270 is" in (difference(student(), other.tokenizer()) or "")
    text = corpus(length=40)
    with pytest.raises(UsageError, match=r"different tokenizers \(token 270 is .*\); learn from the teacher's answers"):
        text.signal(SignalRequest(teachers=[other], tokenizer=student, asks=DISTRIBUTION))
    labels = text.signal(SignalRequest(teachers=[other], tokenizer=student))
    across = text.signal(SignalRequest(teachers=[other], tokenizer=student, asks=frozenset({"other-tokenizer"})))
    for signal in (labels, across):
        assert signal.recorded is None
        assert signal.heldout.logp is None
    assert other.opened == 0


def exchange(folder: Path, first: int, second: int) -> None:
    """Exchange the meaning of two ids in a saved tokenizer."""
    file = folder / "tokenizer.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = data["model"]["vocab"]
    names = {token: name for name, token in vocabulary.items()}
    vocabulary[names[first]], vocabulary[names[second]] = second, first
    file.write_text(json.dumps(data), encoding="utf-8")


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
