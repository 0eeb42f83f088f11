"""Open or continue a run directory for a plan."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from distbench import __version__, secrets
from distbench.errors import UsageError
from distbench.execute.changed import changed_words
from distbench.host import cpu_has_bfloat16, package_versions
from distbench.plan.expand import Plan
from distbench.schema.plan import Manifest, PlannedCell
from distbench.schema.suite import Suite
from distbench.store.run_dir import RunDir, now


def default_out(suite_name: str) -> Path:
    """Return a new run directory's path: runs/<suite>-<utc>-<8 hex digits>."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("runs") / f"{suite_name}-{stamp}-{os.urandom(4).hex()}"


def beside(path: Path) -> Path:
    """Return where a new run beside a run begins: the first of PATH-2, PATH-3 … that does not exist."""
    named = path if path.name not in {"", ".."} else path.resolve()
    return next(each for n in count(2) if not (each := named.with_name(f"{named.name}-{n}")).exists())


def place_of(out_dir: Path | None, *, new_run: bool) -> Path | None:
    """Return where a command's run goes: `out_dir`, or a folder beside it where that holds a run and a new one is
    wanted."""
    if not new_run or out_dir is None or not (out_dir / "manifest.json").exists():
        return out_dir
    return beside(out_dir)


def manifest_of(plan: Plan, run: RunDir, suite_digest: str, command: list[str]) -> Manifest:
    """Describe a plan as the manifest of a run."""
    return Manifest(
        run=run.path.name,
        created_at=now(),
        distbench=__version__,
        command=secrets.command(command),
        suite_digest=suite_digest,
        suite=plan.suite,
        settings=plan.chosen.settings,
        device_reason=plan.chosen.reason,
        models=plan.models,
        cells=[PlannedCell(id=cell.id, kind=cell.kind, title=cell.title) for cell in plan.cells],
        task_order=[task.title for task in plan.tasks],
        warnings=plan.warnings,
        packages=package_versions(),
        cpu_bfloat16=cpu_has_bfloat16(),
    )


def begin(plan: Plan, run: RunDir, suite_digest: str, command: list[str]) -> None:
    """Write the manifest and the plan of a new run, or check that an old run has the same ones.

    Raises UsageError where the run was made from another suite or on other terms.
    """
    manifest = manifest_of(plan, run, suite_digest, command)
    if (run.path / "manifest.json").exists():
        old = run.manifest()
        if old.imported:
            raise UsageError(
                f"{run.path} was imported from {old.imported} output and cannot be run; name another --out"
            )
        if changed := _differences(old, manifest):
            raise UsageError(
                f"{run.path} was made from another suite; changed: {changed}; run with --new-run to begin another in "
                f"{beside(run.path)}, or name another --out (finished evaluations are reused from the cache)"
            )
        if old.suite != plan.suite:  # other limits or resources: jobs of a cluster read them here
            run.write_manifest(old.model_copy(update={"suite": plan.suite}))
        return
    run.write_plan(plan.cells)
    run.write_manifest(manifest)


def _deciding(suite: Suite) -> dict[str, Any]:
    """Return a suite without what only says where and when its cells run, and how much they may use."""
    each = {"__all__": {"resources"}}
    without: dict[str, Any] = {"limits": True, "resources": True, "teachers": each, "students": each}
    return suite.model_dump(mode="json", exclude=without)


def _differences(old: Manifest, new: Manifest) -> str:
    """Return in words what decides numbers and is not as it was; empty where nothing is."""
    if changed := changed_words(_deciding(old.suite), _deciding(new.suite)):
        return changed
    if old.settings != new.settings:
        return changed_words({"settings": _dump(old.settings)}, {"settings": _dump(new.settings)})
    if [c.id for c in old.cells if not c.added] != [c.id for c in new.cells]:
        return "a model, a data file or an installed package"
    return ""


def _dump(value: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = value.model_dump(mode="json")
    return dumped
