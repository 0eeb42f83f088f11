"""The log of one task's samples: checked line by line, indexed in a few dozen bytes a line, then read again as rows.

A document is known by what it holds (the hashes of the document and of its target), not by its number: two logs pair
also where one of them was drawn or ordered otherwise. Identical documents are told apart by their order.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distbench.errors import Position, RefusedError
from distbench.hashing import file_digest
from distbench.importers.json_lines import read_lines
from distbench.importers.lm_eval_results import TaskFacts

ID = "S36"  # 24 hex digits of the document's hash, then .2, .3 … where documents are identical
LONGEST_NAME = 200
HASHES = ("doc_hash", "prompt_hash", "target_hash")


@dataclass(frozen=True)
class Log:
    """An indexed log. The arrays have one entry a line: a line is a document under one filter."""

    path: Path
    sha256: str
    filters: tuple[str, ...]
    ids: np.ndarray  # ASCII sample ids
    prompts: np.ndarray  # 16 hex digits of each rendered prompt's hash, ASCII
    filter_of: np.ndarray  # index into `filters`

    def documents(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (sample ids, prompt hashes) of every document once, sorted by id."""
        first = self.filter_of == 0
        ids, prompts = self.ids[first], self.prompts[first]
        order = np.argsort(ids)
        return ids[order], prompts[order]

    def lines(self) -> Iterator[tuple[Position, str, str, dict[str, Any]]]:
        """Yield (place, sample id, filter, logged row) of every line."""
        for number, row in read_lines(self.path):
            at = Position(str(self.path), number)
            if number > len(self.ids) or row.get("filter") not in self.filters:
                raise RefusedError("the file changed while it was read", at=at)
            yield at, self.ids[number - 1].decode(), row["filter"], row


def index_log(path: Path, facts: TaskFacts) -> Log:
    """Check every line of a log and index it.

    Raises RefusedError for a line that lm-eval cannot have written, a document that is logged twice, and a log that is
    not the one that the results file was written with.
    """
    filters: dict[str, int] = {}
    keys, prompts = bytearray(), bytearray()
    numbers, filter_of = array("q"), array("q")
    chain = hashlib.sha256()
    for number, row in read_lines(path):
        at = Position(str(path), number)
        check_row(row, at)
        for name in HASHES:
            chain.update(row[name].encode())
        keys += hashlib.sha256((row["doc_hash"] + row["target_hash"]).encode()).hexdigest()[:24].encode()
        prompts += hashlib.sha256(row["prompt_hash"].encode()).hexdigest()[:16].encode()
        numbers.append(row["doc_id"])
        filter_of.append(filters.setdefault(row["filter"], len(filters)))
    log = _Columns(
        np.frombuffer(bytes(keys), "S24"), np.frombuffer(bytes(prompts), "S16"), np.array(numbers), np.array(filter_of)
    )
    _refuse_twice(log, tuple(filters), path)
    _check_belongs(log, tuple(filters), chain.hexdigest(), facts, path)
    return Log(path, file_digest(path), tuple(filters), _ids(log), log.prompts, log.filter_of)


@dataclass(frozen=True)
class _Columns:
    keys: np.ndarray
    prompts: np.ndarray
    numbers: np.ndarray
    filter_of: np.ndarray


def check_row(row: dict[str, Any], at: Position) -> None:
    """Raise RefusedError where a logged row lacks what an import reads, or has it in another form."""
    kinds: dict[str, type | tuple[type, ...]] = {
        "doc_id": int, "doc": dict, "filter": str, "metrics": list, "arguments": (dict, list), "resps": list,
        "filtered_resps": list, **dict.fromkeys(HASHES, str),
    }  # fmt: skip
    for name, kind in kinds.items():
        if name not in row:
            older = "; older versions of lm-eval did not log it: evaluate again" if name in HASHES else ""
            raise RefusedError(f"no {name!r} in this sample{older}", at=at)
        if not isinstance(row[name], kind) or isinstance(row[name], bool):
            raise RefusedError(f"{name!r} of this sample is a {type(row[name]).__name__}", at=at)
    if "target" not in row:
        raise RefusedError("no 'target' in this sample", at=at)
    if not -(2**63) <= row["doc_id"] < 2**63:
        raise RefusedError("'doc_id' of this sample is out of range", at=at)
    for name in HASHES:
        if not row[name].isascii() or not row[name]:
            raise RefusedError(f"{name!r} of this sample is not a hash", at=at)
    _check_names(row, at)
    if not all(isinstance(each, dict | list) and each for each in arguments_of(row)) or not row["arguments"]:
        raise RefusedError("'arguments' of this sample are not requests", at=at)


def _check_names(row: dict[str, Any], at: Position) -> None:
    for metric in row["metrics"]:
        if not isinstance(metric, str) or metric not in row:
            raise RefusedError(f"metric {str(metric)[:60]!r} of this sample has no value", at=at)
    for name in (row["filter"], *row["metrics"]):
        if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
            raise RefusedError(f"{name[:60]!r} is not the name of a metric or filter", at=at)


def arguments_of(row: dict[str, Any]) -> list[Any]:
    """Return the requests of a logged row: lm-eval writes a mapping, older versions a list."""
    given = row["arguments"]
    return list(given.values()) if isinstance(given, dict) else given


def _refuse_twice(log: _Columns, filters: tuple[str, ...], path: Path) -> None:
    order = np.lexsort((log.numbers, log.filter_of))
    same = (np.diff(log.numbers[order]) == 0) & (np.diff(log.filter_of[order]) == 0)
    if same.any():
        first, second = sorted(int(i) for i in order[[int(same.argmax()), int(same.argmax()) + 1]])
        raise RefusedError(
            f"document {log.numbers[second]} under filter {filters[log.filter_of[second]]!r} was logged before, "
            f"in line {first + 1}",
            at=Position(str(path), second + 1),
        )


def _check_belongs(log: _Columns, filters: tuple[str, ...], chain: str, facts: TaskFacts, path: Path) -> None:
    counts = np.bincount(log.filter_of, minlength=len(filters))
    expected = facts.documents if facts.documents is not None else int(counts[0])
    for name, count in zip(filters, counts, strict=True):
        if count != expected:
            raise RefusedError(
                f"holds {count} samples under filter {name!r} where the results file counts {expected}: "
                "it was cut off, or belongs to another run",
                at=Position(str(path)),
            )
    if facts.log_hash is not None and facts.log_hash != chain:
        raise RefusedError(
            "is not the log that its results file was written with (task_hashes differ): it was changed, or belongs to "
            "another run",
            at=Position(str(path)),
        )


def _ids(log: _Columns) -> np.ndarray:
    """Return a sample id for each line: the document's key, from the second identical document on with its number."""
    order = np.lexsort((log.numbers, log.keys, log.filter_of))
    keys, filter_of = log.keys[order], log.filter_of[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (keys[1:] != keys[:-1]) | (filter_of[1:] != filter_of[:-1])
    position = np.arange(len(order))
    occurrence = position - np.maximum.accumulate(np.where(starts, position, 0))
    ids = np.array(log.keys, dtype=ID)
    for sorted_at in np.flatnonzero(occurrence):
        line = order[sorted_at]
        ids[line] = log.keys[line] + b"." + str(int(occurrence[sorted_at]) + 1).encode()
    return ids
