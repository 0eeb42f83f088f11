"""lm-eval's output of a teacher and its students becomes a run that `compare`, `gate` and `report` read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from distbench import __version__, secrets
from distbench.errors import EnvironmentFault, UsageError, did_you_mean
from distbench.hashing import canonical_json, short_digest
from distbench.importers.lm_eval_differences import differences
from distbench.importers.lm_eval_files import Output, TaskFiles, find_output
from distbench.importers.lm_eval_log import Log, index_log
from distbench.importers.lm_eval_rows import RowStream
from distbench.importers.sizes import size_of
from distbench.schema.cell import EvaluateCell, ModelRef, Role, Settings
from distbench.schema.imported import Imported, SourceFile
from distbench.schema.plan import Manifest, PlannedCell, PlannedModel
from distbench.schema.record import CellRecord, EvaluateResult, Footprint
from distbench.schema.suite import GateSpec, StudentSpec, Suite, TaskSpec, TeacherSpec
from distbench.schema.wording import first_fault
from distbench.store.files import disk_faults, sync_folder, write_text
from distbench.store.run_dir import RunDir, now
from distbench.store.samples import write_samples
from distbench.suite.flags import name_of
from distbench.suite.load import digest_of

USE = "lm-eval-results"
CODE_VERSION = 1  # raise it when the same files would give other rows


@dataclass(frozen=True)
class Side:
    """A model to import: where lm-eval wrote, and what the user says about it."""

    folder: Path
    name: str | None = None
    source: Path | None = None


@dataclass(frozen=True)
class Wishes:
    """What else the command line may say."""

    name: str | None = None
    tasks: tuple[str, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    gate: GateSpec = field(default_factory=GateSpec)
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Model:
    name: str
    role: Role
    output: Output
    size: Footprint
    identity: str

    @property
    def ref(self) -> ModelRef:
        return ModelRef(name=self.name, role=self.role, use=USE, identity=self.identity)

    def settings(self) -> Settings:
        newest = self.output.newest
        dtype = newest.configured("model_dtype") or "not given"
        return Settings(
            seed=newest.seed,
            device=newest.configured("device") or "not given",
            dtype=dtype.removeprefix("torch."),
            threads=None,
        )


def import_lm_eval(teacher: Side, students: Sequence[Side], out: Path, wishes: Wishes) -> Manifest:
    """Import results as the run `out`, which appears whole or not at all, and return its manifest.

    Raises UsageError where the files do not say what is needed, RefusedError where they are damaged.
    """
    if not students:
        raise UsageError("nothing to compare: give the results of a teacher and of at least one student")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UsageError(f"{out} exists already; name a new run directory")
    models = _models(teacher, students, wishes.tasks)
    _refuse_nothing_in_common(models)
    _refuse_unknown("--task", wishes.tasks, models)
    _refuse_unknown("--metric", wishes.metrics, models)
    with _appears_whole(out) as folder:
        try:
            return _Import(RunDir.prepare(folder), models, wishes, out.name).write()
        except (ValidationError, PydanticSerializationError) as error:
            first = str(error).splitlines()[-1] if isinstance(error, PydanticSerializationError) else first_fault(error)
            raise UsageError(f"these results cannot become a run: {first}") from None


def _models(teacher: Side, students: Sequence[Side], tasks: Sequence[str]) -> list[_Model]:
    models: list[_Model] = []
    taken: set[str] = set()
    for index, side in enumerate([teacher, *students]):
        output = find_output(side.folder, tasks)
        if side.name is not None and side.name in taken:
            raise UsageError(f"two models are named {side.name!r}; give each its own name")
        name = side.name or name_of(output.model_name, taken)
        taken.add(name)
        files = sorted({(files.results.sha256, str(task)) for task, files in output.tasks.items()})
        identity = short_digest(["lm-eval results", output.model_name, files])
        if twin := next((m for m in models if m.identity == identity), None):
            raise UsageError(f"{side.folder} holds the results of {twin.output.folder} again; a model is compared once")
        size = size_of(output.newest, side.source)
        models.append(_Model(name, "student" if index else "teacher", output, size, identity))
    return models


def _refuse_nothing_in_common(models: list[_Model]) -> None:
    teacher = models[0].output
    for student in models[1:]:
        if not teacher.tasks.keys() & student.output.tasks.keys():
            raise UsageError(
                f"{teacher.folder} and {student.output.folder} have no task in common: "
                f"{', '.join(list(teacher.tasks)[:4])} and {', '.join(list(student.output.tasks)[:4])}"
            )


def _refuse_unknown(option: str, named: Iterable[str], models: list[_Model]) -> None:
    known = list(dict.fromkeys(task for model in models for task in model.output.tasks))
    if unknown := [task for task in named if task not in known]:
        hint = did_you_mean(unknown[0], known, 3) or f"; there are {', '.join(known[:8])}"
        raise UsageError(f"{option} names task {unknown[0]!r}, of which there are no results{hint}")


@contextmanager
def _appears_whole(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` that is renamed to `out` at the end, and removed where anything fails."""
    with disk_faults(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    for leftover in out.parent.glob(f".{out.name}.import-*"):  # of an import that was killed
        pid = leftover.name.rpartition("-")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(leftover, ignore_errors=True)
    folder = out.with_name(f".{out.name}.import-{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
        try:
            folder.rename(out)  # onto an empty folder, too
            sync_folder(out.parent)
        except OSError as error:
            raise EnvironmentFault(f"cannot make {out}: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Import:
    """Writes the cells and the manifest of one import."""

    def __init__(self, run: RunDir, models: list[_Model], wishes: Wishes, name: str) -> None:
        self.run, self.models, self.wishes, self.name = run, models, wishes, name
        self.cells: list[EvaluateCell] = []
        self.planned: list[PlannedCell] = []
        self.notes: dict[str, list[str]] = {model.name: _notes(model) for model in models}
        self.warnings: list[str] = []

    def write(self) -> Manifest:
        tasks = list(dict.fromkeys(task for model in self.models for task in model.output.tasks))
        for task in tasks:
            self._task(task)
        for model in self.models[1:]:
            self.notes[model.name] += differences(self.models[0].output, model.output)
        manifest = self._manifest(tasks)
        self.run.write_plan(list(self.cells))
        self.run.write_manifest(manifest)
        self.run.log("imported", tool="lm-eval", cells=len(self.cells))
        return manifest

    def _task(self, task: str) -> None:
        reference: Log | None = None
        for model in self.models:
            files = model.output.tasks.get(task)
            log = index_log(files.samples, files.facts) if files else None
            cell = self._cell(model, task, log)
            self.cells.append(cell)
            self.planned.append(PlannedCell(id=cell.id, kind="evaluate", title=cell.title))
            if files is None or log is None:
                self.warnings.append(f"{task} was not run on {model.name}.")
                continue
            if model.role == "teacher":
                reference = log
            self._commit(cell, model, files, log, reference)

    def _cell(self, model: _Model, task: str, log: Log | None) -> EvaluateCell:
        files = model.output.tasks.get(task)
        read = [files.results.sha256, log.sha256] if files and log else None
        spec = self._spec(task, files or self._any(task))
        title = f"{model.name} on {task}" + ("" if files else " (not among its lm-eval results)")
        identity = ["imported", CODE_VERSION, self.models[0].identity, model.identity, spec, read]
        decided_by = json.loads(canonical_json(identity))
        return EvaluateCell(
            id=short_digest(identity), title=title, needs=[], model=model.ref, task=spec, settings=model.settings(),
            decided_by=decided_by,
        )  # fmt: skip

    def _any(self, task: str) -> TaskFiles:
        return next(model.output.tasks[task] for model in self.models if task in model.output.tasks)

    def _spec(self, task: str, files: TaskFiles) -> TaskSpec:
        options: dict[str, Any] = {"num_fewshot": files.facts.num_fewshot, "metric": self.wishes.metrics.get(task)}
        return TaskSpec(use="lm-eval", name=task, **{k: v for k, v in options.items() if v is not None})

    def _commit(self, cell: EvaluateCell, model: _Model, files: TaskFiles, log: Log, reference: Log | None) -> None:
        documents = _documents(log, reference)
        stream = RowStream(log, files.facts, self.wishes.metrics.get(files.facts.name))
        folder = self.run.workplace(cell.id)
        write_samples(folder / "samples.parquet", stream.rows(documents.missing))
        if len(documents.missing) or documents.extra:
            self.notes[model.name].append(
                f"{files.facts.name}: {len(documents.missing)} of the teacher's documents were not answered, and "
                f"{documents.extra} others were"
            )
        results = files.results
        result = EvaluateResult(
            task=files.facts.name,
            task_version=files.facts.version,
            engine=f"lm-eval {results.version or 'of unknown version'} (imported)",
            data_digest=documents.data,
            prompt_digest=documents.prompts,
            chat_template=results.text("chat_template_sha"),
            metrics=stream.metrics(),
            footprint=model.size,
            answers_digest=stream.answers_digest(),
        )
        record = CellRecord(
            cell_id=cell.id,
            title=cell.title,
            started_at=results.evaluated_at or "not given",
            seconds=None,
            threads=None,
            device=cell.settings.device,
            host=None,
            packages=_packages(files),
            result=result,
            imported=_provenance(files, log),
        )
        write_text(folder / "cell.json", cell.model_dump_json(indent=1) + "\n")
        write_text(folder / "record.json", record.model_dump_json(indent=1) + "\n")
        self.run.commit(cell.id, folder)

    def _manifest(self, tasks: list[str]) -> Manifest:
        teacher, *students = self.models
        suite = Suite(
            version=1,
            name=self.wishes.name or teacher.name,
            description="Imported from lm-eval results; distbench did not run these models.",
            seed=teacher.settings().seed,
            teachers={teacher.name: TeacherSpec(use=USE, source=teacher.output.model_name)},
            students=[StudentSpec(name=s.name, of=teacher.name, source=s.output.model_name) for s in students],
            tasks=[self._spec(task, self._any(task)) for task in tasks],
            gate=self.wishes.gate,
        )
        return Manifest(
            run=self.name,
            created_at=now(),
            distbench=__version__,
            command=secrets.command(self.wishes.command),
            suite_digest=digest_of(suite),
            suite=suite,
            settings=teacher.settings(),
            device_reason="as lm-eval reported it of the teacher; the machine is not known",
            models=[self._planned(model) for model in self.models],
            cells=self.planned,
            task_order=tasks,
            warnings=["These are imported lm-eval results: distbench computed no score of them.", *self.warnings],
            imported="lm-eval",
        )

    def _planned(self, model: _Model) -> PlannedModel:
        name = model.output.model_name
        return PlannedModel(
            name=model.name,
            label=model.name,
            role=model.role,
            of=[] if model.role == "teacher" else [self.models[0].name],
            made_by=f"{name} (imported lm-eval results)",
            origin=f"{name} (imported lm-eval results)",
            ref=model.ref,
            notes=self.notes[model.name],
        )


@dataclass(frozen=True)
class _Documents:
    """A log's documents beside the teacher's. `missing` were answered by the teacher only, `extra` by this log only."""

    data: str
    prompts: str
    missing: np.ndarray
    extra: int


def _documents(log: Log, reference: Log | None) -> _Documents:
    """Return digests of what was asked.

    A document that only the teacher answered counts with the teacher's prompt: then a difference of digests means that
    something was asked differently, and what was not asked is told by the coverage.
    """
    ids, prompts = log.documents()
    missing, extra = ids[:0], 0
    if reference is not None and reference is not log:
        theirs, their_prompts = reference.documents()
        absent = ~np.isin(theirs, ids, assume_unique=True)
        missing, extra = theirs[absent], int((~np.isin(ids, theirs, assume_unique=True)).sum())
        ids, prompts = np.concatenate([ids, missing]), np.concatenate([prompts, their_prompts[absent]])
        order = np.argsort(ids)
        ids, prompts = ids[order], prompts[order]
    return _Documents(
        hashlib.sha256(ids.tobytes()).hexdigest(),
        hashlib.sha256(ids.tobytes() + prompts.tobytes()).hexdigest(),
        missing,
        extra,
    )


def _notes(model: _Model) -> list[str]:
    newest = model.output.newest
    version = f"lm-eval {newest.version}" if newest.version else "lm-eval of unknown version"
    notes = [f"evaluated by {version} on {newest.evaluated_at or 'an unknown date'}"]
    if newest.config.get("use_cache"):
        notes.append(
            "lm-eval was told to use a cache of responses (use_cache), whose key leaves out the model: make sure that "
            "the answers are this model's"
        )
    return notes + model.output.notes


def _packages(files: TaskFiles) -> dict[str, str]:
    versions = {"lm-eval": files.results.version, "transformers": files.results.text("transformers_version")}
    return {name: version for name, version in versions.items() if version}


def _provenance(files: TaskFiles, log: Log) -> Imported:
    results, config = files.results, files.results.config
    multiturn, limit, cache = results.raw.get("fewshot_as_multiturn"), config.get("limit"), config.get("use_cache")
    return Imported(
        tool="lm-eval",
        tool_version=results.version,
        git_hash=results.text("git_hash"),
        results=SourceFile(name=results.path.name, sha256=results.sha256),
        samples=SourceFile(name=log.path.name, sha256=log.sha256),
        evaluated_at=results.evaluated_at,
        model_source=results.text("model_source") or results.configured("model"),
        model_name=results.model_name,
        model_args=secrets.arguments(config.get("model_args")),
        model_sha=results.configured("model_sha"),
        model_dtype=results.configured("model_dtype"),
        num_fewshot=files.facts.num_fewshot,
        fewshot_as_multiturn=multiturn if isinstance(multiturn, bool) else None,
        chat_template=results.text("chat_template_sha"),
        system_instruction=results.text("system_instruction_sha"),
        limit=float(limit) if isinstance(limit, int | float) and not isinstance(limit, bool) else None,
        gen_kwargs=secrets.arguments(config.get("gen_kwargs")),
        response_cache=str(cache) if cache else None,
    )
