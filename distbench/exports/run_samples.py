"""Every sample of a run, batch by batch: the columns of samples.parquet, with the model and its role."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distbench.compare.evidence import Evidence
from distbench.errors import UsageError
from distbench.protocols.export import Source
from distbench.store.run_dir import RunDir
from distbench.store.samples import COLUMNS, NUMBERS, WHOLE, read_batches
from distbench.tables.table import Kind

SAMPLES = "samples"
_WHO = ("model", "role")


def run_of(source: Source) -> RunDir:
    """Return the run whose samples are meant. Raises UsageError where there is none, or more than one."""
    if source.run is None:
        raise UsageError("samples are in a run directory only; name one run, by its directory")
    return RunDir.existing(source.run)


def columns() -> dict[str, Kind]:
    """Return {column: "text", "number" or "whole"}, in their order."""
    kinds: dict[str, Kind] = {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(WHOLE, "whole")}
    return {name: kinds.get(name, "text") for name in (*_WHO, *COLUMNS)}


def schema() -> Any:
    """Return the columns as a pyarrow schema."""
    import pyarrow as pa

    kinds = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64()}
    return pa.schema([(name, kinds[kind]) for name, kind in columns().items()])


def batches(run: RunDir) -> Iterator[Any]:
    """Yield the samples of every evaluation that finished as pyarrow record batches of `schema()`."""
    import pyarrow as pa

    whole = schema()
    for name, role, files in _sample_files(run):
        for batch in read_batches(files, COLUMNS):
            who = [pa.array([each] * batch.num_rows, pa.string()) for each in (name, role)]
            found = [batch.column(column).cast(whole.field(column).type) for column in COLUMNS]
            yield pa.record_batch([*who, *found], schema=whole)


def _sample_files(run: RunDir) -> Iterator[tuple[str, str, tuple[Path, ...]]]:
    """Yield (model, role, files) of every evaluation that finished."""
    evidence = Evidence(run)
    models = {each.name: each for each in evidence.manifest.models}
    for model in evidence.manifest.models:
        teacher = models.get(model.of[0]) if model.of else None
        for task in evidence.manifest.task_order:
            found = evidence.evaluated(model, task, teacher)
            if found is not None:
                yield model.name, model.role, found.files
