#!/usr/bin/env python3
"""How far are a model's own float32 log-likelihoods from float64, one sequence at a time, with no scorer in between?

usage: scripts/check_float32.py MODEL DATA [--pairs 100] [--threads 2]

MODEL: a checkpoint folder, or what a suite's `source` takes. DATA: a folder that holds
blimp/determiner_noun_agreement_1.jsonl. Prints what a difference between two scorers of this model can be blamed on:
the whole pass of a sentence, and of that the softmax alone (log_softmax and logsumexp of the same float32 logits).
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

from distbench.models.hf_causal import HFCausal
from distbench.schema.cell import Settings


def sentences(path: Path, pairs: int) -> list[str]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:pairs]]
    return [row[side] for row in rows for side in ("sentence_good", "sentence_bad")]


def logits_of(module: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = module(ids[:, :-1], use_cache=False).logits[0]
    return logits


def main() -> None:
    """Print one line a source of error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    settings = Settings(seed=0, device="cpu", dtype="float32", threads=arguments.threads)
    path = HFCausal.resolve(arguments.model, Path.cwd()).path
    assert path is not None
    single, double = HFCausal.open(path, settings), HFCausal.open(path, settings)
    double.module.double()
    whole: list[float] = []
    softmax: dict[str, list[float]] = {"log_softmax": [], "logsumexp": []}
    for text in sentences(arguments.data / "blimp" / "determiner_noun_agreement_1.jsonl", arguments.pairs):
        ids = torch.tensor([[single.tokenizer.bos_token_id, *single.tokenizer.encode(" " + text)]])
        targets = ids[0, 1:, None]
        logits, exact = logits_of(single.module, ids), logits_of(double.module, ids)
        after = logits.log_softmax(-1).gather(1, targets)
        other = logits.gather(1, targets) - logits.logsumexp(-1, keepdim=True)
        truth = logits.double().log_softmax(-1).gather(1, targets)
        whole.append(abs(float(after.double().sum() - exact.log_softmax(-1).gather(1, targets).sum())))
        softmax["log_softmax"] += (after.double() - truth)[:, 0].tolist()
        softmax["logsumexp"] += (other.double() - truth)[:, 0].tolist()
    print(f"{len(whole)} sentences: median {statistics.median(whole):.1e}, largest {max(whole):.1e} nats")
    for name, errors in softmax.items():
        print(f"{name}: mean {statistics.fmean(errors):+.1e}, largest {max(map(abs, errors)):.1e} nats a token")


if __name__ == "__main__":
    main()
