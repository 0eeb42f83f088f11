"""`compare`, `gate`, `report`: read a run, need no torch."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from distbench.cli.output import out, print_json
from distbench.compare.reading import read_result
from distbench.compare.run import compare
from distbench.errors import ExitCode
from distbench.gate.exit import exit_code, lines
from distbench.schema.result import Result
from distbench.store.files import write_text
from distbench.store.run_dir import RunDir


def print_result(result: Result, console: Console) -> None:
    """Print the comparison as a table with its verdict."""
    from distbench.report.text import terminal_table

    for part in terminal_table(result):
        console.print(part)


def show_comparison(path: Path, *, as_json: bool) -> None:
    """Print the comparison of a run, or of a result.json."""
    result = read_result(path)
    if as_json:
        print_json(result)
    else:
        print_result(result, out())


def show_gate(path: Path, *, as_json: bool) -> ExitCode:
    """Print the gate's rules and return the verdict's exit code."""
    result = compare(RunDir.existing(path))
    code = exit_code(result)
    if as_json:
        checks = {s.name: [c.model_dump(mode="json") for c in s.gate] for s in result.students if s.role == "student"}
        print_json(
            {"verdict": result.verdict, "reason": result.verdict_reason, "exit_code": int(code), "rules": checks}
        )
    else:
        for line in lines(result):
            out().print(line, markup=False, soft_wrap=True)
    return code


def write_report(path: Path, target: Path | None, result: Result | None = None) -> Path:
    """Write the HTML report and return its path."""
    from distbench.report.html import render

    result = result or compare(RunDir.existing(path))
    file = target or path / "report.html"
    write_text(file, render(result))
    return file
