"""samples.parquet: one row a document and metric, the only input of the statistics.

Written and read in batches: a file may hold more rows than a machine has memory for their texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

from distbench.errors import RefusedError
from distbench.protocols import Sample
from distbench.store.files import disk_faults, of_the_disk
from distbench.store.plain import check_plain

COLUMNS = [field.name for field in fields(Sample)]
NUMBERS = ("score", "numerator", "denominator", "confidence", "label_probability", "loglikelihood")
WHOLE = ("length", "n_bytes")
# Rows that are in memory as Python objects at once, and rows of a row group: what a reader of a few rows must decode.
BATCH = 16_384
# What a stranger's file may make a reader hold. A text that stands for many rows is kept once, so that what a column
# takes unpacked bounds the memory it needs.
MOST_ROWS = 20_000_000
MOST_COLUMN = 1 << 30  # bytes of a column in a row group, unpacked
LONGEST_SHOWN = 1 << 20  # characters of a text that is read for people


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write samples with zstd compression and return how many; `samples` may be a generator of any length.

    Texts keep what UTF-8 can hold (lone surrogates become U+FFFD).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = dict.fromkeys(NUMBERS, pa.float64()) | dict.fromkeys(WHOLE, pa.int64())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    remaining, count = iter(samples), 0
    with disk_faults(path, of_the_disk), pq.ParquetWriter(path, schema, compression="zstd") as file:
        while batch := list(islice(remaining, BATCH)):
            columns = [_column(batch, name, schema.field(name).type) for name in COLUMNS]
            file.write_batch(pa.record_batch(columns, schema=schema), row_group_size=BATCH)
            count += len(batch)
    return count


def _column(batch: Sequence[Sample], name: str, kind: Any) -> Any:
    import pyarrow as pa

    values = [getattr(sample, name) for sample in batch]
    if name == "groups":
        values = [json.dumps(value, sort_keys=True) if value else None for value in values]
    if not pa.types.is_string(kind):
        return pa.array(values, type=kind)
    try:
        return pa.array(values, type=kind)
    except (UnicodeEncodeError, pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else _utf8(v) for v in values], type=kind)


def _utf8(value: object) -> str:
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def types_of(path: Path) -> dict[str, tuple[str, str]]:
    """Return each column of a samples file with its type, and the type that this version writes ("none": no column)."""
    import pyarrow as pa

    kinds = dict.fromkeys(NUMBERS, pa.float64()) | dict.fromkeys(WHOLE, pa.int64())
    expected = {name: str(kinds.get(name, pa.string())) for name in COLUMNS}
    with _opened(path) as file:
        found = {field.name: str(field.type) for field in file.schema_arrow}
    return {name: (found.get(name, "none"), expected.get(name, "none")) for name in {**found, **expected}}


def read_samples(path: Path) -> Any:
    """Return the samples as a pyarrow table; a file without the columns is refused."""
    with _opened(path) as file:
        return file.read(columns=COLUMNS)


def read_batches(paths: Sequence[Path], columns: Sequence[str], coded: Sequence[str] = ()) -> Iterator[Any]:
    """Yield the rows of files, one after the other, as pyarrow record batches; `coded` come dictionary-encoded."""
    for path in paths:
        with _opened(path, coded) as file:
            yield from file.iter_batches(batch_size=4 * BATCH, columns=list(columns), use_threads=False)


def read_rows(paths: Sequence[Path], rows: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Return single rows by their number, counted through the files; only row groups that hold them are decoded."""
    wanted, start = sorted(set(rows)), 0
    found: dict[int, dict[str, Any]] = {}
    for path in paths:
        with _opened(path, [name for name in columns if name not in {*NUMBERS, *WHOLE}]) as file:
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                here = [row for row in wanted if start <= row < end]
                if here:
                    found.update(_rows_of(file, group, start, here, columns))
                start = end
    return found


def _rows_of(file: Any, group: int, start: int, here: list[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Read rows of one row group, in pieces and no further than the last of them: it may hold a million texts."""
    found: dict[int, dict[str, Any]] = {}
    for batch in file.iter_batches(batch_size=BATCH, row_groups=[group], columns=list(columns), use_threads=False):
        mine = [row for row in here if start <= row < start + batch.num_rows]
        found.update(zip(mine, _shown(batch.take([row - start for row in mine])), strict=True))
        start += batch.num_rows
        if start > here[-1]:
            break
    return found


def _shown(batch: Any) -> list[dict[str, Any]]:
    """Return rows as Python objects, their texts cut to what anybody would read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def cut(column: Any) -> Any:
        if not pa.types.is_dictionary(column.type):
            return column
        texts = pc.utf8_slice_codeunits(column.dictionary, 0, LONGEST_SHOWN)
        return pa.DictionaryArray.from_arrays(column.indices, texts)

    columns = {name: cut(batch.column(name)).to_pylist() for name in batch.schema.names}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@contextmanager
def _opened(path: Path, coded: Sequence[str] = ()) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_plain(path)
    try:
        with pq.ParquetFile(path, read_dictionary=list(coded)) as file:
            missing = [name for name in COLUMNS if name not in file.schema_arrow.names]
            if missing:
                raise RefusedError(f"{path} is not a samples file: it has no column {missing[0]!r}")
            _check_kinds(path, file.schema_arrow)
            _check_size(path, file.metadata)
            yield file
    except KeyError as error:  # pyarrow names a coded column that is missing as bytes
        name = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise RefusedError(f"{path} is not a samples file: it has no column {name!r}") from error
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise RefusedError(f"{path} is not a samples file: {str(error).splitlines()[0][:160]}") from error


def _check_size(path: Path, facts: Any) -> None:
    """Raise RefusedError for a file that would unpack to more than a reader may hold. Nothing is unpacked here."""
    if facts.num_rows > MOST_ROWS:
        raise RefusedError(f"{path} has {facts.num_rows} rows; at most {MOST_ROWS} are read")
    for group in range(facts.num_row_groups):
        for column in range(facts.num_columns):
            chunk = facts.row_group(group).column(column)
            if chunk.total_uncompressed_size > MOST_COLUMN:
                raise RefusedError(
                    f"{path}: column {chunk.path_in_schema!r:.40} unpacks to {chunk.total_uncompressed_size >> 20} MiB "
                    f"in one row group; at most {MOST_COLUMN >> 20} MiB are read"
                )


def _check_kinds(path: Path, schema: Any) -> None:
    """Raise RefusedError where a column of numbers holds texts, or the other way round."""
    import pyarrow as pa

    for name in COLUMNS:
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        wanted = "numbers" if name in {*NUMBERS, *WHOLE} else "texts"
        if not (number if wanted == "numbers" else text):
            raise RefusedError(
                f"{path} is not a samples file: its column {name!r} holds {str(kind)[:40]}, not {wanted}"
            )
