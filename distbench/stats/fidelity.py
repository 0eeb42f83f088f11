"""Does the student answer as the teacher does, right or wrong? Reported; a ceiling on negative flips may be gated."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from distbench.stats.cells import Cells
from distbench.stats.clusters import mean_covariance
from distbench.stats.difference import mean_estimate
from distbench.stats.estimate import Estimate, Status, negated
from distbench.stats.fieller import t_quantile
from distbench.stats.intervals import wilson
from distbench.stats.samples import Labels, codes, vector

Answers = Sequence[Hashable] | NDArray[Any]


@dataclass(frozen=True)
class Flips:
    """Changes of correctness from teacher to student, each with a Wilson interval (Yan 2021, Dutta 2024).

    Rates are shares of all samples: `negative` teacher right and student wrong, `positive` the reverse.
    `retained_knowledge` is P(student right | teacher right), without a value where the teacher is never right.
    """

    negative: Estimate
    positive: Estimate
    retained_knowledge: Estimate


def proportion(k: float, n: float, *, alpha: float = 0.05) -> Estimate:
    """Return the share `k`/`n` with its Wilson interval; UNDEFINED, without a value, for n = 0."""
    if n == 0:
        return Estimate(None, None, None, 0, "wilson", Status.UNDEFINED, "no sample meets the condition")
    limits = wilson(k, n, alpha)
    return Estimate(k / n, limits.lo, limits.hi, round(n), "wilson")


def rate(flags: ArrayLike, *, clusters: Labels | None = None, alpha: float = 0.05) -> Estimate:
    """Return the share of 0/1 `flags` that are 1 with a Wilson interval; UNDEFINED for none.

    With `clusters` it is Wilson's for the effective sample size p(1 − p)/V, V the cluster-robust variance of the mean
    (at least that of independent samples: no design is credited with more samples than there are),
    shrunk by (z/t)² for G − 1 degrees of freedom (Korn & Graubard 1998): it stays inside [0, 1] and does not collapse
    near its ends. Flags that are all equal show no spread; they count as G samples. Raises `ValueError` for other
    values.
    """
    values = np.asarray(flags, dtype=np.float64)
    if values.size == 0:
        return proportion(0, 0, alpha=alpha)
    if not np.isin(vector("flags", values), (0.0, 1.0)).all():
        raise ValueError("a rate needs flags that are 0 or 1")
    n, p = values.size, float(values.mean())
    if clusters is None:
        return proportion(float(values.sum()), n, alpha=alpha)
    moments = mean_covariance(values, clusters=clusters)
    groups = moments.n_clusters or n
    if groups < 2:
        reason = "an interval needs at least two clusters"
        return Estimate(p, None, None, n, "wilson_cluster", Status.NO_INTERVAL, reason, n_clusters=groups)
    variance = moments.contrast((1.0,))[1]
    effective = p * (1 - p) / variance if variance > 0 else float(groups)
    effective *= (t_quantile(math.inf, alpha) / t_quantile(moments.df, alpha)) ** 2
    limits = wilson(p * effective, effective, alpha)
    se = math.sqrt(variance)
    return Estimate(p, limits.lo, limits.hi, n, "wilson_cluster", se=se, df=moments.df, n_clusters=groups)


def p_above(estimate: Estimate, ceiling: float) -> float | None:
    """Return the one-sided p-value of H: quantity ≤ `ceiling`, small where it is surely above; None without spread.

    A rate (Wilson's interval) has the variance that the hypothesis gives it; anything else its own standard error.
    """
    if estimate.value is None or estimate.interval is None:
        return None
    value, df = estimate.value, math.inf if estimate.df is None else estimate.df
    if estimate.method.startswith("wilson"):
        if not 0 < ceiling < 1:
            return 0.0 if value > ceiling else 1.0
        spread = value * (1 - value)
        units = spread / estimate.se**2 if estimate.se else float(estimate.n_clusters or estimate.n)
        se: float | None = math.sqrt(ceiling * (1 - ceiling) / units)
    else:
        se = estimate.se
    if not se:
        return None
    return float(
        scipy.stats.t.sf((value - ceiling) / se, df)
        if math.isfinite(df)
        else scipy.stats.norm.sf((value - ceiling) / se)
    )


def p_below(estimate: Estimate, floor: float) -> float | None:
    """Return the one-sided p-value of H: quantity ≥ `floor`, small where it is surely below; None without spread."""
    if not estimate.method.startswith("wilson"):
        return p_above(negated(estimate), -floor)
    value, lo, hi = (None if x is None else 1 - x for x in (estimate.value, estimate.hi, estimate.lo))
    return p_above(replace(estimate, value=value, lo=lo, hi=hi), 1 - floor)


def top1_agreement(student: Answers, teacher: Answers, *, alpha: float = 0.05) -> Estimate:
    """Return the share of samples where both give the same answer (Stanton 2021). Answers are labels, not scores."""
    same = _same(student, teacher)
    return proportion(sum(same), len(same), alpha=alpha)


def churn(student: Answers, teacher: Answers, *, alpha: float = 0.05) -> Estimate:
    """Return the share of samples where the answer changes, 1 − agreement (Milani Fard 2016)."""
    same = _same(student, teacher)
    return proportion(len(same) - sum(same), len(same), alpha=alpha)


def cohen_kappa(student: Answers, teacher: Answers) -> float | None:
    """Return Cohen's κ, agreement beyond chance; None where both give one same answer throughout (0 / 0)."""
    from sklearn.metrics import cohen_kappa_score

    n = len(_same(student, teacher))
    numbers, labels = codes("answers", [*student, *teacher], 2 * n)
    if len(labels) < 2:
        return None
    return float(cohen_kappa_score(numbers[:n], numbers[n:]))


def kappa(student: Answers, teacher: Answers, *, clusters: Labels | None = None, alpha: float = 0.05) -> Estimate:
    """Return Cohen's κ = 1 − (1 − p_o)/(1 − p_e) with the interval of its first-order expansion.

    A sample's influence on κ is (o_i − p_o)/(1 − p_e) − (1 − p_o)(s(a_i) + t(b_i) − 2 p_e)/(1 − p_e)², with o_i =
    "same answer", a_i and b_i the answers of teacher and student, t and s the shares of each answer; its mean has the
    variance of Fleiss, Cohen & Everitt (1969), or, with `clusters`, the cluster-robust one. UNDEFINED where both give
    one same answer throughout; no interval where every sample agrees.
    """
    n = len(student)
    if n == 0 or len(teacher) != n:
        raise ValueError(f"answers must pair up: {n} of the student, {len(teacher)} of the teacher")
    numbers, labels = codes("answers", np.concatenate([np.asarray(student), np.asarray(teacher)]), 2 * n)
    s, t = numbers[:n], numbers[n:]
    share_s, share_t = (np.bincount(side, minlength=len(labels)) / n for side in (s, t))
    same = (s == t).astype(np.float64)
    chance, agreed = float(share_s @ share_t), float(same.mean())
    if len(labels) < 2:
        return Estimate(None, None, None, n, "kappa", Status.UNDEFINED, "both give one same answer throughout")
    value = 1 - (1 - agreed) / (1 - chance)
    if agreed == 1:
        reason = "every answer agrees: no spread to build an interval on"
        return Estimate(1.0, None, None, n, "kappa", Status.NO_INTERVAL, reason)
    expected = share_s[t] + share_t[s] - 2 * chance
    influence = (same - agreed) / (1 - chance) - (1 - agreed) * expected / (1 - chance) ** 2
    found = mean_estimate(value + influence, clusters=clusters, alpha=alpha)
    return replace(found, value=value, method="kappa" if clusters is None else "kappa_cluster")


def flips(cells: Cells, *, alpha: float = 0.05) -> Flips:
    """Return negative and positive flip rate and retained knowledge from the paired table of correctness."""
    return Flips(
        negative=proportion(cells.n10, cells.n, alpha=alpha),
        positive=proportion(cells.n01, cells.n, alpha=alpha),
        retained_knowledge=proportion(cells.n11, cells.n11 + cells.n10, alpha=alpha),
    )


def agreement_bounds(teacher_accuracy: float, student_accuracy: float) -> tuple[float, float]:
    """Return the least and greatest agreement *on correctness* that two accuracies allow (Fréchet).

    An internal check: flips can never be fewer than the difference of the accuracies. Raises `ValueError` outside [0,
    1].
    """
    t, s = teacher_accuracy, student_accuracy
    if not (0 <= t <= 1 and 0 <= s <= 1):
        raise ValueError(f"accuracies must lie in [0, 1], not {t} and {s}")
    return 1 - min(2 - t - s, t + s), 1 - abs(t - s)


def _same(student: Answers, teacher: Answers) -> list[bool]:
    if len(student) != len(teacher) or len(student) == 0:
        raise ValueError(f"answers must pair up: {len(student)} of the student, {len(teacher)} of the teacher")
    for name, answers in (("student", student), ("teacher", teacher)):
        for position, answer in enumerate(answers):
            if answer is None or (isinstance(answer, float) and math.isnan(answer)):
                raise ValueError(f"{name}[{position}] has no answer; leave the sample out or name the failure")
    return [bool(s == t) for s, t in zip(student, teacher, strict=True)]
