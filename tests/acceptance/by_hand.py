"""Finished runs written by hand, for rows about what a reader does with them: nothing in them was measured."""

from __future__ import annotations

import json
import shutil
from typing import Any

from distbench.schema.record import MetricFacts
from tests.acceptance.row import Make, Place
from tests.compare.records import ACC, rows
from tests.compare.runs import TEACHER, flipped, simple, task, write

BPB = MetricFacts(
    name="bits_per_byte", primary=True, kind="ratio_of_sums", higher_is_better=False, baseline=0.0, best=0.0, n=400,
    mean=None,
)  # fmt: skip


def judged(student: Any, teacher: Any = TEACHER, **gate: Any) -> Make:
    """Write a finished run; a student of None crashed."""
    models = {"teacher": {"t": task(teacher)}, "student": {"t": None if student is None else task(student)}}
    return lambda place: write(place.folder / "run", models, gate={"retained": 0.9, **gate})


def not_numbers(place: Place) -> None:
    """Write a run whose student's losses are all NaN: each is an error, and this metric has no worst value to be."""
    sizes = {"numerator": [900.0] * 400, "denominator": [1000.0] * 400}
    good = rows([0.9] * 400, metric="bits_per_byte", **sizes), [BPB]
    nan = rows([None] * 400, metric="bits_per_byte", **dict.fromkeys(sizes, [None] * 400)), [BPB]
    gate = {"max_delta_bpb": 0.1}
    write(place.folder / "run", {"teacher": {"t": good}, "student": {"t": nan}}, gate=gate)


def false_numbers(place: Place) -> None:
    """Write a run whose student has NaN for every score, each said to be fine."""
    nan = rows([float("nan")] * 400), [ACC]
    write(place.folder / "run", {"teacher": {"t": task(TEACHER)}, "student": {"t": nan}}, gate={"retained": 0.9})


def edited(name: str, **changes: object) -> Make:
    """Write a finished run and change keys of one of its JSON files."""

    def make(place: Place) -> None:
        folder = write(place.folder / "run", simple())
        (path,) = folder.glob(name)
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(content | changes), encoding="utf-8")

    return make


def document(**changes: object) -> Make:
    """Write a result document with keys changed."""

    def make(place: Place) -> None:
        from distbench.compare.run import compare
        from distbench.store.run_dir import RunDir

        content = json.loads(compare(RunDir(write(place.folder / "made", simple()))).model_dump_json())
        shutil.rmtree(place.folder / "made")
        place.write("result.json", json.dumps(content | changes))

    return make


def unlike(change: dict[str, str]) -> Make:
    """Write two runs that differ in what a task was."""

    def make(place: Place) -> None:
        write(place.folder / "run", simple(), gate={"retained": 0.9})
        write(place.folder / "before", simple(), gate={"retained": 0.9}, record=change)

    return make


def with_policy(place: Place) -> None:
    """Write a finished run and a policy about a metric that it does not have."""
    judged(TEACHER)(place)
    place.write("p.yaml", "version: 1\ntasks: {t: {metrics: {accc: {floor: 0.9}}}}\n")


def unmetered(place: Place) -> None:
    """Write a run whose energy could not be read, and a gate on it."""
    from distbench.schema.record import Series
    from distbench.store.run_dir import RunDir
    from tests.compare.measured import add_measurement

    run = write(place.folder / "run", simple(flipped(TEACHER, lost=1)), gate={"retained": 0.5, "energy": 1.1})
    series = [
        Series(
            model=name, meter="energy", metric="gross_joules_per_1000_samples", unit="J", higher_is_better=False,
            workload="batch 64", values=[], status="not_measurable", reason="no RAPL counters: powercap is not there",
            remedy="name an outside meter",
        )
        for name in ("teacher", "student")
    ]  # fmt: skip
    add_measurement(RunDir(run), ("teacher", "student"), series)
