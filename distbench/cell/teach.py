"""Train a model: ask the data source for a signal, follow the method's recipe, say what happened."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.cell.opened import TeacherHandle
from distbench.data.tokenizers import difference
from distbench.errors import RunError, UsageError
from distbench.protocols import LearnSession, Progress, SignalRequest, TrainingRecipe
from distbench.schema.cell import MakeCell
from distbench.schema.record import Training
from distbench.schema.suite import DistilSpec, FitSpec
from distbench.schema.training import Term
from distbench.store.run_dir import RunDir
from distbench.training import checkpoints
from distbench.training.processes import Processes


def _weights(cell: MakeCell) -> tuple[float, ...]:
    """Return the weights of the teachers in their mixture, summing to 1."""
    given = cell.train.teacher_weights if isinstance(cell.train, DistilSpec) else None
    given = given or [1.0] * len(cell.teachers)
    return tuple(weight / sum(given) for weight in given)


BY_TOKEN = frozenset({"distribution", "logits"})  # what losses ask that is only comparable token by token


@dataclass(frozen=True)
class Lesson:
    """What a student will learn from, and how long it took to get it."""

    signal: Any
    seconds: float


def prepare(cell: MakeCell, run: RunDir, progress: Progress) -> Lesson:
    """Get the training signal; teachers that are loaded for it are gone when it is there."""
    assert cell.train is not None
    source = plugins.load("data", cell.train.data.use)(plugins.options("data", cell.train.data))
    ask = SignalRequest(
        teachers=[TeacherHandle(ref, run, cell.settings) for ref in cell.teachers],
        weights=_weights(cell),
        temperature=cell.signal_temperature,
        seed=cell.settings.seed,
        record=cell.record,
        asks=_asks(cell.train),
        tokenizer=_tokenizer(cell, run),
        progress=progress,
    )
    if source.yields == "tokens":
        _check_tokenizers(ask)
    began, processes = time.perf_counter(), Processes.here()
    with processes.first_alone():  # it records what the teacher says; the others find it in the cache
        signal = source.signal(ask)
    if processes.shared(signal.digest) != signal.digest:
        raise RunError(f"data {cell.train.data.use!r} gave process {processes.rank} other rows than the first one")
    return Lesson(signal, time.perf_counter() - began)


def _check_tokenizers(ask: SignalRequest) -> None:
    """Raise UsageError where a loss compares distributions over tokens that mean different texts."""
    if ask.tokenizer is None or not ask.asks & BY_TOKEN:
        return
    own = ask.tokenizer()
    for teacher in ask.teachers:
        other = teacher.tokenizer()
        if own is None or other is None:
            raise UsageError("a loss that compares distributions over tokens needs the tokenizers of both models")
        if found := difference(other.get_vocab(), own.get_vocab()):
            raise UsageError(found)


def _asks(train: DistilSpec | FitSpec) -> frozenset[str]:
    """Return what an objective wants of the teachers."""
    recipe = plugins.load("methods", train.use)(plugins.options("methods", train)).recipe(0)
    return frozenset(str(plugins.load("losses", term.use).asks) for term in recipe.terms) - {"nothing"}


def _tokenizer(cell: MakeCell, run: RunDir) -> Callable[[], Any] | None:
    """Return what loads the tokenizer of the model that will learn: that of the model it starts from."""
    start = cell.start or (cell.teachers[0] if cell.teachers else None)
    return TeacherHandle(start, run, cell.settings).tokenizer if start is not None else None


def teach(cell: MakeCell, run: RunDir, model: Any, lesson: Lesson, progress: Progress) -> Training:
    """Train a loaded model and return what the training did."""
    signal = lesson.signal
    spec: DistilSpec | FitSpec = cell.train  # type: ignore[assignment]
    if signal.kind not in type(model).learns:
        raise UsageError(
            f"{cell.title}: data {spec.data.use!r} gives {signal.kind}, which {cell.use!r} cannot learn from"
        )
    method = plugins.load("methods", spec.use)(plugins.options("methods", spec))
    recipe = method.recipe(cell.settings.seed)
    scratch = run.scratch(cell.id)
    session = LearnSession(
        progress=progress,
        scratch=scratch,
        teachers=[] if cell.record else [TeacherHandle(ref, run, cell.settings) for ref in cell.teachers],
        weights=_weights(cell),
        launch=spec.launch,
        board=_board(cell),
    )
    began, reached = time.perf_counter(), checkpoints.Pulse(scratch).last()
    report = model.learn(signal, recipe, session)
    return Training(
        method=spec.use,
        objective=objective_words(recipe),
        data=spec.data.use,
        data_digest=signal.digest,
        examples=signal.examples,
        units=report.units,
        epochs=float(report.epochs),
        steps=report.steps,
        seconds=time.perf_counter() - began,
        teacher_seconds=0.0 if signal.from_cache else lesson.seconds,
        from_cache=signal.from_cache,
        heldout_kl_before=report.heldout_before,
        heldout_kl_after=report.heldout_after,
        heldout_n=report.heldout_n,
        loss=report.loss,
        heldout=report.heldout,
        kept_step=report.kept_step,
        stopped=report.stopped,
        resumed_from=report.resumed_from,
        redone_steps=max(0, reached - (report.resumed_from or 0)) if reached else None,
        options=report.options | ({"data": facts} if (facts := getattr(signal, "facts", {})) else {}),
    )


def _board(cell: MakeCell) -> Path | None:
    """Return the folder that $DISTBENCH_TENSORBOARD names for a training: it changes nothing, so no suite has it."""
    folder = os.environ.get("DISTBENCH_TENSORBOARD")
    return Path(folder) / f"{cell.title.removeprefix('make ')}-{cell.id[:8]}" if folder else None


def objective_words(recipe: TrainingRecipe) -> str:
    """Return the terms of an objective in words, with their weights where there are several."""
    if len(recipe.terms) == 1:
        return _term_words(recipe.terms[0])
    return " + ".join(f"{term.weight:g} × {_term_words(term)}" for term in recipe.terms)


def _term_words(term: Term) -> str:
    options = ", ".join(f"{key} {value}" for key, value in term.options.items() if (key, value) != ("temperature", 1.0))
    return f"{term.use} ({options})" if options else term.use
