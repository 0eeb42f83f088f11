"""What changed in speed, memory and energy. Times of two machines are never compared as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from distbench import stats
from distbench.compare.diff_judge import adjusted
from distbench.compare.diff_retained import as_statistic
from distbench.compare.estimates import published
from distbench.compare.source import Source
from distbench.schema.diff import ChangeVerdict, MeasureChange
from distbench.schema.record import Series
from distbench.schema.result import Estimate, Measurement, StudentResult, Surroundings

TOLERANCE = 0.05  # a ratio surely within a factor of 1.05 counts as unchanged
FEWEST_LAUNCHES = 3
_TEACHER_TOO = "its ratio to the teacher may have changed because the machine is another"


@dataclass(frozen=True)
class Both:
    """A student in both runs, with where each was measured."""

    a: StudentResult
    b: StudentResult
    sources: tuple[Source, Source]
    same_teacher: bool


def unlike(a: Surroundings | None, b: Surroundings | None) -> str:
    """Return in words what differs between two measurements; empty: nothing does."""
    if a is None or b is None:
        return "where it was measured is not recorded in both runs"
    if a.host is None or b.host is None:
        return "the machine is not recorded in both runs"
    found = []
    if a.host.fingerprint != b.host.fingerprint:
        found.append(f"machine ({machine(a)} and {machine(b)})")
    if a.device != b.device:
        found.append(f"device ({a.device} and {b.device})")
    if a.threads != b.threads or a.host.affinity != b.host.affinity:
        several = f"number of threads ({a.threads} and {b.threads})"
        found.append(several if a.threads != b.threads else "set of processors")
    if (a.host.governor, a.host.turbo) != (b.host.governor, b.host.turbo):
        found.append("setting of the clock frequency")
    versions = sorted(name for name in {*a.packages, *b.packages} if a.packages.get(name) != b.packages.get(name))
    if versions:
        found.append(f"version of {', '.join(versions[:3])}{' …' if len(versions) > 3 else ''}")
    return "not measured alike: another " + ", another ".join(found) if found else ""


def machine(found: Surroundings) -> str:
    """Return a machine in a few words: its accelerator, else its processor and cores, with its fingerprint."""
    host = found.host
    if host is None:
        return "unknown"
    what = host.accelerators[0] if host.accelerators else f"{host.cpu}, {host.cores} cores"
    return f"{what}, {host.fingerprint[:6]}"


def measure_changes(both: Both, alpha: float) -> list[MeasureChange]:
    """Return the change of every metric that both runs measured."""
    why = unlike(both.a.measured_on, both.b.measured_on)
    before = {_key(each): each for each in both.a.measurements}
    pairs = [(before[_key(each)], each) for each in both.b.measurements if _key(each) in before]
    changes = [stats.independent_times(as_statistic(b.ratio), as_statistic(a.ratio), alpha=alpha) for a, b in pairs]
    holm = adjusted([each.p_value for each in changes])
    found = []
    for (a, b), change, p in zip(pairs, changes, holm, strict=True):
        verdict, reason = _judge(change, p, why, len(pairs), alpha)
        alike = not why and a.scope == b.scope
        found.append(
            MeasureChange(
                meter=b.meter, metric=b.metric, unit=b.unit, workload=b.workload, a=a.student, b=b.student,
                ratio_a=a.ratio, ratio_b=b.ratio, relative=published(change.estimate),
                own=_own(both, b, (both.a.name, both.b.name), alpha) if alike else None,
                teacher=_own(both, b, (both.a.of[0], both.b.of[0]), alpha) if alike and both.same_teacher else None,
                p_value=change.p_value, p_holm=p, verdict=verdict, reason=reason,
            )
        )  # fmt: skip
    return found


def _key(found: Measurement) -> tuple[str, str, str, str]:
    return found.meter, found.metric, found.workload, found.unit


def _judge(change: stats.Change, p_holm: float | None, why: str, many: int, alpha: float) -> tuple[ChangeVerdict, str]:
    found = change.estimate
    if found.value is None or found.lo is None or found.hi is None or p_holm is None:
        return "cannot_be_told", found.reason or "one of the two ratios has no interval"
    if why:
        return "cannot_be_told", f"{why}; {_TEACHER_TOO}"
    if found.lo >= 1 / (1 + TOLERANCE) and found.hi <= 1 + TOLERANCE:
        return "unchanged", f"the whole interval lies within a factor of {1 + TOLERANCE:g}"
    among = f" after Holm over {many} measures" if many > 1 else ""
    if p_holm <= alpha:
        return ("better" if found.value > 1 else "worse"), f"p = {p_holm:.2g}{among}"
    return "cannot_be_told", f"p = {p_holm:.2g}{among}, and the interval is wider than a factor of {1 + TOLERANCE:g}"


def _own(both: Both, measured: Measurement, names: tuple[str, str], alpha: float) -> Estimate | None:
    """Return how many times better a model's own readings are in B, over launches; None without the raw readings."""
    series = [_series(source, name, measured) for source, name in zip(both.sources, names, strict=True)]
    if series[0] is None or series[1] is None:
        return None
    sides = [_by_launch(each) for each in series if each is not None]
    if any(not side.size for side in sides):
        return None
    means = [
        stats.mean_estimate(side, alpha=alpha)
        if side.size >= FEWEST_LAUNCHES
        else stats.Estimate(float(side.mean()), None, None, side.size, "median", reason="fewer than three launches")
        for side in sides
    ]
    after, before = (means[1], means[0]) if measured.higher_is_better else (means[0], means[1])
    found = stats.independent_change(after, before, alpha=alpha).estimate
    value, lo, hi = (None if x is None else float(np.exp(x)) for x in (found.value, found.lo, found.hi))
    return Estimate(
        value=value,
        lo=lo,
        hi=hi,
        n=found.n,
        method="medians of launches",
        status=str(found.status),
        reason=found.reason,
    )


def _series(source: Source, name: str, measured: Measurement) -> Series | None:
    model = source.model(name)
    held = source.evidence.measurements(model) if source.evidence is not None and model is not None else None
    wanted = (name, measured.meter, measured.metric, measured.workload)
    rows: Sequence[Series] = held[1] if held else ()
    return next(
        (each for each in rows if (each.model, each.meter, each.metric, each.workload) == wanted and each.values), None
    )


def _by_launch(series: Series) -> np.ndarray:
    """Return the logarithm of each launch's median."""
    launches: dict[int, list[float]] = {}
    for launch, value in zip(series.launch, series.values, strict=True):
        launches.setdefault(launch, []).append(value)
    medians = [median(values) for _, values in sorted(launches.items())]
    return np.log([each for each in medians if each > 0])
