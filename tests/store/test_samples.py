"""samples.parquet: written from a stream, read in pieces, and nothing of a record is lost."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path

import pytest

from distbench.errors import RefusedError
from distbench.protocols import Sample
from distbench.store import samples as store
from distbench.store.samples import read_batches, read_rows, read_samples, write_samples

FULL = Sample(
    task="t", sample_id="1", metric="acc", score=1.0, status="ok", cluster="c", groups={"b": "2", "a": "1"},
    length=4096, numerator=1.5, denominator=2.0, prediction="yes", label="no", prompt="why?", confidence=0.5,
    label_probability=0.25, loglikelihood=-1.25, n_bytes=7, answer_digest="d",
)  # fmt: skip


def many(count: int) -> list[Sample]:
    return [Sample("t", str(i), "acc", float(i % 2), prompt=f"prompt {i}") for i in range(count)]


def test_every_field_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    assert write_samples(path, [FULL, Sample("t", "2", "acc", None, status="error")]) == 2
    first, second = read_samples(path).to_pylist()
    assert first == asdict(FULL) | {"groups": '{"a": "1", "b": "2"}'}
    assert second == asdict(Sample("t", "2", "acc", None, status="error")) | {"groups": None}


def test_texts_that_utf8_cannot_hold_become_replacement_characters(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    write_samples(path, [Sample("t", "1", "acc", 1.0, prediction="a\ud800b"), Sample("t", "2", "acc", 1.0)])
    assert [row["prediction"] for row in read_samples(path).to_pylist()] == ["a\ufffdb", ""]


def test_a_stream_is_never_held_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BATCH", 10)
    alive = made = 0

    class Counted(Sample):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    most = 0

    def stream() -> object:
        nonlocal alive, made, most
        for i in range(100):
            alive += 1
            made += 1
            most = max(most, alive)
            yield Counted("t", str(i), "acc", 1.0)

    assert write_samples(tmp_path / "s.parquet", stream()) == 100  # type: ignore[arg-type]
    assert made == 100
    assert most <= 21
    assert len(read_samples(tmp_path / "s.parquet")) == 100


def test_batches_and_single_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BATCH", 16)
    path = tmp_path / "s.parquet"
    write_samples(path, many(100))
    batches = list(read_batches([path], ["sample_id", "metric"], ["metric"]))
    assert [row["sample_id"] for batch in batches for row in batch.to_pylist()] == [str(i) for i in range(100)]
    assert max(batch.num_rows for batch in batches) <= 4 * 16
    assert len(list(islice(read_batches([path], ["score"]), 1))) == 1  # a reader may stop early
    found = read_rows([path], [99, 3, 3, 40], ["sample_id", "prompt"])
    assert found == {i: {"sample_id": str(i), "prompt": f"prompt {i}"} for i in (3, 40, 99)}
    assert read_rows([path], [], ["prompt"]) == {}


def test_no_samples_are_a_file_too(tmp_path: Path) -> None:
    assert write_samples(tmp_path / "s.parquet", iter(())) == 0
    assert len(read_samples(tmp_path / "s.parquet")) == 0


def test_another_file_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, other = tmp_path / "text.parquet", tmp_path / "other.parquet"
    text.write_text("no parquet")
    pq.write_table(pa.table({"task": ["t"]}), other)
    for path, message in ((text, "is not a samples file"), (other, "it has no column 'sample_id'")):
        with pytest.raises(RefusedError, match=message):
            read_samples(path)
    with pytest.raises(RefusedError, match="cannot be read: No such file"):
        list(read_batches([tmp_path / "absent.parquet"], ["score"]))
