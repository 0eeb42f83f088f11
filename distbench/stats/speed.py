"""Speed-up from interleaved measurements: paired ratios within process launches, an interval over launches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from distbench.stats.estimate import Estimate, Status
from distbench.stats.samples import FloatArray, check_alpha

RESAMPLES = 2000
FEWEST_LAUNCHES = 3  # for an interval over launches
Round = tuple[int, int]  # (process launch, round within it)


def paired_ratios(
    teacher: Mapping[Round, float], student: Mapping[Round, float], *, higher_is_better: bool
) -> dict[Round, float]:
    """Return, for each round that both models ran, how many times better the student was (above 1 = better)."""
    rounds = sorted(teacher.keys() & student.keys())
    pairs = {r: (teacher[r], student[r]) for r in rounds if teacher[r] > 0 and student[r] > 0}
    return {r: (s / t if higher_is_better else t / s) for r, (t, s) in pairs.items()}


def launch_ratio(ratios: Mapping[Round, float], *, alpha: float = 0.05, seed: int = 0) -> Estimate:
    """Return how many times better the student is, with a two-sided 1 − `alpha` interval.

    A launch (all models in fresh processes) gives one number, the median of its paired ratios, whose logarithms are
    independent draws: the value is their geometric mean, the interval Student's t over launches. More rounds in a
    launch cannot narrow what differs between processes (Kalibera & Jones 2013, "Rigorous benchmarking in reasonable
    time", and pyperf's many short workers). With fewer than three launches the interval is a percentile bootstrap over
    rounds, which covers the noise within launches only, and the method says so; fewer than three rounds give none.
    """
    check_alpha(alpha)
    if not ratios:
        return Estimate(None, None, None, 0, "median_of_pairs", Status.UNDEFINED, "no round was measured on both sides")
    launches = _by_launch(ratios)
    n = len(ratios)
    if len(launches) >= FEWEST_LAUNCHES:
        logs = np.log([np.median(rounds) for rounds in launches])
        centre, error = float(logs.mean()), float(logs.std(ddof=1) / np.sqrt(len(logs)))
        reach = float(stats.t.ppf(1 - alpha / 2, len(logs) - 1)) * error
        value, lo, hi = (float(np.exp(x)) for x in (centre, centre - reach, centre + reach))
        method = f"median of paired ratios in each of {len(launches)} launches, t interval over launches"
        return Estimate(value, lo, hi, n, method, se=value * error, df=len(logs) - 1, n_clusters=len(launches))
    value = float(np.median(list(ratios.values())))
    method = "median of paired ratios, bootstrap over rounds; the spread between launches is not in it"
    if n < 3:
        reason = f"{n} paired readings; an interval needs at least three"
        return Estimate(value, None, None, n, "median_of_pairs", Status.NO_INTERVAL, reason)
    lo, hi = (float(x) for x in np.quantile(_resampled(launches, seed), [alpha / 2, 1 - alpha / 2]))
    return Estimate(value, lo, hi, n, method, n_clusters=len(launches))


def half_width(estimate: Estimate) -> float | None:
    """Return the half-width of a ratio's interval as a part of the ratio; None without an interval."""
    if estimate.interval is None or not estimate.value:
        return None
    return (estimate.interval.hi - estimate.interval.lo) / 2 / estimate.value


def _by_launch(ratios: Mapping[Round, float]) -> list[FloatArray]:
    launches: dict[int, list[float]] = {}
    for (launch, _), ratio in sorted(ratios.items()):
        launches.setdefault(launch, []).append(ratio)
    return [np.array(rounds) for rounds in launches.values()]


def _resampled(launches: list[FloatArray], seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    return np.array([
        np.median(np.concatenate([random.choice(rounds, len(rounds)) for rounds in launches]))
        for _ in range(RESAMPLES)
    ])  # fmt: skip
