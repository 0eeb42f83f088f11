"""A model whose appetite is known, installed as a third party's package: what the real processes measure it by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MIB = 1 << 20
SOURCE = '''
import json
import mmap
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np

from distbench.protocols import Decoded, Quantity, Reading, Resolved
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict

MIB = 1 << 20


def touched(mib):
    block = mmap.mmap(-1, max(1, mib * MIB), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, mib * MIB, 4096):
        block[page] = 1
    return block


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


class Hungry:
    Options, offers, learns = Strict, frozenset({"decode", "cache", "weights", "save"}), frozenset()

    def __init__(self, facts):
        self.facts = facts
        self.weights = touched(facts.get("weights", 0))
        self.mapped = None
        if facts.get("mapped"):
            with open(facts["mapped"], "rb") as file:
                self.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            sum(self.mapped[page] for page in range(0, len(self.mapped), 4096))

    @classmethod
    def resolve(cls, source, directory):
        path = directory / source
        return Resolved(path, path.read_text(), "a test", converts=path.suffix == ".raw")

    @classmethod
    def warm_up(cls):
        pass

    @classmethod
    def open(cls, path, *_):
        path = Path(path)
        facts = json.loads((path / "model.json" if path.is_dir() else path).read_text())
        if path.suffix == ".raw":
            touched(facts["conversion"]).close()
        touched(facts.get("loading", 0)).close()
        return cls(facts)

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").write_text(json.dumps(self.facts))

    def footprint(self):
        return Footprint()

    def weight_bytes(self):
        return self.facts.get("weights", 0) * MIB

    def cache_bytes(self, prompts):
        return 1000 + 512 * prompts.shape[1]

    def prompts(self, batch, length, seed):
        return np.zeros((batch, length))

    def decode(self, prompts, n):
        if n > 1:
            touched(self.facts.get("spike", 0)).close()
            self.fail(self.facts.get("fails"))
        if self.facts.get("fails") == "answers one token":
            n = 1
        began = time.perf_counter_ns()
        return Decoded(np.zeros((len(prompts), n)), tuple(time.perf_counter_ns() - began + k for k in range(n)))

    def fail(self, how):
        if how == "host memory":
            raise MemoryError("cannot allocate 1 TiB")
        if how == "device memory":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 1 TiB")
        if how == "allocator":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TiB")
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)


class Rusage:
    """What a meter would read that trusts getrusage, and one that breaks."""

    Options, repeats = Strict, False
    QUANTITY = Quantity("maxrss_bytes", "bytes", False, "getrusage")

    def __init__(self, options):
        pass

    def quantities(self):
        return [self.QUANTITY]

    def workloads(self, model, work_at):
        yield from ()

    def once(self, model, work_at, load):
        if model.facts.get("fails") == "meter":
            raise ValueError("the instrument fell off")
        return [Reading(self.QUANTITY, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0)]
'''
ENTRY_POINTS = "[distbench.models]\nhungry = hungry_model:Hungry\n[distbench.meters]\nrusage = hungry_model:Rusage\n"


def install(place: Path) -> Path:
    """Write the package; the folder belongs on the PYTHONPATH of whoever shall see it."""
    facts = place / "hungry-1.0.dist-info"
    facts.mkdir(parents=True)
    (place / "hungry_model.py").write_text(SOURCE, encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: hungry\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    return place


def cell(folder: Path, models: dict[str, dict[str, Any]], meters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a measure cell, as JSON, of models that are written to `folder`."""
    refs = []
    for name, facts in models.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(facts), encoding="utf-8")
        refs.append({"name": name, "role": "student", "use": "hungry", "identity": name, "path": str(path)})
    settings = {"seed": 0, "device": "cpu", "dtype": "float32", "threads": 1}
    return {
        "kind": "measure", "id": "m", "title": "m", "needs": [], "models": refs, "meters": meters, "workload": None,
        "settings": settings,
    }  # fmt: skip
