"""A byte-level BPE tokenizer in a GGUF file: what llama.cpp's own programs need to read text.

distbench itself feeds token ids of the Hugging Face tokenizer that lies beside the file, so that both sides of a
comparison read the same tokens; the tokenizer inside is for whoever deploys the file.
"""

from __future__ import annotations

import json
from typing import Any

from distbench.errors import RefusedError

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # of gguf.TokenType


def write_tokenizer(writer: Any, tokenizer: Any, rows: int) -> str | None:
    """Write tokens, merges and special tokens; return a note on what the file's own tokenizer cannot do.

    rows: of the embedding matrix; ids without a token are written as unused ones.
    """
    definition = _definition(tokenizer)
    if definition is None:
        writer.add_tokenizer_model("none")
        return "the GGUF file has no tokenizer of its own (not byte-level BPE): it takes token ids only"
    writer.add_tokenizer_model("gpt2")
    split = _split(definition)
    writer.add_tokenizer_pre(split or "default")
    tokens, types = _tokens(tokenizer, definition, rows)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(
        [" ".join(pair) if isinstance(pair, list) else pair for pair in definition["model"]["merges"]]
    )
    _write_special(writer, tokenizer)
    if split is None:
        return (
            "llama.cpp has no name for how this tokenizer splits text before it merges: its own programs may read "
            "other tokens (distbench gives it token ids)"
        )
    return None


def _definition(tokenizer: Any) -> dict[str, Any] | None:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    definition: dict[str, Any] = json.loads(backend.to_str())
    byte_level = "ByteLevel" in json.dumps(definition.get("pre_tokenizer"))
    return definition if definition["model"]["type"] == "BPE" and byte_level else None


def _tokens(tokenizer: Any, definition: dict[str, Any], rows: int) -> tuple[list[str], list[int]]:
    by_id = {index: (token, NORMAL) for token, index in definition["model"]["vocab"].items()}
    special = set(tokenizer.all_special_ids)
    for added in definition["added_tokens"]:
        control = added["special"] or added["id"] in special
        by_id[added["id"]] = (added["content"], CONTROL if control else USER_DEFINED)
    if max(by_id) >= rows:
        raise RefusedError(f"GGUF export: the tokenizer has token {max(by_id)}, and the model has {rows} embeddings")
    pairs = [by_id.get(index, (f"[unused {index}]", UNUSED)) for index in range(rows)]
    return [token for token, _ in pairs], [kind for _, kind in pairs]


def _write_special(writer: Any, tokenizer: Any) -> None:
    for name in ("bos", "eos", "unk", "pad"):
        index = getattr(tokenizer, f"{name}_token_id", None)
        if index is not None:
            getattr(writer, f"add_{name}_token_id")(index)
    first = tokenizer("a").input_ids[:1]
    writer.add_add_bos_token(bool(first) and first[0] == tokenizer.bos_token_id)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)


_LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
_QWEN_2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"


def _split(definition: dict[str, Any]) -> str | None:
    """Return llama.cpp's name for the way text is split before merging; None where it is none of the known ones."""
    first = definition["pre_tokenizer"]
    steps = first["pretokenizers"] if first["type"] == "Sequence" else [first]
    kinds = [step["type"] for step in steps]
    if any(step.get("add_prefix_space") for step in steps) or definition.get("normalizer") not in (
        None,
        {"type": "NFC"},
    ):
        return None
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"]:
        pattern = str(steps[0]["pattern"].get("Regex", ""))
        return "llama-bpe" if pattern.startswith(_LLAMA_3) else "qwen2" if pattern.startswith(_QWEN_2) else None
    return None
