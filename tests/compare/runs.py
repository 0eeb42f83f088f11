"""Runs written by hand for tests of several runs: named, dated, with models of a given content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distbench.compare.source import Source, opened
from distbench.schema.record import MetricFacts
from distbench.store.files import seal
from tests.compare.records import ACC, Recorded, rows, run_of

RANDOM = np.random.default_rng(20)
TEACHER = (RANDOM.random(400) < 0.9).astype(float)


def flipped(scores: np.ndarray, lost: int = 0, won: int = 0) -> np.ndarray:
    """Return scores of which the first `lost` right ones are wrong, and the first `won` wrong ones right."""
    found = scores.copy()
    found[np.flatnonzero(scores == 1)[:lost]] = 0.0
    found[np.flatnonzero(scores == 0)[:won]] = 1.0
    return found


STUDENT = flipped(TEACHER, lost=20)


def task(scores: Sequence[float] | np.ndarray, name: str = "t", facts: MetricFacts = ACC, **columns: Any) -> Recorded:
    """Return the records of one model on one task."""
    return rows(list(scores), metric=facts.name, task=name, **columns), [facts]


def write(
    folder: Path,
    models: Mapping[str, Mapping[str, Recorded | None]],
    *,
    date: str = "2026-01-01T00:00:00Z",
    gate: dict[str, Any] | None = None,
    identities: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    record: Mapping[str, str] | None = None,
) -> Path:
    """Write a finished run called like its folder.

    `identities` says what a model is, where it is not "id-NAME"; `record` replaces texts in every record.
    """
    run = run_of(folder, models, gate)
    manifest = run.manifest()
    named = [each.model_copy(update={"label": (labels or {}).get(each.name, each.label)}) for each in manifest.models]
    run.write_manifest(manifest.model_copy(update={"run": folder.name, "created_at": date, "models": named}))
    for name, identity in (identities or {}).items():
        for path in [folder / "manifest.json", *(folder / "plan").iterdir()]:
            path.write_text(path.read_text("utf-8").replace(f'"id-{name}"', f'"{identity}"'), "utf-8")
    for old, new in (record or {}).items():
        for path in (folder / "cells").glob("*/record.json"):
            path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
            seal(path.parent)
    return folder


def source(folder: Path, models: Mapping[str, Mapping[str, Recorded | None]], **more: Any) -> Source:
    """Write a run and open it."""
    return opened(write(folder, models, **more))


def simple(student: np.ndarray = STUDENT, teacher: np.ndarray = TEACHER) -> dict[str, dict[str, Recorded | None]]:
    """Return a teacher and a student on one task."""
    return {"teacher": {"t": task(teacher)}, "student": {"t": task(student)}}


def sample_ids(first: int, count: int) -> list[str]:
    """Return ids of samples from a place on."""
    return [str(number) for number in range(first, first + count)]
