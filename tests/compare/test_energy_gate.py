"""Energy beside energy: scopes, estimates, the gate, and what is implausible."""

from __future__ import annotations

from typing import Any

import pytest

from distbench.cell.book import Book
from distbench.compare.energy import implausible_energy
from distbench.compare.measurements import compare_measurements, headline_energy
from distbench.compare.verdicts import gate_checks
from distbench.meters.energy.readings import quantities
from distbench.protocols import About, Missing
from distbench.schema.record import Footprint, MeasureResult, Series
from distbench.schema.result import Estimate, GateCheck, SuiteScore
from distbench.schema.suite import GateSpec

BOARD = "GPU board"
JOULES = "gross_joules_per_token"
DECLARED = {("energy", quantity.name): quantity for quantity in quantities()}


def series(model: str, joules: float, **changes: Any) -> Series:
    """Six windows of three launches, spread by about 1 %."""
    noise = (0.99, 1.0, 1.01, 1.0, 0.995, 1.005) if model == "teacher" else (1.0, 1.01, 0.99, 0.995, 1.0, 1.005)
    facts: dict[str, Any] = {
        "model": model, "meter": "energy", "metric": JOULES, "unit": "J/token", "higher_is_better": False,
        "workload": "batch 8", "values": [joules * factor for factor in noise],
        "launch": [0, 0, 1, 1, 2, 2], "pair": [0, 1] * 3, "scope": BOARD, "ratio": "windows",
    }  # fmt: skip
    return Series(**(facts | changes))


def check(gate: float, *of: Series) -> GateCheck:
    found = compare_measurements(list(of), "teacher", "student", 0.05)
    score = SuiteScore(retained=Estimate(value=1.0, method="test"), verdict="PASS")
    checks = gate_checks(score, found, None, GateSpec(energy=gate))
    return next(each for each in checks if each.rule == "energy")


@pytest.mark.parametrize(("gate", "verdict"), [(1.8, "PASS"), (2.2, "FAIL"), (2.0, "INCONCLUSIVE")])
def test_the_gate_asks_for_the_lower_limit(gate: float, verdict: str) -> None:
    assert check(gate, series("teacher", 2.0), series("student", 1.0)).verdict == verdict


def test_without_a_measurement_the_gate_is_inconclusive() -> None:
    found = check(1.2)
    assert (found.verdict, found.reason) == ("INCONCLUSIVE", "energy was not measured")


def test_an_estimate_never_satisfies_the_gate_however_large() -> None:
    guess = {"status": "estimated", "scope": "assumed power", "values": [1.0, 2.0] * 3}
    teacher, student = series("teacher", 1, **guess), series("student", 1, **guess | {"values": [0.001, 0.002] * 3})
    found = check(1.2, teacher, student)
    assert found.verdict == "INCONCLUSIVE"
    assert "not measured" in str(found.reason)
    (shown,) = compare_measurements([teacher, student], "teacher", "student", 0.05)
    assert (shown.status, shown.teacher, shown.student) == ("estimated", None, None)
    assert shown.estimates == {"teacher": (1.0, 2.0), "student": (0.001, 0.002)}
    mixed = check(1.2, series("teacher", 9.0), student)
    assert mixed.verdict == "INCONCLUSIVE"


def test_two_scopes_are_never_compared() -> None:
    sides = [series("teacher", 2.0), series("student", 1.0, scope="CPU package")]
    (shown,) = compare_measurements(sides, "teacher", "student", 0.05)
    assert (shown.status, shown.ratio.value) == ("not_measurable", None)
    assert shown.reason == "GPU board against CPU package: two scopes are never compared"
    assert (shown.teacher, shown.student) == (pytest.approx(2.0), pytest.approx(1.0)), "each is a fact by itself"
    assert check(1.2, *sides).verdict == "INCONCLUSIVE"


def test_a_reason_comes_with_its_remedy() -> None:
    broken = series("student", 1.0, values=[], launch=[], pair=[], status="not_measurable", reason="MIG", remedy="off")
    (shown,) = compare_measurements([series("teacher", 2.0), broken], "teacher", "student", 0.05)
    assert (shown.status, shown.reason, shown.remedy) == ("not_measurable", "student: MIG", "off")
    assert shown.ratio.value is None


def test_the_gate_looks_at_the_smallest_batch_and_not_at_prompts_alone() -> None:
    of = [series("teacher", 2.0, workload=name) for name in ("batch 8", "batch 1")]
    of.append(series("teacher", 2.0, workload="batch 1, prefill", metric="gross_joules_per_prompt_token"))
    found = headline_energy(compare_measurements(of, "teacher", "student", 0.05))
    assert found is not None
    assert found.workload == "batch 1"


@pytest.mark.parametrize(
    ("joules", "size", "changes", "warned"),
    [
        (0.119, 8.03e9, {}, False),
        (0.02, 8.03e9, {}, True),
        (3.0, 8.03e9, {}, True),
        (3.0, 1.2e9, {}, False),
        (3.0, None, {}, False),
        (3.0, 8.03e9, {"workload": "batch 1"}, False),
        (3.0, 8.03e9, {"scope": "wall"}, False),
    ],
)
def test_joules_that_nobody_else_reads_are_a_warning(
    joules: float, size: float | None, changes: dict[str, str], warned: bool
) -> None:
    result = MeasureResult(
        models=["teacher"],
        series=[series("teacher", joules, **changes)],
        footprints={"teacher": Footprint(params_unique=None if size is None else int(size))},
        stop_reason="",
    )
    found = implausible_energy(result)
    assert bool(found) is warned
    assert all("instrument" in each for each in found)


def test_a_wrong_counter_takes_back_what_it_said_and_a_spoilt_window_does_not() -> None:
    book = Book()
    spoilt, broken = Missing("others computed", "wait"), Missing("backwards", "reboot", final=True)
    for number, value in enumerate((1.0, spoilt, 1.1)):
        book.add("a", "energy/batch 1", {JOULES: value}, 0, number)
        book.add("b", "energy/batch 1", {JOULES: broken if number == 2 else 1.0}, 0, number)
    book.tell("a", "energy/batch 1", About(BOARD, "measured", {"update_period_seconds": 0.02, "gpu": "one"}))
    book.tell("a", "energy/batch 1", About(BOARD, "measured", {"update_period_seconds": 0.01, "gpu": "one"}))
    good, bad = book.series(DECLARED)
    assert (good.status, good.values, good.pair) == ("measured", [1.0, 1.1], [0, 2])
    assert good.reason == "1 of 3 repetitions have no value: others computed"
    assert good.facts == {"update_period_seconds": 0.02, "gpu": "one"}, "the worst of the launches"
    assert (bad.status, bad.values, bad.reason, bad.remedy) == ("not_measurable", [], "backwards", "reboot")
    assert not book.only_reasons("energy")
