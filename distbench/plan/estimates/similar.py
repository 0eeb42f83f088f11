"""The rows of a history that may speak for a cell: those of this machine, this device and this precision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from distbench.host import host_facts
from distbench.meters.accelerators import accelerators_of
from distbench.plan.estimates.past import Past
from distbench.schema.cell import Settings


class Similar:
    """Rows by what they have in common.

    `other_threads`: those of another number of threads, or of the same; None: those where there is no other.
    """

    def __init__(
        self, rows: Sequence[Past], settings: Settings, host: str | None = None, *, other_threads: bool | None = None
    ) -> None:
        host = host or host_facts(accelerators_of(settings.device)).fingerprint
        mine = [row for row in rows if (row.host, row.device, row.dtype) == (host, settings.device, settings.dtype)]
        self.elsewhere = len(rows) - len(mine)
        self._tokens: dict[str, list[float]] = defaultdict(list)  # of every machine: a text is as long everywhere
        for row in rows:
            if row.tokens and row.amount:
                self._tokens[row.signature].append(row.tokens / row.amount)
        same = [row for row in mine if row.threads == settings.threads]
        other = [row for row in mine if row.threads != settings.threads]
        self.other_threads = bool(other) and (not same if other_threads is None else other_threads)
        self.rows = other if self.other_threads else same
        self.by_id = {} if self.other_threads else {row.id: row for row in same}
        self._of_work: dict[str, list[Past]] = defaultdict(list)
        self._of_model: dict[str, list[Past]] = defaultdict(list)
        self._of_kind: dict[str, list[Past]] = defaultdict(list)
        self._of_both: dict[tuple[str, str], list[Past]] = defaultdict(list)
        for row in self.rows:
            self._of_work[row.signature].append(row)
            self._of_model[row.model].append(row)
            self._of_kind[row.kind].append(row)
            self._of_both[row.signature, row.model].append(row)

    def of_work(self, signature: str) -> list[Past]:
        """Return rows of the same kind of work, whatever the model."""
        return self._of_work.get(signature, [])

    def of_model(self, model: str) -> list[Past]:
        """Return evaluations of the same model."""
        return [row for row in self._of_model.get(model, []) if row.kind == "evaluate"]

    def of_both(self, signature: str, model: str) -> list[Past]:
        """Return rows of this work on this model."""
        return self._of_both.get((signature, model), [])

    def of_kind(self, kind: str) -> list[Past]:
        """Return rows of one kind of cell."""
        return self._of_kind.get(kind, [])

    def tokens(self, signature: str) -> float | None:
        """Return how many tokens a sample of a task has, by whoever was asked; None: nobody counted them."""
        counted = self._tokens.get(signature)
        return median(counted) if counted else None

    def watts(self) -> dict[str, float]:
        """Return the mean power of this machine while models work, by what the meter covers."""
        read: dict[str, list[float]] = defaultdict(list)
        for row in self.rows:
            for scope, value in row.watts.items():
                read[scope].append(value)
        return {scope: median(values) for scope, values in read.items()}
