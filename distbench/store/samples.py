"""samples.parquet: one row a document and metric, the only input of the statistics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from distbench.errors import RefusedError
from distbench.protocols import Sample

COLUMNS = [field.name for field in fields(Sample)]


def write_samples(path: Path, samples: Sequence[Sample]) -> None:
    """Write samples with zstd compression; texts keep what UTF-8 can hold (lone surrogates become U+FFFD)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [asdict(sample) for sample in samples]
    text = ("string", pa.string())
    for row in rows:
        row["groups"] = json.dumps(row["groups"], sort_keys=True) if row["groups"] else None
    kinds = dict.fromkeys(
        ("score", "numerator", "denominator", "confidence", "label_probability", "loglikelihood"), pa.float64()
    ) | dict.fromkeys(("length", "n_bytes"), pa.int64())
    columns = {}
    for name in COLUMNS:
        values = [row[name] for row in rows]
        if name not in kinds:
            values = [None if v is None else str(v).encode("utf-8", "replace").decode("utf-8") for v in values]
        columns[name] = pa.array(values, type=kinds.get(name, text[1]))
    pq.write_table(pa.table(columns), path, compression="zstd")


def read_samples(path: Path) -> Any:
    """Return the samples as a pyarrow table; a file without the columns is refused."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=COLUMNS)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise RefusedError(f"{path} is not a samples file: {str(error).splitlines()[0][:160]}") from error
