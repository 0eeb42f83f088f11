"""How noisy is this machine? The same loop, timed as two models would be: in turns, so that their ratio should be 1."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

from distbench.cli.doctor.finding import Finding
from distbench.stats.speed import half_width, launch_ratio, paired_ratios

SECONDS = 2.0
TURN_NS = 2_000_000  # the length of one turn: a small model's step
STEADY = 0.05  # nine of ten single ratios are within it on a quiet machine
FEWEST_ROUNDS = 20
Clock = Callable[[], int]


def spin(rounds: int) -> int:
    """Do a fixed amount of arithmetic."""
    total = 0
    for number in range(rounds):
        total += number * number
    return total


def measure_noise(
    seconds: float = SECONDS, clock: Clock = perf_counter_ns, work: Callable[[int], object] = spin
) -> Finding:
    """Time a loop against itself and say how far the ratios spread. One core at work, the default order of a run."""
    first, second = turns(seconds, clock, work)
    ratios = paired_ratios(first, second, higher_is_better=False)
    ordered = sorted(ratios.values())
    low, high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    found = launch_ratio(ratios)
    reach = half_width(found)
    seen = (
        f"two equal loops: {found.value:.3f}× ± {reach or 0:.1%} over {len(ratios)} rounds of one launch; "
        f"nine of ten rounds within {low:.2f}× to {high:.2f}×"
    )
    quiet = high / low <= (1 + STEADY) ** 2
    remedy = "" if quiet else "end other programs, or plan for more launches: intervals will be wide"
    facts: dict[str, float | str | list[int] | None] = {
        "ratio": found.value,
        "half_width": reach,
        "rounds": float(len(ratios)),
        "low": low,
        "high": high,
    }
    return Finding("noise", "busy loop against itself", quiet, seen, remedy, facts)


def turns(
    seconds: float, clock: Clock, work: Callable[[int], object]
) -> tuple[dict[tuple[int, int], float], dict[tuple[int, int], float]]:
    """Return ns of each turn by (launch 0, round): one of two equal workers begins even rounds, the other odd ones."""
    size = _calibrated(clock, work)
    sides: tuple[dict[tuple[int, int], float], ...] = ({}, {})
    end = clock() + seconds * 1e9
    number = 0
    while clock() < end or number < FEWEST_ROUNDS:
        for side in sides if number % 2 == 0 else sides[::-1]:
            start = clock()
            work(size)
            side[0, number] = float(clock() - start)
        number += 1
    return sides[0], sides[1]


def _calibrated(clock: Clock, work: Callable[[int], object]) -> int:
    """Return how many rounds of the loop take about one turn."""
    size = 1000
    while True:
        start = clock()
        work(size)
        if clock() - start >= TURN_NS:
            return size
        size *= 2
