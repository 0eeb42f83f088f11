"""Is every id, digest and sum of a run that of what it stands for?"""

from __future__ import annotations

import json
from typing import Any

from distbench.cell.card import CARD_FILES
from distbench.compare.evidence import Cell
from distbench.hashing import digest, short_digest
from distbench.schema.cell import EvaluateCell, MakeCell
from distbench.schema.record import MakeResult
from distbench.store.files import sums_of
from distbench.verify.looking import Look
from distbench.verify.subject import MODEL, Subject, read


def suite(subject: Subject, look: Look) -> None:
    """The suite in the manifest is the one that was hashed when the run began. Its text is hashed as it stands."""
    raw = json.loads(read(subject.run.path / "manifest.json"))
    look.saw()
    if digest(raw["suite"]) != subject.manifest.suite_digest:
        look.damaged("manifest.json", "its suite (models, tasks, thresholds) is not the one that the run began with")


def ids(subject: Subject, look: Look) -> None:
    """A cell's id is the hash of what decides its numbers, and that is what the cell says."""
    silent = 0
    for name, cell in subject.planned.items():
        if cell.decided_by is None:
            silent += 1
            continue
        look.saw()
        where = f"plan/{name}.json"
        if short_digest(cell.decided_by) != name:
            look.damaged(where, "what decides its numbers does not hash to its id")
        elif wrong := _contradictions(cell, subject):
            look.damaged(where, f"it contradicts what its id is the hash of: {', '.join(wrong)}")
    if silent:
        look.unknown("plan", f"{silent} cells do not say what their id is the hash of: an earlier version planned them")


def _contradictions(cell: Cell, subject: Subject) -> list[str]:
    """Return what a cell says otherwise than the list that its id was made of (see `distbench.plan.identity`)."""
    hashed = cell.decided_by
    assert hashed is not None
    if hashed[0] == "imported":
        said: dict[str, tuple[Any, Any]] = {"model": (_model(cell), hashed[3]), "task": (_task(cell), hashed[4])}
        return [name for name, (mine, theirs) in said.items() if mine != theirs]
    surroundings = hashed[6] if cell.kind == "evaluate" else hashed[-1]
    settings = cell.settings
    said = {
        "kind": (cell.kind, hashed[0]),
        "seed": (settings.seed, surroundings["seed"]),
        "dtype": (settings.dtype, surroundings["dtype"]),
        "device": (settings.device.split(":")[0], surroundings["device"]),
        **_own(cell, hashed),
    }
    record = subject.records.get(cell.id)
    if record is not None and record.packages:
        used = {name: version for name, version in record.packages.items() if name != "distbench"}
        said["packages of its record"] = (used, surroundings["packages"])
    return [name for name, (mine, theirs) in said.items() if mine != theirs]


def _own(cell: Cell, hashed: list[Any]) -> dict[str, tuple[Any, Any]]:
    """Return what only cells of this kind are hashed of: (as the cell says it, as it was hashed)."""
    if isinstance(cell, EvaluateCell):
        beside = [cell.reference.identity, cell.reference.use] if cell.reference else []
        spec = cell.task.model_dump(mode="json", exclude={"data", "weight", "group"})
        return {
            "model": (cell.model.identity, hashed[1]),
            "model plug-in": (cell.model.use, hashed[2]),
            "task": (spec, hashed[3]),
            "reference": (beside, hashed[7:]),
        }
    if isinstance(cell, MakeCell):
        parts = hashed[1]
        return {
            "model plug-in": (cell.use, parts["use"]),
            "teachers": ([ref.identity for ref in cell.teachers], parts["teachers"]),
            "start": (cell.start.identity if cell.start else None, parts["start"]),
            "temperature": (cell.signal_temperature, parts["temperature"]),
            "training": (cell.train.use if cell.train else None, hashed[2]["use"] if hashed[2] else None),
            **{step: (_use(getattr(cell, step)), _used(parts.get(step))) for step in ("init", "quantise", "deploy")},
        }
    return {
        "models": ([[ref.name, ref.identity] for ref in cell.models], hashed[1]),
        "meters": (cell.meters, hashed[2]),
        "threads": (cell.settings.threads, hashed[5]),
    }


def _use(step: Any) -> str | None:
    return step.use if step is not None else None


def _used(step: Any) -> str | None:
    return step["use"] if step else None


def _model(cell: Cell) -> str | None:
    return cell.model.identity if isinstance(cell, EvaluateCell) else None


def _task(cell: Cell) -> Any:
    return cell.task.model_dump(mode="json") if isinstance(cell, EvaluateCell) else None


def seals(subject: Subject, look: Look) -> None:
    """Every file of every finished cell is the one that was sealed; none is missing, added or a link."""
    for name, faults in subject.damaged.items():
        look.saw()
        for why in faults:
            look.damaged(f"cells/{name}", why)


def weights(subject: Subject, look: Look) -> None:
    """The weights of every model that was made have the digest that its record states: of the files as sealed."""
    for name, record in subject.records.items():
        made, sums = record.result, sums_of(subject.run.cells / name)
        if not isinstance(made, MakeResult) or isinstance(sums, str):
            continue
        look.saw()
        if weights_of_sums(sums) != made.weights_digest:
            look.damaged(f"cells/{name}/model", "its weights are not those that its record states")
        _card(name, made, subject, look)


def weights_of_sums(sums: dict[str, str]) -> str:
    """Return what `distbench.cell.export.files_digest` says of a model whose files have these digests."""
    model = {name.removeprefix(MODEL): found for name, found in sums.items() if name.startswith(MODEL)}
    files = {name: found for name, found in sorted(model.items()) if "/" not in name}
    tensors = {name: found for name, found in files.items() if name.endswith(".safetensors")}
    return digest(tensors or {name: found for name, found in files.items() if name not in CARD_FILES})


def _card(name: str, made: MakeResult, subject: Subject, look: Look) -> None:
    """The model's own provenance.json says the same of it."""
    path = subject.run.cells / name / "model" / "provenance.json"
    if not path.exists():
        return
    facts = json.loads(read(path))
    said = (facts.get("cell"), facts.get("weights_digest")) if isinstance(facts, dict) else None
    if said != (name, made.weights_digest):
        look.damaged(f"cells/{name}/model/provenance.json", "it is about another model")
