"""The card of a made model says where it started, in words that also the page shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distbench.cell.card import CARD, PROVENANCE, write_card
from distbench.schema.cell import MakeCell
from distbench.schema.record import Training
from distbench.schema.starts import ranges, start_words
from distbench.schema.strict import Use
from tests.conftest import CPU

INITIAL: dict[str, Any] = {
    "kept_blocks": [0, 1, 2, 4, 7, 8],
    "influence": [0.9, 0.5, 0.3, 0.02, 0.25, 0.01, 0.03, 0.4, 0.6],
    "calibration": {"code": 1, "texts": "ab" * 32, "rows": 8, "tokens": 512},
    "hidden_size": 576,
    "intermediate_size": 1152,
    "strange|thing\n": {"a": [1, 2]},
}


@pytest.mark.parametrize(
    ("places", "words"),
    [([0], "0"), ([0, 1, 2, 4, 6, 7], "0–2, 4, 6–7"), ([3, 5, 7], "3, 5, 7"), ([], "")],
)
def test_runs_are_drawn_together(places: list[int], words: str) -> None:
    assert ranges(places) == words


def test_what_was_chosen_in_words() -> None:
    words = dict(start_words(INITIAL, lambda value: f"{value:g}"))
    assert words == {
        "blocks kept": "0–2, 4, 7–8 (counted from 0; 6 in all)",
        "influence (1 − cosine)": "0.25 or more of kept blocks, 0.03 or less of dropped ones",
        "widths": "hidden_size 576, intermediate_size 1152",
        "measured on": "a file (SHA-256 abababababababab…), 8 rows, 512 tokens",
        "strange|thing\n": '{"a": [1, 2]}',
    }
    assert dict(start_words({"calibration": {"texts": "written by the parent", "rows": 8}}, str)) == {
        "measured on": "text written by the parent, 8 rows"
    }
    assert dict(start_words({"kept_blocks": "all", "influence": None, "long": "x" * 9999}, str)) == {
        "long": "x" * 399 + "…"
    }


def test_the_card_and_the_provenance_have_it(tmp_path: Path) -> None:
    cell = MakeCell(
        id="0" * 16, title="make small", needs=[], role="student", use="hf-causal", teachers=[],
        init=Use(use="width-prune", intermediate_size=1152), settings=CPU,
    )  # fmt: skip
    training = Training(
        method="soft-labels", objective="forward-kl", data="text", data_digest="d" * 64, examples=1, units=1,
        epochs=1.0, steps=1, seconds=1.0, teacher_seconds=0.0, from_cache=False, heldout_kl_before=0.5,
        heldout_kl_after=0.25, options={"heldout_cross_entropy": [3.0, 2.5]},
    )  # fmt: skip
    write_card(cell, INITIAL, training, "w" * 64, tmp_path)
    card = (tmp_path / CARD).read_text(encoding="utf-8")
    assert "| blocks kept | 0–2, 4, 7–8 (counted from 0; 6 in all) |" in card
    assert "| strange\\|thing  | {" in card  # a pipe and a line break would end the row of the table
    assert "| held-out cross-entropy | 3 before, 2.5 after, nats |" in card
    assert json.loads((tmp_path / PROVENANCE).read_text(encoding="utf-8"))["initial"] == INITIAL
    write_card(cell, None, None, "w" * 64, tmp_path)
    assert "blocks kept" not in (tmp_path / CARD).read_text(encoding="utf-8")
