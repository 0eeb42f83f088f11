"""`compare`, `report`: read a run, need no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from distbench.cli.output import err, out, print_json
from distbench.compare.reading import read_result
from distbench.errors import RefusedError
from distbench.schema.result import Result

if TYPE_CHECKING:  # it needs plotly, and most commands do not
    from distbench.report.page_file import Written


def print_result(result: Result, console: Console, *, whole: bool = False) -> None:
    """Print the comparison as a table with its verdict; `whole`: with every measure, however many there are."""
    from distbench.report.text import terminal_table

    for part in terminal_table(result, whole=whole):
        console.print(part)


def print_verdict(result: Result, console: Console) -> None:
    """Print the verdict, its sentence and the recommended student: a line or two."""
    from distbench.report.text import verdict_lines

    for part in verdict_lines(result):
        console.print(part)


def show_comparison(path: Path, *, as_json: bool, quiet: bool = False, verbose: bool = False) -> None:
    """Print the comparison of a run, or of a result.json."""
    result = read_result(path)
    if as_json:
        print_json(result)
    elif quiet:
        print_verdict(result, out())
    else:
        print_result(result, out(), whole=verbose)


def write_report(
    path: Path, target: Path | None, result: Result | None = None, plotlyjs: str = "cartesian", *, force: bool = False
) -> Written:
    """Write the HTML report of a run, or of a result.json."""
    from distbench.report.page_file import mode_of, write_page

    mode = mode_of(plotlyjs)
    result = result or read_result(path)
    file = target or (path / "report.html" if path.is_dir() else path.with_name("report.html"))
    if target is None and (file.is_symlink() or (file.exists() and not file.is_file())):  # nobody named this place
        raise RefusedError(f"{file} is a link, or no plain file; name the page with --out")
    return write_page(result, file, mode, force=force)


def show_report(
    path: Path, target: Path | None, plotlyjs: str, *, force: bool, as_json: bool, result: Result | None = None
) -> None:
    """Write the HTML report and print where it is; of a `result` that was made already, where there is one."""
    written = write_report(path, target, result, plotlyjs, force=force)
    if written.warning:
        err().print(f"warning: {written.warning}", markup=False, soft_wrap=True)
    if as_json:
        beside = None if written.beside is None else str(written.beside)
        print_json({"report": str(written.path), "bytes": written.size, "plotlyjs": plotlyjs, "beside": beside})
    else:
        out().print(str(written.path), markup=False, soft_wrap=True)
