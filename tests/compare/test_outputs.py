"""From hand-written records through `compare` to every output: terminal, pull request, page, gate, JSON."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from distbench.compare.run import compare
from distbench.gate.decision import decide
from distbench.gate.text import text
from distbench.report.html import render
from distbench.report.text import markdown, terminal_table
from distbench.schema.record import MetricFacts
from distbench.schema.result import Result
from tests.compare.records import ACC, rows, run_of

N = 600
BIASED = MetricFacts(
    name="biased", primary=True, kind="binary", higher_is_better=False, baseline=0.0, best=1.0, neutral=0.5, n=N,
    mean=None,
)  # fmt: skip
BPB = MetricFacts(
    name="bits_per_byte", primary=True, kind="ratio_of_sums", higher_is_better=False, baseline=0.0, best=0.0, n=N,
    mean=None,
)  # fmt: skip
KL = BPB.model_copy(update={"name": "kl", "reference": True})


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    random = np.random.default_rng(0)
    teacher = (random.random(N) < 0.85).astype(float)
    student = np.where(random.random(N) < 0.03, 1 - teacher, teacher)
    sure = random.uniform(0.4, 0.99, N).tolist()
    columns = {
        "groups": [{"dialect": "ab"[i % 2]} for i in range(N)],
        "length": [1024 * (1 + i % 3) for i in range(N)],
        "confidence": sure,
        "label_probability": sure,
    }
    sizes = random.integers(100, 900, N).astype(float)

    def bits(rate: float, metric: str) -> list:  # type: ignore[type-arg]
        above = sizes * (rate + random.normal(0, 0.002, N))
        return rows(
            (above / sizes).tolist(), metric=metric, task=metric, prediction=[""] * N, numerator=above.tolist(),
            denominator=sizes.tolist(),
        )  # fmt: skip

    def flags(rate: float) -> list:  # type: ignore[type-arg]
        return rows([float(i < rate * N) for i in range(N)], metric="biased", task="pairs")

    sides = {
        "big": {
            "facts": (rows(teacher.tolist(), task="facts", **columns), [ACC]),
            "pairs": (flags(0.6), [BIASED]),
            "bits_per_byte": (bits(0.9, "bits_per_byte"), [BPB]),
        },
        "small": {
            "facts": (rows(student.tolist(), task="facts", **columns), [ACC]),
            "pairs": (flags(0.61), [BIASED]),
            "bits_per_byte": (bits(0.93, "bits_per_byte"), [BPB]),
            "kl": (bits(0.02, "kl"), [KL]),
        },
    }
    gate = {
        "retained": 0.9, "task_floor": 0.85, "worst_group": 0.8, "max_negative_flips": 0.05, "max_delta_bpb": 0.05,
        "max_bias_transfer": 0.05, "max_kl": 0.1, "tasks": {"facts": {"floor": 0.85}}, "compression": 1.5,
    }  # fmt: skip
    run = run_of(tmp_path_factory.mktemp("run") / "run", sides, gate, sizes={"big": 400, "small": 100})
    return compare(run)


def test_every_rule_is_printed_with_its_sign(result: Result) -> None:
    printed = text(decide(result)).replace("\xa0", " ")
    for rule in (
        "retained over all tasks ≥ 90 %",
        "retained: facts ≥ 85 %",
        "retained in every group ≥ 80 %",
        "more bits per byte: bits_per_byte ≤ 0.05",
        "answers lost (teacher right, student wrong): facts ≤ 5 %",
        "bias further from neutral than the teacher's: pairs ≤ 5 %",
        "KL from the teacher, nats per token: kl ≤ 0.1",
        "compression by size on disk ≥ 1.5×",
    ):
        assert f"PASS          {rule}: " in printed, printed
    assert (result.verdict, result.recommended) == ("PASS", "small")


def test_the_document_holds_itself(result: Result) -> None:
    assert Result.model_validate(json.loads(result.model_dump_json()), strict=False) == result


def test_the_page_has_every_section(result: Result) -> None:
    page = render(result)
    for anchor in ("tradeoff", "tasks", "agreement", "calibration", "groups", "context", "bias", "disagreements"):
        assert f'<section id="{anchor}"' in page, anchor
    assert "Divergence from the teacher" in page
    assert "≤ 0.05" in page
    assert "≤ 5" in page  # the ceiling on answers lost, in per cent


def test_terminal_and_pull_request_say_what_a_score_does_not(result: Result) -> None:
    console = Console(width=140, file=io.StringIO(), force_terminal=False)
    for part in terminal_table(result):
        console.print(part)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for measure in ("answers lost", "effective length", "worst dialect", "bits per byte", "Brier", "bias", "KL("):
        assert measure in shown, measure
        assert measure in markdown(result), measure
