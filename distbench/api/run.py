"""A run as Python reads it: the result, tidy data frames, and the page in a notebook. Nothing is read before it is
asked for."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from distbench.errors import UsageError
from distbench.schema.estimate import Verdict
from distbench.schema.result import Result
from distbench.store.run_dir import RunDir

if TYPE_CHECKING:
    import pandas as pd

    from distbench.api.page import Page


def load(run: str | os.PathLike[str], *more: str | os.PathLike[str]) -> Run:
    """Open a run directory, or a result.json that came from one; several are merged as `distbench report A B` does.

    Raises UsageError where there is neither. What one holds is read, and checked, when it is first asked for; several
    are read at once, and have no samples together.
    """
    paths = [Path(each).expanduser() for each in (run, *more)]
    for path in paths:
        if not path.is_file():
            RunDir.existing(path)
    if not more:
        return Run(paths[0])
    from distbench.compare.merge import merge
    from distbench.compare.reading import read_result

    return Run(result=merge([read_result(path) for path in paths]))


class Run:
    """A finished run. Every data frame is made anew for its caller; docs/python.md has their columns and units.

    Shares are fractions (0.95, not 95 %), ratios are oriented so that above 1 the student is better, and a number that
    is not known is NaN or NA with its reason in a column beside it.

    Reading raises RefusedError where files are damaged or of another version, RunError where nothing has finished.
    """

    def __init__(self, path: Path | None = None, result: Result | None = None) -> None:
        if path is None and result is None:
            raise UsageError("a Run is made of a path, or of a Result; distbench.load(path) makes one")
        self.path = path
        if result is not None:
            self.__dict__["result"] = result  # what the cached property would read

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})" if self.path is not None else f"Run(result={self.result.run!r})"

    # -- the comparison -----------------------------------------------------------------------------------------

    @cached_property
    def result(self) -> Result:
        """The whole comparison as one document: what `distbench compare RUN --json` prints."""
        from distbench.compare.reading import read_result

        assert self.path is not None, "a run without a path has its result"
        return read_result(self.path)

    @property
    def verdict(self) -> Verdict:
        """PASS, FAIL, INCONCLUSIVE, NO_SIGNAL or INVALID, over all required students."""
        return self.result.verdict

    @property
    def directory(self) -> Path | None:
        """The run directory; None of a result.json that does not lie in one."""
        if self.path is None or not self.path.is_file():
            return self.path
        return self.path.parent if (self.path.parent / "manifest.json").is_file() else None

    # -- data frames --------------------------------------------------------------------------------------------

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the tables of `distbench.tables.TABLES` as a data frame."""
        from distbench.api.frames import frame_of

        return frame_of(self.result, name)

    @property
    def students(self) -> pd.DataFrame:
        """One row a student or control: verdict, retained share, sizes, speed-up, memory, energy."""
        return self.table("students")

    @property
    def teachers(self) -> pd.DataFrame:
        """One row a teacher: where it came from, and its size."""
        return self.table("teachers")

    @property
    def tasks(self) -> pd.DataFrame:
        """One row a student, task and metric: both scores, retained share with its interval, flips, verdict."""
        return self.table("tasks")

    @property
    def measurements(self) -> pd.DataFrame:
        """One row a student, metric and workload: medians, paired ratio with its interval, percentiles."""
        return self.table("measurements")

    @property
    def gate(self) -> pd.DataFrame:
        """One row a rule of the gate and student: what was asked, what was seen, how it was decided."""
        return self.table("gate")

    @property
    def studies(self) -> pd.DataFrame:
        """One row a student of a study: where it stands and what it keeps."""
        return self.table("studies")

    @property
    def seeds(self) -> pd.DataFrame:
        """One row a training run of a student that was trained with several seeds."""
        return self.table("seeds")

    @property
    def trade_off(self) -> pd.DataFrame:
        """One row a student: what it keeps against what it saves, and whether it is on the Pareto front."""
        return self.table("trade_off")

    @property
    def groups(self) -> pd.DataFrame:
        """One row a student, task and group of samples."""
        return self.table("groups")

    @property
    def context(self) -> pd.DataFrame:
        """One row a student, task and context length."""
        return self.table("context")

    @property
    def bias(self) -> pd.DataFrame:
        """One row a student and bias rate."""
        return self.table("bias")

    @property
    def calibration(self) -> pd.DataFrame:
        """One row a student, task and measure of calibration."""
        return self.table("calibration")

    @property
    def divergences(self) -> pd.DataFrame:
        """One row a student and divergence from its teacher."""
        return self.table("divergences")

    @property
    def disagreements(self) -> pd.DataFrame:
        """One row a sample that only one of teacher and student gets right, at most 500 a student, with texts."""
        return self.table("disagreements")

    @property
    def cells(self) -> pd.DataFrame:
        """One row a piece of the run's work: what it took, or why it failed."""
        return self.table("cells")

    @property
    def warnings(self) -> pd.DataFrame:
        """One row a warning."""
        return self.table("warnings")

    def samples(
        self, task: str | None = None, student: str | None = None, *, metric: str | None = None, texts: bool = True
    ) -> pd.DataFrame:
        """Return every sample of both sides, paired: scores, answers, and who was right.

        All tasks and students where none is named; the primary metric of each task where none is named. Without
        `texts`, prompts and answers stay on the disk, which for a million samples is most of the work.

        Raises UsageError for a name that the run does not have and for a result.json on its own, which has no samples;
        RunError where what was named did not finish.
        """
        from distbench.api.samples import paired_samples

        if self.directory is None:
            raise UsageError(
                f"{self.path or 'a result'} has no samples: they are in the run directory; "
                "`disagreements` has the samples that only one side gets right"
            )
        return paired_samples(RunDir.existing(self.directory), task=task, student=student, metric=metric, texts=texts)

    # -- to look at ---------------------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        """Return what a notebook shows of the run: the verdict, the students, the key chart."""
        from distbench.api.notebook import summary

        return summary(self.result)

    def report(self, height: int = 900) -> Page:
        """Return the report, which a notebook shows in a frame of `height` pixels; `.save(path)` writes it."""
        from distbench.api.page import page_of

        return page_of(self.result, height)

    def show(self, height: int = 900) -> None:
        """Show the run: the report in a notebook; in a terminal what `distbench compare` prints."""
        from distbench.api.page import show

        show(self.result, height)
