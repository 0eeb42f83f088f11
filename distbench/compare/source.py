"""A run as commands over several runs read it: its result, and its records where its directory is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distbench.compare.evidence import Evidence
from distbench.compare.reading import read_document
from distbench.compare.run import compare
from distbench.schema.plan import PlannedModel
from distbench.schema.result import Result
from distbench.store.run_dir import RunDir


@dataclass(frozen=True)
class Source:
    """One run. `evidence` is None where only its result document was given: then there are no samples."""

    path: Path
    result: Result
    evidence: Evidence | None = None

    def model(self, name: str) -> PlannedModel | None:
        """Return a model of the run as it was planned; None where only the document is there."""
        planned = self.evidence.manifest.models if self.evidence else []
        return next((each for each in planned if each.name == name), None)


def opened(path: Path) -> Source:
    """Open a run directory or a result.json.

    Raises UsageError where there is neither, RefusedError where it is damaged or of another version, RunError where
    nothing of a run has finished.
    """
    if path.is_file():
        return Source(path, read_document(path))
    run = RunDir.existing(path)
    return Source(path, compare(run), Evidence(run))
