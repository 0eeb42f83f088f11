"""The ratio of two measured series, in the way that its quantity asks for."""

from __future__ import annotations

from collections.abc import Mapping

from distbench.schema.record import RatioKind
from distbench.stats.energy import window_ratio
from distbench.stats.estimate import Estimate
from distbench.stats.speed import Round, launch_ratio, paired_ratios


def ratio_of(
    kind: RatioKind,
    teacher: Mapping[Round, float],
    student: Mapping[Round, float],
    *,
    higher_is_better: bool,
    alpha: float = 0.05,
) -> Estimate:
    """Return how many times better the student is; the values are by (launch, round), one each.

    paired: rounds are short and side by side, so each gives one ratio. windows: see `stats.energy.window_ratio`.
    """
    if kind == "windows":
        return window_ratio(teacher, student, higher_is_better=higher_is_better, alpha=alpha)
    return launch_ratio(paired_ratios(teacher, student, higher_is_better=higher_is_better), alpha=alpha)
