"""Speed-up from interleaved measurements: paired ratios within process launches, an interval over launches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy

from distbench.stats.estimate import Estimate, Status
from distbench.stats.samples import FloatArray, check_alpha

RESAMPLES = 2000
FEWEST_LAUNCHES = 3  # for an interval over launches
FEWEST_RANKED = 7  # for one by ranks: below, they give the whole range or nothing
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

    A launch (all models in fresh processes) gives one number, the logarithm of the median of its paired ratios, and
    launches are independent draws. More rounds in a launch cannot narrow what differs between processes (Kalibera &
    Jones 2013, "Rigorous benchmarking in reasonable time", and pyperf's many short workers). The value is the
    Hodges-Lehmann estimate: the median over all pairs of launches of their mean, so a launch that went wrong does not
    pull it. The interval is Student's t for 3 to 6 launches, and from 7 on the exact one of Wilcoxon's signed ranks
    (Hollander, Wolfe & Chicken 2014, section 3.3), which such a launch does not widen either. With fewer than three
    launches it is a percentile bootstrap over rounds, which covers the noise within launches only, and the method says
    so; fewer than three rounds give none.
    """
    check_alpha(alpha)
    if not ratios:
        return Estimate(None, None, None, 0, "median_of_pairs", Status.UNDEFINED, "no round was measured on both sides")
    launches = _by_launch(ratios)
    if len(launches) < FEWEST_LAUNCHES:
        return _within_launches(launches, len(ratios), alpha, seed)
    logs = np.log([np.median(rounds) for rounds in launches])
    means = _walsh_averages(logs)
    rank = _wilcoxon_rank(len(logs), alpha) if len(logs) >= FEWEST_RANKED else 0
    if rank:
        lo, hi, kind = float(means[rank - 1]), float(means[-rank]), "Wilcoxon interval"
    else:
        reach = float(scipy.stats.t.ppf(1 - alpha / 2, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs)))
        lo, hi, kind = float(logs.mean()) - reach, float(logs.mean()) + reach, "t interval"
    value, lo, hi = (float(np.exp(x)) for x in (np.median(means), lo, hi))
    method = f"median of paired ratios in each of {len(launches)} launches, {kind} over launches"
    return Estimate(value, lo, hi, len(ratios), method, n_clusters=len(launches))


def _within_launches(launches: list[FloatArray], n: int, alpha: float, seed: int) -> Estimate:
    """Return the median of all rounds, and what rounds alone say about it."""
    value = float(np.median(np.concatenate(launches)))
    if n < 3:
        reason = f"{n} paired readings; an interval needs at least three"
        return Estimate(value, None, None, n, "median_of_pairs", Status.NO_INTERVAL, reason)
    lo, hi = (float(x) for x in np.quantile(_resampled(launches, seed), [alpha / 2, 1 - alpha / 2]))
    method = "median of paired ratios, bootstrap over rounds; the spread between launches is not in it"
    return Estimate(value, lo, hi, n, method, n_clusters=len(launches))


def _walsh_averages(values: FloatArray) -> FloatArray:
    """Return the means of all pairs, each value with itself too, ascending: n (n + 1) / 2 of them."""
    first, second = np.triu_indices(len(values))
    return np.sort((values[first] + values[second]) / 2)


def _wilcoxon_rank(n: int, alpha: float) -> int:
    """Return k: the interval from the k-th smallest to the k-th largest Walsh average holds with 1 − `alpha` or more.

    Exact distribution of the signed-rank sum under symmetry; 0 where n is too small for any.
    """
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1
    for rank in range(1, n + 1):
        counts[rank:] += counts[: len(counts) - rank].copy()
    below = np.cumsum(counts) / 2.0**n
    return int(np.searchsorted(below, alpha / 2, side="right"))


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
