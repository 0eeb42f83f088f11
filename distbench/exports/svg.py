"""The key chart as an SVG file."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from distbench.protocols.export import Exported, Source, Writes
from distbench.report.figures.static import key_svg
from distbench.report.svg import Scheme
from distbench.report.view import View
from distbench.schema.result import Result
from distbench.schema.strict import Strict


def key_chart(result: Result, scheme: Scheme = "auto") -> str:
    """Return the key chart of a comparison as SVG; `auto` follows the reader's light or dark system."""
    return key_svg(View(result), scheme)


class SVG:
    """`--format svg`: the key chart, for a README, an e-mail or a print."""

    class Options(Strict):
        """Options of the format."""

        scheme: Scheme = Field("auto", description="light, dark, or auto: what the reader's system asks for")

    summary: ClassVar[str] = "the key chart: retained % with intervals against compression; no script, no font to load"
    writes: ClassVar[Writes] = "text"
    suffix: ClassVar[str] = ".svg"

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Return the chart."""
        return Exported(text=key_chart(source.result, self.options.scheme) + "\n")
