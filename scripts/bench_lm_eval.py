#!/usr/bin/env python3
"""How much faster than stock lm-eval, with the same answers? Both in one process, in turns, on the same weights.

usage: scripts/bench_lm_eval.py MODEL DATA [--items 200] [--rounds 2] [--threads 2] [--only NAME …] [--students 3]

MODEL: a checkpoint folder, or what a suite's `source` takes. DATA: a folder that holds piqa/validation.jsonl,
gsm8k/test.jsonl and blimp/determiner_noun_agreement_1.jsonl. Stock is `lm_eval.simple_evaluate` with its own HFLM at
batch size 8 and 32; ours is `LMEvalTask.run` with scorer auto. Both load the data, build, score and process; stock is
handed a ready TaskManager, so that its index of every task does not count (it is timed once, below the table). A round
runs all three and then, for the next one, in reverse (ABBA); seconds are medians over the rounds.

Prints a Markdown table (progress bars go to standard error) and exits 1 where any decision differs. "n models" is a
teacher with its students: n runs of stock against one set of requests that n models answer (the same weights n times:
loading them is no part of it).
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from distbench.models.hf_causal import HFCausal
from distbench.protocols import Outcome
from distbench.schema.cell import Settings
from distbench.schema.suite import TaskSpec
from distbench.tasks import lm_eval as ours
from distbench.tasks.lm_eval_index import find_task
from distbench.tasks.lm_eval_kept import Kept

SHOTS = 5
STOCK = {"stock 8": 8, "stock 32": 32}
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Bench:
    """One line of the table: a stock task on documents of our making, and how it is asked."""

    name: str
    stock: str
    split: str
    documents: Rows
    about: str
    shots: int = 0
    models: int = 1


@dataclass
class Side:
    """What one side answered, by document (metrics; log-likelihood of each request), and the seconds of each round."""

    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    logps: dict[int, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


# -- documents ---------------------------------------------------------------------------------------------------------


def read(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def endings(problems: Rows) -> Rows:
    """HellaSwag's shape: a context, its own ending and those of three others.

    Lengths after 40 documents of the real data with this tokenizer: 6,840 tokens asked, 2,892 of them distinct, that
    is a context of about 33 tokens and endings of about 10.
    """
    words = [row["question"].split() for row in problems]
    long = [each for each in words if len(each) >= 50]
    texts = [(" ".join(each[:25]), " ".join(each[25 : 31 + i % 5])) for i, each in enumerate(long)]
    rows = []
    for i, (context, _) in enumerate(texts):
        order = [(i + k * 7) % len(texts) for k in range(4)]
        right = i % 4
        order[0], order[right] = order[right], order[0]
        rows.append({
            "ctx_a": context, "ctx_b": "", "activity_label": "Problem", "endings": [texts[j][1] for j in order],
            "label": str(right),
        })  # fmt: skip
    return rows


def answers(problems: Rows) -> Rows:
    """ARC's shape: a question of one or two sentences and four answers of a few tokens."""
    solved = [(row["question"], row["answer"].rsplit("####", 1)[1].strip()) for row in problems]
    asked = [(" ".join(re.split(r"(?<=[.?!])\s+", text)[-2:]), number) for text, number in solved]
    rows = []
    for i, (question, _) in enumerate(asked):
        texts = [f"{asked[(i + k * 5) % len(asked)][1]} in all" for k in range(4)]
        right = i % 4
        texts[0], texts[right] = texts[right], texts[0]
        rows.append({
            "id": str(i), "question": question, "choices": {"text": texts, "label": list("ABCD")},
            "answerKey": "ABCD"[right],
        })  # fmt: skip
    return rows


