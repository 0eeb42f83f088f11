"""Are the samples of every evaluation whole, and does its record say of them what they say themselves?"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distbench.compare.evidence import Evaluated
from distbench.compare.sides import OK, Side
from distbench.errors import RefusedError
from distbench.schema.record import MetricFacts
from distbench.store.samples import read_batches, types_of
from distbench.verify.looking import Look
from distbench.verify.subject import Subject

TINY = 1e-9  # relative: sums of the same numbers in another order
RANGES = {
    "confidence": (0.0, 1.0 + TINY),
    "label_probability": (0.0, 1.0 + TINY),
    "loglikelihood": (-math.inf, 1e-3),  # a probability above 1 by rounding only
    "n_bytes": (0.0, math.inf),
    "length": (0.0, math.inf),
}


def files(subject: Subject) -> Iterator[tuple[str, Evaluated]]:
    """Yield every evaluation that has samples, with how findings name it."""
    for name, cell, _, result in subject.evaluations():
        path = subject.run.cells / name / "samples.parquet"
        if path.is_file() and not path.is_symlink():
            yield subject.title(name), Evaluated(cell, result, (path,))


def columns(subject: Subject, look: Look) -> None:
    """samples.parquet has the columns of this version, each of its type."""
    for where, evaluated in files(subject):
        look.saw()
        try:
            found = types_of(evaluated.files[0])
        except RefusedError as error:
            look.damaged(where, str(error))
            continue
        for column, (is_now, expected) in found.items():
            if is_now != expected:
                look.damaged(where, f"column {column!r} is {is_now}, and should be {expected}")


def rows(subject: Subject, look: Look) -> None:
    """Every document that was asked is there once under every metric; number and mean are those of the record."""
    for where, evaluated in files(subject):
        try:
            _rows(where, evaluated, look, imported=subject.imported)
        except RefusedError as error:
            look.damaged(where, str(error))


def _rows(where: str, evaluated: Evaluated, look: Look, *, imported: bool) -> None:
    result, total = evaluated.result, 0
    for facts in result.metrics:
        side = evaluated.side(facts.name)
        total += len(side)
        look.saw(len(side))
        for why in _faults(side, facts):
            look.damaged(where, f"{facts.name}: {why}")
        if len(side) != facts.n:
            look.damaged(where, f"{facts.name}: {len(side)} samples, and its record states {facts.n}")
        mean = _mean(side, facts, only_scored=imported)
        if not _close(mean, facts.mean):
            look.damaged(where, f"{facts.name}: the mean of its samples is {mean}, and its record states {facts.mean}")
        if result.drawn is not None and len(side) != (asked := result.drawn.stop - result.drawn.start):
            look.damaged(where, f"{facts.name}: {len(side)} samples of {asked} documents that were asked")
    stored = sum(batch.num_rows for batch in read_batches(evaluated.files, ["metric"], ["metric"]))
    if stored != total:
        look.damaged(where, f"{stored - total} samples are of a metric that its record does not have")
    if tasks := _other_tasks(evaluated):
        look.damaged(where, f"some samples are of task {tasks[0]!r}")


def _other_tasks(evaluated: Evaluated) -> list[str]:
    found: set[str] = set()
    for batch in read_batches(evaluated.files, ["task"], ["task"]):
        column = batch.column("task")
        found |= {str(each) for each in column.dictionary.to_pylist()}
    return sorted(found - {evaluated.result.task})


def _faults(side: Side, facts: MetricFacts) -> Iterator[str]:
    """Yield what cannot be in any samples file that distbench wrote."""
    if side.ids.null_count:
        yield "a sample has no id"
    scored = ~np.isnan(side.score)
    ok = side.status == OK
    if (ok & ~np.isfinite(side.score)).any():
        yield "a score is missing or not finite although its sample is marked ok"
    if (scored & ~ok).any():
        yield "a sample that failed or was not run has a score"
    if facts.kind == "binary" and not np.isin(side.score[scored], (0.0, 1.0)).all():
        yield "a score is neither 0 nor 1"
    for name, (low, high) in RANGES.items():
        values = side.numbers.get(name)
        if values is not None and ((values < low) | (values > high)).any():
            yield f"a {name} is out of its range"
    if facts.kind == "ratio_of_sums" and (why := _ratio(side, scored)):
        yield why


def _ratio(side: Side, scored: NDArray[np.bool_]) -> str | None:
    above, below = side.numbers.get("numerator"), side.numbers.get("denominator")
    if above is None or below is None:
        return "numerators or denominators are missing" if scored.any() else None
    with np.errstate(divide="ignore", invalid="ignore"):
        wrong = ~np.isclose(above[scored] / below[scored], side.score[scored], rtol=1e-6, atol=1e-12)
    return "a score is not its numerator over its denominator" if wrong.any() else None


def _mean(side: Side, facts: MetricFacts, *, only_scored: bool) -> float | None:
    scored = ~np.isnan(side.score)
    if facts.kind != "ratio_of_sums":
        return float(side.score[scored].mean()) if scored.any() else None
    above, below = side.numbers.get("numerator"), side.numbers.get("denominator")
    if above is None or below is None:
        return None
    counted = scored if only_scored else np.ones_like(scored)
    total = float(np.nansum(below[counted]))
    return float(np.nansum(above[counted])) / total if total else None


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=TINY, abs_tol=1e-12)


def answers(subject: Subject, look: Look) -> None:
    """The digest of all answers that a record states is that of its samples."""
    if subject.imported:
        look.nothing("imported results state the digest of the log's answers, which is not kept")
        return
    for where, evaluated in files(subject):
        look.saw()
        try:
            found = answers_digest(evaluated.files[0])
        except RefusedError as error:
            look.damaged(where, str(error))
            continue
        if found != evaluated.result.answers_digest:
            look.damaged(where, "the answers in its samples are not those that its record was made of")


def answers_digest(path: Path) -> str:
    """Return `text_digest` of the answers of a samples file, in its order."""
    total = hashlib.sha256()
    for batch in read_batches((path,), ["answer_digest"]):
        column = batch.column("answer_digest").fill_null("")
        total.update(_framed(column))
    return total.hexdigest()


def _framed(column: Any) -> bytes:
    """Return what `text_digest` hashes of some texts: each after its length. Equal lengths are framed all at once."""
    texts = column.to_pylist()
    size = len(texts[0].encode()) if texts else 0
    joined = "".join(texts).encode()
    if len(joined) != size * len(texts) or any(len(text) != size for text in texts):
        return b"".join(len(data := text.encode()).to_bytes(8, "little") + data for text in texts)
    framed = np.empty((len(texts), 8 + size), dtype=np.uint8)
    framed[:, :8] = np.frombuffer(size.to_bytes(8, "little"), dtype=np.uint8)
    framed[:, 8:] = np.frombuffer(joined, dtype=np.uint8).reshape(len(texts), size)
    return framed.tobytes()
