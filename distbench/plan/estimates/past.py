"""One finished cell, as far as it tells what similar ones will need: a row of the history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from distbench.plan.estimates.likeness import amount_of, lineage, model_key, signature
from distbench.schema.cell import CELL, EvaluateCell, MakeCell, MeasureCell
from distbench.store.files import SUMS

Cell = MakeCell | EvaluateCell | MeasureCell


@dataclass(frozen=True, slots=True)
class Past:
    """Seconds, bytes and what they were spent on. `amount`: samples, units of training data, or models measured."""

    id: str
    kind: str
    title: str
    host: str
    device: str
    dtype: str
    threads: int | None
    seconds: float
    memory_bytes: int | None
    disk_bytes: int
    signature: str
    model: str
    use: str
    amount: float | None
    tokens: int | None
    params: int | None
    weight_bytes: int | None
    watts: Mapping[str, float]
    probe: bool = False


def read_past(folder: Path) -> Past | None:
    """Return what a finished cell's folder tells; None where it is no cell of this version, or was not run here."""
    try:
        cell = CELL.validate_json((folder / "cell.json").read_bytes())
        record = json.loads((folder / "record.json").read_bytes())
        return past_of(cell, record, _bytes_of(folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def past_of(cell: Cell, record: Mapping[str, Any], disk_bytes: int) -> Past | None:
    """Return the row of a cell and its record."""
    result, host = record["result"], record["host"]
    if host is None or record["seconds"] is None:
        return None
    size = result.get("footprint") or {}
    scorer = result.get("scorer") or {}
    return Past(
        id=cell.id,
        kind=cell.kind,
        title=cell.title,
        host=host["fingerprint"],
        device=record["device"],
        dtype=cell.settings.dtype,
        threads=record["threads"],
        seconds=float(record["seconds"]),
        memory_bytes=record["peak_memory_bytes"],
        disk_bytes=disk_bytes,
        signature=signature(cell),
        model=model_key(cell) if not isinstance(cell, MakeCell) else lineage(cell),
        use=_use(cell),
        amount=_amount(cell, result),
        tokens=scorer.get("tokens_asked"),
        params=size.get("params_unique"),
        weight_bytes=size.get("bytes_on_disk"),
        watts=_watts(result),
    )


def _use(cell: Cell) -> str:
    return cell.model.use if isinstance(cell, EvaluateCell) else cell.use if isinstance(cell, MakeCell) else ""


def _amount(cell: Cell, result: Mapping[str, Any]) -> float | None:
    """Return how much was done, as the record counted it; of a training, as the suite asked for it."""
    if isinstance(cell, EvaluateCell):
        return float(max((facts["n"] for facts in result["metrics"]), default=0)) or None
    return amount_of(cell)


def _watts(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean power that a meter read while models worked, by what it covers."""
    read: dict[str, list[float]] = {}
    for series in result.get("series", ()):
        if (series["meter"], series["metric"], series["status"]) == ("energy", "mean_watts", "measured"):
            read.setdefault(series.get("scope") or "unknown scope", []).extend(series["values"])
    return {scope: fmean(values) for scope, values in read.items() if values}


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
