"""Do two models read the same tokens? By the vocabulary itself, never by its size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

FILE = "tokenizer.json"
REMEDY = "use data: {use: answers} (sequence-level) or the loss 'uld' (cross-tokenizer)"


def vocabulary_of(folder: Path) -> dict[str, int] | None:
    """Return the tokens of a checkpoint's fast tokenizer with their ids, without loading it; None where it has none."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        vocabulary = content["model"]["vocab"]
        added = {token["content"]: token["id"] for token in content.get("added_tokens", [])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if isinstance(vocabulary, list):  # unigram models keep [token, score] in the order of the ids
        vocabulary = {token: index for index, (token, _) in enumerate(vocabulary)}
    return {**vocabulary, **added} if isinstance(vocabulary, dict) else None


def difference(teacher: Mapping[str, int], student: Mapping[str, int]) -> str | None:
    """Return in words where two vocabularies differ first, by id; None where they are the same."""
    if teacher == student:
        return None
    theirs, ours = ({index: token for token, index in each.items()} for each in (teacher, student))
    first = min(index for index in {*theirs, *ours} if theirs.get(index) != ours.get(index))
    return (
        f"the tokenizers differ: {len(teacher)} and {len(student)} tokens, first at id {first}: "
        f"{_shown(theirs.get(first))} of the teacher, {_shown(ours.get(first))} of the student; {REMEDY}"
    )


def _shown(token: str | None) -> str:
    return "no token" if token is None else repr(token[:40])
