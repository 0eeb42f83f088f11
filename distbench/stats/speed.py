"""Speed-up from interleaved measurements: the median of paired ratios, with a bootstrap over launches and rounds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from distbench.stats.estimate import Estimate, Status
from distbench.stats.samples import FloatArray, check_alpha

RESAMPLES = 2000
Round = tuple[int, int]  # (process launch, round within it)


def paired_ratios(
    teacher: Mapping[Round, float], student: Mapping[Round, float], *, higher_is_better: bool
) -> dict[Round, float]:
    """Return, for each round that both models ran, how many times better the student was (above 1 = better)."""
    rounds = sorted(teacher.keys() & student.keys())
    pairs = {r: (teacher[r], student[r]) for r in rounds if teacher[r] > 0 and student[r] > 0}
    return {r: (s / t if higher_is_better else t / s) for r, (t, s) in pairs.items()}


def median_ratio(ratios: Mapping[Round, float], *, alpha: float = 0.05, seed: int = 0) -> Estimate:
    """Return the median of paired ratios with a percentile-bootstrap interval, two-sided 1 − `alpha`.

    Launches are resampled first, then rounds within each (pyperf's lesson: the spread between processes is larger than
    within one). With one launch the interval covers only the noise within it, and the method says so. Fewer than three
    rounds in all give no interval.
    """
    check_alpha(alpha)
    if not ratios:
        return Estimate(None, None, None, 0, "median_of_pairs", Status.UNDEFINED, "no round was measured on both sides")
    by_launch: dict[int, list[float]] = {}
    for (launch, _), ratio in sorted(ratios.items()):
        by_launch.setdefault(launch, []).append(ratio)
    values = np.array(list(ratios.values()), dtype=np.float64)
    method = (
        f"median of paired ratios, bootstrap over {len(by_launch)} launches × {len(values) // len(by_launch)} rounds"
    )
    if len(values) < 3:
        reason = f"{len(values)} paired readings; an interval needs at least three"
        return Estimate(
            float(np.median(values)), None, None, len(values), "median_of_pairs", Status.NO_INTERVAL, reason
        )
    medians = _bootstrap([np.array(v) for v in by_launch.values()], seed)
    lo, hi = np.quantile(medians, [alpha / 2, 1 - alpha / 2])
    return Estimate(float(np.median(values)), float(lo), float(hi), len(values), method)


def _bootstrap(launches: list[FloatArray], seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    medians = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = random.integers(len(launches), size=len(launches))
        medians[i] = np.median(np.concatenate([random.choice(launches[j], len(launches[j])) for j in drawn]))
    return medians
