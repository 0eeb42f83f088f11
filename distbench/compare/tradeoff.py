"""What each student keeps against what it saves: the Pareto front, P(on the front), and the volume under it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from distbench import stats
from distbench.schema.result import Estimate, StudentResult, TradeOff, TradeOffPoint

KIND = "bytes_on_disk"


def trade_offs(teachers: Sequence[str], students: Sequence[StudentResult], alpha: float) -> list[TradeOff]:
    """Return the trade-off of each teacher with its students; controls are no candidates.

    R is relative to the student's own teacher, so students of two teachers share no plane. The teacher is the point
    (compression 1, retained 1), exact; the reference of the hypervolume is retained 0 at compression 1.
    """
    found = []
    for teacher in teachers:
        mine = [each for each in students if each.role == "student" and each.of[:1] == [teacher]]
        known = [each for each in mine if each.suite.retained.value is not None and each.compression.get(KIND)]
        if mine:
            found.append(_trade_off(teacher, known, alpha))
    return found


def _trade_off(teacher: str, students: Sequence[StudentResult], alpha: float) -> TradeOff:
    if not students:
        return TradeOff(
            teacher=teacher, kind=KIND, points=[], reason="no student has both a retained share and a size on disk"
        )
    names = [teacher, *(each.name for each in students)]
    ratios = [1.0, *(float(each.compression[KIND] or 0.0) for each in students)]
    retained = [Estimate(value=1.0, lo=1.0, hi=1.0, n=0, method=stats.IDENTICAL)]
    retained += [each.suite.retained for each in students]
    places = [(float(r.value or 0.0), math.log2(ratio)) for r, ratio in zip(retained, ratios, strict=True)]
    maximise = (True, True)
    front = set(stats.pareto_front(places, maximise=maximise))
    chances = stats.front_probability([_drawable(each) for each in retained], [1 / x for x in ratios], alpha=alpha)
    points = [
        TradeOffPoint(
            name=name, compression=ratio, retained=kept, on_front=number in front,
            front_probability=None if math.isnan(chances[number]) else float(chances[number]),
        )
        for number, (name, ratio, kept) in enumerate(zip(names, ratios, retained, strict=True))
    ]  # fmt: skip
    volume = stats.hypervolume(places, reference=(0.0, 0.0), maximise=maximise)
    return TradeOff(teacher=teacher, kind=KIND, points=points, hypervolume=volume)


def _drawable(found: Estimate) -> stats.Estimate:
    return stats.Estimate(found.value, found.lo, found.hi, found.n, found.method)
