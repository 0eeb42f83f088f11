"""The planned cells of a run directory, and which of them a number means."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.errors import EnvironmentFault, UsageError, did_you_mean
from distbench.host import cpu_has_bfloat16, package_versions
from distbench.schedulers.stages import Cell, stages_of
from distbench.schema.cell import MakeCell
from distbench.schema.plan import Manifest
from distbench.store.run_dir import RunDir


def planned_cells(run: RunDir, manifest: Manifest) -> list[Cell]:
    """Return the cells that were planned at first. What a run at work added has no number."""
    return [run.cell(cell.id) for cell in manifest.cells if not cell.added]


def cells_by_id(run: RunDir, manifest: Manifest, ids: Sequence[str]) -> list[Cell]:
    """Return cells by their ids, or by the beginning of an id that only one has."""
    known, found = [cell.id for cell in manifest.cells], list[str]()
    for given in ids:
        fitting = [each for each in known if given and each.startswith(given)]
        if len(fitting) != 1:
            how = f"means {len(fitting)} cells" if fitting else f"is no cell of this run{did_you_mean(given, known)}"
            raise UsageError(f"--id {given[:80]!r} {how}; `distbench plan` and `distbench show RUN --cells` list them")
        found.append(fitting[0])
    return [run.cell(cell_id) for cell_id in dict.fromkeys(found)]


def cells_by_number(cells: Sequence[Cell], stage: str | None, index: int, chunk: int) -> list[Cell]:
    """Return the cells of a job, counted from 0: within a stage, or over all cells in the plan's order."""
    if stage is None:
        if chunk != 1:
            raise UsageError("--chunk counts jobs of a stage; name it with --stage")
        jobs, what = [[cell] for cell in cells], "the plan"
    else:
        stages = {each.name: each.jobs for each in stages_of(cells, chunk)}
        if stage not in stages:
            raise UsageError(f"--stage {stage[:80]!r} is none of {', '.join(stages)}{did_you_mean(stage, stages)}")
        jobs, what = stages[stage], f"stage {stage}"
    if index >= len(jobs):
        raise UsageError(f"--index {index}: {what} has {len(jobs)} jobs, counted from 0")
    return jobs[index]


def check_surroundings(manifest: Manifest, cells: Sequence[Cell]) -> None:
    """Refuse a machine that would compute other numbers than the cells' ids say: they hold versions of libraries.

    Raises EnvironmentFault. A run of before this was recorded is not checked.
    """
    if manifest.packages is not None and (changed := _changed(manifest.packages, package_versions())):
        raise EnvironmentFault(
            f"this machine has {changed}: its results would carry a wrong id; use the environment that planned the run"
        )
    trains = [cell for cell in cells if isinstance(cell, MakeCell) and cell.train and cell.settings.device == "cpu"]
    chosen = [cell for cell in trains if cell.train and cell.train.options.get("precision") in (None, "auto")]
    if chosen and manifest.cpu_bfloat16 is not None and manifest.cpu_bfloat16 != cpu_has_bfloat16():
        here = "has" if cpu_has_bfloat16() else "lacks"
        raise EnvironmentFault(
            f"this CPU {here} bfloat16 in hardware, unlike the one that planned the run, and '{chosen[0].title}' would "
            "be trained in another precision; set precision: float32 or bfloat16 in the suite"
        )


def _changed(planned: dict[str, str], here: dict[str, str]) -> str:
    names = [name for name in sorted({*planned, *here}) if planned.get(name) != here.get(name)]
    return ", ".join(f"{n} {here.get(n, 'not installed')} where the plan says {planned.get(n, 'none')}" for n in names)
