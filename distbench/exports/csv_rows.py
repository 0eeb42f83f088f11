"""Tidy tables as CSV: raw numbers, empty for unknown, and no cell that a spreadsheet would run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from distbench.errors import UsageError
from distbench.exports.rows import ALL, made_folder, table_of
from distbench.exports.run_samples import SAMPLES, batches, columns, run_of
from distbench.protocols.export import Exported, Source, Writes
from distbench.report.visible import visible
from distbench.schema.result import Result
from distbench.schema.strict import Strict
from distbench.store.files import write_text, writing
from distbench.store.run_dir import RunDir
from distbench.tables import TABLES, Column, Table

# What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection"), with the full-width signs that some
# of them read alike. Blanks before it do not help: they may be trimmed first.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BOM = "\ufeff"
_ROWS = 4096


def csv_text(table: Table, result: Result) -> str:
    """Return a table as CSV (RFC 4180 quoting, lines end in a line feed): texts quoted, numbers bare, unknown empty."""
    lines = [",".join(quoted(column.name) for column in table.columns)]
    lines += [",".join(_cell(column, row[column.name]) for column in table.columns) for row in table.rows(result)]
    return "\n".join(lines) + "\n"


def _cell(column: Column, value: Any) -> str:
    if value is None:
        return ""
    if column.kind == "text":
        return quoted(harmless(str(value)))
    if column.kind == "flag":
        return "true" if value else "false"
    return repr(value)  # the shortest text that reads back as the same number


def harmless(text: str) -> str:
    """Return a text that no spreadsheet runs: what reads like a formula gets an apostrophe in front."""
    shown = visible(text)
    return f"'{shown}" if shown.startswith(_FORMULA) or shown.lstrip().startswith(_FORMULA) else shown


def quoted(text: str) -> str:
    """Return a text as one cell, whatever is in it: a line end outside quotes would begin a row, maybe a formula."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


class CSV:
    """`--format csv`: one tidy table as one document, or all of them as files of a folder."""

    class Options(Strict):
        """Options of the format."""

        table: str = Field(
            "tasks", description=f"which table: {', '.join(TABLES)}; or {ALL}: a folder with a file for each"
        )
        samples: bool = Field(False, description="true: also samples.csv, every sample of every model; with table=all")
        bom: bool = Field(False, description="true: begin with the mark by which Excel knows that it is UTF-8")

    summary: ClassVar[str] = "tidy tables, one row a student × task × metric; raw numbers, empty = unknown"
    writes: Writes = "text"
    suffix: ClassVar[str] = ".csv"

    def __init__(self, options: Options) -> None:
        if options.table != ALL:
            table_of(options.table)
            if options.samples:
                raise UsageError("samples=true goes with table=all: samples are a file of their own in the folder")
        self.options = options
        self.writes = "folder" if options.table == ALL else "text"

    def export(self, source: Source, to: Path | None) -> Exported:
        """Return the table, or write all that have a row."""
        mark = _BOM if self.options.bom else ""
        if self.writes == "text":
            return Exported(text=mark + csv_text(table_of(self.options.table), source.result))
        if to is None or to.is_file():
            raise UsageError("all tables need a folder; name it with --out")
        run = run_of(source) if self.options.samples else None
        folder, files = made_folder(to), []
        for name, table in TABLES.items():
            if table.rows(source.result):
                files.append(folder / f"{name}.csv")
                write_text(files[-1], mark + csv_text(table, source.result))
        if run is not None:
            files.append(folder / f"{SAMPLES}.csv")
            write_run_samples(run, files[-1], mark)
        return Exported(files=files)


def write_run_samples(run: RunDir, path: Path, mark: str = "") -> None:
    """Write every sample of a run as one CSV file, in batches."""
    found = [Column(name, kind, "as in samples.parquet") for name, kind in columns().items()]
    with writing(path) as whole, whole.open("w", encoding="utf-8", newline="") as file:
        file.write(mark + ",".join(quoted(column.name) for column in found) + "\n")
        for batch in batches(run):
            for start in range(0, batch.num_rows, _ROWS):  # as Python objects, long texts take room
                rows = batch.slice(start, _ROWS).to_pylist()
                file.writelines(",".join(_cell(column, row[column.name]) for column in found) + "\n" for row in rows)
