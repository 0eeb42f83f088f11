"""A model whose answers take as long as its file says, or until a gate is open: a third party's package, for tests."""

from __future__ import annotations

import json
from pathlib import Path

SOURCE = '''
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from distbench.protocols import Resolved
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict


class Steady:
    Options, offers, learns = Strict, frozenset({"classify", "weights"}), frozenset({"features"})

    def __init__(self, facts):
        self.facts = facts

    @classmethod
    def resolve(cls, source, directory):
        path = (directory / source).absolute()
        return Resolved(path, hashlib.sha256(path.read_bytes()).hexdigest(), source)

    @classmethod
    def warm_up(cls):
        pass

    @classmethod
    def open(cls, path, settings, options=None):
        return cls(json.loads(path.read_text()))

    def footprint(self):
        return Footprint(bytes_on_disk=8, params_unique=1)

    def weight_bytes(self):
        return 8

    def classify(self, x):
        """The best of ten numbers hangs on the pixels, and on the model's seed as far as its file says."""
        over, gate = time.monotonic() + self.facts["seconds"], self.facts.get("gate")
        while (left := over - time.monotonic()) > 0 and not (gate and Path(gate).exists()):
            time.sleep(min(left, 0.05) if gate else left)
        mix = np.random.default_rng(0).normal(size=(64, 10))
        own = np.random.default_rng(self.facts["seed"]).normal(size=(64, 10))
        raw = np.exp(x.reshape(len(x), -1) @ (mix + self.facts["own"] * own) / 8)
        return raw / raw.sum(axis=1, keepdims=True)
'''


def install(folder: Path) -> Path:
    """Write the package into `folder`, which then belongs on a PYTHONPATH."""
    facts = folder / "steady_model-1.0.dist-info"
    facts.mkdir(parents=True)
    (folder / "steady_model.py").write_text(SOURCE, encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: steady-model\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("[distbench.models]\nsteady = steady_model:Steady\n", encoding="utf-8")
    return folder


def write_model(path: Path, seconds: float, seed: int, gate: Path | None = None) -> Path:
    """Write the file of a model; it answers sooner where the file `gate` is there."""
    facts: dict[str, object] = {"seconds": seconds, "seed": seed, "own": 0.1 if seed else 0.0}
    path.write_text(json.dumps(facts | ({"gate": str(gate)} if gate else {})), encoding="utf-8")
    return path
