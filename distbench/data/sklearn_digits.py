"""scikit-learn's digits: 1,797 real images of 8 × 8 pixels, 10 classes (Alpaydin & Kaynak 1998)."""

from __future__ import annotations

import functools
import importlib.util
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distbench.data.feature_signal import FeatureSignal, mixture, soften
from distbench.errors import EnvironmentFault
from distbench.hashing import digest, file_digest
from distbench.protocols import SignalRequest
from distbench.schema.strict import Strict

SPLIT_SEED = 20240101  # the split belongs to the data set, not to a run: every run sees the same test images
TEST, HELDOUT = 600, 119


@dataclass(frozen=True)
class Rows:
    """Pixels scaled to 0–1 [n, 64], labels [n], and each row's index in the original data."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    index: NDArray[np.int64]


@functools.cache
def rows(split: Literal["train", "heldout", "test"]) -> Rows:
    """Return one part: 600 test, 119 held-out, 1,078 training images, drawn once with a fixed seed."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(data.target))
    bounds = {"test": (0, TEST), "heldout": (TEST, TEST + HELDOUT), "train": (TEST + HELDOUT, len(order))}[split]
    index = np.sort(order[bounds[0] : bounds[1]])
    return Rows(
        (data.data[index] / 16.0).astype(np.float32), data.target[index].astype(np.int64), index.astype(np.int64)
    )


class SklearnDigitsOptions(Strict):
    """Options of `data: {use: sklearn-digits}`."""

    labelled: int | None = Field(
        None, ge=10, le=1078, description="how many training images keep their label; the rest only has the teacher's"
    )


class SklearnDigits:
    """The digits as training signal and as test rows."""

    Options = SklearnDigitsOptions
    yields: ClassVar[str] = "features"
    needs: ClassVar[frozenset[str]] = frozenset({"classify"})

    def __init__(self, options: SklearnDigitsOptions) -> None:
        self.options = options

    def identity(self) -> dict[str, Any]:
        """Return the digest of the data file and of the split."""
        return {"rows": _data_digest()}

    def test_rows(self) -> Rows:
        """Return the test images: never seen by a training method."""
        return rows("test")

    def signal(self, ask: SignalRequest) -> FeatureSignal:
        """Return the training images; with teachers, their mean class probabilities beside them."""
        train, held = rows("train"), rows("heldout")
        y = train.y.copy()
        if self.options.labelled is not None:
            order = np.random.default_rng(ask.seed).permutation(len(y))
            y[order[self.options.labelled :]] = -1
        began = time.perf_counter()
        soft = held_soft = None
        if ask.teachers:
            models = [teacher.open() for teacher in ask.teachers]
            soft = soften(mixture(models, train.x, ask.weights), ask.temperature)
            held_soft = soften(mixture(models, held.x, ask.weights), 1.0)
        identities = [teacher.identity for teacher in ask.teachers]
        given = [self.identity(), self.options, identities, list(ask.weights), ask.temperature, ask.seed]
        return FeatureSignal(
            x=train.x,
            y=y,
            classes=10,
            teacher_logp=soft,
            heldout_x=held.x,
            heldout_logp=held_soft,
            temperature=ask.temperature,
            digest=digest(given),
            seconds=time.perf_counter() - began,
        )


@functools.cache
def _data_digest() -> str:
    """Return the hash of the library's data file and of how it is split here; scikit-learn itself is not imported."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise EnvironmentFault("scikit-learn is not installed: pip install scikit-learn")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return digest([file_digest(file), SPLIT_SEED, TEST, HELDOUT])
