"""From a task's name to lm-eval's task object: stock processing on local data, nothing else indexed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from distbench.errors import RefusedError, RunError, UsageError
from distbench.schema.suite import TaskSpec
from distbench.store.leftovers import temporary_folder
from distbench.tasks.lm_eval_index import find_task, stock_fields

SPLIT_KEYS = ("training_split", "validation_split", "test_split", "fewshot_split")


def load_task(spec: TaskSpec, folder: Path | None) -> Any:
    """Return the task object of a resolved spec.

    The task's YAML is included by absolute path from a generated file that overrides only where the data lies, so
    nothing of the 14,000 stock tasks is indexed and the stock processing runs unchanged.
    """
    from datasets.exceptions import DatasetsError
    from lm_eval.tasks import TaskManager

    _sandbox_templates()
    path = find_task(spec.title, folder)
    refuse_unsafe(spec.title, path)
    with temporary_folder("task") as place:
        (place / "task.yaml").write_text(yaml.safe_dump(_override(spec, path)), encoding="utf-8")
        manager = TaskManager(include_path=place, include_defaults=False)
        try:
            with sandboxed(spec.title):
                task = manager.load([spec.title])["tasks"][spec.title]
        except (OSError, ValueError, KeyError, RuntimeError, StopIteration, TypeError, DatasetsError) as error:
            told = error.__cause__ if isinstance(error, DatasetsError) and error.__cause__ else error
            first = (str(told).strip() or type(told).__name__).splitlines()[0]
            hint = "map it to a local file with data: {split: file.jsonl}"
            if "script" in first and "support" in first:
                hint = "its data set is a loading script, which datasets 4 no longer runs; " + hint
            raise RunError(f"task {spec.title!r}: its data cannot be loaded ({first[:200]}); {hint}") from error
    _refuse(task, spec.title)
    return task


def _override(spec: TaskSpec, path: Path) -> dict[str, Any]:
    override: dict[str, Any] = {"include": str(path), "task": spec.title}
    if spec.data:
        override |= {"dataset_path": "json", "dataset_name": None}
        override["dataset_kwargs"] = {"data_files": dict(spec.data)}
        # A split that the stock task names but no local file backs must not be asked for.
        stock = stock_fields(path)
        override |= {key: None for key in SPLIT_KEYS if stock.get(key) and stock[key] not in spec.data}
    return override


@contextmanager
def sandboxed(name: str) -> Iterator[None]:
    """Say what a template did wrong: one that reaches for Python is refused, one that does not fit is an error."""
    from jinja2.exceptions import SecurityError, TemplateError

    try:
        yield
    except SecurityError as error:
        raise RefusedError(f"task {name!r}: its template reaches for what templates must not touch: {error}") from error
    except TemplateError as error:
        raise RunError(f"task {name!r}: its template does not fit the data: {error}") from error


def refuse_unsafe(name: str, path: Path) -> None:
    """Raise RefusedError for a task that says of itself that it runs what the model writes."""
    if stock_fields(path).get("unsafe_code"):
        raise RefusedError(f"task {name!r} executes code that the model writes; distbench has no sandbox for that")


def _refuse(task: Any, name: str) -> None:
    if getattr(task, "UNSAFE_CODE", False):
        raise RefusedError(f"task {name!r} executes code that the model writes; distbench has no sandbox for that")
    if getattr(task, "MULTIMODAL", False):
        raise UsageError(f"task {name!r} shows images; a causal language model cannot see them")
    if not len(task.eval_docs):
        raise RunError(f"task {name!r}: 0 documents")


def _sandbox_templates() -> None:
    """Render task templates in jinja2's sandbox: lm-eval's own environment lets a template call anything."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from lm_eval import utils

    if not isinstance(utils.env, ImmutableSandboxedEnvironment):
        sandbox = ImmutableSandboxedEnvironment(
            loader=utils.env.loader, undefined=utils.env.undefined, keep_trailing_newline=True
        )
        sandbox.filters.update(utils.env.filters)
        utils.env = sandbox
