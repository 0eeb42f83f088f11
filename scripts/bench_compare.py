"""What does comparing a million paired records cost? Writes two sides through the public writer, compares them through
the public function, each in a fresh process, and prints seconds and peak memory (VmHWM).

    python scripts/bench_compare.py --records 1000000

The step `gate` checks the evidence first, as `distbench gate` does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from distbench.hashing import digest, text_digest
from distbench.protocols import Sample
from distbench.schema.cell import EvaluateCell, ModelRef, Settings
from distbench.schema.plan import Manifest, PlannedCell, PlannedModel
from distbench.schema.record import CellRecord, EvaluateResult, Footprint, HostFacts, MetricFacts
from distbench.schema.suite import Suite, TaskSpec
from distbench.store.run_dir import RunDir
from distbench.store.samples import write_samples

SETTINGS = Settings(seed=0, device="cpu", dtype="float32", threads=1)
WORDS = ("the", "doctor", "with", "patients", "was", "kind", "because", "seven", "rivers", "carry", "grain", "north")
SIDES = {"teacher": 0.70, "student": 0.68}


def samples(count: int, side: str, shape: str) -> Iterator[Sample]:
    """Yield records as a benchmark has them: four choices or free text, prompts of 200 characters, probabilities."""
    shared = np.random.default_rng(1)
    own = np.random.default_rng(list(SIDES).index(side) + 2)
    for start in range(0, count, 10_000):
        size = min(10_000, count - start)
        words = shared.integers(len(WORDS), size=(size, 44))
        labels, flips = shared.integers(4, size=size), shared.random(size)
        noise, sure = own.random(size), own.uniform(0.26, 0.99, size)
        for k in range(size):
            number = start + k
            right = bool(flips[k] < SIDES[side]) != bool(noise[k] < 0.04)
            label = "ABCD"[labels[k]]
            answer = label if right else "ABCD"[(labels[k] + 1) % 4]
            text = answer if shape == "choices" else f"{answer}, since item {number} of {side if not right else 'all'}"
            yield Sample(
                task="big", sample_id=f"{number}-{hashlib.sha256(str(number).encode()).hexdigest()[:16]}",
                metric="acc", score=float(right), prediction=text,
                label=label if shape == "choices" else f"{label}, since item {number} of all",
                prompt=" ".join(WORDS[w] for w in words[k])[:200], confidence=float(sure[k]),
                label_probability=float(sure[k] if right else (1 - sure[k]) / 3),
                cluster=f"document {number // 20}" if shape == "clusters" else None,
                groups={"subject": f"subject {number % 57}"} if shape == "clusters" else {},
                length=1024 * 2 ** (number % 6) if shape == "clusters" else None,
                answer_digest=f"{number:x} {side}",
            )  # fmt: skip


class Tally:
    """Samples on their way to a file, and what a record says of all of them."""

    def __init__(self, rows: Iterator[Sample]) -> None:
        self._rows, self.right, self.said = rows, 0.0, list[str]()

    def __iter__(self) -> Iterator[Sample]:
        for row in self._rows:
            self.right += row.score or 0.0
            self.said.append(row.answer_digest)
            yield row


def write(run_path: Path, count: int, shape: str) -> None:
    """Write a finished run of one teacher, one student and one task."""
    run = RunDir.prepare(run_path)
    task = TaskSpec(use="classification", name="big")
    models, cells = [], []
    for side in SIDES:
        ref = ModelRef(
            name=side, role="teacher" if side == "teacher" else "student", use="mlp", identity=f"bench-{side}"
        )
        models.append(
            PlannedModel(
                name=side,
                label=side,
                role=ref.role,
                of=[] if side == "teacher" else ["teacher"],
                made_by="bench",
                origin="bench",
                ref=ref,
            )
        )
        cell = EvaluateCell(
            id=f"cell-{side}", title=f"{side} on big", needs=[], model=ref, task=task, settings=SETTINGS
        )
        cells.append(cell)
        folder = run.workplace(cell.id)
        tally = Tally(samples(count, side, shape))
        write_samples(folder / "samples.parquet", tally)
        facts = MetricFacts(
            name="acc", primary=True, kind="binary", higher_is_better=True, baseline=0.25, best=1.0, n=count,
            mean=tally.right / count,
        )  # fmt: skip
        result = EvaluateResult(
            task="big", task_version="1", engine="bench", data_digest="d", prompt_digest="p", metrics=[facts],
            footprint=Footprint(bytes_on_disk=100 if side == "teacher" else 50), answers_digest=text_digest(tally.said),
        )  # fmt: skip
        host = HostFacts(fingerprint="x", cpu="x", cores=1, memory_bytes=1, os="x", python="x")
        record = CellRecord(
            cell_id=cell.id, title=cell.title, started_at="", seconds=0.0, threads=1, device="cpu", host=host,
            packages={}, result=result,
        )  # fmt: skip
        (folder / "cell.json").write_text(cell.model_dump_json(), encoding="utf-8")
        (folder / "record.json").write_text(record.model_dump_json(), encoding="utf-8")
        run.commit(cell.id, folder)
    run.write_plan(list(cells))
    suite = Suite.model_validate(
        {
            "version": 1, "name": "bench", "teachers": {"teacher": {"use": "mlp", "source": "x"}},
            "students": [{"name": "student", "of": "teacher", "source": "y"}],
            "tasks": [{"use": "classification", "name": "big"}],
        }
    )  # fmt: skip
    run.write_manifest(
        Manifest(
            run="bench",
            created_at="",
            distbench="0",
            command=[],
            suite_digest=digest(suite.model_dump(mode="json")),
            suite=suite,
            settings=SETTINGS,
            device_reason="bench",
            models=models,
            task_order=["big"],
            cells=[PlannedCell(id=cell.id, kind="evaluate", title=cell.title) for cell in cells],
        )
    )


def compare_run(run_path: Path) -> dict[str, object]:
    """Compare, and return what it said."""
    from distbench.compare.run import compare

    (student,) = compare(RunDir.existing(run_path)).students
    (task,) = student.tasks
    return {"n": task.n, "retained": task.retained.value, "verdict": task.verdict, "lost": student.disagreements_total}


def verify_run_first(run_path: Path) -> dict[str, object]:
    """Check the run as the gate does before it compares, and return what that found."""
    from distbench.verify.run import verify_run

    return {"evidence": verify_run(RunDir.existing(run_path), run_path, "quick").verdict}


def peak_memory_mib() -> float:
    """Return the high-water mark of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def fresh(step: str, options: argparse.Namespace, folder: str) -> dict[str, object]:
    """Run one step in a process of its own and return what it measured."""
    command = [
        sys.executable, __file__, "--step", step, "--run", folder, "--records", str(options.records),
        "--shape", options.shape,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run both steps, or one of them inside the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--shape", choices=["choices", "free-text", "clusters"], default="choices")
    parser.add_argument("--run", help="a folder to keep; a temporary one where left out")
    parser.add_argument("--step", choices=["write", "compare", "gate"])
    options = parser.parse_args()
    if options.step:
        start = time.perf_counter()
        found: dict[str, object] = {}
        if options.step == "write":
            write(Path(options.run), options.records, options.shape)
        else:
            found = verify_run_first(Path(options.run)) if options.step == "gate" else {}
            found |= compare_run(Path(options.run))
        print(
            json.dumps(
                {"seconds": round(time.perf_counter() - start, 2), "peak_mib": round(peak_memory_mib()), **found}
            )
        )
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.run or str(Path(temporary) / "run")
        for step in ("write", "compare", "gate"):
            if step == "write" and (Path(folder) / "manifest.json").exists():
                continue
            print(
                f"{step} {options.records:,} paired records ({options.shape}):",
                json.dumps(fresh(step, options, folder)),
            )


if __name__ == "__main__":
    main()
