"""Tidy tables as Parquet: typed columns that say what they mean, and every sample of the run where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from distbench.compare.evidence import Evidence
from distbench.errors import UsageError
from distbench.exports.rows import ALL, made_folder, table_of, utf8
from distbench.protocols.export import Exported, Source, Writes
from distbench.schema.result import Result
from distbench.schema.strict import Strict
from distbench.store.files import writing
from distbench.store.run_dir import RunDir
from distbench.store.samples import COLUMNS, NUMBERS, WHOLE, read_batches
from distbench.tables import TABLES, Table

SAMPLES = "samples"
_WHO = ("model", "role")
_NEED_RUN = "samples are in a run directory only; name one run, by its directory"


def arrow_table(table: Table, result: Result) -> Any:
    """Return a table as pyarrow's, with the meaning of each column in the metadata of its field."""
    import pyarrow as pa

    kinds = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64(), "flag": pa.bool_()}
    schema = pa.schema(
        [
            pa.field(column.name, kinds[column.kind], metadata={"meaning": column.meaning.encode()})
            for column in table.columns
        ],
        metadata={"distbench.table": table.name, "distbench.one_row": table.one_row, "distbench.run": utf8(result.run)},
    )
    rows = table.rows(result)
    columns = [[_value(row[column.name], column.kind) for row in rows] for column in table.columns]
    return pa.table([pa.array(values, kinds[c.kind]) for values, c in zip(columns, table.columns, strict=True)], schema)


def _value(value: Any, kind: str) -> Any:
    return utf8(str(value)) if kind == "text" and value is not None else value


class Parquet:
    """`--format parquet`: a folder with a file for each tidy table; or one table as one file."""

    class Options(Strict):
        """Options of the format."""

        table: str | None = Field(
            None, description="which table; left out: all of them for a folder, tasks for a file that ends in .parquet"
        )
        samples: bool = Field(False, description="true: also samples.parquet, every sample of every model and metric")

    summary: ClassVar[str] = "the same tables, typed, each column with its meaning; samples on request"
    writes: ClassVar[Writes] = "folder"
    suffix: ClassVar[str] = ".parquet"

    def __init__(self, options: Options) -> None:
        if options.table not in {None, ALL}:
            table_of(str(options.table))
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Write the tables that have a row."""
        if to is None:
            raise UsageError("name a folder, or a file that ends in .parquet, with --out")
        if self.options.samples and source.run is None:
            raise UsageError(_NEED_RUN)
        if to.suffix == self.suffix and not to.is_dir():
            return self._one(source, to)
        named = self.options.table
        tables = TABLES if named in {None, ALL} else {str(named): table_of(str(named))}
        folder, files = made_folder(to), []
        for name, table in tables.items():
            found = arrow_table(table, source.result)
            if found.num_rows:
                files.append(folder / f"{name}.parquet")
                _write_table(found, files[-1])
        if self.options.samples and source.run is not None:
            files.append(folder / f"{SAMPLES}.parquet")
            write_run_samples(RunDir.existing(source.run), files[-1])
        return Exported(files=files)

    def _one(self, source: Source, to: Path) -> Exported:
        if self.options.samples or self.options.table == ALL:
            raise UsageError("several tables need a folder; name it with --out")
        found = arrow_table(table_of(self.options.table or "tasks"), source.result)
        _write_table(found, to)
        return Exported(files=[to])


def _write_table(found: Any, path: Path) -> None:
    import pyarrow.parquet as pq

    with writing(path) as file:
        pq.write_table(found, file, compression="zstd")


def write_run_samples(run: RunDir, path: Path) -> None:
    """Write every sample of a run as one file, in batches: columns of samples.parquet, with the model and its role."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = dict.fromkeys(NUMBERS, pa.float64()) | dict.fromkeys(WHOLE, pa.int64())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in (*_WHO, *COLUMNS)])

    with writing(path) as whole, pq.ParquetWriter(whole, schema, compression="zstd") as file:
        for name, role, files in _sample_files(run):
            for batch in read_batches(files, COLUMNS):
                who = [pa.array([each] * batch.num_rows, pa.string()) for each in (name, role)]
                columns = [batch.column(column).cast(schema.field(column).type) for column in COLUMNS]
                file.write_batch(pa.record_batch([*who, *columns], schema=schema))


def _sample_files(run: RunDir) -> Iterator[tuple[str, str, tuple[Path, ...]]]:
    """Yield (model, role, files) of every evaluation that finished."""
    evidence = Evidence(run)
    models = {each.name: each for each in evidence.manifest.models}
    for model in evidence.manifest.models:
        teacher = models.get(model.of[0]) if model.of else None
        for task in evidence.manifest.task_order:
            found = evidence.evaluated(model, task, teacher)
            if found is not None:
                yield model.name, model.role, found.files
