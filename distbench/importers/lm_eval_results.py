"""One `results_<date>.json` of lm-eval: read, checked, reduced to what an import needs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distbench import secrets
from distbench.errors import Position, RefusedError, UsageError
from distbench.hashing import file_digest
from distbench.importers.json_lines import read_object
from distbench.schema.suite import TASK_NAME_PATTERN

DATED = re.compile(r"^(?P<stem>.*?)_?(?P<date>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?)\.json$")
TASK_NAME = re.compile(TASK_NAME_PATTERN)
MEANS = {"acc", "acc_norm", "exact_match"}  # lm-eval averages these where a task does not say how they aggregate


@dataclass(frozen=True)
class TaskFacts:
    """What a results file says about one task."""

    name: str
    version: str
    num_fewshot: int | None
    documents: int | None
    output_type: str
    higher_is_better: Mapping[str, bool]
    reported: Mapping[str, float] = field(default_factory=dict)  # "metric,filter" → mean, where it is a mean
    log_hash: str | None = None  # over the hashes of every logged row, in order


@dataclass(frozen=True)
class Results:
    """One results file: a model on some tasks."""

    path: Path
    sha256: str
    date: str
    model_name: str
    version: str | None
    tasks: Mapping[str, TaskFacts]
    raw: Mapping[str, Any]

    @property
    def config(self) -> Mapping[str, Any]:
        """How the model was called."""
        return _mapping(self.raw.get("config"))

    @property
    def evaluated_at(self) -> str | None:
        """UTC label of the start, or None where the file does not say."""
        seconds = _number(self.raw.get("date"))
        try:
            return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def parameters(self) -> int | None:
        """The model's parameters as lm-eval counted them (tied tensors once); it writes -1 for unknown."""
        count = self.config.get("model_num_parameters")
        return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None

    @property
    def seed(self) -> int:
        """The seed of the evaluation. RefusedError where the file does not hold it."""
        seed = self.config.get("random_seed")
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise RefusedError("config.random_seed is missing", at=Position(str(self.path)))
        return seed

    def text(self, key: str) -> str | None:
        """Return a top-level text, or None."""
        value = self.raw.get(key)
        return secrets.text(value) if isinstance(value, str) and value else None

    def configured(self, key: str) -> str | None:
        """Return a text or number of the model's configuration as text, or None."""
        value = self.config.get(key)
        return secrets.text(str(value)) if isinstance(value, str | int | float) and value != "" else None


def read_results(path: Path) -> Results:
    """Read a results file.

    Raises RefusedError where it is not one, or where a score in it is NaN or infinite.
    """
    raw = read_object(path)
    at = Position(str(path))
    name = raw.get("model_name") or _mapping(raw.get("config")).get("model")
    if not isinstance(raw.get("results"), dict) or not isinstance(name, str) or not name:
        raise RefusedError("not a results file of lm-eval: it has no 'results' or no 'model_name'", at=at)
    match = DATED.match(path.name)
    if match is None:
        raise UsageError(f"{path}: the name of a results file ends in its date, as lm_eval writes it")
    version = raw.get("lm_eval_version")
    leaves = raw.get("configs") if isinstance(raw.get("configs"), dict) else raw.get("n-samples")
    tasks = {task: _task(task, raw, at) for task in _mapping(leaves)}
    if odd := next((task for task in tasks if not TASK_NAME.match(task) or ".." in task), None):
        raise RefusedError(f"{odd[:80]!r} is not the name of a task", at=at)
    if not tasks:
        raise RefusedError("it names no task", at=at)
    return Results(
        path, file_digest(path), match["date"], secrets.text(name), str(version) if version else None, tasks, raw
    )


def _task(name: str, raw: Mapping[str, Any], at: Position) -> TaskFacts:
    def about(section: str) -> Any:
        return _mapping(raw.get(section)).get(name)

    config = _mapping(about("configs"))
    documents = _mapping(about("n-samples")).get("effective")
    shots = config.get("num_fewshot", about("n-shot"))
    log_hash = about("task_hashes")
    return TaskFacts(
        name=name,
        version=str(about("versions")),
        num_fewshot=shots if isinstance(shots, int) else None,
        documents=documents if isinstance(documents, int) else None,
        output_type=str(config.get("output_type", "")),
        higher_is_better={k: v for k, v in _mapping(about("higher_is_better")).items() if isinstance(v, bool)},
        reported=_reported(name, _mapping(about("results")), config, at),
        log_hash=log_hash if isinstance(log_hash, str) and log_hash else None,
    )


def _reported(task: str, scores: Mapping[str, Any], config: Mapping[str, Any], at: Position) -> dict[str, float]:
    listed = config.get("metric_list")
    metrics = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    how = {str(each.get("metric")): each.get("aggregation", "mean") for each in metrics}
    means = {}
    for key, value in scores.items():
        metric = str(key).partition(",")[0]
        if isinstance(value, float) and not math.isfinite(value) and not metric.endswith("_stderr"):
            raise RefusedError(f"results.{task}.{key} is {value}: the evaluation that wrote it is damaged", at=at)
        number = _number(value)
        if number is not None and "," in str(key) and how.get(metric, "mean" if metric in MEANS else "") == "mean":
            means[str(key)] = number
    return means


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        return None
