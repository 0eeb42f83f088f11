"""Which cells share a process, and which of them may begin: a cell follows what it needs, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby

from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.training.processes import processes_of

Cell = MakeCell | EvaluateCell | MeasureCell
ROUNDS = 4  # jobs of evaluations that a slot has, at least: with fewer, the last one to end is waited for too long


def grouped(cells: Sequence[Cell], slots: int) -> list[list[Cell]]:
    """Return the cells as jobs, in plan order. With one slot as few as may be: a new process loads its model again."""
    return _in_turn(cells) if slots == 1 else _side_by_side(cells, slots)


def _in_turn(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Making a model and its evaluations share a process, since it is loaded; so do evaluations of several models one
    after the other, since they ask the same requests."""
    jobs: list[list[Cell]] = []
    for cell in cells:
        if jobs and _share(jobs[-1][-1], cell):
            jobs[-1].append(cell)
        else:
            jobs.append([cell])
    return jobs


def _share(last: Cell, cell: Cell) -> bool:
    """Say whether a cell may run in the process of the one before it."""
    if not isinstance(cell, EvaluateCell) or last.kind == "measure" or processes_of(last) != processes_of(cell):
        return False
    if processes_of(last) > 1:  # they hold one model, which is not exchanged for another
        return isinstance(last, EvaluateCell) and last.model.identity == cell.model.identity
    # A made model is evaluated in the process that made it.
    return isinstance(last, EvaluateCell) or cell.model.cell == last.id


def _side_by_side(cells: Sequence[Cell], slots: int) -> list[list[Cell]]:
    """Evaluations of one model share a process, but no more of them than leaves every slot its `ROUNDS` of jobs."""
    total = sum(isinstance(cell, EvaluateCell) for cell in cells)
    most = max(1, total // (ROUNDS * slots))
    jobs: list[list[Cell]] = []
    for model, run in groupby(cells, lambda cell: cell.model.identity if isinstance(cell, EvaluateCell) else None):
        together = list(run)
        step = most if model is not None else 1
        jobs += [together[first : first + step] for first in range(0, len(together), step)]
    return jobs


class Queue:
    """Jobs that have not begun, in plan order."""

    def __init__(self, jobs: Sequence[Sequence[Cell]]) -> None:
        self._jobs = [list(job) for job in jobs]

    def __len__(self) -> int:
        return len(self._jobs)

    def next(self, settled: Collection[str]) -> list[Cell] | None:
        """Take the first job of which all needs are `settled` (done or failed); None: there is none yet."""
        for place, job in enumerate(self._jobs):
            own = {cell.id for cell in job}
            if all(need in own or need in settled for cell in job for need in cell.needs):
                return self._jobs.pop(place)
        return None

    def put_back(self, job: Sequence[Cell]) -> None:
        """Let cells whose process ended before their turn be the next that begin."""
        if job:
            self._jobs.insert(0, list(job))
