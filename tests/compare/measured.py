"""A measurement written by hand into a finished run."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.schema.cell import MeasureCell
from distbench.schema.record import CellRecord, Footprint, HostFacts, MeasureResult, Series
from distbench.store.run_dir import RunDir
from tests.conftest import CPU


def add_measurement(run: RunDir, names: Sequence[str], series: Sequence[Series], control: str | None = None) -> None:
    """Add a finished measurement of these models, the teacher first, to a run."""
    refs = [next(model.ref for model in run.manifest().models if model.name == name) for name in names]
    meters: dict[str, dict[str, object]] = {each.meter: {} for each in series}
    cell = MeasureCell(
        id="measure-all", title="measure", needs=[], models=refs, meters=meters, workload=None, settings=CPU
    )
    host = HostFacts(fingerprint="f00", cpu="Some CPU", cores=2, memory_bytes=8_000_000_000, os="Linux", python="3.11")
    result = MeasureResult(
        models=list(names), series=list(series), footprints={names[0]: Footprint()}, control=control, launches=5,
        stop_reason="enough",
    )  # fmt: skip
    record = CellRecord(
        cell_id=cell.id, title=cell.title, started_at="2026-01-01T00:00:00Z", seconds=3.0, threads=1, device="cpu",
        host=host, packages={}, result=result,
    )  # fmt: skip
    folder = run.workplace(cell.id)
    (folder / "cell.json").write_text(cell.model_dump_json(), encoding="utf-8")
    (folder / "record.json").write_text(record.model_dump_json(), encoding="utf-8")
    run.commit(cell.id, folder)
    run.extend_plan([cell])
