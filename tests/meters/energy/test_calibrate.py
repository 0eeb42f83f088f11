"""How often an instrument has a new value, found on clocks that the test moves."""

from __future__ import annotations

import math

import pytest

from distbench.meters.energy.calibrate import update_period, window_seconds
from distbench.meters.energy.fault import EnergyFault


class Counter:
    """A clock that advances a little at each look, and a counter of it with a known update period."""

    def __init__(self, period: float, step: float, only_at_work: bool = False) -> None:
        self.now, self.period, self.step = 0.0, period, step
        self.moving = not only_at_work

    def clock(self) -> float:
        self.now += self.step
        return self.now

    def read(self) -> float:
        return math.floor(self.now / self.period) if self.moving else 0.0

    def work(self) -> None:
        self.moving = True


@pytest.mark.parametrize("period", [0.001, 0.02, 0.1])
def test_the_period_is_found(period: float) -> None:
    counter = Counter(period, period / 50)
    assert update_period(counter.read, counter.work, clock=counter.clock) == pytest.approx(period, rel=0.1)


def test_power_that_stands_still_at_rest_is_stirred() -> None:
    counter = Counter(0.1, 0.005, only_at_work=True)
    found = update_period(counter.read, counter.work, at_rest=0.5, at_work=60, clock=counter.clock)
    assert found == pytest.approx(0.1, rel=0.2)


def test_a_frozen_instrument_is_refused() -> None:
    counter = Counter(1e9, 0.01)
    with pytest.raises(EnergyFault, match="frozen: 0 changes") as fault:
        update_period(counter.read, counter.work, at_rest=0.5, at_work=0.5, clock=counter.clock)
    assert fault.value.remedy
    assert fault.value.final


def test_an_error_of_the_work_is_an_error_of_the_work() -> None:
    def work() -> None:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        update_period(lambda: 0.0, work, at_rest=0.01, at_work=5)


def test_an_instrument_that_fails_while_work_runs_is_a_fault() -> None:
    looks = 0

    def read() -> float:
        nonlocal looks
        looks += 1
        if looks > 200:
            raise EnergyFault("it fell off")
        return 0.0

    with pytest.raises(EnergyFault, match="it fell off"):
        update_period(read, lambda: None, at_rest=0.001, at_work=30)


@pytest.mark.parametrize(
    ("period", "least", "window"), [(0.001, 1.0, 1.0), (0.1, 5.0, 5.0), (0.2, 5.0, 10.0), (5, 60, 250)]
)
def test_one_update_is_at_most_two_percent_of_a_window(period: float, least: float, window: float) -> None:
    assert window_seconds(period, least) == pytest.approx(window)
    assert period / window_seconds(period, least) <= 0.02 + 1e-12
