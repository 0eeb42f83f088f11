"""Prompts in files: texts, or conversations up to where the assistant should speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distbench.data.text_documents import MISSING, files_of, messages_of, rows_of, text_of
from distbench.errors import RunError
from distbench.hashing import canonical_json
from distbench.protocols import Prompt

COLUMNS = ("prompt", "messages", "text")


def prompts_in(patterns: Sequence[str], field: str | None, *, chat: bool) -> list[Prompt]:
    """Return the prompts of files, each once, in their order; `chat`: texts as messages of a user.

    Raises RunError for a row without one.
    """
    found: dict[str, Prompt] = {}
    for where, row in rows_of(files_of(patterns), "train", "line"):
        prompt = _prompt(where, row, field)
        if isinstance(prompt, str):
            if not prompt.strip():
                continue
            prompt = [{"role": "user", "content": prompt}] if chat else prompt
        found.setdefault(canonical_json(prompt), prompt)
    if not found:
        raise RunError(f"0 examples: {', '.join(patterns)} holds no prompt")
    return list(found.values())


def _prompt(where: str, row: Mapping[str, Any], field: str | None) -> Prompt:
    name = field or next((each for each in COLUMNS if each in row), None)
    value = MISSING if name is None else row.get(name, MISSING)
    if value is MISSING:
        wanted = repr(field) if field else " or ".join(map(repr, COLUMNS))
        raise RunError(f"{where}: no {wanted} (it has {', '.join(map(repr, row)) or 'nothing'})")
    if not isinstance(value, list):
        return text_of(where, str(name), value)
    messages = messages_of(where, value)
    last = max((i for i, message in enumerate(messages) if message["role"] in {"user", "tool"}), default=None)
    if last is None:
        raise RunError(f"{where}: a conversation in which no user says anything")
    return messages[: last + 1]  # an answer that is there already is not what is wanted
