"""Which data an lm-eval task reads, told from its YAML: nothing is imported, called or fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distbench.errors import UsageError
from distbench.hashing import text_digest
from distbench.schema.places import at_home
from distbench.schema.suite import TaskSpec
from distbench.tasks.lm_eval_index import bundled_tasks, find_task, members, stock_fields

FILE_FORMATS = {"json", "csv", "text", "parquet", "arrow", "pandas", "xml", "webdataset", "imagefolder", "audiofolder"}
BY_HAND = "map its data by hand, data: {split: file.jsonl}"


@dataclass(frozen=True)
class DataNeeds:
    """What a task reads. Without a `repo` it is local, and `local` says in which way."""

    splits: tuple[str, ...]
    repo: str | None = None
    config: str | None = None
    revision: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    local: str | None = None
    task_digest: str = ""


def single_tasks(spec: TaskSpec, directory: Path) -> list[TaskSpec]:
    """Return the tasks that an entry of a suite names: itself, or those of a group or tag, which share its weight."""
    names = members(spec.title, task_folder(spec, directory))
    if names == [spec.title]:
        return [spec]
    shared = {"group": spec.title, "weight": spec.weight / len(names)}
    return [spec.model_copy(update={"name": name, **shared}) for name in names]


def task_folder(spec: TaskSpec, directory: Path) -> Path | None:
    """Return the folder of the user's own task files, where the suite names one."""
    given = spec.options.get("include")
    return None if given is None else (directory / at_home(str(given))).resolve()


def data_needs(spec: TaskSpec, directory: Path) -> DataNeeds:
    """Return what a single task reads; `directory` is where the suite's relative paths start.

    Raises UsageError for an unknown task, and for one whose data are chosen by its own code or lie at a URL: neither
    can be pinned.
    """
    path = find_task(spec.title, task_folder(spec, directory))
    fields = stock_fields(path)
    if spec.data is not None:
        return DataNeeds(tuple(spec.data), local="mapped in the suite")
    if "custom_dataset" in fields or "class" in fields or not fields.get("dataset_path"):
        raise UsageError(f"task {spec.title!r}: its own code chooses its data, so they cannot be pinned; {BY_HAND}")
    splits = needed_splits(spec.title, fields)
    folder = bundled_tasks()
    if folder is not None and folder in path.parents:
        return DataNeeds(splits, local="ships with distbench")
    options = dict(fields.get("dataset_kwargs") or {})
    options.pop("trust_remote_code", None)
    repo = str(fields["dataset_path"])
    if repo in FILE_FORMATS or Path(repo).exists():
        return _files(spec.title, splits, options)
    config, revision = fields.get("dataset_name"), options.pop("revision", None)
    return DataNeeds(
        splits,
        repo=repo,
        config=None if config is None else str(config),
        revision=None if revision is None else str(revision),
        options=options,
        task_digest=text_digest([json.dumps(fields, sort_keys=True, default=str)]),
    )


def needed_splits(task: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the split that is evaluated, and the one that few-shot examples come from, by lm-eval's own rule.

    The second is read also without examples, so that a suite may ask for some later.
    """
    evaluated = fields.get("test_split") or fields.get("validation_split")
    if not evaluated:
        raise UsageError(f"task {task!r} names no split to evaluate")
    config = fields.get("fewshot_config") or {}
    shown = config.get("split") or fields.get("fewshot_split")
    if not shown and "samples" not in config:
        shown = fields.get("training_split") or fields.get("validation_split") or fields.get("test_split")
    return tuple(dict.fromkeys(str(split) for split in (evaluated, shown) if split))


def _files(task: str, splits: tuple[str, ...], options: Mapping[str, Any]) -> DataNeeds:
    files = options.get("data_files")
    named = files.values() if isinstance(files, dict) else [files]
    flat = [str(each) for value in named for each in (value if isinstance(value, list) else [value])]
    if any("://" in each for each in flat):
        raise UsageError(f"task {task!r}: its data lie at a URL, which has no commit to pin; {BY_HAND}")
    return DataNeeds(splits, local="files that the task itself names")
