#!/usr/bin/env python3
"""How much of a GPU does distillation use? Tokens/s and model-FLOP utilisation of a 1B student with an 8B teacher.

usage: scripts/distil/gpu.py [--steps 20] [--batch 8] [--length 2048] [--peak TFLOPS] [--only WAY …] [--tiny-on-cpu]

Weights are random, of the shapes of Llama 3.2 1B and Llama 3.1 8B: speed does not depend on their values. The student
trains with distbench's own learner in bfloat16 with float32 weights; the teacher is held in bfloat16. Each way runs in
a process of its own, on one CUDA device. Without a device nothing is measured and the exit code is 3.

Model FLOPs are those that the mathematics needs, whatever was computed (Chowdhery et al. 2022, PaLM, appendix B,
https://arxiv.org/abs/2204.02311): a token costs 2 N + 4 L h d S forward and three times that with its gradients, with N
parameters in matrix products (the output head among them, the embedding table not), L layers, h heads of size d, S
tokens of context; a causal mask would halve the second term, and as in the paper it is not halved. The teacher's
forward pass counts where it is asked. The utilisation is their rate over the peak of the device in dense bfloat16, by
its data sheet; of a device that is not listed here it is left out, or taken from --peak.

--tiny-on-cpu runs the same code on models of a few kilobytes: it says that the script works, and nothing about speed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

WAYS = {"labels": "no teacher", "recorded": "teacher recorded", "online": "teacher online"}
PEAKS = {"H100 PCIe": 756.0, "H100": 989.0, "H200": 989.0, "A100": 312.0}  # TFLOPS, dense bfloat16, NVIDIA data sheets
NO_DEVICE = 3
CANDIDATES = 64  # of the recorded teacher, as `distbench.data.capture` keeps


@dataclass(frozen=True)
class Shape:
    """A Llama's shape."""

    hidden: int
    layers: int
    heads: int
    groups: int
    between: int
    vocabulary: int
    tied: bool

    def module(self, device: str, dtype: Any, length: int) -> Any:
        """Return the model with random weights."""
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=self.vocabulary, hidden_size=self.hidden, intermediate_size=self.between,
            num_hidden_layers=self.layers, num_attention_heads=self.heads, num_key_value_heads=self.groups,
            max_position_embeddings=length + 1, tie_word_embeddings=self.tied,
        )  # fmt: skip
        with torch.device(device):
            return LlamaForCausalLM(config).to(dtype)

    @property
    def multiplied(self) -> int:
        """Parameters in matrix products."""
        share = self.groups / self.heads
        attention = 2 * self.hidden * self.hidden * (1 + share)
        return round(self.layers * (attention + 3 * self.hidden * self.between) + self.vocabulary * self.hidden)

    def forward_flops(self, length: int) -> float:
        """FLOPs of a token's forward pass."""
        return 2.0 * self.multiplied + 4.0 * self.layers * self.hidden * length


STUDENT = Shape(2048, 16, 32, 8, 8192, 128_256, tied=True)
TEACHER = Shape(4096, 32, 32, 8, 14_336, 128_256, tied=False)
TINY_STUDENT = Shape(32, 2, 4, 2, 64, 300, tied=True)
TINY_TEACHER = Shape(64, 4, 4, 2, 128, 300, tied=False)


class Opened:
    """A model without tokenizer or files, as the learner and its teachers are given one."""

    def __init__(self, module: Any, settings: Any, length: int) -> None:
        self.module, self.settings, self.tokenizer, self.context_length = module, settings, None, length + 1


class Handle:
    """A teacher that is there once it is asked for."""

    identity = writer = "random"
    offers: frozenset[str] = frozenset()

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    def open(self) -> Opened:
        return self.opened

    def tokenizer(self) -> None:
        return None


def rows_of(options: argparse.Namespace, shape: Shape, *, recorded: bool) -> Any:
    """Return random rows, and likeliest tokens that are distinct and leave a tenth of the mass to the rest."""
    import torch

    from distbench.data.capture import narrow
    from distbench.data.token_signal import HeldOut, Recorded, TokenRows, TokenSignal

    lot = torch.Generator().manual_seed(0)
    size = (options.batch * options.steps, options.length + 1)
    ids = torch.randint(shape.vocabulary, size, generator=lot, dtype=torch.int32)
    known = None
    if recorded:
        positions = (size[0], options.length, 1)
        first = torch.randint(shape.vocabulary, positions, generator=lot)
        spread = shape.vocabulary // CANDIDATES
        likeliest = (first + spread * torch.arange(CANDIDATES)) % shape.vocabulary
        logp = torch.log_softmax(-torch.arange(CANDIDATES).float() / 8, 0) + torch.tensor(0.9).log()
        full = logp.half().expand(size[0], options.length, CANDIDATES).contiguous()
        known = Recorded(narrow(likeliest, shape.vocabulary), full, 1.0)
    return TokenSignal(TokenRows(ids), HeldOut(TokenRows(ids[:1])), known, "random")


