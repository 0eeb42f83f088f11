"""Vocabularies are compared token by token, from files or from loaded tokenizers."""

from __future__ import annotations

import json
from pathlib import Path

from distbench.data.tokenizers import difference, vocabulary_of
from distbench.models.hf_causal import HFCausal


def test_the_file_says_what_the_loaded_tokenizer_says(tiny_lm: Path) -> None:
    assert vocabulary_of(tiny_lm) == HFCausal.tokenizer_of(tiny_lm).get_vocab()


def test_equal_sizes_are_no_equal_vocabularies() -> None:
    assert difference({"a": 0, "b": 1}, {"a": 0, "b": 1}) is None
    swapped = difference({"a": 0, "b": 1, "c": 2}, {"a": 0, "c": 1, "b": 2})
    assert swapped is not None
    assert "3 and 3 tokens, first at id 1: 'b' of the teacher, 'c' of the student" in swapped
    shorter = difference({"a": 0, "b": 1}, {"a": 0})
    assert shorter is not None
    assert "no token of the student" in shorter


def test_unigram_files_and_added_tokens_are_read(tmp_path: Path) -> None:
    content = {"model": {"vocab": [["<unk>", 0.0], ["x", -1.5]]}, "added_tokens": [{"content": "<s>", "id": 2}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert vocabulary_of(tmp_path) == {"<unk>": 0, "x": 1, "<s>": 2}
    assert vocabulary_of(tmp_path / "nowhere") is None
