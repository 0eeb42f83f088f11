"""A model, its data and its quantiser that take milliseconds: a third party's package for the kill loop.

Everything around them is distbench's own: planner, cells in fresh processes, recorded teachers, sealed checkpoints,
cache, comparison. Only the arithmetic is small: softmax regression on four numbers, in NumPy, with pauses.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from distbench.data.labelled_rows import OnlineInside, Rows, signal_of
from distbench.protocols import LearnReport, LearnSession, Resolved, SignalRequest
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict
from distbench.store.files import write_text
from distbench.training import checkpoints

FEATURES, CLASSES, STEPS, EVERY = 4, 3, 60, 10
PAUSE, THOUGHT = 0.01, 0.1  # seconds of a training step, and of answering: time in which a signal can come
ENTRY_POINTS = """\
[distbench.models]
quick = quick_model:Quick
[distbench.inits]
quick = quick_model:Fresh
[distbench.data]
quick-rows = quick_model:QuickRows
[distbench.quantisers]
quick-round = quick_model:Rounded
"""


def rows(count: int, seed: int) -> Rows:
    """Return vectors whose class is that of their largest mix of numbers, with noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, FEATURES)).astype(np.float32)
    mix = np.random.default_rng(7).normal(size=(FEATURES, CLASSES))
    y = (x @ mix + random.gumbel(size=(count, CLASSES))).argmax(axis=1).astype(np.int64)
    return Rows("features", x, y, np.arange(count, dtype=np.int64), tuple("abc"))


class QuickRows(OnlineInside):
    """The rows; a teacher's answers about them are recorded in the cache, as for any data source."""

    Options = Strict
    yields = "features"
    needs: ClassVar[frozenset[str]] = frozenset({"classify"})

    def __init__(self, options: Strict) -> None:
        self.options = options

    def identity(self) -> dict[str, Any]:
        return {"rows": "quick 1"}

    def test_rows(self) -> Rows:
        return rows(200, 3)

    def signal(self, ask: SignalRequest) -> Any:
        train = rows(120, 1)
        return signal_of(train, rows(40, 2), train.y, ask, [self.identity()])


class Thought(Strict):
    """How long an answer takes."""

    seconds: float = THOUGHT


class Quick:
    """Softmax regression. Its training writes sealed checkpoints and goes on from them."""

    Options = Thought
    offers: ClassVar[frozenset[str]] = frozenset({"classify", "learn", "save", "weights"})
    learns: ClassVar[frozenset[str]] = frozenset({"features"})

    def __init__(self, weights: Any = None, seconds: float = THOUGHT) -> None:
        self.weights = np.zeros((FEATURES, CLASSES)) if weights is None else np.asarray(weights)
        self.seconds = seconds

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        path = (directory / source).absolute()
        return Resolved(path, hashlib.sha256((path / "weights.json").read_bytes()).hexdigest(), source)

    @classmethod
    def warm_up(cls) -> None:
        """Nothing to import."""

    @classmethod
    def open(cls, path: Path, settings: Any, options: Any = None) -> Self:
        return cls(**json.loads((path / "weights.json").read_text()))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "weights.json", json.dumps({"weights": self.weights.tolist(), "seconds": self.seconds}))

    def footprint(self) -> Footprint:
        return Footprint(bytes_on_disk=self.weights.nbytes, params_unique=self.weights.size)

    def weight_bytes(self) -> int:
        return int(self.weights.nbytes)

    def classify(self, x: Any) -> Any:
        time.sleep(self.seconds)
        return self.probabilities(x)

    def probabilities(self, x: Any) -> Any:
        raw = np.exp(x @ self.weights)
        return raw / raw.sum(axis=1, keepdims=True)

    def learn(self, signal: Any, recipe: Any, session: LearnSession) -> LearnReport:
        assert session.scratch is not None
        session.scratch.mkdir(parents=True, exist_ok=True)
        target = np.eye(CLASSES)[signal.y] if signal.teacher_logp is None else np.exp(signal.teacher_logp)
        last = checkpoints.newest(session.scratch)
        first = 0 if last is None else checkpoints.step_of(last)
        if last is not None:
            self.weights = np.asarray(json.loads((last / "weights.json").read_text())["weights"])
        for step in range(first + 1, STEPS + 1):
            chosen = np.random.default_rng([recipe.seed, step]).permutation(len(signal.x))[:32]
            x = signal.x[chosen].astype(np.float64)
            self.weights = self.weights + 0.5 * x.T @ (target[chosen] - self.probabilities(x)) / len(chosen)
            time.sleep(PAUSE)
            session.progress(step, STEPS, "training")
            if step % EVERY == 0 and step < STEPS:
                self._checkpoint(session.scratch, step)
        return LearnReport(STEPS, STEPS * 32, 1.0, None, None, 0, resumed_from=first or None)

    def _checkpoint(self, scratch: Path, step: int) -> None:
        folder = scratch / f"{checkpoints.PREFIX}{step}"
        with checkpoints.writing(scratch, self.weights.nbytes):
            folder.mkdir()
            self.save(folder)
        checkpoints.seal(folder, {"step": step})


class Fresh:
    """An untrained one."""

    Options = Thought
    needs: ClassVar[frozenset[str]] = frozenset()
    makes: ClassVar[str | None] = "quick"

    def __init__(self, options: Thought) -> None:
        self.options = options

    def make(self, parent: Any, settings: Any) -> Quick:
        return Quick(seconds=self.options.seconds)


class Rounded:
    """Weights with one decimal."""

    Options = Strict
    needs: ClassVar[frozenset[str]] = frozenset({"save"})

    def __init__(self, options: Strict) -> None:
        self.options = options

    def quantise(self, model: Quick) -> Quick:
        return Quick(model.weights.round(1), model.seconds)


def install(place: Path) -> Path:
    """Write this module as an installed package; the folder belongs on the PYTHONPATH of whoever shall see it."""
    facts = place / "quick_model-1.0.dist-info"
    facts.mkdir(parents=True)
    (place / "quick_model.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: quick-model\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    return place
