"""Make a model: start, train, quantise, save; or rewrite one for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.cell.card import write_card
from distbench.cell.export import export, files_digest
from distbench.cell.opened import open_model
from distbench.cell.teach import prepare, teach
from distbench.errors import RunError
from distbench.protocols import Progress
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.record import MakeResult, Training
from distbench.store.run_dir import RunDir
from distbench.training.processes import Processes


def make(cell: MakeCell, run: RunDir, folder: Path, progress: Progress) -> MakeResult:
    """Write the made model to `folder`/model and return what was done."""
    if cell.deploy is not None:
        return export(cell, run, folder, progress)
    model, chosen, training = learn(cell, run, progress)
    if cell.quantise:
        model = plugins.load("quantisers", cell.quantise.use)(plugins.options("quantisers", cell.quantise)).quantise(
            model
        )
    target = folder / "model"
    model.save(target)
    weights_digest = files_digest(target)
    write_card(cell, chosen, training, weights_digest, target)
    return MakeResult(
        use=cell.use,
        weights_digest=weights_digest,
        footprint=model.footprint(),
        initial=chosen,
        training=training,
    )


def learn(cell: MakeCell, run: RunDir, progress: Progress) -> tuple[Any, dict[str, Any] | None, Training | None]:
    """Return the model after its training, what its initialiser chose, and what the training did.

    Of several processes each does this, and only the first one's model is whole.
    """
    processes = Processes.here()
    cell = cell.model_copy(update={"settings": processes.own(cell.settings)})
    with processes.together(cell.settings):
        # The signal comes first: it may load the teachers, and they are gone again before the student is opened.
        lesson = prepare(cell, run, progress) if cell.train else None
        model, chosen = _initial(cell, run)
        training = teach(cell, run, model, lesson, progress) if lesson else None
    return model, chosen, training


def less_memory(cell: MakeCell | EvaluateCell | MeasureCell) -> str:
    """Return what would need less memory, in words, for a cell that trains; nothing for another one."""
    if not isinstance(cell, MakeCell) or cell.train is None:
        return ""
    batch = cell.train.options.get("batch_size")
    if batch == 1:
        return "; its batch_size is 1 already: lora, or shorter rows of data, need less"
    now = "" if batch is None else f" than {batch}"
    return f"; a smaller batch_size{now} with a larger accumulate makes the same steps in less memory"


def _initial(cell: MakeCell, run: RunDir) -> tuple[Any, dict[str, Any] | None]:
    """Return the untrained model, and what its initialiser chose."""
    parent_ref = cell.start or (cell.teachers[0] if cell.teachers else None)
    if cell.init is None:
        if parent_ref is None:
            raise RunError(f"{cell.title}: nothing to start from")
        return open_model(parent_ref, run, cell.settings), None
    kind = plugins.load("inits", cell.init.use)
    parent = None
    if kind.needs:
        if parent_ref is None:
            raise RunError(f"{cell.title}: init {cell.init.use!r} needs a parent")
        parent = open_model(parent_ref, run, cell.settings)
    initialiser = kind(plugins.options("inits", cell.init))
    return initialiser.make(parent, cell.settings), getattr(initialiser, "notes", None) or None