def child(way: str, options: argparse.Namespace) -> None:
    """Do one way and print its steps, its peak of device memory, and what it ran on."""
    import torch

    from distbench.protocols import LearnSession, TrainingRecipe
    from distbench.schema.cell import Settings
    from distbench.schema.training import Budget, Term
    from distbench.training.causal_lm import train

    device = "cpu" if options.tiny_on_cpu else "cuda:0"
    small, large = (TINY_STUDENT, TINY_TEACHER) if options.tiny_on_cpu else (STUDENT, TEACHER)
    settings = Settings(seed=0, device=device, dtype="float32", threads=1)
    torch.manual_seed(0)
    student = Opened(small.module(device, torch.float32, options.length), settings, options.length)
    teachers = []
    if way == "online":
        teachers = [Handle(Opened(large.module(device, torch.bfloat16, options.length), settings, options.length))]
    ends: list[float] = []

    def progress(*_: Any) -> None:
        if device != "cpu":
            torch.cuda.synchronize()
        ends.append(time.perf_counter())

    term = Term(use="labels") if way == "labels" else Term(use="forward-kl", temperature=1.0)
    budget = Budget(batch_size=options.batch, steps=options.steps, learning_rate=1e-5, precision="bfloat16")
    signal = rows_of(options, small, recorded=way == "recorded")
    train(student, signal, TrainingRecipe((term,), budget), LearnSession(progress=progress, teachers=teachers))
    steps = [b - a for a, b in pairwise(ends)][options.warmup :]
    peak = None if device == "cpu" else torch.cuda.max_memory_allocated()
    name = "cpu" if device == "cpu" else torch.cuda.get_device_name(0)
    print(json.dumps({"steps": steps, "peak": peak, "device": name}))


def line(way: str, answer: dict[str, Any], options: argparse.Namespace) -> str:
    """Return a row of the table."""
    small, large = (TINY_STUDENT, TINY_TEACHER) if options.tiny_on_cpu else (STUDENT, TEACHER)
    seconds = statistics.median(answer["steps"])
    rate = options.batch * options.length / seconds
    flops = 3 * small.forward_flops(options.length) + (large.forward_flops(options.length) if way == "online" else 0.0)
    listed = next((peak for name, peak in PEAKS.items() if name in answer["device"]), None)
    peak = options.peak or listed
    used = "not known" if peak is None else f"{rate * flops / (peak * 1e12):.1%}"
    held = "–" if answer["peak"] is None else f"{answer['peak'] / 2**30:.1f}"
    return f"| {WAYS[way]} | {rate:,.0f} | {seconds * 1000:.1f} | {rate * flops / 1e12:.3g} | {used} | {held} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=4, help="steps that do not count, besides the first")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--peak", type=float, help="the device's TFLOPS in dense bfloat16")
    parser.add_argument("--only", action="append", choices=list(WAYS))
    parser.add_argument("--tiny-on-cpu", action="store_true")
    parser.add_argument("--child", choices=list(WAYS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps < options.warmup + 2:
        parser.error("--steps must be at least two more than --warmup")
    if options.child:
        child(options.child, options)
        return 0
    import torch

    if not options.tiny_on_cpu and not torch.cuda.is_available():
        print(f"no CUDA device: torch {torch.__version__} sees none; nothing was measured", file=sys.stderr)
        return NO_DEVICE
    print("| way | tokens/s | ms a step | model TFLOPS | of the peak | peak GiB |\n|---|---:|---:|---:|---:|---:|")
    device = ""
    for way in options.only or WAYS:
        command = [sys.executable, __file__, *sys.argv[1:], "--child", way]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            return done.returncode
        answer = json.loads(done.stdout.splitlines()[-1])
        device = answer["device"]
        print(line(way, answer, options), flush=True)
    print(f"\n{device}; rows of {options.length} tokens, {options.batch} a step, {options.steps} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
