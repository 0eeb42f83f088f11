"""Make a model: start, train, quantise, save; or rewrite one for another runtime."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.cell.export import export, files_digest
from distbench.cell.opened import TeacherHandle, open_model
from distbench.errors import RunError, UsageError
from distbench.protocols import Progress
from distbench.schema.cell import MakeCell
from distbench.schema.record import MakeResult, Training
from distbench.schema.suite import DistilSpec, FitSpec
from distbench.store.run_dir import RunDir


def make(cell: MakeCell, run: RunDir, folder: Path, progress: Progress) -> MakeResult:
    """Write the made model to `folder`/model and return what was done."""
    if cell.deploy is not None:
        return export(cell, run, folder, progress)
    # The signal comes first: it may load the teachers, and they are gone again before the student is opened.
    signal, signal_seconds = _signal(cell, run, progress) if cell.train else (None, 0.0)
    model = _initial(cell, run)
    training = _train(cell, model, signal, signal_seconds, progress) if cell.train else None
    if cell.quantise:
        model = plugins.load("quantisers", cell.quantise.use)(plugins.options("quantisers", cell.quantise)).quantise(
            model
        )
    target = folder / "model"
    model.save(target)
    return MakeResult(
        use=cell.use,
        weights_digest=files_digest(target),
        footprint=model.footprint(),
        training=training,
    )


def _initial(cell: MakeCell, run: RunDir) -> Any:
    parent_ref = cell.start or (cell.teachers[0] if cell.teachers else None)
    if cell.init is None:
        if parent_ref is None:
            raise RunError(f"{cell.title}: nothing to start from")
        return open_model(parent_ref, run, cell.settings)
    kind = plugins.load("inits", cell.init.use)
    parent = None
    if kind.needs:
        if parent_ref is None:
            raise RunError(f"{cell.title}: init {cell.init.use!r} needs a parent")
        parent = open_model(parent_ref, run, cell.settings)
    return kind(plugins.options("inits", cell.init)).make(parent, cell.settings)


def _signal(cell: MakeCell, run: RunDir, progress: Progress) -> tuple[Any, float]:
    assert cell.train is not None
    source = plugins.load("data", cell.train.data.use)(plugins.options("data", cell.train.data))
    handles = [TeacherHandle(ref, run, cell.settings) for ref in cell.teachers]
    began = time.perf_counter()
    signal = source.signal(handles, cell.signal_temperature, cell.settings.seed, progress)
    return signal, time.perf_counter() - began


def _train(cell: MakeCell, model: Any, signal: Any, signal_seconds: float, progress: Progress) -> Training:
    spec: DistilSpec | FitSpec = cell.train  # type: ignore[assignment]
    if signal.kind not in type(model).learns:
        raise UsageError(
            f"{cell.title}: data {spec.data.use!r} gives {signal.kind}, which {cell.use!r} cannot learn from"
        )
    method = plugins.load("methods", spec.use)(plugins.options("methods", spec))
    recipe = method.recipe(cell.settings.seed)
    began = time.perf_counter()
    report = model.learn(signal, recipe, progress)
    return Training(
        method=spec.use,
        objective="KL to the teacher" if recipe.objective == "soft" else "cross-entropy on labels",
        data=spec.data.use,
        data_digest=signal.digest,
        examples=signal.examples,
        units=report.units,
        epochs=float(report.epochs),
        steps=report.steps,
        seconds=time.perf_counter() - began,
        teacher_seconds=0.0 if signal.from_cache else signal_seconds,
        from_cache=signal.from_cache,
        heldout_kl_before=report.heldout_before,
        heldout_kl_after=report.heldout_after,
        heldout_n=report.heldout_n,
        loss=report.loss,
        options=report.options,
    )
