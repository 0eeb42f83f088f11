"""lm-eval output written by hand, in lm-eval's own form (checked against the real one in test_real_output.py)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DATE = "2026-05-04T10-20-30.123456"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def choice_row(number: int, *, right: bool, prompt: str = "Question", filters: str = "none") -> dict[str, Any]:
    """One document with two choices, as lm-eval 0.4.13 logs it: answers are text."""
    doc = {"goal": f"goal {number}", "sol1": "one", "sol2": "two", "label": number % 2}
    best = doc["label"] if right else 1 - doc["label"]
    answers = [["-1.5", "True"] if i == best else ["-2.5", "False"] for i in range(2)]
    text = f"{prompt}: goal {number}"
    return {
        "doc_id": number, "doc": doc, "target": str(doc["label"]),
        "arguments": {f"gen_args_{i}": {"arg_0": text, "arg_1": f" {c}"} for i, c in enumerate(("one", "two"))},
        "resps": [[answer] for answer in answers], "filtered_resps": answers, "filter": filters,
        "metrics": ["acc", "acc_norm"],
        "doc_hash": sha(json.dumps(doc, indent=2, ensure_ascii=False)), "prompt_hash": sha(text),
        "target_hash": sha(str(doc["label"])), "acc": float(right), "acc_norm": float(right),
    }  # fmt: skip


def text_rows(number: int, *, right: bool) -> list[dict[str, Any]]:
    """One document of free text under two filters."""
    doc = {"question": f"{number} + 1?", "answer": str(number + 1)}
    asked = {"until": ["\n"], "do_sample": False, "temperature": 0.0, "max_gen_toks": 4}
    rows = []
    for name in ("strict-match", "flexible-extract"):
        score = float(right and name == "flexible-extract")
        rows.append({
            "doc_id": number, "doc": doc, "target": doc["answer"],
            "arguments": {"gen_args_0": {"arg_0": doc["question"], "arg_1": asked}},
            "resps": [["answer"]], "filtered_resps": [doc["answer"] if score else "[invalid]"], "filter": name,
            "metrics": ["exact_match"], "doc_hash": sha(json.dumps(doc, indent=2)), "prompt_hash": sha(doc["question"]),
            "target_hash": sha(doc["answer"]), "exact_match": score,
        })  # fmt: skip
    return rows


def results_of(model: str, logs: dict[str, Sequence[dict[str, Any]]], **changes: Any) -> dict[str, Any]:
    """The results document that belongs to some logs."""
    results: dict[str, Any] = {}
    configs, hashes, counts = {}, {}, {}
    for task, rows in logs.items():
        scores: dict[str, Any] = {"alias": task}
        for name in dict.fromkeys(row["filter"] for row in rows):
            mine = [row for row in rows if row["filter"] == name]
            for metric in mine[0]["metrics"]:
                scores[f"{metric},{name}"] = sum(row[metric] for row in mine) / len(mine)
                scores[f"{metric}_stderr,{name}"] = 0.01
        results[task] = scores
        kind = "multiple_choice" if "acc" in rows[0]["metrics"] else "generate_until"
        metrics = [{"metric": m, "aggregation": "mean", "higher_is_better": True} for m in rows[0]["metrics"]]
        configs[task] = {"task": task, "output_type": kind, "num_fewshot": 0, "metric_list": metrics}
        hashes[task] = sha("".join(r["doc_hash"] + r["prompt_hash"] + r["target_hash"] for r in rows))
        documents = len({row["doc_id"] for row in rows})
        counts[task] = {"original": documents, "effective": documents}
    return {
        "results": results, "configs": configs, "versions": dict.fromkeys(logs, 1.0), "n-shot": dict.fromkeys(logs, 0),
        "higher_is_better": {t: dict.fromkeys(rows[0]["metrics"], True) for t, rows in logs.items()},
        "n-samples": counts, "task_hashes": hashes,
        "config": {"model": "hf", "model_args": f"pretrained={model},dtype=float32", "model_num_parameters": 1000,
                   "model_dtype": "torch.float32", "model_sha": "", "device": "cpu", "limit": None, "use_cache": None,
                   "gen_kwargs": {}, "random_seed": 0, "fewshot_seed": 1234},
        "git_hash": "abc1234", "date": 1777890000.5, "lm_eval_version": "0.4.13", "transformers_version": "5.17.0",
        "model_source": "hf", "model_name": model, "fewshot_as_multiturn": False, "chat_template_sha": None,
        "system_instruction_sha": None,
    } | changes  # fmt: skip


def write_output(
    folder: Path, model: str, logs: dict[str, Sequence[dict[str, Any]]], *, date: str = DATE, **changes: Any
) -> Path:
    """Write results and logs below `folder`, nested by model name as lm-eval nests them."""
    inner = folder / model.replace("/", "__")
    inner.mkdir(parents=True, exist_ok=True)
    (inner / f"results_{date}.json").write_text(json.dumps(results_of(model, logs, **changes), indent=2))
    for task, rows in logs.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (inner / f"samples_{task}_{date}.jsonl").write_text(text)
    return folder


def choices(count: int, wrong: Sequence[int] = (), **given: Any) -> list[dict[str, Any]]:
    """`count` documents, answered right but for those in `wrong`."""
    return [choice_row(i, right=i not in wrong, **given) for i in range(count)]
