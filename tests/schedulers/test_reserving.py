"""Memory that a job reserves: what the suite says, else what is expected and a half more, else nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from distbench.executors.job import Resources
from distbench.plan.expand import Plan, expand
from distbench.schedulers.reserving import with_memory
from distbench.schema.forecast import CellForecast, Forecast, about, unknown
from distbench.schema.suite import Suite
from tests.schedulers.suites import SUITE

GIB = 2**30


def forecast(memory: Forecast) -> CellForecast:
    nothing = unknown("nobody knows")
    return CellForecast(
        seconds=nothing, memory_bytes=memory, disk_bytes=nothing, scratch_bytes=nothing, energy_joules=nothing
    )


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return expand(Suite.model_validate(SUITE), tmp_path_factory.mktemp("suite"))


def test_a_forecast_is_reserved_with_a_margin(plan: Plan) -> None:
    expected = forecast(about(2 * GIB, 1.2, "record", "told so"))  # at most 2.4 GiB, and a half more: 3.6
    assert with_memory(lambda _: Resources(), lambda _: expected)(plan.cells[0]).memory == 4 * GIB


def test_the_suite_goes_first_and_unknown_is_nothing(plan: Plan) -> None:
    expected, said = forecast(about(2 * GIB, 1.2, "record", "told so")), Resources(memory=GIB)
    assert with_memory(lambda _: said, lambda _: expected)(plan.cells[0]) == said
    none = forecast(unknown("nobody knows"))
    assert with_memory(lambda _: Resources(), lambda _: none)(plan.cells[0]).memory is None


def test_a_measurement_has_its_whole_node(plan: Plan) -> None:
    alone = replace(Resources(), alone=True)
    expected = forecast(about(2 * GIB, 1.2, "record", "told so"))
    assert with_memory(lambda _: alone, lambda _: expected)(plan.cells[0]) == alone
