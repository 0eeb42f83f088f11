"""From the suite's teachers and students to planned models and the cells that make them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.errors import UsageError
from distbench.plan.capabilities import check_start, check_training, family
from distbench.plan.identity import make_id, step
from distbench.schema.cell import MakeCell, ModelRef, Role, Settings
from distbench.schema.plan import PlannedModel
from distbench.schema.strict import Use
from distbench.schema.suite import DistilSpec, FitSpec, StudentSpec, TeacherSpec

SUFFIX = "-no-teacher"


@dataclass(frozen=True)
class Recipe:
    """The steps that make a model: start, initialise, train, quantise."""

    teachers: list[ModelRef] = field(default_factory=list)
    start: ModelRef | None = None
    init: Use | None = None
    train: DistilSpec | FitSpec | None = None
    quantise: Use | None = None
    temperature: float = 1.0

    @property
    def converts(self) -> bool:
        """Whether the only step is to rewrite a source in the plug-in's own format."""
        return self.start is not None and self.init is None and self.train is None and self.quantise is None

    def parts(self, use: str) -> dict[str, Any]:
        """Return what decides the result, for the cell's id; training is hashed with its data beside it."""
        return {
            "use": use,
            "teachers": [teacher.identity for teacher in self.teachers],
            "start": self.start.identity if self.start else None,
            "init": step(self.init),
            "quantise": step(self.quantise),
            "temperature": self.temperature,
        }


@dataclass(frozen=True)
class Origin:
    """Where a model came from, in words, and what a reader must know about it."""

    words: str
    notes: list[str] = field(default_factory=list)


MADE_HERE = Origin("made in this run")


class ModelPlanner:
    """Collects planned models and make cells; a recipe that occurs twice is made once."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory, self.settings = directory, settings
        self.models: dict[str, PlannedModel] = {}
        self.cells: dict[str, MakeCell] = {}

    # -- teachers ---------------------------------------------------------------------------------------------------

    def teacher(self, name: str, spec: TeacherSpec) -> None:
        """Plan a teacher: found, converted, or fitted."""
        options = plugins.options("models", Use(use=spec.use, **spec.options)).model_dump(
            mode="json", exclude_defaults=True
        )
        if spec.source is not None:
            ref, found = self._source(name, "teacher", spec.use, spec.source)
            made_by = "loaded from its source"
        else:
            assert spec.fit is not None
            check_training(spec.fit, name, spec.use, [])
            init = Use(use=spec.use, **options)
            ref = self._make(name, "teacher", spec.use, Recipe(init=init, train=spec.fit))
            found, made_by = Origin("trained in this run"), f"{words(init)}, then {words(spec.fit)}"
        self.models[name] = PlannedModel(
            name=name,
            label=spec.label or name,
            role="teacher",
            made_by=made_by,
            origin=found.words,
            ref=ref,
            notes=found.notes,
        )

    # -- students ---------------------------------------------------------------------------------------------------

    def student(self, spec: StudentSpec) -> None:
        """Plan a student, and beside a distilled one its no-teacher control."""
        teachers = [self.models[name] for name in spec.teachers]
        start: ModelRef | None = None
        found = MADE_HERE
        parent = spec.use or teachers[0].ref.use
        if spec.source is not None:
            start, found = self._source(spec.name, "student", parent, spec.source)
        use = check_start(spec.init, spec.quantise, spec.name, parent)
        if spec.distil is None and spec.init is not None and not plugins.load("inits", spec.init.use).needs:
            raise UsageError(
                f"student {spec.name!r}: init {spec.init.use!r} makes an untrained model; give it a 'distil' step"
            )
        if spec.distil is None and spec.init is None and spec.quantise is None:
            assert start is not None, "the suite loader refuses a student with nothing to compare"
            self._keep(spec, start, "loaded from its source", found)
            return
        softness = float((spec.distil.options if spec.distil else {}).get("temperature", 1.0))
        refs = [teacher.ref for teacher in teachers]
        recipe = Recipe(refs, start, spec.init, spec.distil, spec.quantise, softness)
        control = self._plan_control(spec, use, recipe)
        if spec.distil is not None:
            check_training(spec.distil, spec.name, use, [t.ref.use for t in teachers])
        ref = self._make(spec.name, "student", use, recipe)
        self._keep(spec, ref, recipe_words(spec, spec.distil), found, control)
        if control is not None:
            self.models[control] = self.models.pop(control)  # after its student

    def _plan_control(self, spec: StudentSpec, use: str, recipe: Recipe) -> str | None:
        """Plan the same student, data and budget with the method that needs no teacher."""
        distil = spec.distil
        if distil is None or distil.control == "none":
            return None
        method = plugins.load("methods", distil.use)
        if not method.uses_teacher or not method.control:
            return None
        allowed = plugins.load("methods", method.control).Options.model_fields
        options = {key: value for key, value in distil.options.items() if key in allowed}
        train = DistilSpec(use=method.control, data=distil.data, control="none", **options)
        name = spec.name + SUFFIX
        ref = self._make(name, "control", use, replace(recipe, train=train))
        self.models[name] = PlannedModel(
            name=name,
            label=f"control of {spec.label or spec.name}",
            role="control",
            of=spec.teachers,
            control_of=spec.name,
            required=False,
            made_by=recipe_words(spec, train),
            origin=MADE_HERE.words,
            ref=ref,
        )
        return name

    def _keep(self, spec: StudentSpec, ref: ModelRef, made_by: str, found: Origin, control: str | None = None) -> None:
        self.models[spec.name] = PlannedModel(
            name=spec.name,
            label=spec.label or spec.name,
            role="student",
            of=spec.teachers,
            control=control,
            required=spec.required,
            made_by=made_by,
            origin=found.words,
            ref=ref,
            notes=found.notes,
        )

    # -- sources and recipes ----------------------------------------------------------------------------------------

    def _source(self, name: str, role: Role, use: str, source: str) -> tuple[ModelRef, Origin]:
        found = family(use).resolve(source, self.directory)
        ref = ModelRef(name=name, role=role, use=use, identity=found.identity, path=str(found.path))
        if found.converts:
            ref = self._make(name, role, use, Recipe(start=ref))
        return ref, Origin(found.origin, list(found.notes))

    def _make(self, name: str, role: Role, use: str, recipe: Recipe) -> ModelRef:
        """Plan the cell of a recipe, once, and return the model that it will make."""
        cell_id = make_id(recipe.parts(use), recipe.train, self.settings)
        parents = [*recipe.teachers, *([recipe.start] if recipe.start else [])]
        if cell_id not in self.cells:
            self.cells[cell_id] = MakeCell(
                id=cell_id,
                title=f"{'convert' if recipe.converts else 'make'} {name}",
                needs=list(dict.fromkeys(ref.cell for ref in parents if ref.cell)),
                role=role,
                use=use,
                teachers=recipe.teachers,
                start=recipe.start,
                init=recipe.init,
                train=recipe.train,
                quantise=recipe.quantise,
                signal_temperature=recipe.temperature,
                settings=self.settings,
            )
        return ModelRef(name=name, role=role, use=use, identity=cell_id, cell=cell_id)


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
    return ", then ".join(step for step in steps if step)
