"""Rows with class labels, and what a teacher thinks of them: recorded once for every student, seed and temperature."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from distbench.data.feature_signal import FeatureSignal, Kind, soften
from distbench.errors import RunError
from distbench.hashing import digest, text_digest
from distbench.protocols import SignalRequest
from distbench.store.cache import Cache

CODE_VERSION = 1  # part of the cache key: raise it when the same inputs would be recorded otherwise
FILE = "probabilities.safetensors"
BATCH = 1024  # rows that a teacher is asked at once


@dataclass(frozen=True)
class Rows:
    """Inputs x [n, …] as in `FeatureSignal`, labels y [n] int64 (-1: none), each row's index in the original data, and
    the names of the classes (their numbers, where they have no names)."""

    kind: Kind
    x: NDArray[Any]
    y: NDArray[np.int64]
    index: NDArray[np.int64]
    classes: tuple[str, ...]
    names: tuple[str, ...] | None = None  # what a person knows each row by, such as its file

    def __len__(self) -> int:
        return len(self.y)

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """Return some of the rows."""
        names = None if self.names is None else tuple(self.names[row] for row in chosen)
        return Rows(self.kind, self.x[chosen], self.y[chosen], self.index[chosen], self.classes, names)


class OnlineInside:
    """What every source of labelled rows says of its teachers.

    Their class probabilities are recorded before the training; only what is inside them is asked for in every step.
    """

    online: ClassVar[frozenset[str]] = frozenset({"hidden", "attention"})

    def needs_for(self, asks: frozenset[str]) -> frozenset[str]:
        """Return what a teacher must offer for losses that look inside it."""
        return frozenset({"hidden-states"}) if asks & self.online else frozenset()

    def needs_of_student(self, asks: frozenset[str]) -> frozenset[str]:
        """Return what a student must offer for them: the same."""
        return self.needs_for(asks)


def content_digest(x: NDArray[Any]) -> str:
    """Return the hash of inputs, in order."""
    if x.dtype == object:
        return text_digest(x.tolist())
    return text_digest([str(x.shape), str(x.dtype), np.ascontiguousarray(x).tobytes().hex()])


def few_labels(y: NDArray[np.int64], keep: int | None, seed: int) -> NDArray[np.int64]:
    """Return the labels with all but `keep` of them hidden: a seeded random draw from the labelled rows.

    Raises RunError where there are fewer than `keep`.
    """
    if keep is None:
        return y
    labelled = np.flatnonzero(y >= 0)
    if keep > len(labelled):
        raise RunError(f"labelled: {keep}, but only {len(labelled)} training rows have a label")
    hidden = y.copy()
    hidden[np.random.default_rng(seed).permutation(labelled)[keep:]] = -1
    return hidden


def signal_of(train: Rows, heldout: Rows, y: NDArray[np.int64], ask: SignalRequest, what: Any) -> FeatureSignal:
    """Return the training signal; with teachers, their mean class probabilities beside it.

    `y` are the labels of `train` that may be seen; `what` says what the rows are, for the signal's digest. The teachers
    are loaded only where their answers are not in the cache.
    """
    began = time.perf_counter()
    soft = held_soft = None
    cached = False
    if ask.teachers:
        answers, cached = _asked(train, heldout, ask)
        soft, held_soft = soften(answers["train"], ask.temperature), soften(answers["heldout"], 1.0)
    identities = [teacher.identity for teacher in ask.teachers]
    return FeatureSignal(
        x=train.x,
        y=y,
        classes=len(train.classes),
        teacher_logp=soft,
        heldout_x=heldout.x,
        heldout_logp=held_soft,
        temperature=ask.temperature,
        digest=digest([what, identities, list(ask.weights), ask.temperature, ask.seed]),
        seconds=time.perf_counter() - began,
        from_cache=cached,
        kind=train.kind,
        heldout_y=heldout.y if bool((heldout.y >= 0).all()) and len(heldout) else None,
        names=train.classes,
    )


def _asked(train: Rows, heldout: Rows, ask: SignalRequest) -> tuple[dict[str, NDArray[np.float64]], bool]:
    """Return the teachers' mean probabilities, {"train": [n, classes], "heldout": [h, classes]}, and whether they were
    in the cache. They do not depend on temperature or seed."""
    from safetensors.numpy import load_file, save_file

    teachers = [teacher.identity for teacher in ask.teachers]
    content = [content_digest(train.x), content_digest(heldout.x)]
    key = digest(["classes", CODE_VERSION, content, len(train.classes), teachers, list(ask.weights)])

    def make(folder: Path) -> None:
        models = [teacher.open() for teacher in ask.teachers]
        parts = {"train": train.x, "heldout": heldout.x}
        found = {name: _mixture(models, x, len(train.classes), ask) for name, x in parts.items()}
        save_file(found, folder / FILE)

    folder, cached = Cache().get_or_make("signals", key, make)
    return load_file(folder / FILE), cached


def _mixture(models: list[Any], x: NDArray[Any], classes: int, ask: SignalRequest) -> NDArray[np.float64]:
    """Return the weighted mean of classifiers' probabilities, [n, classes]; equal weights where none are given.

    Raises RunError for a teacher that tells another number of classes apart.
    """
    total = np.zeros((len(x), classes))
    weights = ask.weights or (1.0 / len(models),) * len(models)
    for model, weight in zip(models, weights, strict=True):
        for start in range(0, len(x), BATCH):
            answer = model.classify(x[start : start + BATCH])
            if answer.shape[1] != classes:
                raise RunError(f"the teacher tells {answer.shape[1]} classes apart, the data have {classes}")
            total[start : start + BATCH] += weight * answer
            ask.progress(min(start + BATCH, len(x)), len(x), "asking the teacher")
    return total
