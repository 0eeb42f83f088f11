"""Prompts that the tests of answers ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.answering import QUESTIONS
from tests.data.texts import lines


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    return lines(tmp_path / "prompts.jsonl", [{"prompt": text} for text in QUESTIONS])
