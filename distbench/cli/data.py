"""`data pull` and `data list`: what a suite's tasks read, fetched once so that it runs offline ever after."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from distbench.cli.output import err, out, print_json
from distbench.data.hub import Source
from distbench.data.pull import Pull, Wanted, WantedModel
from distbench.data.sources import HUB_ID
from distbench.data.trust import Trust
from distbench.errors import DistbenchError
from distbench.schema.places import at_home
from distbench.schema.pull import PullLock
from distbench.schema.suite import Suite, TaskSpec
from distbench.suite.bundled import resolve_suite
from distbench.suite.load import LoadedSuite, load_suite
from distbench.tasks.lm_eval_index import lm_eval_version
from distbench.tasks.lm_eval_needs import DataNeeds, data_needs, single_tasks


def pull_suite(argument: str, folder: Path, *, models: bool, refresh: bool, as_json: bool) -> None:
    """Fetch what the suite's tasks read, and its hub models where asked; write the suite that runs on it."""
    _prepare_libraries()
    loaded = load_suite(resolve_suite(argument))
    lm_eval = [task for task in loaded.suite.tasks if task.use == "lm-eval"]
    single = [one for task in lm_eval for one in single_tasks(task, loaded.directory)]
    needs = {task.title: data_needs(task, loaded.directory) for task in single}
    tasks = [_wanted(name, need) for name, need in needs.items() if need.repo is not None]
    wanted_models = _hub_models(loaded) if models else []
    pull = Pull(folder, refresh=refresh)

    def report(name: str, what: str) -> None:
        err().print(f"{name}: {what}", markup=False, soft_wrap=True)

    with pull.held():
        pull.pull(tasks, wanted_models, report)
        suite = pull.write_suite(offline_suite(loaded, folder, pull.lock))
    load_suite(suite)
    if as_json:
        print_json(pull.lock)
        return
    out().print(f"run it with: distbench run {suite}", markup=False, soft_wrap=True)


def _prepare_libraries() -> None:
    """Leave errors to us (the libraries log URLs, which may be signed), and bars to terminals. Before their import."""
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "5")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("DATASETS_VERBOSITY", "critical")
    if not sys.stderr.isatty():
        os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}


def list_suite(argument: str, *, as_json: bool) -> None:
    """Print what each task of a suite reads; nothing is fetched."""
    loaded = load_suite(resolve_suite(argument))
    rows = [row for task in loaded.suite.tasks for row in _rows(task, loaded.directory)]
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("task", "from", "config", "splits"):
        table.add_column(name)
    for row in rows:
        table.add_row(*(str(row[name] or "—") for name in ("task", "from", "config", "splits")))
    out().print(table)


def _rows(task: TaskSpec, directory: Path) -> list[dict[str, Any]]:
    if task.use != "lm-eval":
        return [_row(task.title, f"local ({task.use})")]
    return [_needed(one, directory) for one in single_tasks(task, directory)]


def _row(task: str, source: str) -> dict[str, Any]:
    return {"task": task, "from": source, "config": None, "splits": None, "hub": False}


def _needed(task: TaskSpec, directory: Path) -> dict[str, Any]:
    try:
        need = data_needs(task, directory)
    except DistbenchError as error:
        return _row(task.title, f"cannot be pulled: {error.message}")
    return _row(task.title, need.repo or f"local ({need.local})") | {
        "config": need.config,
        "splits": ", ".join(need.splits),
        "hub": need.repo is not None,
    }


def _wanted(name: str, need: DataNeeds) -> Wanted:
    assert need.repo is not None, "the caller asks for data on the hub only"
    source = Source(need.repo, need.config, need.revision, need.options)
    return Wanted(name, source, need.splits, need.task_digest, lm_eval_version())


def _hub_models(loaded: LoadedSuite) -> list[WantedModel]:
    """Return the models that the suite names by hub id: what is no local path, by the rule of `run`."""
    models = [(spec.source, spec.options) for spec in loaded.suite.teachers.values()]
    models += [(spec.source, spec.options) for spec in loaded.suite.students]
    wanted: dict[str, list[dict[str, Any]]] = {}
    for source, options in models:
        if source:
            wanted.setdefault(source, []).append(options)
    found = []
    for source, asked in wanted.items():
        match = HUB_ID.match(source)
        local = (loaded.directory / at_home(source)).exists()
        if match is not None and not local and not source.endswith(".gguf"):
            allowed = (any(each.get(key) is True for each in asked) for key in ("trust_remote_code", "allow_pickle"))
            found.append(WantedModel(source, match["id"], match["revision"], Trust(*allowed)))
    return found


def offline_suite(loaded: LoadedSuite, folder: Path, lock: PullLock) -> str:
    """Return the suite with every pulled task and model mapped to its local files, as YAML.

    Other relative paths lead from `folder` to where they led before.
    """
    tree = _moved(loaded.suite.model_dump(mode="json", exclude_unset=True), loaded.directory, folder.resolve())
    tasks = zip(loaded.suite.tasks, tree.get("tasks", []), strict=True)
    tree["tasks"] = [task for spec, entry in tasks for task in _mapped(spec, entry, loaded.directory, lock)]
    for given, model in _sources(loaded.suite, tree):
        if (pulled := lock.models.get(given)) is not None:
            model["source"] = f"./{pulled.folder}"
    head = "# Written by distbench data pull; the files it names are pinned in pull.lock.json.\n"
    text: str = yaml.dump(tree, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)
    return head + text


def _mapped(spec: TaskSpec, entry: dict[str, Any], directory: Path, lock: PullLock) -> list[dict[str, Any]]:
    """Return a task's entries with their data; a group is written out, so that it stays what it was."""
    if spec.use != "lm-eval" or spec.data is not None:
        return [entry]
    single = single_tasks(spec, directory)
    if not any(task.title in lock.tasks for task in single):
        return [entry]
    entries = []
    for task in single:
        new = entry | ({"name": task.title, "group": task.group, "weight": task.weight} if len(single) > 1 else {})
        if (locked := lock.tasks.get(task.title)) is not None:
            new["data"] = {split: file.path for split, file in locked.splits.items()}
        entries.append(new)
    return entries


def _sources(suite: Suite, tree: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return (source as the suite has it, its model in the new tree)."""
    models = [*((teacher.source, tree["teachers"][name]) for name, teacher in suite.teachers.items())]
    models += [(student.source, model) for student, model in zip(suite.students, tree["students"], strict=True)]
    return [(source, model) for source, model in models if source]


class _Plain(yaml.SafeDumper):
    """Writes no anchors: a suite may not have them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_WORDS = {"use", "of", "name", "label", "description", "device", "dtype"}  # texts that are never a path


def _moved(value: Any, old: Path, new: Path) -> Any:
    """Return a tree in which every relative path to something beside the old suite leads there from the new one."""
    if isinstance(value, Mapping):
        return {key: each if key in _WORDS else _moved(each, old, new) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, old, new) for each in value]
    if isinstance(value, str) and 0 < len(value) < 1000 and "\0" not in value and not Path(value).is_absolute():
        fixed, brace, pattern = value.partition("{")  # ./data/{task}.jsonl: the folder is what can be there
        known, slash, rest = fixed.rpartition("/") if brace else (value, "", "")
        if known and (old / known).exists():
            relative = os.path.relpath((old / known).resolve(), new)
            return (relative if relative.startswith(".") else f"./{relative}") + slash + rest + brace + pattern
    return value
