"""Rewrite a model for another runtime, and see whether it still says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.cell.agreement import agreement_of, listen, prompts_for, refuse_disagreement
from distbench.cell.card import CARD_FILES
from distbench.cell.opened import open_model
from distbench.data.checkpoint import weights_digest
from distbench.errors import RunError
from distbench.hashing import digest, file_digest
from distbench.protocols import Progress
from distbench.schema.cell import MakeCell
from distbench.schema.record import MakeResult
from distbench.schema.strict import Use
from distbench.store.run_dir import RunDir

STAGES = 3
UNASKED = "whether the export says the same as its source was not measured: the source is no language model"


def export(cell: MakeCell, run: RunDir, folder: Path, progress: Progress) -> MakeResult:
    """Write the exported model to `folder`/model and return how it agrees with its source.

    Raises RunError where an exact export says something else than its source.
    """
    assert cell.deploy is not None
    if cell.start is None:
        raise RunError(f"{cell.title}: nothing to export")
    deployment = plugins.load("deployments", cell.deploy.use)(plugins.options("deployments", cell.deploy))
    source = open_model(cell.start, run, cell.settings.model_copy(update={"dtype": "float32"}))
    target = folder / "model"
    target.mkdir()
    progress(0, STAGES, "exporting")
    deployment.export(source, target)
    progress(1, STAGES, "asking the source")
    asked = "language" in source.offers
    prompts = prompts_for(source, cell.settings.seed) if asked else None
    expected = listen(source, prompts.ids) if prompts else []
    del source  # one model at a time: an export is made on the machine that has room for it
    progress(2, STAGES, "asking the export")
    model = _opened(cell, target, deployment)
    agreement = None
    if prompts:
        agreement = agreement_of(prompts, expected, model, exact=deployment.exact(cell.settings))
        refuse_disagreement(agreement, cell.title)
    progress(STAGES, STAGES, "asking the export")
    return MakeResult(
        use=cell.use,
        weights_digest=files_digest(target),
        footprint=model.footprint(),
        agreement=agreement,
        notes=[] if asked else [UNASKED],
    )


def _opened(cell: MakeCell, folder: Path, deployment: Any) -> Any:
    """Open the export as its deployment says. A copy for the same plug-in may do what its source may."""
    kind, start = plugins.load("models", cell.use), cell.start
    assert start is not None
    permits: frozenset[str] = getattr(kind, "permits", frozenset()) if start.use == cell.use else frozenset()
    allowed = {key: value for key, value in start.options.items() if key in permits}
    return kind.open(
        folder, cell.settings, plugins.options("models", Use(use=cell.use, **allowed | deployment.opens()))
    )


def files_digest(folder: Path) -> str:
    """Return the content hash of a made model: of its safetensors files where it has any, else of every file."""
    if any(folder.glob("*.safetensors")):
        return weights_digest(folder)
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in CARD_FILES]
    return digest({path.name: file_digest(path) for path in files})