def benches(data: Path, students: int) -> list[Bench]:
    """Return what is measured."""
    problems, piqa = read(data / "gsm8k" / "test.jsonl"), read(data / "piqa" / "validation.jsonl")
    pairs = read(data / "blimp" / "determiner_noun_agreement_1.jsonl")
    four = endings(problems)
    return [
        Bench("BLIMP", "blimp_determiner_noun_agreement_1", "train", pairs, "minimal pairs, no context"),
        Bench("HellaSwag-like", "hellaswag", "validation", four, "GSM8K questions cut in two, own ending of four"),
        Bench("ARC-like", "arc_easy", "test", answers(problems), "ends of GSM8K questions, four numbers"),
        Bench("PIQA", "piqa", "validation", piqa, "two answers to a question"),
        Bench(f"PIQA {SHOTS}-shot", "piqa", "validation", piqa, f"the same {SHOTS} examples before all", shots=SHOTS),
        Bench(f"{SHOTS}-shot HellaSwag-like", "hellaswag", "validation", four, "the same before all", shots=SHOTS),
        Bench(
            f"HellaSwag-like, {students + 1} models", "hellaswag", "validation", four,
            f"a teacher and {students} students", models=students + 1,
        ),
    ]  # fmt: skip


# -- both sides --------------------------------------------------------------------------------------------------------


