"""A finished run of which every value is invented: a crash, hostile texts, a sample that one side lacks, raw times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distbench.protocols import Sample
from distbench.schema.record import MetricFacts, Series
from distbench.store.run_dir import RunDir
from tests.compare.measured import add_measurement
from tests.compare.records import ACC, rows, run_of

HOSTILE = '</script><b>=HYPERLINK("x")|\u202e\x00\nnext [bold]x[/bold]'
N = 300
F1 = MetricFacts(
    name="f1", primary=True, kind="mean", higher_is_better=True, baseline=0.0, best=1.0, n=0, mean=None
)  # fmt: skip
TIMES = {"teacher": 100.0, "good": 50.0, "bad": 140.0, "teacher (again)": 101.0}


def answers(wrong: Sequence[int], crashed: Sequence[int] = (), n: int = N) -> list[Sample]:
    """Return one record a sample: right but for some."""
    scores = [None if k in crashed else 0.0 if k in wrong else 1.0 for k in range(n)]
    prompts = [HOSTILE if k == 7 else f"question {k}" for k in range(n)]
    said = ["right" if score == 1.0 else f"no: {HOSTILE}" for score in scores]
    return rows(scores, prompt=prompts, prediction=said)


def finished_run(path: Path) -> RunDir:
    """Write it: `good` nearly says what the teacher says, `bad` does not."""
    teacher = answers(range(40, 60))
    graded = rows([0.9] * N, metric="f1", task="graded")
    run = run_of(
        path,
        {
            "teacher": {"quiz": (teacher, [ACC]), "graded": (graded, [F1])},
            "good": {
                "quiz": (answers([7, *range(41, 60)], crashed=[3]), [ACC]),
                "graded": (rows([0.9 if k % 10 else 0.8 for k in range(N)], metric="f1", task="graded"), [F1]),
            },
            "bad": {"quiz": (answers(range(150), n=N - 1), [ACC]), "graded": None},
        },
        gate={"retained": 0.9, "task_floor": 0.8, "speedup": 1.5},
        sizes={"teacher": 400, "good": 100, "bad": 200},
    )
    _measure(run)
    return run


def _measure(run: RunDir) -> None:
    series = [
        Series(
            model=name, meter="latency", metric="e2e_ms", unit="ms", higher_is_better=False, workload="batch 1",
            values=[middle + 0.1 * ((7 * k) % 10) for k in range(20)],
            launch=[k // 4 for k in range(20)], pair=[k % 4 for k in range(20)],
        )
        for name, middle in TIMES.items()
    ]  # fmt: skip
    add_measurement(run, ("teacher", "good", "bad"), series, control="teacher (again)")
