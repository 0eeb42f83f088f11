"""Turn what a cell computed into its sealed record."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from distbench.host import host_facts, package_versions
from distbench.meters.accelerators import accelerators_of
from distbench.meters.process_memory import status_bytes
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, models_of
from distbench.schema.record import CellRecord, EvaluateResult, MakeResult, MeasureResult
from distbench.store.files import disk_faults, of_the_disk, write_text
from distbench.store.run_dir import RunDir, now


def run_and_commit(
    cell: MakeCell | EvaluateCell | MeasureCell,
    run: RunDir,
    work: Callable[[Path], MakeResult | EvaluateResult | MeasureResult],
) -> Path:
    """Do the work in a folder nobody sees, then make it the finished cell by one rename."""
    folder = run.workplace(cell.id)
    started, began = now(), time.perf_counter()
    try:
        with disk_faults(folder, of_the_disk):  # whatever library met it first
            result = work(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # half a model may be what fills the disk
        raise
    record = CellRecord(
        cell_id=cell.id,
        title=cell.title,
        started_at=started,
        seconds=time.perf_counter() - began,
        peak_memory_bytes=status_bytes("VmHWM"),
        threads=cell.settings.threads,
        device=cell.settings.device,
        host=host_facts(accelerators_of(cell.settings.device)),
        packages=package_versions(),
        placed=os.environ.get("DISTBENCH_PLACED"),
        trusted=[ref.trusted for ref in {each.identity: each for each in models_of(cell)}.values() if ref.trusted],
        result=result,
    )
    write_text(folder / "cell.json", cell.model_dump_json(indent=1) + "\n")
    write_text(folder / "record.json", record.model_dump_json(indent=1) + "\n")
    return run.commit(cell.id, folder)
