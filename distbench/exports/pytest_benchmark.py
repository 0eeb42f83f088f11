"""Raw times in the JSON format of pytest-benchmark, for those who track benchmarks with its `compare`.

The format is that of `pytest-benchmark --benchmark-json`, as version 5.3 writes and reads it: times in seconds.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any, ClassVar

from pydantic import Field

from distbench.compare.evidence import Evidence
from distbench.errors import UsageError
from distbench.protocols.export import Exported, Source, Writes
from distbench.report.visible import one_line
from distbench.schema.record import CellRecord, HostFacts, MeasureResult, Series
from distbench.schema.strict import Strict
from distbench.store.run_dir import RunDir

FORMAT = "5.3.1"  # the version of pytest-benchmark that this was checked against
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_WHISKER = 1.5  # interquartile ranges beyond which Tukey calls a value an outlier


class PytestBenchmark:
    """`--format pytest-benchmark`: every measured time of every model, round by round."""

    class Options(Strict):
        """Options of the format."""

        metric: str | None = Field(None, description="only this measure, such as e2e_ms; every time where left out")

    summary: ClassVar[str] = "raw times in the JSON of pytest-benchmark, for `pytest-benchmark compare`"
    writes: ClassVar[Writes] = "text"

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Return the document. Raises UsageError where there are no raw times: they are in the run directory only."""
        if source.run is None:
            raise UsageError(
                "pytest-benchmark needs raw times, which are in the run directory: name that, not its JSON"
            )
        evidence = Evidence(RunDir.existing(source.run))
        wanted = source.chosen()
        records = [each for each in evidence.records.values() if isinstance(each.result, MeasureResult)]
        teachers = {each.name for each in evidence.models("teacher")}
        found = [
            (record, series)
            for record in records
            for series in _times(record, self.options.metric)
            if wanted is None or series.model in {wanted.name, *teachers}
        ]
        if not found:
            what = (
                "no time was measured" if self.options.metric is None else f"no time {self.options.metric!r} is there"
            )
            raise UsageError(f"{source.run}: {what}, so there is nothing for pytest-benchmark")
        document = {
            "machine_info": _machine(found[0][0].host),
            "commit_info": {"id": "unversioned", "project": one_line(source.result.suite, 200)},
            "benchmarks": list(_benchmarks(found)),
            "datetime": found[0][0].started_at,
            "version": FORMAT,
        }
        return Exported(text=json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n")


def _times(record: CellRecord, metric: str | None) -> Iterator[Series]:
    assert isinstance(record.result, MeasureResult)
    for series in record.result.series:
        measured = series.unit in _SECONDS and series.status == "measured" and series.values
        if measured and metric in {None, series.metric}:
            yield series


def _benchmarks(found: Sequence[tuple[CellRecord, Series]]) -> Iterator[dict[str, Any]]:
    """Yield one benchmark a model, measure and workload; a model that was measured in several cells is numbered."""
    seen: Counter[str] = Counter()
    for record, series in found:
        model = one_line(series.model, 100)
        param = f"{model}-{series.workload}" if series.workload else model
        name = f"{series.metric}[{param}]"
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name} #{seen[name]}"
        scale = _SECONDS[series.unit]
        yield {
            "group": " ".join(part for part in (series.meter, series.metric, series.workload) if part),
            "name": name,
            "fullname": f"{series.meter}/{name}",
            "params": {"model": model, "workload": series.workload},
            "param": param,
            "extra_info": {
                "meter": series.meter,
                "metric": series.metric,
                "cell": record.cell_id,
                "host": record.host.fingerprint if record.host else None,
                "device": record.device,
                "launch": series.launch,
                "round": series.pair,
            },
            "options": {},
            "stats": statistics_of([value * scale for value in series.values]),
        }


def statistics_of(times: Sequence[float]) -> dict[str, Any]:
    """Return what pytest-benchmark keeps of at least one time (seconds): its names, and its quartiles."""
    ordered, count = sorted(times), len(times)
    mean, deviation = fmean(times), stdev(times) if count > 1 else 0.0
    low, high = _quartiles(ordered)
    spread = high - low
    far = _outside(ordered, mean - deviation, mean + deviation)
    outliers = _outside(ordered, low - _WHISKER * spread, high + _WHISKER * spread)
    total = math.fsum(times)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": count,
        "median": median(ordered),
        "iqr": spread,
        "q1": low,
        "q3": high,
        "iqr_outliers": outliers,
        "stddev_outliers": far,
        "outliers": f"{far};{outliers}",
        "ld15iqr": ordered[bisect_left(ordered, low - _WHISKER * spread)] if count > 1 else ordered[0],
        "hd15iqr": ordered[bisect_right(ordered, high + _WHISKER * spread) - 1],
        "ops": count / total if total else 0,
        "total": total,
        "data": list(times),
        "iterations": 1,
    }


def _quartiles(ordered: Sequence[float]) -> tuple[float, float]:
    """Return the quartiles: medians of the halves; of an odd count, weighted means that take its middle half-way."""
    count = len(ordered)
    if count == 1:
        return ordered[0], ordered[0]
    if count % 2 == 0:
        return median(ordered[: count // 2]), median(ordered[count // 2 :])
    n, rest = divmod(count, 4)
    if rest == 1:
        return (
            0.25 * ordered[n - 1] + 0.75 * ordered[n],
            0.75 * ordered[3 * n] + 0.25 * ordered[3 * n + 1],
        )
    return (
        0.75 * ordered[n] + 0.25 * ordered[n + 1],
        0.25 * ordered[3 * n + 1] + 0.75 * ordered[3 * n + 2],
    )


def _outside(values: Sequence[float], low: float, high: float) -> int:
    return sum(value < low or value > high for value in values)


def _machine(host: HostFacts | None) -> dict[str, Any]:
    """Return the machine of the first measurement under the names of pytest-benchmark; nothing if it is not known."""
    if host is None:
        return {}
    return {
        "node": host.fingerprint,
        "processor": host.cpu,
        "system": host.os,
        "python_version": host.python,
        "cpu": {"brand_raw": host.cpu, "count": host.cores},
        "accelerators": host.accelerators,
        "governor": host.governor,
    }
