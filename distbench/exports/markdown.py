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

        report: str | None = Field(None, max_length=2_000, description="address of the full report, linked on top")

    summary: ClassVar[str] = f"a comment for a pull request: GitHub's dialect, below {MARKDOWN_LIMIT:,} characters"
    writes: ClassVar[Writes] = "text"
    suffix: ClassVar[str] = ".md"

    def __init__(self, options: Options) -> None:
        for name, given in options:
            if given is not None and not _ADDRESS.fullmatch(given):
                raise UsageError(f"{name}: expected an address without spaces, brackets or quotes, got {given!r}")
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Return the comparison."""
        said = markdown(source.result)
        head, gap, rest = said.partition("\n\n")
        chart, report = self.options.chart, self.options.report
        added = [
            *([f"![Retained share of the teacher against compression]({chart})"] if chart else []),
            *([f"[The full report]({report})"] if report else []),
        ]
        whole = head + gap + "".join(f"{each}\n\n" for each in added) + rest
        if len(whole) >= MARKDOWN_LIMIT:
            raise UsageError("the addresses leave no room for the text of a comment; use shorter ones")
        return Exported(text=whole)
