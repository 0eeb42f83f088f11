#!/usr/bin/env python3
"""What do chunks and recorded candidates cost and change, on a real head and real text?

usage: scripts/distil/check_losses.py MODEL TEXTS [TEXTS ...] [--keep 29 23 6] [--rounds 5] [--threads 2] [--exact 256]

MODEL: a checkpoint folder, or what a suite's `source` takes: the teacher. TEXTS: plain text, or JSON Lines, of which
the strings are read. The students are the teacher with some of its blocks left out, untrained. Prints

1. the chunked sum against the plain loss: relative difference of the value and of the gradients, at as many positions
   as --exact says; and of both against the plain loss in float64;
2. the cosine between the gradient of the KL over the whole vocabulary and that over the 64 likeliest tokens and the
   rest, as they are recorded (float16), and over those tokens renormalised, as other tools keep them (each for the
   hidden states and for the head);
3. time and memory (Linux) of the loss, forward and backward, chunked over plain: they take turns. Beside the time that
   passed stands the processor's, which a busy machine disturbs less.

`--exact 0` and `--rounds 0` leave out the first and the last.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy, kl_div, linear, log_softmax

from distbench import plugins
from distbench.losses.chunked import chunked_sum
from distbench.losses.head import head_of
from distbench.losses.target import Full, Target, TopK
from distbench.methods.layer_drop import spaced
from distbench.models.hf_causal import HFCausal
from distbench.schema.cell import Settings
from distbench.schema.strict import Use

K = 64
Leaves = tuple[torch.Tensor, torch.Tensor]  # hidden states [N, d], head [V, d]


class Renormalised:
    """What top-k without a rest amounts to: the teacher's candidates sum to 1; `both`: the student's, too."""

    def __init__(self, *, both: bool) -> None:
        self.both = both

    def __call__(self, logits: Any, target: Target) -> Any:
        known = target.teacher
        assert isinstance(known, TopK)
        teacher = log_softmax(known.logp.float(), -1)
        student = logits.gather(-1, known.ids) if self.both else log_softmax(logits, -1).gather(-1, known.ids)
        return kl_div(log_softmax(student, -1) if self.both else student, teacher, log_target=True, reduction="sum")


def loss_of(use: str) -> Any:
    return plugins.load("losses", use)(plugins.options("losses", Use(use=use)))


def strings(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            if path.suffix != ".jsonl":
                yield line
                continue
            yield from (value for value in json.loads(line).values() if isinstance(value, str))


def rows_of(paths: list[Path], model: HFCausal, shape: tuple[int, int]) -> torch.Tensor:
    """Return token ids [rows, length + 1]: the texts one after another."""
    wanted, ids = shape[0] * (shape[1] + 1), []
    for text in strings(paths):
        ids += model.tokenizer.encode(text + "\n")
        if len(ids) >= wanted:
            return torch.tensor(ids[:wanted]).view(shape[0], -1)
    raise SystemExit(f"the texts have {len(ids)} tokens; {wanted} are wanted")


@torch.no_grad()
def states_of(model: HFCausal, ids: torch.Tensor) -> torch.Tensor:
    """Return the hidden states before the head at every position that predicts, [N, d]."""
    head = head_of(model.module)
    if head is None:
        raise SystemExit("the model's logits are not a linear map of its hidden states: there is nothing to cut")
    states: torch.Tensor = head.hidden({"input_ids": ids[:, :-1]}).last_hidden_state
    return states.flatten(0, 1)


class Bench:
    """One teacher and one student at the same positions, and every way to compute a loss between them."""

    def __init__(self, teacher: Any, student: Any, head: Any, labels: Any, recorded: TopK | None = None) -> None:
        self.teacher, self.head, self.labels = teacher, head.detach(), labels
        self.leaves: Leaves = (student.detach().clone().requires_grad_(), head.detach().clone().requires_grad_())
        self.recorded = recorded or self._record()

    @torch.no_grad()
    def _record(self) -> TopK:
        """Return what a recording keeps, which is float16 whatever the model computes in."""
        best = [log_softmax(linear(some, self.head), -1).topk(K, -1) for some in torch.split(self.teacher, 256)]
        ids, logp = (torch.cat([getattr(each, name) for each in best]) for name in ("indices", "values"))
        return TopK(ids, logp.half(), 1.0)

    def likeliest(self, rows: slice) -> Target:
        return Target(self.labels[rows], self.recorded.rows(rows))

    def online(self, rows: slice) -> Target:
        return Target(self.labels[rows], Full([linear(self.teacher[rows], self.head)]))

    def chunked(self, use: str | Any, target_of: Callable[[slice], Target]) -> torch.Tensor:
        loss = loss_of(use) if isinstance(use, str) else use
        return chunked_sum(*self.leaves, None, target_of, [(1.0 / len(self.labels), loss)])

    def plain_kl(self) -> torch.Tensor:
        with torch.no_grad():
            teacher = log_softmax(linear(self.teacher, self.head), -1)
        student = log_softmax(linear(*self.leaves), -1)
        return kl_div(student, teacher, log_target=True, reduction="sum") / len(self.labels)

    def plain_recorded(self) -> torch.Tensor:
        total: torch.Tensor = loss_of("forward-kl")(linear(*self.leaves), self.likeliest(slice(None)))
        return total / len(self.labels)

    def plain_labels(self) -> torch.Tensor:
        return cross_entropy(linear(*self.leaves), self.labels)

    def part(self, positions: int, dtype: torch.dtype) -> Bench:
        """Return the same at the first positions and in another precision; what was recorded stays."""
        first = slice(0, positions)
        teacher, student = (each[first].to(dtype) for each in (self.teacher, self.leaves[0]))
        return Bench(teacher, student, self.head.to(dtype), self.labels[first], self.recorded.rows(first))

    def ways(self) -> dict[str, tuple[Callable[[], torch.Tensor], Callable[[], torch.Tensor]]]:
        """Return (plain, chunked) of three set-ups."""
        return {
            "KL, teacher online": (self.plain_kl, lambda: self.chunked("forward-kl", self.online)),
            f"KL, recorded top {K}": (self.plain_recorded, lambda: self.chunked("forward-kl", self.likeliest)),
            "labels": (self.plain_labels, lambda: self.chunked("labels", self.likeliest)),
        }

    def gradients(self, loss: Callable[[], torch.Tensor]) -> tuple[float, list[torch.Tensor]]:
        value = loss()
        return float(value.detach()), list(torch.autograd.grad(value, self.leaves))


def print_equality(bench: Bench, positions: int) -> None:
    print("| relative difference | value | gradient of hidden states | of the head |\n|---|---|---|---|")
    single, double = (bench.part(positions, dtype) for dtype in (torch.float32, torch.float64))
    for name, (exact, _) in double.ways().items():
        plain, chunked = single.ways()[name]
        found = {
            "chunked": single.gradients(chunked),
            "plain": single.gradients(plain),
            "float64": double.gradients(exact),
        }
        for one, other in (("chunked", "plain"), ("chunked", "float64"), ("plain", "float64")):
            (value, ours), (expected, theirs) = found[one], found[other]
            gaps = [relative(a, b) for a, b in zip(ours, theirs, strict=True)]
            print(
                f"| {name}: {one}, {other} | {abs(value - expected) / expected:.1e} | {gaps[0]:.1e} | {gaps[1]:.1e} |"
            )


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.to(expected.dtype) - expected).norm() / expected.norm())


def print_cosines(bench: Bench, kept: int) -> None:
    kl, full = bench.gradients(lambda: bench.chunked("forward-kl", bench.online))
    cells = []
    for loss in (loss_of("forward-kl"), Renormalised(both=True), Renormalised(both=False)):
        _, found = bench.gradients(lambda loss=loss: bench.chunked(loss, bench.likeliest))  # type: ignore[misc]
        cosines = [
            float(torch.cosine_similarity(a.double().flatten(), b.double().flatten(), 0))
            for a, b in zip(found, full, strict=True)
        ]
        cells.append(f"{cosines[0]:.4f} · {cosines[1]:.4f}")
    print(f"| {kept} | {kl:.2f} | {' | '.join(cells)} |", flush=True)


def resident(mark: str) -> float:
    """Return this process's memory, or its high-water mark, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(mark)) / 1e3


