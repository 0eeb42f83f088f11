#!/usr/bin/env python3
"""How fast is a distillation step, and what does it hold? Six ways to train the same student, each in a process of its
own, in rounds of random order.

usage: scripts/distil/bench_trainer.py MODEL TEXTS [--rounds 3] [--steps 20] [--threads 2] [--trl DIR] [--only WAY …]

MODEL: a checkpoint folder of a causal language model, the teacher. The student is some of its layers, evenly spaced.
TEXTS: a text file; it is cut into rows. TRL is no dependency of ours: --trl names a folder that
`pip install --no-deps --target DIR trl==1.16.0` filled (it needs `datasets` beside transformers); only its own process
sees it. Without it that way is left out.

All ways see the same rows, at the same batch size, in float32, with fused AdamW and gradients clipped at 1. TRL runs at
lmbda 0, beta 0, temperature 1: the forward KL on given texts; its gradient checkpointing and bfloat16, on by default,
are off. A way's speed is the tokens of a batch over the median of its steps after the warm-up; its memory is the peak
resident size of its process (VmHWM), libraries and loading included; the student is loaded from its own small
checkpoint, so that no process holds a teacher that it does not ask. Ratios are taken within a round.

Prints a Markdown table, then the aims; exits 1 where one was missed (`--no-aims` for a trial run).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

HELD_OUT = 4  # rows
WAYS = {
    "trl": "TRL GKDTrainer, teacher online",
    "plain": "plain loop, whole vocabulary, teacher online",
    "online": "distbench, teacher online",
    "recorded": "distbench, teacher recorded",
    "labels": "distbench, no teacher",
    "plain-labels": "plain loop, whole vocabulary, no teacher",
}


@dataclass(frozen=True)
class Setting:
    """One training, and where its files lie."""

    folder: Path
    teacher: Path
    steps: int
    warmup: int
    batch: int
    length: int
    layers: int
    threads: int

    @property
    def student(self) -> Path:
        return self.folder / "student"


@dataclass
class Found:
    """What the rounds of one way gave: tokens/s and peak bytes."""

    speed: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


# -- in the child ------------------------------------------------------------------------------------------------------


class Clock:
    """Notes when steps end; the first note starts the first step."""

    def __init__(self) -> None:
        self.ends = [time.perf_counter()]

    def __call__(self, *_: Any) -> None:
        self.ends.append(time.perf_counter())

    def steps(self) -> list[float]:
        """Seconds of each step; the first one holds what comes before it too."""
        return [later - earlier for earlier, later in pairwise(self.ends)]


def prepare(setting: Setting, texts: Path) -> None:
    """Write the student, the rows, and what the teacher thinks of them."""
    import torch

    from distbench.data.capture import Corpus, capture
    from distbench.data.signal_file import save_signal
    from distbench.data.token_signal import TokenRows
    from distbench.methods.layer_drop import spaced
    from distbench.models.hf_causal import HFCausal
    from distbench.protocols import SignalRequest

    teacher = HFCausal.open(setting.teacher, settings_of(setting))
    count = (setting.steps * setting.batch) + HELD_OUT
    ids = teacher.tokenizer(texts.read_text(encoding="utf-8"), add_special_tokens=False)["input_ids"]
    width = setting.length + 1
    if len(ids) < count * width:
        raise SystemExit(f"{texts} has {len(ids):,} tokens; {count} rows of {width} need {count * width:,}")
    rows = torch.tensor(ids[: count * width], dtype=torch.int32).view(count, width)
    corpus = Corpus(TokenRows(rows[HELD_OUT:]), TokenRows(rows[:HELD_OUT]), "bench")
    save_signal(capture(corpus, [teacher], SignalRequest([])), setting.folder)
    teacher.keep_layers(spaced(teacher.layer_count(), setting.layers))
    teacher.save(setting.student)


def settings_of(setting: Setting) -> Any:
    from distbench.schema.cell import Settings

    return Settings(seed=0, device="cpu", dtype="float32", threads=setting.threads)


def ours(setting: Setting, way: str, clock: Clock) -> None:
    """Train with distbench's own learner, as a cell does."""
    from distbench.data.signal_file import load_signal
    from distbench.models.hf_causal import HFCausal
    from distbench.protocols import LearnSession, TrainingRecipe
    from distbench.schema.training import Budget, Term

    class Handle:
        identity = writer = "bench"
        offers: frozenset[str] = frozenset()

        def open(self) -> HFCausal:
            return HFCausal.open(setting.teacher, settings_of(setting))

        def tokenizer(self) -> Any:
            return HFCausal.tokenizer_of(setting.teacher)

    signal = load_signal(setting.folder, "bench", from_cache=True)
    if way != "recorded":
        signal = replace(signal, recorded=None)
    term = Term(use="labels") if way == "labels" else Term(use="forward-kl", temperature=1.0)
    budget = Budget(batch_size=setting.batch, steps=setting.steps, learning_rate=1e-4, precision="float32")
    session = LearnSession(progress=clock, teachers=[Handle()] if way == "online" else [])
    student = HFCausal.open(setting.student, settings_of(setting))
    student.learn(signal, TrainingRecipe((term,), budget), session)


