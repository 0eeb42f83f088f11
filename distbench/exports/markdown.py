"""Markdown for a pull request, an issue or a wiki."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from distbench.errors import UsageError
from distbench.protocols.export import Exported, Source, Writes
from distbench.report.text import MARKDOWN_LIMIT, markdown
from distbench.schema.strict import Strict

_ADDRESS = re.compile(r"[A-Za-z0-9._~:/?#@!$&'*+,;=%-]+")


class Markdown:
    """`--format markdown`: verdict, tables and warnings, always below the limit of a comment."""

    class Options(Strict):
        """Options of the format."""

        chart: str | None = Field(
            None, max_length=2_000, description="address of the key chart (`--format svg`), shown as an image on top"
        )

    summary: ClassVar[str] = f"a comment for a pull request: GitHub's dialect, below {MARKDOWN_LIMIT:,} characters"
    writes: ClassVar[Writes] = "text"
    suffix: ClassVar[str] = ".md"

    def __init__(self, options: Options) -> None:
        if options.chart is not None and not _ADDRESS.fullmatch(options.chart):
            raise UsageError(f"chart: expected an address without spaces, brackets or quotes, got {options.chart!r}")
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Return the comparison."""
        said = markdown(source.result)
        if self.options.chart is None:
            return Exported(text=said)
        head, gap, rest = said.partition("\n\n")
        image = f"![Retained share of the teacher against compression]({self.options.chart})"
        whole = f"{head}{gap}{image}\n\n{rest}"
        if len(whole) >= MARKDOWN_LIMIT:
            raise UsageError("the address of the chart leaves no room for the text of a comment; use a shorter one")
        return Exported(text=whole)
