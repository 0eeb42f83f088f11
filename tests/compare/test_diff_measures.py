"""Measures of two runs: compared where machine, device, threads and versions are the same, never otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from distbench.compare.diff_measures import Both, measure_changes, unlike
from distbench.compare.source import Source
from distbench.schema.record import HostFacts, Series
from distbench.schema.result import Estimate, StudentResult, Surroundings
from tests.report.made.measures import WORK, measurement
from tests.report.made.results import result_of
from tests.report.made.students import student

HOST = HostFacts(fingerprint="f" * 16, cpu="Example", cores=2, memory_bytes=1, os="Linux", python="3.11")
HERE = Surroundings(host=HOST, device="cpu", threads=2, packages={"torch": "2.11"})
ELSEWHERE = HOST.model_copy(update={"fingerprint": "e" * 16})


def measured(times: float, where: Surroundings | None = HERE, half: float = 0.02) -> StudentResult:
    ratio = Estimate(value=times, lo=times * (1 - half), hi=times * (1 + half), n=30, method="t over launches")
    rows = [
        measurement("latency", "e2e_ms", "ms", 450.0, times, WORK, ratio=ratio),
        measurement("memory", "peak_bytes", "bytes", 9e8, times, WORK, ratio=ratio),
    ]
    return student("s", {}, 2.0, "PASS", measurements=rows).model_copy(update={"measured_on": where})


def both(a: StudentResult, b: StudentResult) -> Both:
    sources = tuple(Source(Path(name), result_of([each])) for name, each in (("a", a), ("b", b)))
    return Both(a, b, (sources[0], sources[1]), same_teacher=True)


def test_a_speed_up_that_grew_is_better() -> None:
    found = measure_changes(both(measured(1.5), measured(2.0)), 0.05)
    assert [each.verdict for each in found] == ["better", "better"]
    assert found[0].relative.value == pytest.approx(2.0 / 1.5)
    assert found[0].p_holm >= found[0].p_value


def test_nearly_the_same_is_unchanged_and_a_wide_interval_says_nothing() -> None:
    assert [each.verdict for each in measure_changes(both(measured(1.5), measured(1.51)), 0.05)] == ["unchanged"] * 2
    wide = measure_changes(both(measured(1.5, half=0.3), measured(1.7, half=0.3)), 0.05)
    assert [each.verdict for each in wide] == ["cannot_be_told"] * 2


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"host": ELSEWHERE}, "another machine"),
        ({"device": "cuda:0"}, "another device"),
        ({"threads": 4}, "another number of threads"),
        ({"packages": {"torch": "2.12"}}, "another version of torch"),
        ({"host": HOST.model_copy(update={"affinity": [0]})}, "another set of processors"),
        ({"host": HOST.model_copy(update={"governor": "powersave"})}, "clock frequency"),
        ({"host": None}, "not recorded"),
    ],
)
def test_other_surroundings_have_a_caution_and_no_verdict(change: dict[str, object], word: str) -> None:
    there = HERE.model_copy(update=change)
    assert word in unlike(HERE, there)
    found = measure_changes(both(measured(1.5), measured(3.0, there)), 0.05)
    assert [each.verdict for each in found] == ["cannot_be_told"] * 2
    assert word in found[0].reason
    assert found[0].relative.value == pytest.approx(2.0)  # shown all the same, with the caution
    assert found[0].own is None


def test_nothing_recorded_is_not_the_same() -> None:
    assert unlike(HERE, HERE) == ""
    assert "not recorded" in unlike(None, HERE)


def test_an_own_ratio_needs_the_raw_readings() -> None:
    found = measure_changes(both(measured(1.5), measured(2.0)), 0.05)
    assert all(each.own is None for each in found)


class Raw:
    """What a run directory would say: five launches of three rounds, a millisecond apart."""

    def __init__(self, teacher: float, student: float) -> None:
        self.rows = [self._series(name, middle) for name, middle in (("teacher", teacher), ("s", student))]
        self.manifest = SimpleNamespace(models=[SimpleNamespace(name="teacher"), SimpleNamespace(name="s")])

    @staticmethod
    def _series(name: str, middle: float) -> Series:
        values = [middle + launch + 0.1 * number for launch in range(5) for number in range(3)]
        return Series(
            model=name, meter="latency", metric="e2e_ms", unit="ms", higher_is_better=False, workload=WORK,
            values=values, launch=[k // 3 for k in range(15)], pair=list(range(15)),
        )  # fmt: skip

    def measurements(self, model: object) -> tuple[None, list[Series]]:
        return None, self.rows


def test_a_models_own_readings_are_compared_over_launches() -> None:
    pair = both(measured(1.5), measured(2.0))
    sources = [
        Source(each.path, each.result, raw)  # type: ignore[arg-type]
        for each, raw in zip(pair.sources, (Raw(450, 300), Raw(470, 200)), strict=True)
    ]
    found = measure_changes(replace(pair, sources=(sources[0], sources[1])), 0.05)[0]
    assert found.own is not None
    assert found.own.value == pytest.approx(302 / 202, rel=0.01)
    assert 1.4 < found.own.lo < found.own.value < found.own.hi < 1.6
    assert found.teacher is not None
    assert found.teacher.value == pytest.approx(452 / 472, rel=0.01)
    elsewhere = replace(pair, b=measured(2.0, HERE.model_copy(update={"device": "cuda:0"})))
    assert measure_changes(replace(elsewhere, sources=(sources[0], sources[1])), 0.05)[0].own is None
