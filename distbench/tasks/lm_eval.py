"""Any lm-evaluation-harness task: stock processing, own sampling, one row a document and metric."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, ClassVar

from distbench.errors import RunError, UsageError
from distbench.hashing import digest, file_digest, text_digest
from distbench.protocols import Metric, Outcome, Progress, Sample, Shape, Work
from distbench.schema.cell import ModelRef, Settings
from distbench.schema.places import at_home
from distbench.schema.record import ScorerFacts
from distbench.schema.suite import TaskSpec
from distbench.scoring.scorer import USUAL
from distbench.tasks.chat import chat_template
from distbench.tasks.drawing import Drawn, draw
from distbench.tasks.lm_eval_answers import Prepared, answer, prepare
from distbench.tasks.lm_eval_encoded import tokenizer_digest
from distbench.tasks.lm_eval_index import bundled_tasks, find_task, lm_eval_version, members, stock_fields
from distbench.tasks.lm_eval_kept import Kept
from distbench.tasks.lm_eval_load import load_task, refuse_unsafe
from distbench.tasks.lm_eval_model import ScorerState, language_model, scorer_for
from distbench.tasks.lm_eval_options import LMEvalOptions
from distbench.tasks.lm_eval_samples import Fields, close_calls, rows_of
from distbench.tasks.lm_eval_served import MESSAGES, check_served, messages
from distbench.tasks.local_data import check_data_file
from distbench.work.generation import NEEDS, generation

CODE_VERSION = 3
KEPT = Kept()  # the next model that this process asks gets the same requests


class LMEvalTask:
    """One lm-eval task.

    Neither of lm-eval's caches is used: their keys leave out the model, and the student would be served the teacher's
    answers. What is kept between models is the requests and their tokens, by tokenizer.
    """

    Options = LMEvalOptions
    needs: ClassVar[frozenset[str]] = frozenset({"language"})
    instead: ClassVar[frozenset[str]] = frozenset({"judge", "write"})
    work_needs: ClassVar[frozenset[str]] = frozenset({NEEDS})
    grows: ClassVar[bool] = True  # can be asked part by part

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self.name = spec.title
        self.options = LMEvalOptions.model_validate(spec.options)

    # -- plan time --------------------------------------------------------------------------------------------------

    @classmethod
    def resolve(cls, spec: TaskSpec, directory: Path) -> list[TaskSpec]:
        """Find the task, or every task of a group or tag, and make paths absolute.

        The weight of a group is shared by its tasks. In a data path, {task} stands for the task's name and {config} for
        the configuration of its data set.
        """
        if spec.name is None:
            raise UsageError("an lm-eval task needs a name, such as {use: lm-eval, name: hellaswag}")
        folder = cls.foreign_code(spec, directory)
        if folder is not None:
            if not folder.is_dir():
                raise UsageError(f"task {spec.title!r}: include: {folder} is not a folder")
            spec = spec.model_copy(update={"include": str(folder)})
        names = members(spec.title, folder)
        if names == [spec.title]:
            return [_located(spec, folder, directory)]
        shared = {"group": spec.name, "weight": spec.weight / len(names)}
        return [_located(spec.model_copy(update={"name": name, **shared}), folder, directory) for name in names]

    @classmethod
    def check_model(cls, spec: TaskSpec, offers: frozenset[str], options: dict[str, Any]) -> None:
        """Raise UsageError where a model that only a server holds cannot be asked this."""
        if not cls.needs <= offers:
            check_served(spec, str(options.get("api", "completions")))

    @classmethod
    def bind(cls, spec: TaskSpec, teacher: ModelRef) -> TaskSpec:
        """Write the teacher's chat template into the task, so that both sides read the same prompts."""
        if spec.options.get("chat_template") != "teacher":
            return spec
        return spec.model_copy(update={"template": chat_template(teacher)})

    @classmethod
    def foreign_code(cls, spec: TaskSpec, directory: Path = Path()) -> Path | None:
        """Return the folder whose code this task would run, beyond the installed packages'; nothing is read."""
        given = spec.options.get("include")
        return (directory / at_home(given)).resolve() if given else None

    @classmethod
    def identity(cls, spec: TaskSpec) -> dict[str, Any]:
        """Return digests of the task's definition and its local data; a hub data set goes by the stock definition."""
        folder = cls.foreign_code(spec)
        code = {} if folder is None else {str(p.relative_to(folder)): file_digest(p) for p in _code_files(folder)}
        return {
            "code": CODE_VERSION,
            "yaml": file_digest(find_task(spec.title, folder)),
            "foreign": code,
            "data": {split: file_digest(Path(path)) for split, path in (spec.data or {}).items()},
            "lm-eval": lm_eval_version(),
        }

    # -- run time ---------------------------------------------------------------------------------------------------

    def run(self, model: Any, settings: Settings, progress: Progress) -> Outcome:
        """Score the chosen documents with stock lm-eval."""
        scorer = scorer_for(model, self.options.scorer)
        prepared, drawn = self._prepared(model, settings.seed)
        lm = language_model(
            model,
            self.options.batch_size,
            lambda done, total: progress(done, total, self.name),
            scorer,
            prepared.tokenised,
            chat=self._template(model) == MESSAGES,
        )
        logged = answer(prepared, lm)
        if self.spec.part is not None:  # whole clusters one after the other, as they were drawn
            rank = {index: i for i, index in enumerate(drawn.indices)}
            logged.sort(key=lambda row: (row["filter"], rank[row["doc_id"]]))
        samples, metrics = self._rows(logged, prepared.task)
        KEPT.trim()
        if not metrics:
            first = next((f"; the first error: {row['error']}" for row in logged if row.get("error")), "")
            raise RunError(f"task {self.name!r} has no per-document metric that can be compared{first}")
        version = prepared.task.VERSION if prepared.task.VERSION is not None else "unknown"
        template = self._template(model)
        # each with its own template: what both were asked is the document, not the text around it
        shown = "doc_hash" if self.options.chat_template == "own" else "prompt_hash"
        return Outcome(
            samples=samples,
            metrics=metrics,
            version=str((prepared.task.config.metadata or {}).get("version", version)),
            engine=f"lm-eval {lm_eval_version()} {_engine(model, scorer)}",
            data_digest=text_digest(row["doc_hash"] for row in logged),
            prompt_digest=text_digest(row[shown] for row in logged),
            chat_template=text_digest([template])[:16] if template is not None else None,
            drawn=drawn.facts(),
            scorer=self._facts(model, scorer, logged, prepared.task.OUTPUT_TYPE),
        )

    def _rows(self, logged: list[dict[str, Any]], task: Any) -> tuple[list[Sample], list[Metric]]:
        o = self.options
        fields = Fields(
            cluster=o.cluster,
            groups=tuple(o.groups),
            length=o.length,
            prompt_counts=o.chat_template != "own",
            neutral={o.bias.metric: o.bias.neutral} if o.bias else {},
        )
        primary = o.metric or (o.bias.metric if o.bias else None)
        return rows_of(self.name, logged, task.higher_is_better(), task, primary, fields)

    def work(self, model: Any, shape: Shape, seed: int) -> Work:
        """Return one generation: what a language model does, whatever it is asked."""
        return generation(model, shape, seed)

    def _load(self) -> Any:
        return load_task(self.spec, self.foreign_code(self.spec))

    def _template(self, model: Any) -> str | None:
        if self.options.chat_template == "off":
            return None
        if "language" not in model.offers:
            return MESSAGES
        given = self.options.template
        if self.options.chat_template == "teacher" and given is None:
            raise RunError(f"task {self.name!r}: chat_template: teacher, and nobody has said what the teacher's is")
        template = given or model.tokenizer.chat_template
        if not isinstance(template, str):
            raise RunError(f"task {self.name!r}: chat_template is asked for, and the tokenizer has none")
        return template

    def _prepared(self, model: Any, seed: int) -> tuple[Prepared, Drawn]:
        template = self._template(model)
        chat: dict[str, Any] = {}
        if template is not None:
            chat = {
                "apply_chat_template": True,
                "chat_template": messages
                if template == MESSAGES
                else functools.partial(_render, model.tokenizer, template),
                "system_instruction": self.options.system_instruction,
                "fewshot_as_multiturn": True,
            }
        # a template may write a tokenizer's special tokens, so the same one is another text under another tokenizer
        theirs = None if template in {None, MESSAGES} else tokenizer_digest(model.tokenizer)
        rendered = None if template is None else [template, theirs]
        key = digest([self.spec, self.identity(self.spec), seed, rendered])
        return KEPT.get(key, lambda: _build(self, seed, chat))

    def _facts(self, model: Any, scorer: ScorerState, logged: list[dict[str, Any]], kind: str) -> ScorerFacts | None:
        if kind == "generate_until":
            return None
        usual = USUAL.get(_dtype(model), USUAL["float32"])
        tolerance = max(usual, scorer.check.largest) if scorer.check else usual
        close = close_calls(logged, tolerance)
        return ScorerFacts(
            name=scorer.name,
            reason=scorer.reason,
            compared=scorer.check.compared if scorer.check else 0,
            median_difference=scorer.check.median if scorer.check else None,
            largest_difference=scorer.check.largest if scorer.check else None,
            tolerance=tolerance,
            close_calls=close[:100],
            close_calls_total=len(close),
            tokens_asked=scorer.tokens_asked or None,
            tokens_run=scorer.tokens_run or None,
        )


