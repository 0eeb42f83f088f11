"""Speed, memory and load of a student beside its teacher, from raw series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from distbench.compare.estimates import missing, published
from distbench.schema.record import MeasureResult, Series
from distbench.schema.result import Measurement, PercentileFacts
from distbench.stats.measured import ratio_of
from distbench.stats.percentiles import distribution, percentile
from distbench.stats.speed import Round

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
TIMES = "ms"  # the unit whose percentiles are of interest
GATED_ENERGY = ("gross_joules_per_token", "gross_joules_per_1000_samples")
GATED_MEMORY = ("device_peak_bytes", "peak_bytes")
Key = tuple[str, str, str]


def _by_key(series: list[Series], model: str) -> dict[Key, Series]:
    return {(s.meter, s.metric, s.workload): s for s in series if s.model == model}


def compare_measurements(series: list[Series], teacher: str, student: str, alpha: float) -> list[Measurement]:
    """Return one measurement per metric and workload that either side has."""
    left, right = _by_key(series, teacher), _by_key(series, student)
    keys = list(dict.fromkeys([*left, *right]))
    return [_compare(key, left.get(key), right.get(key), alpha) for key in keys]


def compare_devices(
    results: Mapping[str, MeasureResult], devices: Sequence[str], teacher: str, student: str, alpha: float
) -> list[Measurement]:
    """Return the measurements of every device. Where the suite names `devices`, each says in its workload which."""
    found = []
    for device, result in sorted(results.items(), key=lambda each: _place(each[0], devices)):
        for row in compare_measurements(result.series, teacher, student, alpha):
            named = {"device": device, "workload": f"{device}, {row.workload}"} if devices else {}
            found.append(row.model_copy(update=named))
    return found


def _place(device: str, devices: Sequence[str]) -> int:
    return devices.index(device) if device in devices else len(devices)


def measured_again(result: MeasureResult, alpha: float) -> list[Measurement]:
    """Return the teacher's second process against its first: an A/A control."""
    if result.control is None:
        return []
    found = compare_measurements(result.series, result.models[0], result.control, alpha)
    return [each for each in found if each.ratio.value is not None]


def _compare(key: Key, teacher: Series | None, student: Series | None, alpha: float) -> Measurement:
    known = teacher or student
    assert known is not None
    sides = {name: side for name, side in (("teacher", teacher), ("student", student)) if side is not None}
    reason, remedy = _obstacle(teacher, student)
    guessed = any(side.status == "estimated" for side in sides.values())
    if reason is None and teacher is not None and student is not None:
        rounds = _by_round(teacher), _by_round(student)
        better = known.higher_is_better
        ratio = published(ratio_of(known.ratio, *rounds, higher_is_better=better, alpha=alpha))
    else:
        ratio = missing(reason or "not measured")
    return Measurement(
        meter=key[0],
        metric=key[1],
        unit=known.unit,
        workload=key[2],
        higher_is_better=known.higher_is_better,
        teacher=_median(teacher),
        student=_median(student),
        ratio=ratio,
        n=ratio.n,
        teacher_percentiles=_percentiles(teacher),
        student_percentiles=_percentiles(student),
        teacher_times=_times(teacher),
        student_times=_times(student),
        status="measured" if reason is None else "estimated" if guessed else "not_measurable",
        reason=reason,
        remedy=remedy,
        scope=known.scope,
        facts={name: side.facts for name, side in sides.items() if side.facts},
        estimates={
            name: (min(side.values), max(side.values)) for name, side in sides.items() if side.status == "estimated"
        },
    )


def _median(series: Series | None) -> float | None:
    """Return the median of what was measured; an estimate is a range, and has none."""
    return median(series.values) if series and series.values and series.status == "measured" else None


def _by_round(series: Series) -> dict[Round, float]:
    """Return one value a round: the median where a repetition read several, such as the gaps between its tokens."""
    together: dict[Round, list[float]] = {}
    for launch, number, value in zip(series.launch, series.pair, series.values, strict=True):
        together.setdefault((launch, number), []).append(value)
    return {when: median(values) for when, values in together.items()}


def _percentiles(series: Series | None) -> list[PercentileFacts]:
    """Return the percentiles of raw times; those that the sample cannot bound have no value."""
    if series is None or series.unit != TIMES or not series.values:
        return []
    found = [percentile(series.values, percent) for percent in PERCENTILES]
    return [PercentileFacts(percent=p.percent, value=p.value, upper=p.upper, n=p.n, needs=p.needs) for p in found]


def _times(series: Series | None) -> list[float]:
    """Return the distribution of raw times; six digits are more than any clock here resolves."""
    if series is None or series.unit != TIMES or series.status != "measured":
        return []
    return [float(f"{value:.6g}") for value in distribution(series.values)]


def _obstacle(teacher: Series | None, student: Series | None) -> tuple[str | None, str | None]:
    """Return why there is no ratio, and what would help."""
    for side, series in (("teacher", teacher), ("student", student)):
        if series is None:
            return f"not measured for the {side}", None
        if series.status == "not_measurable" or not series.values:
            return f"{side}: {series.reason or 'no value'}", series.remedy
    assert teacher is not None
    assert student is not None
    if "estimated" in {teacher.status, student.status}:
        return "estimated from assumed power, not measured: there is no ratio", None
    if teacher.scope != student.scope:
        return f"{teacher.scope} against {student.scope}: two scopes are never compared", None
    return None, None


def headline_speedup(measurements: list[Measurement]) -> Measurement | None:
    """Return the speed-up that is gated: end-to-end latency at the smallest batch size."""
    times = [m for m in measurements if m.meter == "latency" and m.metric == "e2e_ms"]
    return min(times, key=lambda m: _batch(m.workload), default=None)


def headline_memory(measurements: Sequence[Measurement]) -> Measurement | None:
    """Return the memory ratio that is gated: the peak while it works, of the accelerator where one was used."""
    for metric in GATED_MEMORY:
        found = [m for m in measurements if m.meter == "memory" and m.metric == metric and m.ratio.value is not None]
        if found:
            return min(found, key=lambda m: _batch(m.workload))
    return next((m for m in measurements if m.meter == "memory" and m.metric in GATED_MEMORY), None)


def headline_energy(measurements: list[Measurement]) -> Measurement | None:
    """Return the energy ratio that is gated: gross, per generated token or else per sample, at the smallest batch."""
    found = [m for m in measurements if m.meter == "energy" and m.metric in GATED_ENERGY]
    return min(found, key=lambda m: _batch(m.workload), default=None)


def _batch(workload: str) -> int:
    words = workload.split()
    return int(words[-1]) if words and words[-1].isdigit() else 0