def trl(setting: Setting, clock: Clock) -> None:
    """Train with TRL's GKDTrainer, off-policy."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    class Ends(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock()

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        taken = torch.tensor([row["ids"] for row in rows])
        return {"input_ids": taken, "attention_mask": torch.ones_like(taken), "labels": taken.clone()}

    torch.set_num_threads(setting.threads)
    with tempfile.TemporaryDirectory() as folder:
        config = GKDConfig(
            output_dir=folder, per_device_train_batch_size=setting.batch, max_steps=setting.steps, learning_rate=1e-4,
            lr_scheduler_type="cosine", max_grad_norm=1.0, lmbda=0.0, beta=0.0, temperature=1.0, bf16=False,
            gradient_checkpointing=False, use_cpu=True, report_to=[], logging_strategy="no", save_strategy="no",
            disable_tqdm=True, seed=0, max_length=setting.length,
        )  # fmt: skip
        GKDTrainer(
            model=AutoModelForCausalLM.from_pretrained(setting.student, dtype=torch.float32),
            teacher_model=AutoModelForCausalLM.from_pretrained(setting.teacher, dtype=torch.float32),
            args=config,
            processing_class=AutoTokenizer.from_pretrained(setting.teacher),
            train_dataset=Dataset.from_dict({"ids": inputs(setting).tolist()}),
            data_collator=collate,
            callbacks=[Ends()],
        ).train()


def plain(setting: Setting, clock: Clock, *, taught: bool) -> None:
    """Train with a loop of twenty lines, as in a tutorial: all logits, log_softmax, kl_div."""
    import torch
    from torch.nn.functional import cross_entropy, kl_div, log_softmax
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(setting.threads)
    student = AutoModelForCausalLM.from_pretrained(setting.student, dtype=torch.float32).train()
    teacher = AutoModelForCausalLM.from_pretrained(setting.teacher, dtype=torch.float32).eval() if taught else None
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    for batch in inputs(setting).split(setting.batch):
        logits = student(input_ids=batch, use_cache=False).logits[:, :-1].flatten(0, 1)
        if teacher is None:
            loss = cross_entropy(logits, batch[:, 1:].flatten())
        else:
            with torch.no_grad():
                thought = teacher(input_ids=batch, use_cache=False).logits[:, :-1].flatten(0, 1)
            p, q = log_softmax(thought, dim=-1), log_softmax(logits, dim=-1)
            loss = kl_div(q, p, reduction="batchmean", log_target=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        clock()


def inputs(setting: Setting) -> Any:
    """Return the rows as the others get them: `length` tokens go through the model, as they do in ours."""
    from distbench.data.signal_file import load_signal

    return load_signal(setting.folder, "bench", from_cache=True).train.ids[:, :-1].long()


def child(way: str, setting: Setting, texts: Path) -> None:
    """Do one way and print its steps and its peak."""
    clock = Clock()
    if way == "prepare":
        prepare(setting, texts)
    elif way == "trl":
        trl(setting, clock)
    elif way.startswith("plain"):
        plain(setting, clock, taught=way == "plain")
    else:
        ours(setting, way, clock)
    steps = clock.steps()[setting.warmup :]
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"steps": steps, "peak": peak}), file=sys.__stdout__)


# -- in the parent -----------------------------------------------------------------------------------------------------


def ask(way: str, setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Run one way in a fresh process."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(setting.threads),
        "MKL_NUM_THREADS": str(setting.threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if way == "trl":
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(options.trl.resolve()), os.environ.get("PYTHONPATH")))
        )
    told = json.dumps({key: str(value) if isinstance(value, Path) else value for key, value in asdict(setting).items()})
    command = [sys.executable, __file__, str(options.model), str(options.texts), "--child", way, "--told", told]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure(setting: Setting, options: argparse.Namespace) -> dict[str, Found]:
    """Run all rounds."""
    ways = [way for way in WAYS if (way != "trl" or options.trl) and (not options.only or way in options.only)]
    found, lot = {way: Found() for way in ways}, random.Random(options.seed)  # noqa: S311
    ask("prepare", setting, options)
    for turn in range(options.rounds):
        for way in lot.sample(ways, len(ways)):
            answer = ask(way, setting, options)
            speed = setting.batch * setting.length / statistics.median(answer["steps"])
            found[way].speed.append(speed)
            found[way].memory.append(answer["peak"])
            print(f"round {turn + 1}: {way} {speed:.0f} tokens/s, {answer['peak'] / 2**20:.0f} MiB", file=sys.stderr)
    return found


def ratios(found: dict[str, Found], way: str, other: str, what: str) -> list[float]:
    """Return a way's ratios to another's, a round each."""
    return [a / b for a, b in zip(getattr(found[way], what), getattr(found[other], what), strict=True)]


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def table(found: dict[str, Found]) -> str:
    """Return the Markdown table: medians over the rounds, with the smallest and largest ratio."""
    base = next(way for way in ("trl", "plain", *found) if way in found)
    limit = "labels" if "labels" in found else base
    lines = [
        f"| way | tokens/s | to {base} | to {limit} | peak MiB | to {base} |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for way, each in found.items():
        cells = [
            WAYS[way],
            f"{statistics.median(each.speed):.0f}",
            spread(ratios(found, way, base, "speed")),
            spread(ratios(found, way, limit, "speed")),
            f"{statistics.median(each.memory) / 2**20:.0f}",
            spread(ratios(found, way, base, "memory")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Aim:
    """What a median ratio should reach."""

    way: str
    other: str
    what: str
    words: str
    reached: Callable[[float], bool]


AIMS = (
    Aim("online", "trl", "speed", "online ≥ 1.3 × TRL's tokens/s", lambda ratio: ratio >= 1.3),
    Aim("online", "trl", "memory", "online ≤ 0.7 × TRL's peak memory", lambda ratio: ratio <= 0.7),
    Aim("recorded", "trl", "speed", "recorded ≥ 2.1 × TRL's tokens/s", lambda ratio: ratio >= 2.1),
    Aim("recorded", "labels", "speed", "recorded ≥ 0.95 × training without a teacher", lambda ratio: ratio >= 0.95),
)


def judge(found: dict[str, Found]) -> bool:
    """Print each aim with its ratio; say whether none was missed."""
    fine = True
    for aim in AIMS:
        if aim.way in found and aim.other in found:
            ratio = statistics.median(ratios(found, aim.way, aim.other, aim.what))
            reached = aim.reached(ratio)
            fine = fine and reached
            print(f"{'reached' if reached else 'MISSED '}  {ratio:.2f}  {aim.words}")
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=4, help="steps that do not count")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the order in each round")
    parser.add_argument("--trl", type=Path)
    parser.add_argument("--only", action="append", choices=list(WAYS))
    parser.add_argument("--no-aims", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--told", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        told = json.loads(options.told)
        setting = Setting(**told | {name: Path(told[name]) for name in ("folder", "teacher")})
        child(options.child, setting, options.texts)
        return 0
    if options.steps <= options.warmup:
        parser.error("--steps must be more than --warmup")
    with tempfile.TemporaryDirectory(prefix="distbench-bench-") as folder:
        sizes = (options.steps, options.warmup, options.batch, options.length, options.layers, options.threads)
        found = measure(Setting(Path(folder), options.model.resolve(), *sizes), options)
    print(table(found), end="\n\n")
    return 0 if judge(found) or options.no_aims else 1


if __name__ == "__main__":
    sys.exit(main())
