"""Speed, memory and load of a student beside its teacher, from raw series."""

from __future__ import annotations

from statistics import median

from distbench.compare.estimates import missing, published
from distbench.schema.record import Series
from distbench.schema.result import Measurement
from distbench.stats.speed import median_ratio, paired_ratios

Key = tuple[str, str, str]


def _by_key(series: list[Series], model: str) -> dict[Key, Series]:
    return {(s.meter, s.metric, s.workload): s for s in series if s.model == model}


def compare_measurements(series: list[Series], teacher: str, student: str, alpha: float) -> list[Measurement]:
    """Return one measurement per metric and workload that either side has."""
    left, right = _by_key(series, teacher), _by_key(series, student)
    keys = list(dict.fromkeys([*left, *right]))
    return [_compare(key, left.get(key), right.get(key), alpha) for key in keys]


def _compare(key: Key, teacher: Series | None, student: Series | None, alpha: float) -> Measurement:
    known = teacher or student
    assert known is not None
    reason = _obstacle(teacher, student)
    if reason is None and teacher is not None and student is not None:
        sides = [dict(zip(zip(s.launch, s.pair, strict=True), s.values, strict=True)) for s in (teacher, student)]
        ratios = paired_ratios(sides[0], sides[1], higher_is_better=known.higher_is_better)
        ratio = published(median_ratio(ratios, alpha=alpha))
    else:
        ratio = missing(reason or "not measured")
    return Measurement(
        meter=key[0],
        metric=key[1],
        unit=known.unit,
        workload=key[2],
        higher_is_better=known.higher_is_better,
        teacher=median(teacher.values) if teacher and teacher.values else None,
        student=median(student.values) if student and student.values else None,
        ratio=ratio,
        n=ratio.n,
        status="measured" if reason is None else "not_measurable",
        reason=reason,
    )


def _obstacle(teacher: Series | None, student: Series | None) -> str | None:
    """Say why there is no ratio."""
    for side, series in (("teacher", teacher), ("student", student)):
        if series is None:
            return f"not measured for the {side}"
        if series.status == "not_measurable" or not series.values:
            return f"{side}: {series.reason or 'no value'}"
    return None


def headline_speedup(measurements: list[Measurement]) -> Measurement | None:
    """Return the speed-up that is gated: end-to-end latency at the smallest batch size."""
    times = [m for m in measurements if m.meter == "latency" and m.metric == "e2e_ms"]
    return min(times, key=lambda m: _batch(m.workload), default=None)


def _batch(workload: str) -> int:
    words = workload.split()
    return int(words[-1]) if words and words[-1].isdigit() else 0
