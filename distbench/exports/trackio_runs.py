"""A comparison as runs of Trackio: one a student, in a group, on this machine unless a Space is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from distbench.errors import UsageError
from distbench.exports.rows import made_folder
from distbench.exports.tracking import Tracked, accepted, foreign, tracked
from distbench.protocols.export import Exported, Source, Writes
from distbench.report.visible import one_line
from distbench.schema.strict import Strict

_DIRECTORY = "TRACKIO_DIR"


class Trackio:
    """`--format trackio`: into Trackio's own folder, into `--out`, or to a Space of the Hub."""

    class Options(Strict):
        """Options of the format."""

        project: str = Field(
            "distbench", pattern=r"^[A-Za-z0-9._-]{1,128}$", description="the project that the runs belong to"
        )
        space: str | None = Field(
            None, pattern=r"^[\w.-]+(/[\w.-]+)?$", description="a Space that shows them; else they stay on this machine"
        )

    summary: ClassVar[str] = "Trackio: numbers and settings, a run a student"
    writes: ClassVar[Writes] = "service"
    requires: ClassVar[tuple[str, ...]] = ("trackio",)

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Log the comparison; numbers that are not known are named in the settings, never logged as 0."""
        if to is not None:
            if self.options.space:
                raise UsageError("name a folder with --out, or a Space with --set space=…, not both")
            if "trackio" in sys.modules:
                raise UsageError(f"trackio is loaded already and keeps its folder; set {_DIRECTORY} before that")
            os.environ[_DIRECTORY] = str(made_folder(to).resolve())
        with foreign("trackio"):
            for each in tracked(source.result):
                self._log(each, source)
            import trackio

            place = self.options.space or str(getattr(trackio, _DIRECTORY, os.environ.get(_DIRECTORY, "trackio")))
        return Exported(place=f"{place} project {self.options.project!r}")

    def _log(self, found: Tracked, source: Source) -> None:
        import trackio

        about = accepted(
            trackio.init,
            project=self.options.project,
            name=f"{one_line(source.result.run, 60)} {found.name}",
            group=one_line(source.result.run, 120),
            space_id=self.options.space,
            config={**found.params, **found.tags, "missing": found.missing},
            embed=False,
            auto_log_gpu=False,  # the models ran elsewhere: this machine's load says nothing of them
            auto_log_cpu=False,
        )
        trackio.init(**about)
        trackio.log(dict(found.metrics))
        trackio.finish()
