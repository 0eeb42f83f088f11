"""Any lm-evaluation-harness task: stock processing, own sampling, one row a document and metric."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import Field

from distbench.errors import RunError, UsageError
from distbench.hashing import file_digest, text_digest
from distbench.protocols import Outcome, Progress
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict
from distbench.schema.suite import TaskSpec
from distbench.tasks.lm_eval_index import bundled_tasks, find_task, lm_eval_version, stock_fields
from distbench.tasks.lm_eval_samples import rows_of

CODE_VERSION = 1
SPLIT_KEYS = ("training_split", "validation_split", "test_split", "fewshot_split")


class LMEvalOptions(Strict):
    """Options of `use: lm-eval`."""

    num_fewshot: int | None = Field(
        None, ge=0, le=64, description="examples in the prompt; the task's own number where left out"
    )
    batch_size: int = Field(32, ge=1, le=4096)
    metric: str | None = Field(
        None, description="the metric that is compared and gated; acc_norm, else acc, else the first"
    )
    cluster: str | None = Field(
        None, description="field of the document that names its cluster: items of one cluster are not independent"
    )


class LMEvalTask:
    """One lm-eval task.

    The task's YAML is included by absolute path from a generated file that overrides only where the data lies, so
    nothing of the 14,000 stock tasks is indexed and the stock processing runs unchanged. Neither of lm-eval's caches
    is used: their keys leave out the model, and the student would be served the teacher's answers.
    """

    Options = LMEvalOptions
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm"})

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self.name = spec.title
        self.options = LMEvalOptions.model_validate(spec.options)

    # -- plan time --------------------------------------------------------------------------------------------------

    @classmethod
    def resolve(cls, spec: TaskSpec, directory: Path) -> TaskSpec:
        """Find the task and make its data files absolute."""
        if spec.name is None:
            raise UsageError("an lm-eval task needs a name, such as {use: lm-eval, name: hellaswag}")
        stock = find_task(spec.name)
        data = {}
        for split, value in (spec.data or _bundled_data(stock) or {}).items():
            if not isinstance(value, str):
                raise UsageError(f"task {spec.name!r}: data.{split} must be the path of a local file")
            path = Path(value).expanduser()
            path = path if path.is_absolute() else directory / path
            if not path.is_file():
                raise UsageError(f"task {spec.name!r}: data file {path} does not exist")
            if path.suffix not in {".jsonl", ".json"}:
                raise UsageError(f"task {spec.name!r}: data file {path} is not JSON Lines (.jsonl)")
            data[split] = str(path.resolve())
        return spec.model_copy(update={"data": data or None})

    @classmethod
    def identity(cls, spec: TaskSpec) -> dict[str, Any]:
        """Return digests of the task's definition and its local data; a hub data set goes by the stock definition."""
        data = {split: file_digest(Path(path)) for split, path in (spec.data or {}).items()}
        return {
            "code": CODE_VERSION,
            "yaml": file_digest(find_task(spec.title)),
            "data": data,
            "lm-eval": lm_eval_version(),
        }

    # -- run time ---------------------------------------------------------------------------------------------------

    def run(self, model: Any, settings: Settings, progress: Progress) -> Outcome:
        """Score the chosen documents with stock lm-eval."""
        from lm_eval.evaluator import simple_evaluate

        from distbench.tasks.lm_eval_model import language_model

        task, manager = self._load()
        chosen = self.chosen(len(task.eval_docs), settings.seed)
        lm = language_model(model, self.options.batch_size, lambda done, total: progress(done, total, self.name))
        outcome = simple_evaluate(
            model=lm,
            tasks=[task],
            task_manager=manager,  # else lm-eval indexes all of its 14,000 tasks: 5 s a call
            num_fewshot=self.options.num_fewshot,
            samples={self.name: chosen},
            bootstrap_iters=0,
            log_samples=True,
            random_seed=settings.seed,
            numpy_random_seed=settings.seed,
            torch_random_seed=settings.seed,
            fewshot_random_seed=settings.seed,
        )
        logged = outcome["samples"][self.name]
        higher = outcome["higher_is_better"][self.name]
        samples, metrics = rows_of(self.name, logged, higher, task, self.options.metric, self.options.cluster)
        if not metrics:
            raise RunError(f"task {self.name!r} has no per-document metric that can be compared")
        return Outcome(
            samples=samples,
            metrics=metrics,
            version=str(outcome["versions"].get(self.name, "unknown")),
            engine=f"lm-eval {lm_eval_version()} HFLM",
            data_digest=text_digest(row["doc_hash"] for row in logged),
            prompt_digest=text_digest(row["prompt_hash"] for row in logged),
        )

    def items(self, count: int, seed: int) -> Any:
        """Return `count` prompts of the task as texts, repeated where the task is smaller."""
        task, _ = self._load()
        docs = list(task.eval_docs)
        order = self.chosen(len(docs), seed)
        return [task.doc_to_text(docs[order[i % len(order)]]) for i in range(count)]

    def chosen(self, total: int, seed: int) -> list[int]:
        """Return the sorted indices of a seeded random subset: the same for every model, never the head of the file."""
        if self.spec.samples == "all" or self.spec.samples >= total:
            return list(range(total))
        # str seeds hash by content (not PYTHONHASHSEED), so the draw is the same in every process
        return sorted(random.Random(f"{seed}:{self.name}").sample(range(total), self.spec.samples))  # noqa: S311

    def _load(self) -> tuple[Any, Any]:
        """Return the task and the manager that knows it alone."""
        from lm_eval.tasks import TaskManager

        with tempfile.TemporaryDirectory(prefix="distbench-task-") as folder:
            override: dict[str, Any] = {"include": str(find_task(self.name)), "task": self.name}
            if self.spec.data:
                override |= {"dataset_path": "json", "dataset_name": None}
                override["dataset_kwargs"] = {"data_files": dict(self.spec.data)}
                # A split that the stock task names but no local file backs must not be asked for.
                stock = stock_fields(find_task(self.name))
                override |= {key: None for key in SPLIT_KEYS if stock.get(key) and stock[key] not in self.spec.data}
            (Path(folder) / "task.yaml").write_text(yaml.safe_dump(override), encoding="utf-8")
            manager = TaskManager(include_path=folder, include_defaults=False)
            try:
                task = manager.load([self.name])["tasks"][self.name]
            except (OSError, ValueError, KeyError, RuntimeError, StopIteration) as error:
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise RunError(
                    f"task {self.name!r}: its data cannot be loaded ({first[:200]}); map it to a local file "
                    f"with data: {{split: file.jsonl}}"
                ) from error
        if not len(task.eval_docs):
            raise RunError(f"task {self.name!r}: 0 documents")
        return task, manager


def _bundled_data(stock: Path) -> dict[str, str] | None:
    """Return the data files of a task that ships with distbench; they lie beside its YAML."""
    folder = bundled_tasks()
    if folder is None or folder not in stock.parents:
        return None
    files: dict[str, str] = stock_fields(stock).get("dataset_kwargs", {}).get("data_files", {})
    return {split: str(stock.parent / Path(name).name) for split, name in files.items()}
