"""Does distillation help? Runs suites once a seed and compares every distilled student with its no-teacher control.

    python scripts/distil/helps.py suites/recipes/tree-from-classifier.yaml --seeds 0 1 2 3 4 --out trees.json

The seed is the suite's: teacher, student and control are trained anew with it, and labels are drawn anew. Student and
control start from the same weights and get the same data and the same number of steps. The interval is a paired t over
the seeds of the difference in accuracy: it speaks of further training runs. The test set is the same for every seed,
unless its task draws `samples`, which are drawn anew too. Runs that are there already are read, not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from distbench.stats.seeds import seed_difference


@dataclass(frozen=True)
class Row:
    """A student on a task over all seeds; scores are accuracies, one a seed."""

    suite: str
    student: str
    task: str
    test_items: int
    teacher: list[float]
    control: list[float]
    distilled: list[float]
    steps: list[int | None]
    control_steps: list[int | None]
    difference: float
    lo: float | None
    hi: float | None

    @property
    def verdict(self) -> str:
        """What the interval says."""
        if self.lo is None or self.hi is None:
            return "no interval"
        return "helps" if self.lo > 0 else "hurts" if self.hi < 0 else "no clear effect"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, compare, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("suites", nargs="+", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--work", type=Path, default=Path("runs/helps"), help="where the runs go")
    parser.add_argument("--out", type=Path, help="write all numbers to this file (JSON)")
    asked = parser.parse_args(arguments)
    rows: list[Row] = []
    for suite in asked.suites:
        results = [result_of(suite, seed, asked.work) for seed in asked.seeds]
        rows += compared(suite.stem, results)
    print(table(rows))
    if asked.out:
        facts = {"seeds": asked.seeds, "rows": [asdict(row) | {"verdict": row.verdict} for row in rows]}
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(
            json.dumps(facts | {"host": results[0]["host"], "packages": results[0]["packages"]}, indent=1)
        )
    return 0


def result_of(suite: Path, seed: int, work: Path) -> dict[str, Any]:
    """Return the result of a run, which is made where it is not there. Any failed cell ends this program."""
    out = work / f"{suite.stem}-seed{seed}"
    if not (out / "result.json").is_file():
        command = [
            sys.executable,
            "-m",
            "distbench",
            "run",
            str(suite),
            "--set",
            f"seed={seed}",
            "--out",
            str(out),
            "-q",
        ]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with exit code {done.returncode}")
    result: dict[str, Any] = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return result


def compared(suite: str, results: list[dict[str, Any]]) -> list[Row]:
    """Return a row for each student that has a control, and each task."""
    names = [student["name"] for student in results[0]["students"] if student["control"]]
    rows = []
    for name in names:
        students = [_named(result, name) for result in results]
        controls = [_named(result, student["control"]) for result, student in zip(results, students, strict=True)]
        for position, task in enumerate(students[0]["tasks"]):
            scores = [float(each["tasks"][position]["student"]) for each in students]
            plain = [float(each["tasks"][position]["student"]) for each in controls]
            found = seed_difference(scores, plain)
            rows.append(
                Row(
                    suite=suite,
                    student=students[0]["label"],
                    task=task["task"],
                    test_items=int(task["n"]),
                    teacher=[float(each["tasks"][position]["teacher"]) for each in students],
                    control=plain,
                    distilled=scores,
                    steps=[each["training"]["steps"] for each in students],
                    control_steps=[each["training"]["steps"] for each in controls],
                    difference=fmean(a - b for a, b in zip(scores, plain, strict=True)),
                    lo=found.lo,
                    hi=found.hi,
                )
            )
    return rows


def _named(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(student for student in result["students"] if student["name"] == name)


def table(rows: list[Row]) -> str:
    """Return the rows in Markdown; accuracies in per cent, mean ± standard deviation over the seeds."""
    lines = [
        "| student | teacher | no teacher | distilled | difference, points (95 %) | |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        spread = [_spread(values) for values in (row.teacher, row.control, row.distilled)]
        interval = "" if row.lo is None or row.hi is None else f" [{row.lo * 100:+.1f}, {row.hi * 100:+.1f}]"
        lines.append(
            f"| {row.student} | {' | '.join(spread)} | {row.difference * 100:+.1f}{interval} | {row.verdict} |"
        )
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{fmean(values) * 100:.1f}" + (f" ± {stdev(values) * 100:.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    sys.exit(main())