class Arena:
    """One model, and one task file for both sides."""

    def __init__(self, bench: Bench, model: HFCausal, place: Path, items: int) -> None:
        from lm_eval.tasks import TaskManager

        self.bench, self.model, self.count = bench, model, min(items, len(bench.documents) - bench.shots)
        files = {bench.split: bench.documents[bench.shots :][: self.count]}
        fields: dict[str, Any] = {"include": str(find_task(bench.stock)), "task": "bench", "tag": None}
        fields |= {"training_split": None, "validation_split": None, "test_split": bench.split}
        if bench.shots:
            files["shown"] = bench.documents[: bench.shots]
            fields |= {"training_split": "shown", "fewshot_split": "shown", "fewshot_config": {"sampler": "first_n"}}
        self.data = {split: str(place / f"{split}.jsonl") for split in files}
        for split, rows in files.items():
            Path(self.data[split]).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        fields |= {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": self.data}}
        (place / "bench.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
        self.manager = TaskManager(include_path=str(place), include_defaults=False)
        spec = TaskSpec(use="lm-eval", name="bench", data=self.data, include=str(place), num_fewshot=bench.shots)
        self.spec = ours.LMEvalTask.resolve(spec, place)[0]
        self.outcome: Outcome | None = None

    def ours(self) -> Side:
        """Build once, ask every model."""
        ours.KEPT = Kept()
        for _ in range(self.bench.models):
            self.outcome = ours.LMEvalTask(self.spec).run(self.model, self.model.settings, lambda *_: None)
        assert self.outcome is not None
        side = Side()
        for sample in self.outcome.samples:
            side.metrics.setdefault(int(sample.sample_id.split("-")[0]), {})[sample.metric] = float(sample.score or 0)
        ((prepared, _),) = ours.KEPT._known.values()  # noqa: SLF001 - every answer, not only that of the label
        for index, requests in zip(prepared.indices, prepared.requests, strict=True):
            side.logps[index] = [float(request.resps[0][0]) for request in requests]
        return side

    def stock(self, batch_size: int) -> Side:
        """Run `simple_evaluate` once a model."""
        import lm_eval
        from lm_eval.models.huggingface import HFLM

        for _ in range(self.bench.models):
            lm = HFLM(
                pretrained=self.model.module, tokenizer=self.model.tokenizer, batch_size=batch_size, max_length=2048
            )
            out = lm_eval.simple_evaluate(
                lm, tasks=["bench"], task_manager=self.manager, num_fewshot=self.bench.shots, bootstrap_iters=0
            )
        assert out is not None
        side = Side()
        for row in out["samples"]["bench"]:
            side.metrics[row["doc_id"]] = {metric: float(row[metric]) for metric in row["metrics"]}
            side.logps[row["doc_id"]] = [float(answer[0][0]) for answer in row["resps"]]
        return side


def measure(arena: Arena, rounds: int) -> dict[str, Side]:
    """Run all sides in turns; the first, untimed call of each fills the caches of the data library."""
    runs: dict[str, Callable[[], Side]] = {"ours": arena.ours}
    runs |= {name: (lambda size=size: arena.stock(size)) for name, size in STOCK.items()}  # type: ignore[misc]
    sides = {name: run() for name, run in runs.items()}
    for number in range(rounds):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            began = time.perf_counter()
            again = runs[name]()
            sides[name].seconds.append(time.perf_counter() - began)
            if again.metrics != sides[name].metrics:
                raise SystemExit(f"{arena.bench.name}: {name} does not repeat its own decisions")
    return sides


def row_of(arena: Arena, sides: dict[str, Side]) -> tuple[str, int]:
    """Return a line of the table, and how many items differ from either stock run."""
    mine, base = sides["ours"], STOCK
    differ = max(sum(mine.metrics[i] != sides[name].metrics.get(i) for i in mine.metrics) for name in base)
    assert all(mine.metrics.keys() == sides[name].metrics.keys() for name in base)
    gap = max(
        abs(a - b)
        for name in base
        for i in mine.logps
        for a, b in zip(mine.logps[i], sides[name].logps[i], strict=True)
    )
    median = {name: statistics.median(side.seconds) for name, side in sides.items()}
    ratios = [statistics.median(b / a for a, b in zip(mine.seconds, sides[name].seconds, strict=True)) for name in base]
    assert arena.outcome is not None
    facts = arena.outcome.scorer
    assert facts is not None
    asked = f"{facts.tokens_asked} → {facts.tokens_run}" if facts.name == "shared-prefix" else f"stock: {facts.reason}"
    seconds = " / ".join(f"{median[name]:.2f}" for name in ("ours", *base))
    shown = " / ".join(f"{ratio:.2f}×" for ratio in ratios)
    cells = [f"{arena.bench.name} ({arena.bench.about})", arena.count, asked, seconds, shown, differ, f"{gap:.1e}"]
    return f"| {' | '.join(map(str, cells))} | {facts.close_calls_total} |", differ


def index_seconds() -> float:
    """Return what stock's index of all its tasks costs, which every run of its command line pays."""
    from lm_eval.tasks import TaskManager

    began = time.perf_counter()
    TaskManager()
    return time.perf_counter() - began


def main() -> int:
    """Measure every line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--items", type=int, default=200, help="documents of each task")
    parser.add_argument("--rounds", type=int, default=2, help="even: every order comes as often as its mirror")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, choices=[8, 32], help="one batch size of stock; both if left out")
    parser.add_argument("--students", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="beginnings of names")
    arguments = parser.parse_args()
    import datasets

    datasets.disable_progress_bars()
    logging.disable(logging.WARNING)
    if arguments.batch:
        del STOCK[f"stock {40 - arguments.batch}"]
    settings = Settings(seed=0, device="cpu", dtype="float32", threads=arguments.threads)
    path = HFCausal.resolve(arguments.model, Path.cwd()).path
    assert path is not None
    model = HFCausal.open(path, settings)
    names = " / ".join(("ours", *STOCK))
    print(f"| task | items | tokens asked → run | seconds: {names} | ratio | differ | max Δ, nats | close |")
    print("|---|---|---|---|---|---|---|---|")
    differ = 0
    for bench in benches(arguments.data, arguments.students):
        if arguments.only and not any(bench.name.startswith(name) for name in arguments.only):
            continue
        with tempfile.TemporaryDirectory(prefix="distbench-bench-") as place:
            arena = Arena(bench, model, Path(place), arguments.items)
            line, more = row_of(arena, measure(arena, arguments.rounds))
        differ += more
        print(line, flush=True)
    print(f"\n{arguments.threads} threads, {arguments.rounds} rounds; {differ} decisions differ")
    print(f"not counted: {index_seconds():.1f} s for stock's index of its own tasks, once a process")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
