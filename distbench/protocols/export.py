"""What turns a comparison into something that another tool reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from pydantic import BaseModel

from distbench.errors import UsageError, did_you_mean
from distbench.schema.result import Result, StudentResult

Writes = Literal["text", "file", "folder", "service"]
"""What an export writes. text: one document, to standard output where no file is named; file and folder: below the
path that `--out` names; service: to a program that keeps results, with `--out` as its local folder."""


@dataclass(frozen=True)
class Source:
    """What is exported: the comparison, and the run directory that it came from. Samples are in the directory only."""

    result: Result
    run: Path | None = None
    student: str | None = None  # the student that was asked for by name

    def chosen(self) -> StudentResult | None:
        """Return the student that was asked for by name; raise UsageError where there is no such one."""
        if self.student is None:
            return None
        names = [each.name for each in self.result.students]
        found = next((each for each in self.result.students if each.name == self.student), None)
        if found is None:
            hint = did_you_mean(self.student[:80], names) or f"; there are: {', '.join(names[:8]) or 'none'}"
            raise UsageError(f"no student {self.student[:80]!r} in this comparison{hint}")
        return found


@dataclass(frozen=True)
class Exported:
    """What an export made: the text of a document, or the files and the place that it wrote."""

    text: str | None = None
    files: list[Path] = field(default_factory=list)
    place: str | None = None  # where a service keeps it: a URI or a folder
    notes: list[str] = field(default_factory=list)  # what was left out, and how to have it


class Export(Protocol):
    """One format. It computes nothing: every number it writes stands in the result, or in the samples of the run.

    A plug-in of the group `distbench.exports`. Its class is loaded to list the formats: import libraries inside
    methods, and name those of an extra in `requires`, so that a missing one is said before anything is written.
    Optional class attributes: `requires`, names of modules; `suffix`, the ending of a file that means this format;
    `of_one`: the format is about one student, so that the command line may name it.
    """

    Options: ClassVar[type[BaseModel]]
    summary: ClassVar[str]  # one line for `distbench export --list`
    writes: Writes  # of the class: what it writes as a rule; of an object: what it writes with its options

    def __init__(self, options: BaseModel) -> None: ...

    def export(self, source: Source, to: Path | None) -> Exported:
        """Write `source`. `to`: what `--out` named; of a text it only tells the kind of file, the caller writes it.

        Raises UsageError where an option does not fit the result, EnvironmentFault where the machine cannot do it.
        """
        ...
