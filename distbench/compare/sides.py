"""One model's records under one metric, as arrays: a million of them take about 100 MB, whatever their texts."""

from __future__ import annotations

import functools
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distbench.errors import RefusedError
from distbench.store.samples import read_batches

OPTIONAL = ("numerator", "denominator", "confidence", "label_probability", "loglikelihood", "n_bytes", "length")
TEXTS = ("sample_id", "prediction", "label")
CODED = ("metric", "status", "cluster", "groups")
LARGEST = 1e100  # of a score: sums of squares of what is beyond are infinite
LONGEST_ID = 4096  # bytes of a sample's id
STATUS = {"ok": 0, "error": 1, "not_run": 2}
OK, ERROR, NOT_RUN = STATUS.values()
KEPT_ROWS = 2_500_000  # of the cache below: a teacher is read once for all its students, but not every task at once


@dataclass(frozen=True)
class Side:
    """Records in the order of their files.

    `score` and `numbers` are NaN where a record has no value; a column that no record fills is not in `numbers`.
    `prediction` and `label` are 64-bit hashes of the texts, good for asking whether two are the same.
    """

    ids: Any  # pyarrow strings
    rows: NDArray[np.int64]  # counted through the files
    status: NDArray[np.int8]
    score: NDArray[np.float64]
    numbers: dict[str, NDArray[np.float64]]
    prediction: NDArray[np.uint64]
    label: NDArray[np.uint64]
    clusters: NDArray[np.intp] | None  # None: some record has none, so the samples count as independent
    groups: tuple[NDArray[np.intp], list[dict[str, str]]] | None  # number of each record's combination (-1: none)

    def __len__(self) -> int:
        return len(self.score)


File = tuple[Path, int, int, int]
_cache: OrderedDict[tuple[tuple[File, ...], str], Side] = OrderedDict()


def side(files: tuple[Path, ...], metric: str) -> Side:
    """Return the records of samples files under one metric. Raises RefusedError where a sample occurs twice."""
    key = (tuple(map(_now, files)), metric)
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    loaded = _load(files, metric)
    _cache[key] = loaded
    while len(_cache) > 1 and sum(map(len, _cache.values())) > KEPT_ROWS:
        _cache.popitem(last=False)
    return loaded


def _now(path: Path) -> File:
    """Return a path with what changes when the file does: in a notebook a path may mean another file tomorrow."""
    try:
        facts = path.stat()
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}") from error
    return path, facts.st_ino, facts.st_size, facts.st_mtime_ns


def forget() -> None:
    """Empty the cache: files under a known path may have changed."""
    _cache.clear()


def _load(files: tuple[Path, ...], metric: str) -> Side:
    path = files[0]  # what an error names
    columns = ("sample_id", "score", "prediction", "label", *CODED, *OPTIONAL)
    parts: dict[str, list[Any]] = {name: [] for name in ("rows", *columns)}
    start = 0
    for whole in read_batches(files, columns, (*TEXTS, *CODED)):
        mine = _equals(whole.column("metric"), metric)
        batch = whole if mine.all() else whole.filter(_arrow(mine))
        parts["rows"].append(start + np.flatnonzero(mine))
        for name in columns:
            parts[name].append(_decoded(path, name, batch.column(name)))
        start += whole.num_rows
    ids = _joined(parts.pop("sample_id"))
    _refuse_twice(path, ids)
    numbers = {name: _in_range(path, name, _whole_column(parts.pop(name))) for name in ("score", *OPTIONAL)}
    score = numbers.pop("score")
    clusters, _ = _coded(parts.pop("cluster"))
    status, names = _coded(parts.pop("status"))
    side = Side(
        ids=ids,
        rows=_concatenated(parts.pop("rows"), np.int64),
        status=_statuses(path, status, names),
        score=np.full(len(ids), np.nan) if score is None else score,
        numbers={name: found for name, found in numbers.items() if found is not None},
        prediction=_concatenated(parts.pop("prediction"), np.uint64),
        label=_concatenated(parts.pop("label"), np.uint64),
        clusters=clusters if clusters.size and (clusters >= 0).all() else None,
        groups=_groups(path, *_coded(parts.pop("groups"))),
    )
    _give_back()
    return side


def _whole_column(parts: list[NDArray[np.float64] | int]) -> NDArray[np.float64] | None:
    """Return a column with NaN where a record has no value, or None where no record has one.

    A part without any value is only its length: most tasks leave most columns empty.
    """
    if all(isinstance(part, int) or np.isnan(part).all() for part in parts):
        return None
    return np.concatenate([np.full(part, np.nan) if isinstance(part, int) else part for part in parts])


