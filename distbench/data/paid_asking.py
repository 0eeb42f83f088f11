"""Asking for answers: only for those that are missing, each kept as soon as it is there, within a budget."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from distbench.data.paid_budget import BudgetSpentError, Purse, Spent, at_most, spent_on
from distbench.data.paid_store import AnswerStore
from distbench.errors import RunError
from distbench.protocols import Asked, Progress, Sampling

MOST_ERRORS = 0.01  # of all answers


@dataclass(frozen=True)
class Wanted:
    """An answer and the key it is kept under."""

    key: str
    asked: Asked


@dataclass(frozen=True)
class Effort:
    """How many threads ask, and how many answers each asks for at once."""

    threads: int = 1
    batch: int = 1


class Inquiry:
    """One pass over the answers that are missing.

    Raises BudgetSpentError where the budget ends it, RunError as soon as more than 1 % of all answers could not be had,
    and whatever else the model raises (a refused key, say) at once. What had come by then is in the store.
    """

    def __init__(
        self, model: Any, sampling: Sampling, store: AnswerStore, purse: Purse, effort: Effort, progress: Progress
    ) -> None:
        self._model, self._sampling, self._store, self._purse = model, sampling, store, purse
        self._effort, self._progress = effort, progress
        self._lock = threading.Lock()
        self._stop: BaseException | None = None
        self.errors = 0

    def run(self, wanted: Sequence[Wanted]) -> None:
        """Ask for what the store lacks of these."""
        missing = [one for one in wanted if self._store.get(one.key) is None]
        self._total, self._done = len(wanted), len(wanted) - len(missing)
        size = self._effort.batch
        groups = iter([missing[first : first + size] for first in range(0, len(missing), size)])
        if self._effort.threads == 1:
            self._work(groups)
        else:
            threads = [
                threading.Thread(target=self._work, args=(groups,), daemon=True) for _ in range(self._effort.threads)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if isinstance(self._stop, BudgetSpentError):
            raise BudgetSpentError(
                f"{self._stop.message}; {self._done} of {self._total} answers are there and kept: raise the budget, "
                "and only the others are asked for, or want fewer of them (samples)"
            )
        if self._stop is not None:
            raise self._stop

    def _work(self, groups: Iterator[list[Wanted]]) -> None:
        """Ask group after group until none is left, or somebody found a reason to stop."""
        try:
            while (group := self._next(groups)) is not None:
                self._ask(group)
        except BaseException as error:  # noqa: BLE001 - a thread's error is raised again by `run`
            with self._lock:
                self._stop = self._stop or error

    def _next(self, groups: Iterator[list[Wanted]]) -> list[Wanted] | None:
        with self._lock:
            return None if self._stop is not None else next(groups, None)

    def _ask(self, group: list[Wanted]) -> None:
        most = self._sampling.most
        promised = self._purse.promise(at_most(one.asked.prompt, most) for one in group)
        spent = promised
        try:
            answers = self._model.write([one.asked for one in group], self._sampling)
            spent = sum((spent_on(o.asked, a, most) for o, a in zip(group, answers, strict=True)), Spent())
        except RunError as error:
            spent = Spent(len(group))  # what a failed request used up, nobody tells
            self._failed(group, error)
            return
        finally:
            self._purse.settle(promised, spent)
        for one, answer in zip(group, answers, strict=True):
            self._store.add(one.key, answer)
        with self._lock:
            self._done += len(group)
            self._progress(self._done, self._total, "asking the teacher for answers")

    def _failed(self, group: list[Wanted], error: RunError) -> None:
        for one in group:
            self._store.mark(one.key, error.message)
        with self._lock:
            self.errors += len(group)
            if self.errors > MOST_ERRORS * self._total:
                raise RunError(
                    f"{self.errors} of {self._total} answers could not be had, more than {MOST_ERRORS:.0%}; the last: "
                    f"{error.message} ({self._done} are there and kept, and are not asked for again)"
                ) from None
