"""One process of a training: the tests call it once by themselves, and start it several times with torchrun.

With `--forks` it is the interpreter that many trainings fork from: what takes torchrun's processes longest is to import
their libraries, every time. It has no thread then, so that it can be forked safely.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from distbench.cell.events import die_with_parent
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


def killer(asked: dict[str, Any], rank: int) -> Callable[[int, int, str], None]:
    """Return a progress that kills this process after a step, if it is the one that is asked for."""

    def progress(done: int, total: int, what: str) -> None:
        if asked.get("kill") == [rank, done]:
            os.kill(os.getpid(), signal.SIGKILL)

    return progress


def main(path: Path) -> None:
    """Train as a file of JSON says; the first process writes weights and report beside it."""
    asked = json.loads(path.read_text())
    processes = Processes.here()
    with processes.together(CPU):
        taught = load_signal(Path(asked["signal"]), "test", from_cache=True)
        if asked["online"]:
            taught = dataclasses.replace(taught, recorded=None)
        model = HFCausal.open(Path(asked["teacher"]), CPU)
        model.keep_layers([0, 3])
        session = LearnSession(
            progress=killer(asked, processes.rank),
            scratch=Path(asked["scratch"]),
            teachers=[Handle(Path(asked["teacher"]))] if asked["online"] else [],
            launch=Launch(**asked["launch"]) if asked["launch"] else None,
        )
        terms = tuple(Term(**term) for term in asked["terms"])
        recipe = TrainingRecipe(terms, Budget(**asked["budget"]), 0, asked.get("on_policy", 0.0))
        report = model.learn(taught, recipe, session)
    if processes.leads:
        torch.save(dict(model.module.named_parameters()), path.with_suffix(".pt"))
        path.with_suffix(".report").write_text(json.dumps(dataclasses.asdict(report)))


def forks(path: Path, count: int) -> int:
    """Train in so many forks, as torchrun would start them; return the exit code of the first that failed, or 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = os.open(path.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ranks: set[int] = set()
    for rank in range(count):
        if (child := os.fork()) == 0:
            os.dup2(log, 2)
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            main(path)
            raise SystemExit(0)
        ranks.add(child)
    os.close(log)
    code = 0
    while ranks:
        ended, status = os.wait()
        ranks.remove(ended)
        if status and not code:
            code = os.waitstatus_to_exitcode(status)
            for rank in ranks:  # they would wait for it
                os.kill(rank, signal.SIGKILL)
    return code


def serve() -> None:
    """Answer each line of standard input, a file and a number of processes, with an exit code."""
    import torch._dynamo  # an optimiser brings it
    import torch.distributed.fsdp  # noqa: F401
    import transformers.models.llama.modeling_llama  # noqa: F401

    import distbench.training.trainer  # noqa: F401

    for line in sys.stdin:
        path, count = json.loads(line)
        sys.stdout.write(f"{forks(Path(path), count)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1] == "--forks":
        serve()
    else:
        main(Path(sys.argv[1]))
