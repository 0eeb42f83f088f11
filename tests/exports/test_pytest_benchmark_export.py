"""Raw times as pytest-benchmark reads them: the same statistics, and its own `compare` prints them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_benchmark.stats import Stats

from distbench.compare.evidence import Evidence
from distbench.compare.reading import read_result
from distbench.errors import UsageError
from distbench.exports.pytest_benchmark import PytestBenchmark, statistics_of
from distbench.protocols.export import Source
from distbench.schema.record import MeasureResult
from distbench.store.run_dir import RunDir
from tests.api.finished import TIMES, finished_run


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("times") / "run"
    finished_run(path)
    return Source(read_result(path), path)


def exported(source: Source, **options: str) -> dict:  # type: ignore[type-arg]
    text = PytestBenchmark(PytestBenchmark.Options(**options)).export(source, None).text
    assert text is not None
    return json.loads(text)


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=40))
def test_statistics_are_those_of_pytest_benchmark(times: list[float]) -> None:
    theirs = Stats()
    for each in times:
        theirs.update(each)
    mine = statistics_of(times)
    for name, value in theirs.as_dict().items():
        if name in {"outliers", "iqr_outliers", "stddev_outliers", "ld15iqr", "hd15iqr"}:
            continue  # counts at a fence: they may differ by one rounding, checked below where nothing lies on one
        assert mine[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_outliers_are_counted() -> None:
    theirs = Stats()
    times = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 9.0]
    for each in times:
        theirs.update(each)
    assert {name: statistics_of(times)[name] for name in Stats.fields} == pytest.approx(theirs.as_dict())
    assert statistics_of(times)["outliers"] == "1;1"


def test_every_raw_time_is_there_in_seconds(source: Source) -> None:
    document = exported(source)
    assert document["machine_info"]["cpu"] == {"brand_raw": "Some CPU", "count": 2}
    assert source.run is not None
    records = Evidence(RunDir.existing(source.run)).records.values()
    (result,) = [each.result for each in records if isinstance(each.result, MeasureResult)]
    found = {each["params"]["model"]: each for each in document["benchmarks"]}
    assert set(found) == set(TIMES)
    for series in result.series:
        benchmark = found[series.model]
        assert benchmark["stats"]["data"] == pytest.approx([value / 1000 for value in series.values])
        assert benchmark["extra_info"]["round"] == series.pair
        assert benchmark["fullname"] == f"latency/e2e_ms[{series.model}-batch 1]"
    assert {each["group"] for each in document["benchmarks"]} == {"latency e2e_ms batch 1"}


def test_compare_reads_it(source: Source, tmp_path: Path) -> None:
    (tmp_path / "0001_x.json").write_text(json.dumps(exported(source)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(tmp_path / "0001_x.json"), "--columns=min,rounds"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    rows = {
        line.split("[")[1].split("-batch")[0]: line.split() for line in done.stdout.splitlines() if "e2e_ms[" in line
    }
    assert set(rows) == set(TIMES)
    assert "50.0000" in rows["good"]
    assert rows["good"][-1] == "20"


def test_what_there_is_to_choose(source: Source) -> None:
    chosen = exported(Source(source.result, source.run, "good"), metric="e2e_ms")
    assert {each["params"]["model"] for each in chosen["benchmarks"]} == {"teacher", "good"}
    with pytest.raises(UsageError, match="no time 'ttft_ms' is there"):
        exported(source, metric="ttft_ms")
    with pytest.raises(UsageError, match="which are in the run directory"):
        exported(Source(source.result))
