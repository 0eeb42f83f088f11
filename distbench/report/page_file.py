"""The report as a file: written whole, small enough to open, and with what must lie beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distbench.errors import UsageError
from distbench.report import bundle, numbers
from distbench.report.bundle import MODES, PlotlyJs
from distbench.report.html import render
from distbench.schema.result import Result
from distbench.store.files import write_text

LARGE = 10_000_000  # bytes: mail servers and tools that show CI artefacts refuse more
TOO_LARGE = 50_000_000  # bytes: browsers take long, or give up


@dataclass(frozen=True)
class Written:
    """A report that was written: its size in bytes, a file that must stay beside it, and what to know about it."""

    path: Path
    size: int
    beside: Path | None = None
    warning: str | None = None


def mode_of(name: str) -> PlotlyJs:
    """Return a place of plotly.js by its name; UsageError for another."""
    for mode in MODES:
        if mode == name:
            return mode
    raise UsageError(f"unknown place of plotly.js {name[:40]!r}; expected one of: {', '.join(MODES)}")


def write_page(result: Result, file: Path, plotlyjs: PlotlyJs = "cartesian", *, force: bool = False) -> Written:
    """Write the report of a result. A page above 50 MB is refused unless `force`; then nothing was written."""
    page = render(result, plotlyjs)
    size = len(page.encode("utf-8"))
    if size > TOO_LARGE and not force:
        raise UsageError(
            f"the report would have {numbers.size(size)}, more than a browser opens well (limit "
            f"{numbers.size(TOO_LARGE)}); write it all the same with --force, or compare fewer students in one page"
        )
    beside = None
    if plotlyjs == "directory":
        beside = file.parent / bundle.NAME
        write_text(beside, bundle.plotly_js())
    write_text(file, page)
    return Written(file, size, beside, _warning(size))


def _warning(size: int) -> str | None:
    if size <= LARGE:
        return None
    return f"the report has {numbers.size(size)}: more than {numbers.size(LARGE)} is slow to open and to send"
