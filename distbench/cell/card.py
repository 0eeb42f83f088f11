"""The card of a model that was made here: what it is, whose weights and answers went into it, and how it was trained.

`README.md` is a Hugging Face model card, `provenance.json` the same for programs. Neither is part of a model's content.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distbench import __version__
from distbench.data.located import without_paths
from distbench.data.trust import code_named, python_files
from distbench.host import package_versions
from distbench.schema.cell import MakeCell, ModelRef
from distbench.schema.record import Training
from distbench.schema.starts import start_words

CARD, PROVENANCE = "README.md", "provenance.json"
CARD_FILES = frozenset({CARD, PROVENANCE})


def write_card(
    cell: MakeCell, initial: dict[str, Any] | None, training: Training | None, weights_digest: str, folder: Path
) -> None:
    """Write both files into a made model's folder. `initial`: what the initialiser chose."""
    facts = provenance(cell, initial, training, weights_digest) | {"code": _own_code(folder)}
    (folder / PROVENANCE).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card(facts), encoding="utf-8")


def provenance(
    cell: MakeCell, initial: dict[str, Any] | None, training: Training | None, weights_digest: str
) -> dict[str, Any]:
    """Return what made the model, from what. Names are the suite's; digests say what the names stood for."""
    return {
        "distbench": __version__,
        "cell": cell.id,
        "role": cell.role,
        "model": cell.use,
        "weights_digest": weights_digest,
        "start": _model(cell.start),
        "init": _step(cell.init and without_paths(cell.init, "inits")),
        "initial": initial,
        "teachers": [_model(teacher) for teacher in cell.teachers] if training else [],
        "train": _step(cell.train),
        "training": training.model_dump(mode="json", exclude={"loss"}) if training else None,
        "quantise": _step(cell.quantise),
        "seed": cell.settings.seed,
        "dtype": cell.settings.dtype,
        "device": cell.settings.device,
        "packages": package_versions(),
    }


def _own_code(folder: Path) -> dict[str, str]:
    """Return the Python that a model needs to be opened, name → SHA-256: its parent's, which was saved with it."""
    return python_files(folder) if code_named(folder) else {}


def _model(ref: ModelRef | None) -> dict[str, Any] | None:
    if ref is None:
        return None
    allowed = {"trusted": ref.trusted.model_dump()} if ref.trusted is not None else {}
    return {"name": ref.name, "use": ref.use, "identity": ref.identity} | allowed


def _step(use: Any) -> dict[str, Any] | None:
    return use.model_dump(mode="json", exclude_none=True) if use is not None else None


def card(facts: dict[str, Any]) -> str:
    """Return the model card of these facts."""
    tags = ["distbench", *(["knowledge-distillation"] if facts["teachers"] else [])]
    lines = ["---", f"tags: {json.dumps(tags)}", "---", "", f"# A {facts['role']} made by distbench", ""]
    lines += [f"| | |\n|---|---|\n{_rows(facts)}", ""]
    if facts["training"]:
        lines += ["## Training", "", f"| | |\n|---|---|\n{_training_rows(facts['training'])}", ""]
    return "\n".join([*lines, f"`{PROVENANCE}` has all of it, for programs.", ""])


def _rows(facts: dict[str, Any]) -> str:
    said = {
        "kind": facts["model"],
        "started from": _named(facts["start"]),
        "initialised by": _words(facts["init"]),
        **dict(start_words(facts["initial"] or {}, _number)),
        "taught by": ", ".join(filter(None, map(_named, facts["teachers"]))),
        "trained by": _words(facts["train"]),
        "quantised by": _words(facts["quantise"]),
        "seed": facts["seed"],
        "needs its own Python": _code(facts.get("code") or {}),
        "weights (SHA-256)": f"`{facts['weights_digest']}`",
        "distbench": facts["distbench"],
    }
    return _table(said)


def _code(code: dict[str, str]) -> str | None:
    files = ", ".join(f"{name} (`{found[:16]}`)" for name, found in code.items())
    return f"{files}: trust_remote_code is needed to open it; the code came from its parent" if code else None


def _training_rows(training: dict[str, Any]) -> str:
    before, after = training["heldout_kl_before"], training["heldout_kl_after"]
    said = {
        "objective": training["objective"],
        "data": f"{training['data']} ({training['examples']} examples, `{training['data_digest'][:16]}`)",
        "budget": f"{training['units']} tokens or examples, {training['steps']} steps",
        "held-out KL(teacher ‖ student)": None
        if after is None
        else f"{_number(before)} before, {_number(after)} after",
        "held-out cross-entropy": _entropy(training["options"].get("heldout_cross_entropy")),
        "weights kept": None if training["kept_step"] is None else f"of step {training['kept_step']}",
        "ended by": training["stopped"],
        "seconds": f"{training['seconds']:.1f}",
    }
    return _table(said)


def _entropy(found: Any) -> str | None:
    return f"{_number(found[0])} before, {_number(found[1])} after, nats" if found else None


def _table(said: dict[str, Any]) -> str:
    return "\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in said.items() if value not in (None, ""))


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"


def _named(model: dict[str, Any] | None) -> str | None:
    return f"{model['name']} (`{model['identity'][:16]}`)" if model else None


def _words(step: dict[str, Any] | None) -> str | None:
    if step is None:
        return None
    options = ", ".join(f"{key} {json.dumps(value)}" for key, value in step.items() if key != "use")
    return f"{step['use']} ({options})" if options else str(step["use"])
