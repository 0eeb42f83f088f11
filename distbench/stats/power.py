"""How many samples would decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from distbench.stats.cells import Cells
from distbench.stats.clusters import Moments, mean_covariance
from distbench.stats.estimate import Estimate
from distbench.stats.intervals import Interval
from distbench.stats.samples import Labels, check_alpha, paired
from distbench.stats.score import score_contrasts


@dataclass(frozen=True)
class SamplePlan:
    """Samples that would decide, were the truth as observed: `n_total` in all, `n_extra` beyond those at hand.

    `direction` is the verdict to expect. Both counts are None, and the direction too, where the estimate sits exactly
    on the margin: then no number of samples decides.
    """

    n_total: int | None
    n_extra: int | None
    direction: str | None


def sample_size(variance: float, effect: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return n = (z_{1−α/2} + z_{power})² · `variance`/`effect`², not rounded (Miller 2024, eq. 9).

    `variance` of one sample and `effect` in the same unit; infinite for no effect.
    """
    check_alpha(alpha)
    if not (0 < power < 1 and variance >= 0):
        raise ValueError(f"power {power} must lie in (0, 1) and the variance {variance} be ≥ 0")
    quantiles = float(scipy.stats.norm.isf(alpha / 2) + scipy.stats.norm.ppf(power))
    return quantiles**2 * variance / effect**2 if effect else math.inf


def samples_from_interval(value: float, limits: Interval, n: int, *, margin: float, alpha: float) -> int | None:
    """Return about how many samples would decide on `margin`, were the truth as observed; None where no number would.

    From the width of a 1 − `alpha` interval at `n` samples, taken as normal, for a power of 80 %: where the samples
    themselves are not at hand. `samples_to_decide` is exact about the variance.
    """
    deviation = (limits.hi - limits.lo) / 2 / float(scipy.stats.norm.isf(alpha / 2))
    needed = sample_size(n * deviation**2, value - margin, alpha=alpha)
    return math.ceil(needed) if 0 < needed < 1e12 else None


def sampled_variance(
    omega2: float, sigma2_a: float = 0.0, sigma2_b: float = 0.0, *, k_a: int = 1, k_b: int = 1
) -> float:
    """Return the variance of one question's score difference when models answer it `k_a` and `k_b` times (Miller 2024).

    `omega2` is the variance of the true difference over questions, `sigma2_*` the variance of one answer.
    """
    if k_a < 1 or k_b < 1 or min(omega2, sigma2_a, sigma2_b) < 0:
        raise ValueError("variances must be ≥ 0 and each model must answer at least once")
    return omega2 + sigma2_a / k_a + sigma2_b / k_b


def samples_to_decide(
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    margin: float,
    baseline: float = 0.0,
    clusters: Labels | None = None,
    power: tuple[float, float] = (0.05, 0.8),
) -> SamplePlan:
    """Return the samples that would decide a retention `margin`, from mean and variance of z = (s − b) − m (t − b).

    `power` is (two-sided α, power). With `clusters` the variance carries their design effect: more samples, of clusters
    as large as these. Lower-is-better scores are to be negated, and the baseline too.
    """
    s, t = paired(student=student, teacher=teacher)
    moments = mean_covariance((s - baseline) - margin * (t - baseline), clusters=clusters)
    return plan_from_moments(moments, power=power)


def samples_to_decide_cells(
    cells: Cells, *, margin: float, baseline: float = 0.0, power: tuple[float, float] = (0.05, 0.8)
) -> SamplePlan:
    """Return the samples that would decide a retention `margin` from the table; `power` is (two-sided α, power)."""
    z, shares = np.array(score_contrasts(margin, baseline)), np.array(cells.counts) / cells.n
    mean = float(shares @ z)
    return _plan(mean, float(shares @ (z - mean) ** 2), cells.n, power)


def plan_from_moments(contrast: Moments, *, power: tuple[float, float] = (0.05, 0.8)) -> SamplePlan:
    """Return the samples that would decide whether the mean of one `contrast` column is above 0."""
    if contrast.df < 1:
        raise ValueError("planning needs at least two samples, or two clusters")
    mean, variance = contrast.contrast((1.0,))
    # Back to the variance of one sample, with the divisor n of a maximum-likelihood estimate.
    return _plan(mean, variance * contrast.n * contrast.df / (contrast.df + 1), contrast.n, power)


def planned_cells(teacher: float, discordance: float, *, retained: float, baseline: float = 0.0) -> Cells:
    """Return cell *shares* for planning: teacher accuracy, share of discordant pairs, true R and b.

    Raises `ValueError` for a combination that no table has.
    """
    student = baseline + retained * (teacher - baseline)
    n10, n01 = (discordance + teacher - student) / 2, (discordance - teacher + student) / 2
    return Cells(teacher - n10, n10, n01, 1 - teacher - n01)


def undecided_text(estimate: Estimate, margin: float, plan: SamplePlan, *, available: int | None = None) -> str:
    """Say what would decide an INCONCLUSIVE claim; `available` is how many samples the data set has in all."""
    within = plan.n_total is not None and (available is None or plan.n_total <= available)
    if within:
        return f"about {plan.n_total:,} samples would decide ({plan.n_extra:,} more; expect {plan.direction})"
    text = f"this data set cannot decide at {margin:g}"
    return text if estimate.lo is None else f"{text}; the smallest decidable margin is {estimate.lo:.4f}"


def _plan(mean: float, variance: float, n: float, power: tuple[float, float]) -> SamplePlan:
    total = sample_size(variance, mean, alpha=power[0], power=power[1])
    # A mean of rounding size is on the margin; it would ask for 1e30 samples.
    if not math.isfinite(total) or total > 1e15:
        return SamplePlan(None, None, None)
    # 1e-9: do not let rounding of an exact whole number ask for one more.
    needed = max(1, math.ceil(total - 1e-9))
    return SamplePlan(needed, max(0, needed - round(n)), "PASS" if mean > 0 else "FAIL")
