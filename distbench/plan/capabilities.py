"""Can these plug-ins work together? Asked before a model is loaded: needs minus offers, nothing about modalities."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.data.tokenizers import difference, vocabulary_of
from distbench.errors import EnvironmentFault, UsageError
from distbench.protocols import TrainingRecipe
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, ModelRef, models_of
from distbench.schema.strict import Use
from distbench.schema.suite import DistilSpec, FitSpec, TaskSpec
from distbench.schema.training import Term
from distbench.training.processes import held_by
from distbench.work import generation


def family(use: str) -> Any:
    """Return a model plug-in's class."""
    return plugins.load("models", use)


def check_offers(what: str, needs: frozenset[str], use: str) -> None:
    """Raise UsageError where a model family lacks a capability."""
    if missing := needs - family(use).offers:
        have = ", ".join(sorted(family(use).offers))
        raise UsageError(f"{what} needs {', '.join(sorted(missing))}, which {use!r} does not offer (it offers {have})")


def check_runs(group: str, use: str, what: str, device: str) -> None:
    """Check that what a plug-in needs is installed, and that it runs on the device; nothing is moved silently."""
    plugins.check_installed(group, use)
    devices = getattr(plugins.load(group, use), "devices", None)
    if devices is not None and device.partition(":")[0] not in devices:
        raise EnvironmentFault(f"{what}: {use!r} runs on {', '.join(sorted(devices))} only, not on {device}")


def variables_of(use: str, options: dict[str, Any]) -> frozenset[str]:
    """Return the environment variables that a model reads: a key belongs there, and in no file or record."""
    ask = getattr(family(use), "variables", None)
    return frozenset(ask(plugins.options("models", Use(use=use, **options)))) if ask else frozenset()


def check_variables(use: str, options: dict[str, Any], name: str) -> None:
    """Check that the variables are set. Their values are looked at by nobody here."""
    for variable in sorted(variables_of(use, options)):
        if not os.environ.get(variable):
            raise EnvironmentFault(f"model {name!r}: the environment variable {variable} is not set")


def check_opening(ref: ModelRef, options: dict[str, Any], name: str) -> None:
    """Check that a model's files can be opened in the way that its options say, where its plug-in can tell."""
    check = getattr(family(ref.use), "check_options", None)
    if check is None or not options:
        return
    try:
        check(Path(ref.path) if ref.path else None, plugins.options("models", Use(use=ref.use, **options)))
    except UsageError as error:
        raise UsageError(f"model {name!r}: {error}") from None


def check_processes(cells: Sequence[MakeCell | EvaluateCell | MeasureCell]) -> None:
    """Raise UsageError where a model that processes hold together would be asked for more than answers to tasks."""
    for cell in cells:
        divided = {ref.name: held_by(ref) for ref in models_of(cell)}
        several = {name: count for name, count in divided.items() if count > 1}
        if not several:
            continue
        name, count = next(iter(several.items()))
        if not isinstance(cell, EvaluateCell):
            raise UsageError(
                f"'{cell.title}': model {name!r} is divided among {count} processes (tensor_parallel), which only "
                "evaluations know; let a server hold it (use: openai) to measure it or to learn from its answers"
            )
        if len(set(several.values())) > 1:
            raise UsageError(f"'{cell.title}': its models are divided among different numbers of processes")


def check_task(task: TaskSpec, use: str, name: str, options: dict[str, Any]) -> None:
    """Check that a model can be asked a task."""
    kind, offers = plugins.load("tasks", task.use), family(use).offers
    if not getattr(kind, "instead", kind.needs) <= offers:
        check_offers(f"task {task.title!r} of model {name!r}", kind.needs, use)
    if hasattr(kind, "check_model"):
        kind.check_model(task, offers, options)
    if hasattr(kind, "reads") and kind.reads(task) not in family(use).learns:
        can = ", ".join(sorted(family(use).learns)) or "nothing"
        raise UsageError(f"task {task.title!r} asks about {kind.reads(task)}; model {name!r} ({use}) reads {can}")


def check_work(workload: TaskSpec | None, use: str, name: str) -> None:
    """Check that a model can do the work that the meters repeat: the first task's, or generation without any task."""
    needs = plugins.load("tasks", workload.use).work_needs if workload else frozenset({generation.NEEDS})
    what = f"the work of task {workload.title!r}" if workload else "generation (the suite has no task)"
    check_offers(f"measure: {what}, asked of {name!r},", needs, use)


def check_training(train: DistilSpec | FitSpec, student: str, use: str, teachers: list[str]) -> None:
    """Check that a student can learn from its data, and that every teacher can be asked for it."""
    plugins.check_installed("data", train.data.use)
    data = plugins.load("data", train.data.use)(plugins.options("data", train.data))
    method = plugins.load("methods", train.use)
    learns = family(use).learns
    if data.yields not in learns:
        can = ", ".join(sorted(learns)) or "nothing"
        raise UsageError(f"student {student!r}: data {train.data.use!r} gives {data.yields}; {use!r} learns from {can}")
    if method.uses_teacher and not teachers:
        raise UsageError(f"{student!r}: method {train.use!r} needs a teacher")
    if train.options.get("lora") is not None:
        check_offers(f"student {student!r}: lora", frozenset({"lora"}), use)
        plugins.check_extra(f"student {student!r}: lora", "peft", "lora")
    if train.launch is not None and train.launch.processes > 1:
        check_offers(f"student {student!r}: launch", frozenset({"processes"}), use)
    besides = frozenset[str]()
    if hasattr(data, "needs_for"):
        recipe = method(plugins.options("methods", train)).recipe(0)
        besides = data.needs_for(asks_of(recipe.terms))
        if hasattr(data, "needs_of_student"):
            own = data.needs_of_student(asks_of(recipe.terms))
            check_offers(f"student {student!r}: method {train.use!r} on data {train.data.use!r}", own, use)
    for teacher in teachers:
        check_offers(f"student {student!r}: data {train.data.use!r}", data.needs, teacher)
        check_offers(f"student {student!r}: method {train.use!r} on data {train.data.use!r}", besides, teacher)


