"""From the suite's teachers and students to planned models and the cells that make them."""

from __future__ import annotations

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


class ModelPlanner:
    """Collects planned models and make cells; a recipe that occurs twice is made once."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory, self.settings = directory, settings
        self.models: dict[str, PlannedModel] = {}
        self.cells: dict[str, MakeCell] = {}

    # -- teachers ---------------------------------------------------------------------------------------------------

    def teacher(self, name: str, spec: TeacherSpec) -> None:
        """Plan a teacher: found, converted, or fitted."""
        options = plugins.options("models", Use(use=spec.use, **spec.options)).model_dump(mode="json", exclude_defaults=True)
        notes: list[str] = []
        if spec.source is not None:
            ref, origin, notes = self._source(name, "teacher", spec.use, spec.source)
            made_by = "loaded from its source"
        else:
            assert spec.fit is not None
            check_training(spec.fit, name, spec.use, [])
            init = Use(use=spec.use, **options)
            ref = self._make(name, "teacher", spec.use, teachers=[], init=init, train=spec.fit)
            origin, made_by = "trained in this run", f"{words(init)}, then {words(spec.fit)}"
        self.models[name] = PlannedModel(
            name=name, label=spec.label or name, role="teacher", made_by=made_by, origin=origin, ref=ref, notes=notes
        )

    # -- students ---------------------------------------------------------------------------------------------------

    def student(self, spec: StudentSpec) -> None:
        """Plan a student, and beside a distilled one its no-teacher control."""
        teachers = [self.models[name] for name in spec.teachers]
        start: ModelRef | None = None
        origin, notes = "made in this run", list[str]()
        parent = spec.use or teachers[0].ref.use
        if spec.source is not None:
            start, origin, notes = self._source(spec.name, "student", parent, spec.source)
        use = check_start(spec.init, spec.quantise, spec.name, parent)
        if spec.distil is None and spec.init is not None and not plugins.load("inits", spec.init.use).needs:
            raise UsageError(f"student {spec.name!r}: init {spec.init.use!r} makes an untrained model; give it a 'distil' step")
        if spec.distil is None and spec.init is None and spec.quantise is None:
            assert start is not None, "the suite loader refuses a student with nothing to compare"
            self._keep(spec, "student", start, "loaded from its source", origin, notes)
            return
        control = self._plan_control(spec, use, teachers, start)
        if spec.distil is not None:
            check_training(spec.distil, spec.name, use, [t.ref.use for t in teachers])
        ref = self._made(spec, "student", use, teachers, start, spec.distil)
        self._keep(spec, "student", ref, recipe_words(spec, spec.distil), origin, notes, control=control)
        if control is not None:
            self.models[control] = self.models.pop(control)  # after its student

    def _plan_control(self, spec: StudentSpec, use: str, teachers: list[PlannedModel], start: ModelRef | None) -> str | None:
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
        ref = self._made(spec, "control", use, teachers, start, train, name=name)
        self._keep(spec, "control", ref, recipe_words(spec, train), "made in this run", [], name=name)
        return name

    def _made(
        self, spec: StudentSpec, role: Role, use: str, teachers: list[PlannedModel], start: ModelRef | None,
        train: DistilSpec | None, name: str | None = None,
    ) -> ModelRef:  # fmt: skip
        return self._make(
            name or spec.name, role, use, teachers=[t.ref for t in teachers], start=start, init=spec.init, train=train,
            quantise=spec.quantise, temperature=float((spec.distil.options if spec.distil else {}).get("temperature", 1.0)),
        )  # fmt: skip

    def _keep(
        self, spec: StudentSpec, role: Role, ref: ModelRef, made_by: str, origin: str, notes: list[str],
        *, name: str | None = None, control: str | None = None,
    ) -> None:  # fmt: skip
        label = spec.label or spec.name
        is_control = role == "control"
        self.models[name or spec.name] = PlannedModel(
            name=name or spec.name,
            label=f"{label} (no teacher)" if is_control else label,
            role=role,
            of=spec.teachers,
            control_of=spec.name if is_control else None,
            control=control,
            required=spec.required and not is_control,
            made_by=made_by,
            origin=origin,
            ref=ref,
            notes=notes,
        )

    # -- sources and recipes ----------------------------------------------------------------------------------------

    def _source(self, name: str, role: Role, use: str, source: str) -> tuple[ModelRef, str, list[str]]:
        found = family(use).resolve(source, self.directory)
        ref = ModelRef(name=name, role=role, use=use, identity=found.identity, path=str(found.path))
        if found.converts:
            ref = self._make(name, role, use, teachers=[], start=ref)
        return ref, found.origin, list(found.notes)

    def _make(self, name: str, role: Role, use: str, *, teachers: list[ModelRef], start: ModelRef | None = None,
              init: Use | None = None, train: DistilSpec | FitSpec | None = None, quantise: Use | None = None,
              temperature: float = 1.0) -> ModelRef:  # fmt: skip
        parts: dict[str, Any] = {
            "use": use, "teachers": [t.identity for t in teachers], "start": start.identity if start else None,
            "init": step(init), "quantise": step(quantise), "temperature": temperature,
        }  # fmt: skip
        cell_id = make_id(parts, train, self.settings)
        needs = [ref.cell for ref in [*teachers, *([start] if start else [])] if ref.cell]
        if cell_id not in self.cells:
            verb = "convert" if start is not None and init is None and train is None and quantise is None else "make"
            self.cells[cell_id] = MakeCell(
                id=cell_id, title=f"{verb} {name}", needs=list(dict.fromkeys(needs)), role=role, use=use, teachers=teachers,
                start=start, init=init, train=train, quantise=quantise, signal_temperature=temperature, settings=self.settings,
            )  # fmt: skip
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
