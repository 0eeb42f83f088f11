"""From the suite's teachers and students to planned models and the cells that make them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.data.located import located
from distbench.errors import UsageError, did_you_mean
from distbench.plan.capabilities import (
    check_init,
    check_lora,
    check_offers,
    check_opening,
    check_runs,
    check_start,
    check_tokens,
    check_training,
    check_variables,
    family,
    makes_untrained,
    signal_of,
)
from distbench.plan.deployments import rows_of
from distbench.plan.identity import id_of, of_recipe, opened_identity
from distbench.plan.permits import handed_on, permitted, resolved, without_permits
from distbench.plan.recipes import MADE_HERE, Made, Origin, Recipe, recipe_words, words
from distbench.plan.shapes import check_shapes
from distbench.plan.studies import TrainingRun, as_trained, check_untrained, training_runs
from distbench.schema.cell import MakeCell, ModelRef, Role, Settings
from distbench.schema.plan import PlannedModel
from distbench.schema.strict import Use
from distbench.schema.suite import DistilSpec, StudentSpec, TeacherSpec

SUFFIX, UNTRAINED = "-no-teacher", "-untrained"


class ModelPlanner:
    """Collects planned models and make cells; a recipe that occurs twice is made once."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory, self.settings = directory, settings
        self.models: dict[str, PlannedModel] = {}
        self.cells: dict[str, MakeCell] = {}

    # -- teachers ---------------------------------------------------------------------------------------------------

    def teacher(self, name: str, spec: TeacherSpec) -> None:
        """Plan a teacher: found, converted, or fitted."""
        options = _changed("models", spec.use, spec.options)
        if spec.source is not None:
            ref, found = self._source(name, "teacher", spec.use, spec.source, options)
            made_by = "loaded from its source"
        else:
            assert spec.fit is not None
            fit = spec.fit.model_copy(update={"data": located(spec.fit.data, self.directory)})
            check_training(fit, name, spec.use, [])
            init = located(Use(use=spec.use, **options), self.directory, "inits")
            check_lora(fit, init, name)
            ref = self._make(name, "teacher", spec.use, Recipe(init=init, train=fit))
            found, made_by = Origin("trained in this run"), f"{words(init)}, then {words(fit)}"
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
        """Plan a student, a row for each runtime it is exported to, and beside a distilled one its control."""
        for row in rows_of(spec):
            self._row(row.spec, row.controlled)

    def _row(self, spec: StudentSpec, controlled: bool) -> None:
        if spec.distil is not None:
            distil = spec.distil.model_copy(update={"data": located(spec.distil.data, self.directory)})
            spec = spec.model_copy(update={"distil": distil})
        if spec.init is not None:
            spec = spec.model_copy(update={"init": located(spec.init, self.directory, "inits")})
        teachers = [self.models[name] for name in spec.teachers]
        assert not isinstance(spec.deploy, list), "a row has one deployment"
        start: ModelRef | None = None
        found = MADE_HERE
        parent = spec.use or teachers[0].ref.use
        use = check_start(spec.init, spec.quantise, spec.name, parent)
        options = self._options(spec, use, teachers[0].ref)
        if spec.source is not None:
            start, found = self._source(spec.name, "student", parent, spec.source, options)
        if spec.init is not None:
            check_init(spec.init, (start or teachers[0].ref).path)
        if spec.distil is None and spec.init is not None and makes_untrained(spec.init):
            raise UsageError(
                f"student {spec.name!r}: init {spec.init.use!r} makes an untrained model; give it a 'distil' step"
            )
        if spec.distil is None and spec.init is None and spec.quantise is None:
            if start is None:  # the teacher's own weights, opened another way or on another runtime
                start = self._reopened(teachers[0].ref, spec.name, "student", options)
            ref = self._deployed(spec.name, "student", start, spec.deploy)
            self._keep(spec, ref, recipe_words(spec, None) or "loaded from its source", found)
            return
        teaching = self._teaching(spec, teachers)
        refs = [teacher.ref for teacher in teaching]
        softness, record = signal_of(spec.distil, spec.name, use)
        train = spec.distil and as_trained(spec.distil)
        recipe = Recipe(refs, start or teachers[0].ref, spec.init, train, spec.quantise, None, softness, record)
        if spec.distil is not None:
            check_training(spec.distil, spec.name, use, [t.ref.use for t in teaching])
            check_lora(spec.distil, spec.init, spec.name)
            check_tokens(spec.distil, spec.name, start or teachers[0].ref, refs)
            check_shapes(spec.distil, spec.name, start or teachers[0].ref, spec.init, refs)
        made = Made(spec, use, options, recipe, found, controlled)
        for run in training_runs(spec, self.settings) if controlled else [TrainingRun(self.settings)]:
            self._trained(made, run)
        if controlled and spec.distil is not None and "untrained" in spec.distil.controls:
            self._plan_untrained(made, teachers)

    def _trained(self, made: Made, run: TrainingRun) -> None:
        """Plan one training of a student, and the control that is trained beside it."""
        spec, name = made.spec, run.name(made.spec.name)
        ref = self._finished(name, "student", made, made.recipe, run)
        control = self._no_teacher(made) if made.controlled else None
        self._keep(spec, ref, recipe_words(spec, spec.distil), made.origin, run, name + SUFFIX if control else None)
        if control is None:
            return
        taught_by_nobody = replace(made.recipe, train=as_trained(control))
        self._add(
            PlannedModel(
                name=name + SUFFIX,
                label=f"control of {run.label(spec.label or spec.name)}",
                role="control",
                of=spec.teachers,
                control_of=name,
                kind="no-teacher",
                seed=run.seed,
                seed_of=None if run.first else spec.name + SUFFIX,
                required=False,
                made_by=recipe_words(spec, control),
                origin=MADE_HERE.words,
                ref=self._finished(name + SUFFIX, "control", made, taught_by_nobody, run),
            )
        )

    def _finished(self, name: str, role: Role, made: Made, recipe: Recipe, run: TrainingRun) -> ModelRef:
        """Return the model of a recipe, on the student's runtime."""
        spec = made.spec
        assert not isinstance(spec.deploy, list), "a row has one deployment"
        ref = self._make(name, role, made.use, recipe, made.options, run.settings)
        return self._deployed(name, role, ref, spec.deploy, quantised=spec.quantise is not None)

    def _teaching(self, spec: StudentSpec, compared: list[PlannedModel]) -> list[PlannedModel]:
        """Return who teaches a student: those that it is compared with, or those that its distillation names."""
        named = spec.distil.teachers if spec.distil else None
        if spec.distil is None or named is None:
            teaching = compared
        else:
            for name in named:
                if name not in self.models:
                    near = did_you_mean(name, self.models)
                    raise UsageError(f"student {spec.name!r}: no teacher or earlier student is called {name!r}{near}")
            teaching = [self.models[name] for name in named]
        given = spec.distil.teacher_weights if spec.distil else None
        if given is not None and len(given) != len(teaching):
            raise UsageError(f"student {spec.name!r}: {len(given)} teacher_weights for {len(teaching)} teachers")
        return teaching

    def _no_teacher(self, made: Made) -> DistilSpec | None:
        """Return the training of the control: the same data and budget, with the method that needs no teacher."""
        distil = made.spec.distil
        if distil is None or "no-teacher" not in distil.controls:
            return None
        method = plugins.load("methods", distil.use)
        if not method.uses_teacher or not method.control:
            return None
        allowed = plugins.load("methods", method.control).Options.model_fields
        budget = {key: value for key, value in distil.options.items() if key in allowed}
        return DistilSpec(
            use=method.control,
            data=distil.data,
            control="none",
            teacher_weights=distil.teacher_weights,
            launch=distil.launch,
            **budget,
        )

    def _plan_untrained(self, made: Made, teachers: list[PlannedModel]) -> None:
        """Plan the student as it starts: the row that says what any training buys. It is the same for every seed."""
        spec, start, name = made.spec, made.recipe.start, made.spec.name + UNTRAINED
        check_untrained(spec, parent=spec.init is not None and bool(plugins.load("inits", spec.init.use).needs))
        if spec.init is None and spec.quantise is None:
            assert start is not None, "it has a source"
            opened = self._reopened(start, name, "control", made.options)
            assert not isinstance(spec.deploy, list)
            ref = self._deployed(name, "control", opened, spec.deploy)
        else:
            recipe = Recipe([teacher.ref for teacher in teachers], start, spec.init, None, spec.quantise)
            ref = self._finished(name, "control", made, recipe, TrainingRun(self.settings))
        self._add(
            PlannedModel(
                name=name,
                label=f"untrained {spec.label or spec.name}",
                role="control",
                of=spec.teachers,
                control_of=spec.name,
                kind="untrained",
                required=False,
                made_by=recipe_words(spec, None) or "as it starts",
                origin=made.origin.words,
                ref=ref,
                notes=made.origin.notes,
            )
        )

    def _keep(
        self,
        spec: StudentSpec,
        ref: ModelRef,
        made_by: str,
        found: Origin,
        run: TrainingRun | None = None,
        control: str | None = None,
    ) -> None:
        run = run or TrainingRun(self.settings)
        name = run.name(spec.name)
        self._add(
            PlannedModel(
                name=name,
                label=run.label(spec.label or spec.name),
                role="student",
                of=spec.teachers,
                control=control,
                seed=run.seed,
                seed_of=None if run.first else spec.name,
                study=spec.study,
                required=spec.required and run.first,
                made_by=made_by,
                origin=found.words,
                ref=ref,
                notes=found.notes,
            )
        )

    def _add(self, model: PlannedModel) -> None:
        """Keep a model. Raises UsageError where a control has the name that the suite gave to another student."""
        if model.name in self.models:
            raise UsageError(f"two models are named {model.name!r}; a control takes its student's name with an ending")
        self.models[model.name] = model

    # -- sources and recipes ----------------------------------------------------------------------------------------

    def _source(self, name: str, role: Role, use: str, source: str, options: dict[str, Any]) -> tuple[ModelRef, Origin]:
        check_runs("models", use, f"model {name!r}", self.settings.device)
        found = resolved(use, source, self.directory, options)
        ref = ModelRef(name=name, role=role, use=use, identity=found.identity, address=found.address)
        ref = ref.model_copy(update={"options": permitted(use, options), "trusted": found.trusted})
        if found.path is not None:
            ref = ref.model_copy(update={"path": str(found.path)})
        if found.converts:
            ref = self._make(name, role, use, Recipe(start=ref)).model_copy(update={"trusted": found.trusted})
        return self._reopened(ref, name, role, options), Origin(found.origin, list(found.notes))

    def _options(self, spec: StudentSpec, use: str, teacher: ModelRef) -> dict[str, Any]:
        """Return how a student is opened: as it says, or as its teacher is where both are of one family.

        Another server never gets the teacher's options: they name a key. What only the teacher's files may do is not
        taken over either.
        """
        elsewhere = spec.source is not None and "served" in family(use).offers
        asked = elsewhere or "options" in spec.model_fields_set
        given = _changed("models", use, spec.options) if asked else {}
        if elsewhere or (asked and (without_permits(use, given) or not given)):
            return given
        own: frozenset[str] = getattr(family(use), "own", frozenset())
        taken = without_permits(use, teacher.options) if use == teacher.use else {}
        return {k: v for k, v in taken.items() if k not in own} | given

    @staticmethod
    def _reopened(ref: ModelRef, name: str, role: Role, options: dict[str, Any]) -> ModelRef:
        """Return the same files, opened another way. What they may do goes with them."""
        options = permitted(ref.use, ref.options) | options
        check_variables(ref.use, options, name)
        check_opening(ref, options, name)
        content = ref.content or ref.identity
        identity = opened_identity(content, ref.use, options)
        changed = {"name": name, "role": role, "identity": identity, "content": content, "options": options}
        return ref.model_copy(update=changed)

    def _deployed(
        self, name: str, role: Role, ref: ModelRef, deploy: Use | None, *, quantised: bool = False
    ) -> ModelRef:
        """Return a model as it is exported to another runtime; itself where it is not."""
        if deploy is None:
            return ref
        kind = plugins.load("deployments", deploy.use)
        check_runs("deployments", deploy.use, f"student {name!r}: deploy", self.settings.device)
        check_runs("models", kind.makes, f"student {name!r}: deploy", self.settings.device)
        check_offers(f"student {name!r}: deploy {deploy.use!r}", kind.needs, ref.use)
        if quantised and not kind.quantised:
            raise UsageError(
                f"student {name!r}: deploy {deploy.use!r} cannot export a quantised model; leave out 'quantise', and "
                "give the deployment itself a lower precision"
            )
        opens = kind(plugins.options("deployments", deploy)).opens()
        return self._make(
            name, role, kind.makes, Recipe(start=ref, deploy=deploy), _changed("models", kind.makes, opens)
        )

    def _make(
        self,
        name: str,
        role: Role,
        use: str,
        recipe: Recipe,
        options: dict[str, Any] | None = None,
        settings: Settings | None = None,
    ) -> ModelRef:
        """Plan the cell of a recipe, once, and return the model that it will make, opened with `options`.

        `settings` are the run's, but for another training seed.
        """
        settings = settings or self.settings
        decided_by = of_recipe(recipe.parts(use), recipe.train, settings)
        cell_id = id_of(decided_by)
        parents = [*recipe.teachers, *([recipe.start] if recipe.start else [])]
        if cell_id not in self.cells:
            self.cells[cell_id] = MakeCell(
                id=cell_id,
                title=f"{recipe.verb} {name}",
                needs=list(dict.fromkeys(ref.cell for ref in parents if ref.cell)),
                role=role,
                use=use,
                teachers=recipe.teachers,
                start=recipe.start,
                init=recipe.init,
                train=recipe.train,
                quantise=recipe.quantise,
                deploy=recipe.deploy,
                signal_temperature=recipe.temperature,
                record=recipe.record,
                settings=settings,
                decided_by=decided_by,
            )
        trusted, allowed = handed_on(use, recipe)
        made = ModelRef(name=name, role=role, use=use, identity=cell_id, cell=cell_id, options=allowed, trusted=trusted)
        return self._reopened(made, name, role, options or {})


def _changed(group: str, use: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that differ from a plug-in's defaults, validated."""
    return plugins.options(group, Use(use=use, **options)).model_dump(mode="json", exclude_defaults=True)
