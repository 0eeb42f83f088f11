"""One process of a training: started by the tests of several processes, once by itself and several times by torchrun."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from distbench.data.signal_file import load_signal
from distbench.models.hf_causal import HFCausal
from distbench.protocols import LearnSession, TrainingRecipe
from distbench.schema.cell import Settings
from distbench.schema.training import Budget, Launch, Term
from distbench.training.processes import Processes

CPU = Settings(seed=0, device="cpu", dtype="float32", threads=1)


class Handle:
    """A teacher by its path."""

    def __init__(self, path: Path) -> None:
        self.identity, self.path = str(path), path

    def open(self) -> HFCausal:
        return HFCausal.open(self.path, CPU)


def progress_of(asked: dict[str, Any], rank: int) -> Any:
    """Return a progress that ends one process, as a kill does, after a step."""
    import os
    import signal

    def progress(done: int, total: int, what: str) -> None:
        if asked.get("kill") == [rank, done]:
            os.kill(os.getpid(), signal.SIGKILL)

    return progress


def main(path: Path) -> None:
    """Train as a file of JSON says; the first process writes the weights and the report beside it."""
    asked = json.loads(path.read_text())
    processes = Processes.here()
    with processes.together(CPU):
        signal = load_signal(Path(asked["signal"]), "test", from_cache=True)
        model = HFCausal.open(Path(asked["teacher"]), CPU)
        model.keep_layers(asked["layers"])
        if asked["examples"]:
            signal = signal.limited(asked["examples"])
        terms = tuple(Term(**term) for term in asked["terms"])
        recipe = TrainingRecipe(terms, Budget(**asked["budget"]), 0, asked.get("on_policy", 0.0))
        session = LearnSession(
            progress=progress_of(asked, processes.rank),
            scratch=Path(asked["scratch"]),
            teachers=[Handle(Path(asked["teacher"]))] if asked["online"] else [],
            launch=Launch(**asked["launch"]) if asked["launch"] else None,
        )
        report = model.learn(signal, recipe, session)
    if processes.leads:
        torch.save(dict(model.module.named_parameters()), path.with_suffix(".pt"))
        facts = {name: getattr(report, name) for name in ("steps", "loss", "heldout", "heldout_after", "kept_step")}
        facts |= {"resumed_from": report.resumed_from, "options": report.options, "stopped": report.stopped}
        path.with_suffix(".report").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