def _in_range(path: Path, name: str, column: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Refuse numbers that no statistics could compute with. NaN says that there is none; infinite ones are known."""
    if column is not None and (np.isfinite(column) & (np.abs(column) > LARGEST)).any():
        raise RefusedError(f"{path}: a sample's {name} is beyond ±{LARGEST:g}")
    return column


def _concatenated(parts: list[Any], kind: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def _give_back() -> None:
    """Return what decoding needed: the allocator would keep it for another file."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _same(column: Any) -> Any:
    return column


def _ids(column: Any) -> Any:
    """Return ids as texts; before that, that no long one stands for thousands of rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if (pc.max(pc.binary_length(column.dictionary)).as_py() or 0) > LONGEST_ID:
        raise RefusedError(f"the id of a sample has more than {LONGEST_ID} bytes")
    return column.cast(pa.string())


def _numbers(column: Any) -> NDArray[np.float64] | int:
    """Return the values, NaN where there is none; only their number where there is none at all."""
    import pyarrow as pa

    if column.null_count == len(column):
        return len(column)
    # A copy: a view would keep the decoded batch alive.
    found: NDArray[np.float64] = np.array(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    return found


def _hashes(column: Any) -> NDArray[np.uint64]:
    """Hash each distinct text of a batch once; no text is the empty one."""
    texts = np.append(column.dictionary.to_numpy(zero_copy_only=False), "")
    number: NDArray[np.intp] = column.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return _hashed(texts)[number]


def _hashed(texts: NDArray[Any]) -> NDArray[np.uint64]:
    import pandas as pd  # late: a run, and what is planned, only need it at their end

    hashes: NDArray[np.uint64] = pd.util.hash_array(texts, categorize=False)
    return hashes


@functools.cache
def no_text() -> np.uint64:
    """Return the hash of a sample without an answer."""
    return np.uint64(_hashed(np.array([""], dtype=object))[0])


_HOW: dict[str, Callable[[Any], Any]] = {
    "sample_id": _ids, "prediction": _hashes, "label": _hashes, **dict.fromkeys(CODED, _same),
}  # fmt: skip


def _decoded(path: Path, name: str, column: Any) -> Any:
    import pyarrow as pa

    try:
        return _how(name)(column)
    except (pa.ArrowException, UnicodeDecodeError):
        raise RefusedError(f"{path}: the column {name!r} holds what is no text, or no number") from None


def _how(name: str) -> Callable[[Any], Any]:
    return _HOW.get(name, _numbers)


def _arrow(mask: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(mask)


def _equals(column: Any, text: str) -> NDArray[np.bool_]:
    known = column.dictionary.to_pylist()
    number = known.index(text) if text in known else -1
    found: NDArray[np.bool_] = column.indices.fill_null(-1).to_numpy(zero_copy_only=False) == number
    return found & (number >= 0)


def _joined(parts: list[Any]) -> Any:
    import pyarrow as pa

    return pa.chunked_array(parts, type=pa.string()).combine_chunks() if parts else pa.array([], type=pa.string())


def _coded(parts: list[Any]) -> tuple[NDArray[np.intp], list[str]]:
    """Return the number of each text (-1: none) and the texts, over batches whose dictionaries differ."""
    import pyarrow as pa

    if not parts:
        return np.empty(0, dtype=np.intp), []
    whole = pa.chunked_array(parts).unify_dictionaries()
    numbers = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in whole.chunks]
    return np.concatenate(numbers).astype(np.intp), whole.chunk(0).dictionary.to_pylist()


def _statuses(path: Path, numbers: NDArray[np.intp], names: list[str]) -> NDArray[np.int8]:
    unknown = [name for name in names if name not in STATUS]
    if unknown or (numbers < 0).any():
        raise RefusedError(f"{path}: unknown status {unknown[0] if unknown else None!r} of a sample")
    table = np.array([STATUS[name] for name in names], dtype=np.int8)
    return table[numbers] if numbers.size else np.empty(0, dtype=np.int8)


def _groups(
    path: Path, numbers: NDArray[np.intp], texts: list[str]
) -> tuple[NDArray[np.intp], list[dict[str, str]]] | None:
    if not texts or not (numbers >= 0).any():
        return None
    try:
        parsed = [json.loads(text) for text in texts]
    except (ValueError, RecursionError):
        raise RefusedError(f"{path}: the groups of a sample are not JSON") from None
    if not all(isinstance(each, dict) for each in parsed):
        raise RefusedError(f"{path}: the groups of a sample are not a JSON object")
    return numbers, [{str(name): str(value) for name, value in each.items()} for each in parsed]


def _refuse_twice(path: Path, ids: Any) -> None:
    if len(ids.unique()) == len(ids):
        return
    counts = ids.value_counts()
    twice = next(each["values"].as_py() for each in counts if each["counts"].as_py() > 1)
    raise RefusedError(f"{path.parent}: sample {twice} occurs twice")
