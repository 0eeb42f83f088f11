"""Texts with class labels from JSON Lines: one object a line with a text field and a label field."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from distbench.data.feature_signal import FeatureSignal
from distbench.data.labelled_rows import OnlineInside, Rows, few_labels, signal_of
from distbench.errors import EnvironmentFault, Position, RunError, UsageError, did_you_mean
from distbench.hashing import file_digest
from distbench.protocols import SignalRequest
from distbench.schema.strict import Strict

CODE_VERSION = 1
SPLIT_DOMAIN = b"distbench labelled held-out\0"  # so that no other hash of the same text makes the same split
Paths = str | Annotated[list[str], Field(min_length=1)]
Label = int | str | None


class LabelledFiles(Strict):
    """Where the rows lie; each is a path or a list of paths, starting at the suite's folder."""

    train: Paths
    test: Paths | None = Field(None, description="what a classification task asks; no training reads it")
    heldout: Paths | None = Field(None, description="a part of `train` where left out")
    unlabelled: Paths | None = Field(None, description="more training texts; labels in them are not read")


class LabelledOptions(Strict):
    """Options of `data: {use: labelled}`."""

    files: LabelledFiles
    text: str = Field("text", min_length=1, description="field that holds the text")
    label: str = Field(
        "label", min_length=1, description="field that holds the label: a number from 0, a name, or null"
    )
    classes: list[str] | None = Field(
        None, min_length=2, max_length=100_000, description="names in the order of the head; those of `train`, sorted"
    )
    heldout: float = Field(0.1, gt=0, lt=1, description="share of `train` that is held out, chosen by content")
    labelled: int | None = Field(
        None, ge=1, description="how many training texts keep their label; the rest only has the teacher's"
    )
    samples: int | None = Field(None, ge=1, description="how many texts of `train` are used at all: a seeded draw")


class LabelledTexts(OnlineInside):
    """JSON Lines as training signal and as test rows."""

    Options = LabelledOptions
    yields: ClassVar[str] = "texts"
    needs: ClassVar[frozenset[str]] = frozenset({"classify"})
    paths: ClassVar[frozenset[str]] = frozenset({"files"})

    def __init__(self, options: LabelledOptions) -> None:
        self.options = options

    def identity(self) -> dict[str, Any]:
        """Return the digests of the files; a file that is not there is an EnvironmentFault."""
        files = {name: [_digest(path) for path in _listed(value)] for name, value in self.options.files}
        return {"code": CODE_VERSION, "files": files}

    def test_rows(self) -> Rows:
        """Return the test texts. Raises RunError for a label that the training rows do not have."""
        if self.options.files.test is None:
            raise UsageError("data 'labelled': files has no 'test', which a classification task asks")
        return self._rows("test", self._classes())

    def signal(self, ask: SignalRequest) -> FeatureSignal:
        """Return the training texts; with teachers, their mean class probabilities beside them."""
        train, heldout = self._parts(ask.seed)
        given = self.options.model_dump(mode="json", exclude={"files"})
        y = few_labels(train.y, self.options.labelled, ask.seed)
        return signal_of(train, heldout, y, ask, [self.identity(), given])

    def _parts(self, seed: int) -> tuple[Rows, Rows]:
        """Return (training, held-out) rows. A text that comes twice is on one side only."""
        classes = self._classes()
        train = self._rows("train", classes)
        if self.options.files.heldout is not None:
            heldout = self._rows("heldout", classes)
            seen = set(heldout.x.tolist())
            train = train.take(np.asarray([i for i, text in enumerate(train.x) if text not in seen], dtype=np.int64))
        else:
            out = np.asarray([_share(text) < self.options.heldout for text in train.x])
            train, heldout = train.take(np.flatnonzero(~out)), train.take(np.flatnonzero(out))
        if self.options.samples is not None and self.options.samples < len(train):
            drawn = np.random.default_rng([seed, len(train)]).permutation(len(train))[: self.options.samples]
            train = train.take(np.sort(drawn))
        train = self._with_unlabelled(train, set(heldout.x.tolist()))
        for name, part in (("training", train), ("held-out", heldout)):
            if not len(part):
                raise RunError(f"data 'labelled': 0 examples in the {name} part")
        return train, heldout

    def _with_unlabelled(self, train: Rows, heldout: set[str]) -> Rows:
        found = [text for path in _listed(self.options.files.unlabelled) for text in self._texts(path)]
        more = [text for text in found if text not in heldout]
        if not more:
            return train
        y = np.concatenate([train.y, np.full(len(more), -1, dtype=np.int64)])
        index = np.concatenate([train.index, np.arange(len(more)) + 1 + int(train.index.max(initial=-1))])
        return Rows("texts", np.concatenate([train.x, _array(more)]), y, index, train.classes)

    def _rows(self, part: Literal["train", "test", "heldout"], classes: tuple[str, ...]) -> Rows:
        texts: list[str] = []
        labels: list[int] = []
        numbers: dict[str | None, int] = {name: number for number, name in enumerate(classes)}
        if part == "train":
            numbers[None] = -1
        for path in _listed(getattr(self.options.files, part)):
            for line, text, label in _read(path, self.options.text, self.options.label):
                name = None if label is None else str(label)
                if name not in numbers:
                    outside = f"label {label!r} is outside the head, which has {len(classes)} labels"
                    raise RunError(f"{path}:{line}: {'no label' if label is None else outside}")
                texts.append(text)
                labels.append(numbers[name])
        if not texts:
            raise RunError(f"data 'labelled': 0 examples in {getattr(self.options.files, part)}")
        return Rows("texts", _array(texts), np.asarray(labels, dtype=np.int64), np.arange(len(texts)), classes)

    def _texts(self, path: str) -> Iterator[str]:
        for _, text, _ in _read(path, self.options.text, None):
            yield text

    def _classes(self) -> tuple[str, ...]:
        """Return the classes in the order of the head: those named, or what the training file has.

        Numbers count from 0 to the largest; names are sorted.
        """
        if self.options.classes is not None:
            return tuple(self.options.classes)
        return _found(tuple(_listed(self.options.files.train)), self.options.text, self.options.label)


