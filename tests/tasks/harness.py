"""Stock lm-eval next to ours: one model, one draw, local data, nothing of ours in between."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from distbench.models.hf_causal import HFCausal
from distbench.protocols import Outcome
from distbench.schema.suite import TaskSpec
from distbench.tasks.lm_eval import LMEvalTask
from distbench.tasks.lm_eval_index import find_task, stock_fields
from tests.conftest import CPU

SPLITS = ("training_split", "validation_split", "test_split", "fewshot_split")
Scores = dict[int, dict[str, Any]]


def quiet(*_: object) -> None:
    """Hear no progress."""


def lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write JSON Lines and return the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def task(name: str, **given: Any) -> LMEvalTask:
    """Return the one task that a name stands for."""
    (spec,) = LMEvalTask.resolve(TaskSpec(use="lm-eval", name=name, **given), Path.cwd())
    return LMEvalTask(spec)


def task_file(folder: Path, name: str, **fields: Any) -> Path:
    """Write a task of the user's own; `function` values are written as !function."""
    body = {"task": name, "dataset_path": "json", "metadata": {"version": 1.0}} | fields
    text = yaml.safe_dump({key: value for key, value in body.items() if not str(value).startswith("!function ")})
    text += "".join(f"{key}: {value}\n" for key, value in body.items() if str(value).startswith("!function "))
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def scores(outcome: Outcome) -> Scores:
    """Return {document: {metric: score}}; a ratio of sums as its pair."""
    found: Scores = {}
    for sample in outcome.samples:
        value = sample.score if sample.denominator is None else (sample.numerator, sample.denominator)
        found.setdefault(int(sample.sample_id.split("-")[0]), {})[sample.metric] = value
    return found


def stock(
    model: HFCausal, name: str, data: dict[str, str], chosen: list[int], folder: Path | None = None, **given: Any
) -> list[dict[str, Any]]:
    """Return the rows that `lm_eval.simple_evaluate` logs with its own HFLM; only the data set's path is overridden."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    path = find_task(name, folder)
    fields = stock_fields(path)
    override: dict[str, Any] = {"include": str(path), "task": name, "dataset_path": "json", "dataset_name": None}
    override |= {key: None for key in SPLITS if fields.get(key) and fields[key] not in data}
    override["dataset_kwargs"] = {"data_files": data}
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "task.yaml").write_text(yaml.safe_dump(override), encoding="utf-8")
        manager = TaskManager(include_path=place, include_defaults=False)
        lm = HFLM(pretrained=model.module, tokenizer=model.tokenizer, batch_size=4, max_length=1024)
        out = lm_eval.simple_evaluate(
            lm,
            tasks=[name],
            task_manager=manager,
            samples={name: chosen},
            bootstrap_iters=0,
            fewshot_random_seed=CPU.seed,
            **given,
        )
    assert out is not None
    return list(out["samples"][name])


def stock_scores(rows: list[dict[str, Any]], metrics: Iterable[str]) -> Scores:
    """Return {document: {metric: score}} of logged rows, with the names that ours have."""
    filters = {row["filter"] for row in rows}
    found: Scores = {}
    for row in rows:
        for metric in row["metrics"]:
            label = metric if len(filters) == 1 else f"{metric},{row['filter']}"
            if label in metrics:
                found.setdefault(row["doc_id"], {})[label] = row[metric]
    return found
