"""Text as training data: every form of file, chat templates, completions, and which tokens are learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from distbench.data.text import Text
from distbench.data.text_documents import Pair, Plain, Talk, files_digest
from distbench.data.text_prompts import opening_of, prompt_ids, separator_of
from distbench.data.text_tokens import Tokeniser
from distbench.errors import RunError, UsageError
from distbench.models.hf_causal import HFCausal
from tests.data.texts import CHAT, lines, options


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