def _found(paths: tuple[str, ...], text: str, label: str) -> tuple[str, ...]:
    given = [each for path in paths for _, _, each in _read(path, text, label)]
    labels, where = set(given) - {None}, ", ".join(paths)
    numbers = {each for each in labels if isinstance(each, int)}
    if not given:
        raise RunError(f"{where}: 0 examples")
    if len(labels) < 2:
        raise RunError(f"{where}: {len(labels)} different labels; a classifier needs two, or name them in 'classes'")
    if not numbers:
        return tuple(sorted(str(each) for each in labels))
    if len(numbers) < len(labels):
        raise RunError(f"{where}: some labels are numbers and some are names; give them as one or the other")
    if min(numbers) < 0:
        raise RunError(f"{where}: label {min(numbers)}: labels are numbers from 0 on, or names")
    return tuple(str(number) for number in range(max(numbers) + 1))


def _read(path: str, text: str, label: str | None) -> list[tuple[int, str, Label]]:
    """Return (line, text, label) of every row of a file; None where a label is not asked for, or null."""
    facts = _stat(path)
    return _read_unchanged(path, text, label, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=16)
def _read_unchanged(path: str, text: str, label: str | None, changed: int, size: int) -> list[tuple[int, str, Label]]:
    rows: list[tuple[int, str, Label]] = []
    with Path(path).open(encoding="utf-8") as file:
        try:
            for line, content in enumerate(file, start=1):
                if content.strip():
                    row = _parsed(content, Position(path, line))
                    given = None if label is None else _field(row, label, (int, str, type(None)), Position(path, line))
                    rows.append((line, _field(row, text, (str,), Position(path, line)), given))
        except UnicodeDecodeError as error:
            raise RunError(f"{path} is not UTF-8: byte {error.start} of a block") from None
    return rows


def _parsed(content: str, at: Position) -> dict[str, Any]:
    try:
        row = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {(str(error) or type(error).__name__).splitlines()[0][:160]}", at=at) from None
    if not isinstance(row, dict):
        raise UsageError(f"a line holds one JSON object, not {type(row).__name__}", at=at)
    return row


def _field(row: dict[str, Any], name: str, types: tuple[type, ...], at: Position) -> Any:
    if name not in row:
        raise UsageError(f"no field {name!r}{did_you_mean(name, list(row))} (it has {', '.join(list(row)[:8])})", at=at)
    value = row[name]
    if not isinstance(value, types) or isinstance(value, bool):
        words = {str: "text", int: "a whole number"}
        wanted = " or ".join(words[each] for each in types if each in words)
        raise UsageError(f"field {name!r} is {type(value).__name__}; expected {wanted}", at=at)
    return value


def _share(text: str) -> float:
    """Return a number in [0, 1) that depends on the text alone, so that duplicates fall on one side."""
    return int.from_bytes(hashlib.sha256(SPLIT_DOMAIN + text.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64


def _array(texts: list[str]) -> Any:
    """Return texts as an array of objects: a numpy text array would pad every one to the longest."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def _listed(value: Paths | None) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else value


def _stat(path: str) -> Any:
    try:
        return Path(path).stat()
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error


def _digest(path: str) -> str:
    facts = _stat(path)
    return _digest_unchanged(path, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=256)
def _digest_unchanged(path: str, changed: int, size: int) -> str:
    try:
        return file_digest(Path(path))
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error
