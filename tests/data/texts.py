"""Corpora and teachers that the tests of training data share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.data.text import TextOptions
from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU

CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|endoftext|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
DISTRIBUTION = frozenset({"distribution"})


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


def exchange(folder: Path, first: int, second: int) -> None:
    """Exchange the meaning of two ids in a saved tokenizer."""
    file = folder / "tokenizer.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = data["model"]["vocab"]
    names = {token: name for name, token in vocabulary.items()}
    vocabulary[names[first]], vocabulary[names[second]] = second, first
    file.write_text(json.dumps(data), encoding="utf-8")