def cost(loss: Callable[[], torch.Tensor], bench: Bench) -> tuple[float, float, float]:
    """Return seconds, the processor's seconds, and MB at the peak beyond what was there before."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the mark back
    before, began, busy = resident("VmRSS"), time.perf_counter(), time.process_time()
    torch.autograd.grad(loss(), bench.leaves)
    return time.perf_counter() - began, time.process_time() - busy, resident("VmHWM") - before


def print_costs(bench: Bench, rounds: int) -> None:
    print("| chunked over plain, medians | time | processor time | peak memory | chunked | plain |")
    print("|---|---|---|---|---|---|")
    for name, pair in bench.ways().items():
        found: tuple[list[Any], list[Any]] = ([], [])
        for turn in range(rounds + 1):
            for which in (0, 1) if turn % 2 else (1, 0):
                found[which].append(cost(pair[which], bench))
        plain, ours = ([statistics.median(each) for each in zip(*runs[1:], strict=True)] for runs in found)
        ratios = " | ".join(f"{a / b:.2f}" if b > 0 else "not measurable" for a, b in zip(ours, plain, strict=True))
        words = " | ".join(f"{busy:.2f} s, {mb:.0f} MB" for _, busy, mb in (ours, plain))
        print(f"| {name} | {ratios} | {words} |", flush=True)


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--keep", type=int, nargs="+", default=[29, 23, 6], help="blocks that the students keep")
    parser.add_argument("--shape", type=int, nargs=2, default=[4, 256], help="rows, and predictions in each")
    parser.add_argument("--exact", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    settings = Settings(seed=0, device="cpu", dtype="float32", threads=arguments.threads)
    path = HFCausal.resolve(arguments.model, Path.cwd()).path
    assert path is not None
    model = HFCausal.open(path, settings)
    ids = rows_of(arguments.texts, model, tuple(arguments.shape))
    labels, teacher = ids[:, 1:].flatten(), states_of(model, ids)
    head = model.module.get_output_embeddings().weight
    print(f"N = {len(labels)} positions, V = {len(head)}, d = {head.shape[1]}, {arguments.threads} threads\n")
    total, benches = model.layer_count(), {}
    for kept in sorted(arguments.keep, reverse=True):
        student = HFCausal.open(path, settings)
        student.keep_layers(spaced(total, kept))
        benches[kept] = Bench(teacher, states_of(student, ids), head, labels)
    if arguments.exact:
        print_equality(benches[min(benches)], arguments.exact)
    print(f"\n| blocks of {total} | KL | top {K} + rest | renormalised, both sides | renormalised, teacher's side |")
    print("|---|---|---|---|---|")
    for kept, bench in benches.items():
        print_cosines(bench, kept)
    print()
    if arguments.rounds:
        print_costs(benches[min(benches)], arguments.rounds)


if __name__ == "__main__":
    main()
