"""Warm-up ends when times have settled, on a clock of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat

from distbench.work.steady import MOST_RUNS, WarmUp, warm_up


class Clock:
    """Time passes only while work is done: as many ms as the next duration says."""

    def __init__(self, durations: Iterator[float]) -> None:
        self.now, self.durations = 0, durations

    def work(self) -> None:
        self.now += round(next(self.durations) * 1e6)

    def read(self) -> int:
        return self.now


def run(durations: Iterator[float], most_seconds: float = 20.0) -> WarmUp:
    clock = Clock(durations)
    work: Callable[[], None] = clock.work
    return warm_up(work, most_seconds=most_seconds, clock=clock.read)


def test_constant_work_is_settled_at_once() -> None:
    assert run(repeat(10.0)) == WarmUp(5, 0.05, settled=True)


def test_a_slow_first_run_is_no_reason_to_go_on() -> None:
    assert run(chain([900.0], repeat(10.0))).runs == 5


def test_work_that_gets_faster_is_waited_for() -> None:
    found = run(chain([900.0, 100.0, 80.0, 60.0, 40.0, 20.0], repeat(10.0)))
    assert found.settled
    assert found.runs > 9  # three runs at full speed behind one at full speed


def test_a_disturbed_run_does_not_count_as_progress() -> None:
    assert run(chain([10.0, 10.0, 50.0, 10.0, 10.0], repeat(10.0))).settled


def test_what_never_settles_says_so() -> None:
    found = run(1000 * 0.9**i for i in range(1000))
    assert (found.settled, found.runs) == (False, MOST_RUNS)


def test_long_work_runs_twice() -> None:
    found = run(repeat(60_000.0))
    assert (found.settled, found.runs) == (False, 2)