def _engine(model: Any, scorer: ScorerState) -> str:
    if scorer.runtime:
        return f"through {model.engine}"
    return "shared prefixes" if scorer.name == "shared-prefix" else "HFLM"


def _dtype(model: Any) -> str:
    """Return what a model computes in; a runtime outside torch gives float32 logits, whatever it multiplies in."""
    if "language" not in model.offers:
        return "bfloat16"  # nobody tells what a server computes in
    if "causal-lm" not in model.offers:
        return "float32"
    return str(next(model.module.parameters()).dtype).removeprefix("torch.")


def _build(task: LMEvalTask, seed: int, chat: dict[str, Any]) -> tuple[Prepared, Drawn]:
    loaded = task._load()  # noqa: SLF001 - the class and its builder are one module
    docs = loaded.eval_docs
    field = task.options.cluster
    clusters = [str(doc.get(field)) for doc in docs] if field and task.spec.part is not None else None
    drawn = draw(len(docs), task.spec.samples, seed, task.name, task.spec.part, clusters)
    return prepare(loaded, sorted(drawn.indices), task.options.num_fewshot, seed, **chat), drawn


def _render(tokenizer: Any, template: str, history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    return str(
        tokenizer.apply_chat_template(
            history,
            chat_template=template,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
    )


def _code_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in {".yaml", ".py"} and p.is_file())


def _located(spec: TaskSpec, folder: Path | None, directory: Path) -> TaskSpec:
    """Return the spec with its data files found and absolute."""
    stock = find_task(spec.title, folder)
    refuse_unsafe(spec.title, stock)
    given = spec.data or _bundled_data(stock) or {}
    config = stock_fields(stock).get("dataset_name") if any("{config}" in str(v) for v in given.values()) else None
    data = {}
    for split, value in given.items():
        if not isinstance(value, str):
            raise UsageError(f"task {spec.name!r}: data.{split} must be the path of a local file")
        value = value.replace("{task}", spec.title).replace("{config}", str(config))  # noqa: PLW2901
        path = at_home(value)
        path = path if path.is_absolute() else directory / path
        if not path.is_file():
            raise UsageError(f"task {spec.name!r}: data file {path} does not exist")
        if path.suffix not in {".jsonl", ".json"}:
            raise UsageError(f"task {spec.name!r}: data file {path} is not JSON Lines (.jsonl)")
        check_data_file(path)
        data[split] = str(path.resolve())
    return spec.model_copy(update={"data": data or None})


def _bundled_data(stock: Path) -> dict[str, str] | None:
    """Return the data files of a task that ships with distbench; they lie beside its YAML."""
    folder = bundled_tasks()
    if folder is None or folder not in stock.parents:
        return None
    files: dict[str, str] = stock_fields(stock).get("dataset_kwargs", {}).get("data_files", {})
    return {split: str(stock.parent / Path(name).name) for split, name in files.items()}
