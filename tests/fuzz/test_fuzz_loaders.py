"""Every target on a few hundred cases, the same ones each time; `scripts/fuzz/run.py` tries ten thousand and more."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from distbench.errors import DistbenchError, UsageError
from tests.fuzz.guard import Tally, TooSlow, attempt, check_message
from tests.fuzz.targets import targets

CASES = {
    "suite": 600,
    "result": 200,
    "lm-eval": 60,
    "policy": 200,
    "run": 80,
    "exports": 60,
    "checkpoint": 200,
    "terminal": 200,
}


@pytest.mark.parametrize("name", list(targets()))
def test_a_value_or_one_line(name: str) -> None:
    target, tally = targets()[name], Tally()

    @settings(
        max_examples=CASES[name], derandomize=True, deadline=None, database=None,
        phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(target.cases)
    def every_case(case: Any) -> None:
        attempt(target.load, case, tally)

    every_case()
    assert tally.values > tally.cases // 50, "hardly any input is right, so what comes after the first check is not met"
    assert name in {"terminal", "exports"} or sum(tally.refused.values()) > 0, "no input is wrong"


class Raw(DistbenchError):
    """Says what it was given, which ours never do."""

    def __str__(self) -> str:
        return str(self.args[0])


def test_the_guard_sees_what_it_looks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(case: float) -> None:
        time.sleep(case)

    with pytest.raises(KeyError):
        attempt(lambda case: {}[case], "x")
    monkeypatch.setattr("tests.fuzz.guard.SECONDS", 0.05)
    with pytest.raises(TooSlow):
        attempt(late, 5.0)
    for message in ("two\nlines", "", "bell \a", "x" * 501, "Input should be a valid number"):
        with pytest.raises(AssertionError):
            check_message(Raw(message))
    check_message(UsageError("one line that says what is wrong"))
