"""The time that a run has: no cell begins that is not expected to end in it, and what is left out is known by name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from distbench.execute.queue import Cell, Queue
from distbench.plan.arrange import Bundle
from distbench.schema.durations import duration
from distbench.schema.left_out import LEFT_OUT, LeftOut
from distbench.store.files import write_text
from distbench.store.run_dir import RunDir

GRACE, LEAST_GRACE = 0.1, 60.0  # how far over its time a cell at work may go: a share of it, and seconds at least
FEW, MOST = 3, 4.0  # cells after which the estimates are corrected by what they really took; by this factor at most


class OutOfTimeError(Exception):
    """A cell that just began would not end in time, or those at work did not. `first`: of the job; None: of all."""

    def __init__(self, first: str | None) -> None:
        super().__init__("the time is over")
        self.first = first


class Budget:
    """Seconds by the monotonic clock from `start` on. `costs`: what cells are expected to take.

    A bundle is begun where all that is left of it is expected to end in time: half a comparison says nothing. Its cells
    follow one another, unless `side_by_side` says otherwise.
    """

    def __init__(
        self,
        seconds: float,
        order: Sequence[Bundle] = (),
        costs: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self.left_out = seconds, dict[str, str]()
        self._costs, self._clock = costs or {}, clock
        self._bundle = {cell_id: bundle for bundle in order for cell_id in bundle.cells}
        self._settled: set[str] = set()
        self._slots, self._needs = 1, dict[str, Collection[str]]()
        self._expected = self._took = 0.0
        self._began = clock()

    def side_by_side(self, slots: int, cells: Iterable[Cell]) -> None:
        """Expect that so many cells are at work at once, each after those that it needs."""
        self._slots = slots
        self._needs |= {cell.id: cell.needs for cell in cells}

    @property
    def spent(self) -> float:
        """Return the seconds since the run began."""
        return self._clock() - self._began

    def settled(self, cells: Iterable[str]) -> None:
        """Note cells that are there already, or failed: nothing of them is left to do."""
        self._settled.update(cells)

    def settle(self, cell_id: str, seconds: float) -> None:
        """Learn what a cell really took."""
        self._settled.add(cell_id)
        if cell_id in self._costs:
            self._expected += self._costs[cell_id]
            self._took += seconds

    def allows(self, cell: Cell) -> bool:
        """Say whether a cell, with what is left of its bundle, is expected to end in time."""
        bundle = self._bundle.get(cell.id)
        left = [each for each in bundle.cells if each not in self._settled] if bundle else [cell.id]
        return self.spent + self._correction() * self._takes(left) <= self.seconds

    def _takes(self, cells: Sequence[str]) -> float:
        """Return the seconds of cells from the first to the last: at least their longest chain, and their share of the
        slots."""
        ends: dict[str, float] = {}
        for each in cells:  # what a cell needs comes before it
            ends[each] = self._costs.get(each, 0.0) + max(
                (ends.get(need, 0.0) for need in self._needs.get(each, ())), default=0.0
            )
        shared = sum(self._costs.get(each, 0.0) for each in cells) / self._slots
        return max(shared, max(ends.values(), default=0.0))

    def over(self) -> bool:
        """Say whether the time and its grace are over."""
        return self.spent > self.seconds + max(LEAST_GRACE, GRACE * self.seconds)

    def leave(self, cell: Cell, why: str | None = None) -> None:
        """Leave a cell out."""
        spent = f"{duration(self.spent)} of {duration(self.seconds)} were spent"
        self.left_out[cell.id] = why or f"not expected to end in time: {spent}"

    def _correction(self) -> float:
        if len(self._settled) < FEW or self._expected <= 0:
            return 1.0
        return min(MOST, max(1 / MOST, self._took / self._expected))


class TimedQueue(Queue):
    """Jobs in the order that a budget wants; what does not fit any more is left out, with what builds on it."""

    def __init__(self, jobs: Sequence[Sequence[Cell]], budget: Budget) -> None:
        super().__init__(jobs)
        self._budget = budget

    def next(self, settled: Collection[str]) -> list[Cell] | None:
        """Take the first job that may begin and has the time."""
        while (job := super().next({*settled, *self._budget.left_out})) is not None:
            if admitted := self._admitted(job):
                return admitted
        return None

    def _admitted(self, job: Sequence[Cell]) -> list[Cell]:
        """Return a job without the cells at its front that have no time; later ones are asked when they begin."""
        admitted: list[Cell] = []
        for cell in job:
            lost = next((need for need in cell.needs if need in self._budget.left_out), None)
            if lost is not None:
                self._budget.leave(cell, f"needs a cell that was left out: {self._budget.left_out[lost]}")
            elif not admitted and not self._budget.allows(cell):
                self._budget.leave(cell)
            else:
                admitted.append(cell)
        return admitted


def in_order(cells: Sequence[Cell], order: Sequence[Bundle], costs: Mapping[str, float], batch: float) -> list[Cell]:
    """Return cells in the order of their bundles, where bundles of `batch` seconds together are sorted by model.

    A process keeps one model loaded, so a switch after every answer would cost more than the order gains.
    """
    by_id = {cell.id: cell for cell in cells}
    found: list[Cell] = []
    together: list[str] = []
    spent = 0.0
    for bundle in [*order, None]:
        if together and (bundle is None or spent >= batch):
            found += _by_model([by_id[cell_id] for cell_id in together])
            together, spent = [], 0.0
        if bundle is not None:
            together += [cell_id for cell_id in bundle.cells if cell_id in by_id]
            spent += sum(costs.get(cell_id, 0.0) for cell_id in bundle.cells)
    known = {cell.id for cell in found}
    return [*found, *(cell for cell in cells if cell.id not in known)]


def _by_model(cells: Sequence[Cell]) -> list[Cell]:
    """Return what is made first, as it stands, then evaluations by model, then measurements."""
    places: dict[str, int] = {}
    for cell in cells:
        if cell.kind == "evaluate":
            places.setdefault(cell.model.identity, len(places))
    kinds = {"make": 0, "evaluate": 1, "measure": 2}
    return sorted(cells, key=lambda c: (kinds[c.kind], places[c.model.identity] if c.kind == "evaluate" else 0))


def note_left_out(run: RunDir, budget: Budget | None) -> None:
    """Write which cells were left out, for whoever reads the run; nothing stays of an earlier start."""
    path = run.path / LEFT_OUT
    if budget is None or not budget.left_out:
        path.unlink(missing_ok=True)
        return
    noted = LeftOut(max_seconds=budget.seconds, spent_seconds=round(budget.spent, 3), cells=dict(budget.left_out))
    write_text(path, json.dumps(noted.model_dump(), indent=1) + "\n")
