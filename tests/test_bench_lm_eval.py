"""The comparison with stock lm-eval counts what differs, and every side runs in every round."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU
from tests.scripts import script

PROBLEMS = [
    {
        "question": f"The doctor {i} had {i + 2} cats. " + "They were on the mat with the very kind patients. " * 6
        + "How many cats were there?",
        "answer": f"There were\n#### {i + 2}",
    }
    for i in range(9)
]  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return script("bench_lm_eval")


def test_made_documents_hold_the_right_answer_where_they_say(bench: ModuleType) -> None:
    for row, problem in zip(bench.endings(PROBLEMS), PROBLEMS, strict=True):
        whole = f"{row['ctx_a']} {row['endings'][int(row['label'])]}"
        assert problem["question"].startswith(whole)
    for i, row in enumerate(bench.answers(PROBLEMS)):
        right = row["choices"]["text"][row["choices"]["label"].index(row["answerKey"])]
        assert right == f"{i + 2} in all"
        assert row["question"].endswith("How many cats were there?")


@pytest.mark.parametrize(("shots", "models"), [(0, 1), (2, 1), (0, 3)])
def test_a_line_of_the_table(bench: ModuleType, tiny_lm: Path, tmp_path: Path, shots: int, models: int) -> None:
    documents = bench.endings(PROBLEMS)
    asked = bench.Bench("x", "hellaswag", "validation", documents, "made up", shots=shots, models=models)
    arena = bench.Arena(asked, HFCausal.open(tiny_lm, CPU), tmp_path, items=6)
    sides = bench.measure(arena, rounds=2)
    assert {name: len(side.seconds) for name, side in sides.items()} == {"ours": 2, "stock 8": 2, "stock 32": 2}
    line, differ = bench.row_of(arena, sides)
    assert differ == 0
    assert line.startswith("| x (made up) | 6 | ")
    gap = float(line.split(" | ")[-2])
    assert 0 < gap < 1e-4
    sides["stock 32"].metrics[3]["acc"] = 1 - sides["stock 32"].metrics[3]["acc"]
    assert bench.row_of(arena, sides)[1] == 1
