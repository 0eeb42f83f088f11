"""When a measurement has enough, and in which order models work."""

from __future__ import annotations

from collections import Counter

import pytest

from distbench.cell.book import Book, Key
from distbench.cell.schedule import Schedule, turns
from distbench.meters.latency import LatencyOptions


def schedule(**options: object) -> Schedule:
    return Schedule("latency", LatencyOptions(**options), "e2e_ms")  # type: ignore[arg-type]


def book(launches: int, spread: float = 0.0, rounds: int = 3) -> Book:
    """A student twice as fast as its teacher, in every other launch faster by `spread`."""
    kept = Book()
    for launch in range(launches):
        for number in range(rounds):
            kept.add("teacher", "latency/batch 1", {"e2e_ms": 20.0}, launch, number)
            kept.add("student", "latency/batch 1", {"e2e_ms": 10.0 * (1 + spread * (launch % 2))}, launch, number)
    return kept


def after(one: Schedule, kept: Book, launches: int) -> str | None:
    for _ in range(launches):
        one.after_launch(kept, "teacher", ["student"])
    return one.stopped


def test_precise_ratios_end_after_the_planned_launches() -> None:
    assert after(schedule(launches=3, rounds=3), book(3), 2) is None
    assert after(schedule(launches=3, rounds=3), book(3), 3) == (
        "every ratio is within ±2.0% after 3 launches of 3 rounds"
    )


def test_launches_are_added_while_a_ratio_is_wide_and_the_limit_is_told() -> None:
    one = schedule(launches=3, max_launches=5, rounds=3)
    assert after(one, book(3, spread=0.2), 3) is None
    assert after(one, book(5, spread=0.2), 2) is not None
    assert "5 launches" in str(one.stopped)
    assert "wanted ±2.0%" in str(one.stopped)


def test_without_an_interval_launches_alone_decide() -> None:
    assert after(schedule(launches=1, rounds=2), book(1, rounds=2), 1) == "1 launch of 2 rounds done"
    plain = Schedule("other", LatencyOptions(launches=2, rounds=3), None)
    assert after(plain, book(2), 2) == "2 launches of 3 rounds done"


def test_a_spent_budget_ends_rounds_but_never_before_two_of_them() -> None:
    one = schedule(max_seconds=10, rounds=6)
    one.seconds = 11
    assert not one.out_of_time(0)
    assert not one.out_of_time(1)
    assert one.out_of_time(2)
    assert one.stopped == "time budget of 10 s spent after 2 of 6 rounds of launch 1 of 5"
    later = schedule(max_seconds=10)
    later.seconds, later.launches = 11, 1
    assert later.out_of_time(0)


def test_several_values_of_a_round_count_once() -> None:
    kept = Book()
    kept.add("m", "latency/batch 1", {"itl_ms": [1.0, 2.0, 9.0]}, 0, 0)
    kept.add("m", "latency/batch 1", {"itl_ms": [5.0]}, 0, 1)
    key = Key("m", "latency", "itl_ms", "batch 1")
    assert [row.value for row in kept.values[key]] == [1.0, 2.0, 9.0, 5.0]
    assert kept.by_round(key) == {(0, 0): 2.0, (0, 1): 5.0}


@pytest.mark.parametrize("number", [0, 2, 8])
def test_odd_rounds_mirror_the_round_before(number: int) -> None:
    names = ["teacher", "a", "b", "c"]
    first, second = (list(turns(names, 0, 1, n, "w")) for n in (number, number + 1))
    assert sorted(first) == sorted(names)
    assert second == first[::-1]


def test_orders_are_random_seeded_and_balanced() -> None:
    assert list(turns("ab", 0, 0, 0, "w")) == list(turns("ab", 0, 0, 0, "w"))
    first = Counter(next(iter(turns("ab", 0, launch, 0, "w"))) for launch in range(400))
    assert 150 < first["a"] < 250