def signal_of(train: DistilSpec | None, student: str, use: str) -> tuple[float, bool]:
    """Return at which temperature a student's teacher is asked, and whether before the training, or in each step.

    Raises UsageError where the objective cannot be computed from what the suite wants recorded.
    """
    if train is None:
        return 1.0, True
    recipe = plugins.load("methods", train.use)(plugins.options("methods", train)).recipe(0)
    for term in recipe.terms:
        plugins.options("losses", term)
    possible = can_be_recorded(recipe)
    if recipe.teacher_outputs == "recorded" and not possible:
        asked = ", ".join(sorted(asks_of(recipe.terms)))
        raise UsageError(
            f"student {student!r}: teacher_outputs: recorded keeps a distribution at one temperature, and this "
            f"objective needs {asked}{' on texts that the student writes' if recipe.on_policy else ''}; use online"
        )
    wants_online = recipe.teacher_outputs == "online" or not possible
    if wants_online and not can_be_online(recipe, train.data.use):
        raise UsageError(
            f"student {student!r}: data {train.data.use!r} only records what a teacher says before the training, and "
            f"this objective asks it while training"
        )
    return recipe.temperature, not wants_online


def can_be_recorded(recipe: TrainingRecipe) -> bool:
    """Return whether the teacher's likeliest tokens at one temperature are all that a recipe needs of it."""
    softness = {term.options.get("temperature") for term in recipe.terms if asks_of([term])}
    return asks_of(recipe.terms) <= {"distribution"} and len(softness) <= 1 and recipe.on_policy == 0.0


def can_be_online(recipe: TrainingRecipe, data: str) -> bool:
    """Return whether a data source lets teachers be asked in every step.

    `online` says it: for anything at all, or only for what is inside them, beside a distribution that is recorded.
    """
    online: bool | frozenset[str] = getattr(plugins.load("data", data), "online", False)
    if isinstance(online, bool):
        return online
    recorded = [term for term in recipe.terms if asks_of([term]) == {"distribution"}]
    inside = asks_of(recipe.terms) - {"distribution"}
    return bool(inside) and inside <= online and can_be_recorded(replace(recipe, terms=tuple(recorded)))


def asks_of(terms: Sequence[Term]) -> frozenset[str]:
    """Return what losses ask of the teacher."""
    return frozenset(str(plugins.load("losses", term.use).asks) for term in terms) - {"nothing"}


def check_lora(train: DistilSpec | FitSpec, init: Use | None, name: str) -> None:
    """Raise UsageError where adapters would be put around weights that are random."""
    if init is None or train.options.get("lora") is None:
        return
    if getattr(plugins.load("inits", init.use)(plugins.options("inits", init)), "untrained", False):
        raise UsageError(f"{name!r}: lora adapts weights that are there, and init {init.use!r} makes random ones")


def check_init(init: Use, parent: str | None) -> None:
    """Ask an initialiser whether it fits its parent, where the parent's files lie here already."""
    fits = getattr(plugins.load("inits", init.use), "fits", None)
    if fits is not None and parent is not None:
        fits(plugins.load("inits", init.use)(plugins.options("inits", init)), Path(parent))


def makes_untrained(init: Use) -> bool:
    """Return whether nothing of what a teacher knows is in what an initialiser makes."""
    kind = plugins.load("inits", init.use)
    return not kind.needs or bool(getattr(kind, "untrained", False))


def check_tokens(train: DistilSpec, student: str, start: ModelRef, teachers: Sequence[ModelRef]) -> None:
    """Raise UsageError where a loss would compare distributions over tokens that mean different texts.

    What lies in files is looked at; models that another cell makes are checked when they are there.
    """
    recipe = plugins.load("methods", train.use)(plugins.options("methods", train)).recipe(0)
    if start.path is None or not asks_of(recipe.terms) & {"distribution", "logits"}:
        return
    own = vocabulary_of(Path(start.path))
    for teacher in teachers:
        other = vocabulary_of(Path(teacher.path)) if teacher.path is not None else None
        if own is not None and other is not None and (found := difference(other, own)):
            raise UsageError(f"student {student!r}: {found}")


def check_start(init: Use | None, quantise: Use | None, student: str, parent: str) -> str:
    """Check the steps before and after training; return the family of the result."""
    use = parent
    if init is not None:
        kind = plugins.load("inits", init.use)
        if kind.needs:
            check_offers(f"student {student!r}: init {init.use!r}", kind.needs, parent)
        use = kind.makes or parent
    if quantise is not None:
        plugins.check_installed("quantisers", quantise.use)
        check_offers(
            f"student {student!r}: quantiser {quantise.use!r}", plugins.load("quantisers", quantise.use).needs, use
        )
    return use
