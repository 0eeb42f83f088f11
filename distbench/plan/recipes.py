"""What makes a model, before it is a cell: the steps of a recipe, where it came from, and both in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from distbench.plan.identity import step
from distbench.schema.cell import ModelRef
from distbench.schema.strict import Use
from distbench.schema.suite import DistilSpec, FitSpec, StudentSpec


@dataclass(frozen=True)
class Recipe:
    """The steps that make a model: start, initialise, train, quantise; or start and deploy."""

    teachers: list[ModelRef] = field(default_factory=list)
    start: ModelRef | None = None
    init: Use | None = None
    train: DistilSpec | FitSpec | None = None
    quantise: Use | None = None
    deploy: Use | None = None
    temperature: float = 1.0
    record: bool = True

    @property
    def verb(self) -> str:
        """What the recipe does, in a word; to "convert" is only to rewrite a source in the plug-in's own format."""
        if self.deploy is not None:
            return "export"
        steps = (self.init, self.train, self.quantise)
        return "convert" if self.start is not None and not any(steps) else "make"

    def parts(self, use: str) -> dict[str, Any]:
        """Return what decides the result, for the cell's id; training is hashed with its data beside it."""
        return {
            "use": use,
            "teachers": [teacher.identity for teacher in self.teachers],
            "start": self.start.identity if self.start else None,
            "init": step(self.init, "inits"),
            "quantise": step(self.quantise, "quantisers"),
            "temperature": self.temperature,
            "record": self.record,
        } | ({"deploy": step(self.deploy, "deployments")} if self.deploy else {})


@dataclass(frozen=True)
class Origin:
    """Where a model came from, in words, and what a reader must know about it."""

    words: str
    notes: list[str] = field(default_factory=list)


MADE_HERE = Origin("made in this run")


@dataclass(frozen=True)
class Made:
    """What all training runs of a student share: its family, how it is opened, and its recipe."""

    spec: StudentSpec
    use: str
    options: dict[str, Any]
    recipe: Recipe
    origin: Origin
    controlled: bool


def words(use: Use) -> str:
    """Return a step in words: its name and its options."""
    options = ", ".join(f"{key} {value}" for key, value in use.options.items() if not isinstance(value, dict))
    return f"{use.use} ({options})" if options else use.use


def recipe_words(spec: StudentSpec, train: DistilSpec | None) -> str:
    """Return a student's recipe in words."""
    steps = [spec.source and f"source {spec.source}", spec.init and words(spec.init)]
    if train is not None:
        steps.append(f"{words(train)} on {words(train.data)}")
    steps.append(spec.quantise and words(spec.quantise))
    if spec.options:
        steps.append("opened with " + ", ".join(f"{key} {value}" for key, value in spec.options.items()))
    if isinstance(spec.deploy, Use):
        steps.append(f"exported to {words(spec.deploy)}")
    return ", then ".join(step for step in steps if step)
