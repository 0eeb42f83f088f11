"""Tidy tables as Parquet: typed columns that say what they mean, and every sample of the run where it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from distbench.errors import UsageError
from distbench.exports.rows import ALL, made_folder, table_of, utf8
from distbench.exports.run_samples import SAMPLES, batches, run_of, schema
from distbench.protocols.export import Exported, Source, Writes
from distbench.schema.result import Result
from distbench.schema.strict import Strict
from distbench.store.files import writing
from distbench.store.run_dir import RunDir
from distbench.tables import TABLES, Table


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
        run = run_of(source) if self.options.samples else None
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
        if run is not None:
            files.append(folder / f"{SAMPLES}.parquet")
            write_run_samples(run, files[-1])
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
    """Write every sample of a run as one file, in batches."""
    import pyarrow.parquet as pq

    with writing(path) as whole, pq.ParquetWriter(whole, schema(), compression="zstd") as file:
        for batch in batches(run):
            file.write_batch(batch)
