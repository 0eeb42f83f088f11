"""Does the student inherit the teacher's bias? For paired-sentence sets and question sets with a stereotyped option."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from distbench.stats.clusters import Moments, mean_covariance
from distbench.stats.difference import linear_estimate, mean_estimate
from distbench.stats.estimate import Estimate, Status
from distbench.stats.fidelity import rate
from distbench.stats.samples import FloatArray, IntArray, Labels, codes, is_binary, paired


@dataclass(frozen=True)
class BiasTransfer:
    """Rates of biased answers; `neutral` is the rate of an unbiased model (0.5 for sentence pairs).

    `excess` = student − teacher. `drift` = |student − neutral| − |teacher − neutral|: below 0 the student is closer to
    neutral. `inherited` = P(student biased | teacher biased), UNDEFINED for scores that are not 0/1.
    `closer_to_neutral` tells whether the student's rate is nearer to neutral than the teacher's (None: equally near).
    """

    teacher: Estimate
    student: Estimate
    excess: Estimate
    drift: Estimate
    inherited: Estimate
    closer_to_neutral: bool | None


def bias_transfer(
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    neutral: float = 0.5,
    templates: Labels | None = None,
    alpha: float = 0.05,
) -> BiasTransfer:
    """Compare bias scores paired by sample: 0/1 "answer was biased" flags, or a degree of bias per sample.

    `templates` (what items were made from) are clusters. Raises `ValueError` as `paired`.
    """
    s, t = paired(student=student, teacher=teacher)
    unit = None if templates is None else codes("templates", templates, s.size)[0]
    flags = is_binary(s, t)
    biased = t == 1
    if flags:
        inherited = rate(s[biased], clusters=None if unit is None else unit[biased], alpha=alpha)
    else:
        reason = "it needs answers that are either biased or not"
        inherited = Estimate(None, None, None, s.size, "wilson", Status.UNDEFINED, reason)
    drift = _drift(mean_covariance(s - neutral, t - neutral, clusters=unit), alpha)
    value = drift.value or 0.0
    return BiasTransfer(
        teacher=_level(t, unit, alpha, flags=flags),
        student=_level(s, unit, alpha, flags=flags),
        excess=mean_estimate(s - t, clusters=unit, alpha=alpha),
        drift=drift,
        inherited=inherited,
        closer_to_neutral=None if abs(value) < 1e-12 else value < 0,
    )


def _drift(moments: Moments, alpha: float) -> Estimate:
    """Return |s̄| − |t̄| of columns less their neutral value, with an interval that holds at the kinks of |·| too.

    |s̄| is the larger of ±s̄, so its upper limit is the larger of two linear ones and its lower limit any one of them;
    for −|t̄|, the smaller of ∓t̄, it is the reverse. The interval is therefore never too short.
    """
    signs = [1.0 if mean >= 0 else -1.0 for mean in moments.mean]
    found = linear_estimate(moments, (signs[0], -signs[1]), alpha=alpha)
    if found.interval is None:
        return found
    upper = [linear_estimate(moments, (a, -signs[1]), alpha=alpha).hi for a in (1.0, -1.0)]
    lower = [linear_estimate(moments, (signs[0], -b), alpha=alpha).lo for b in (1.0, -1.0)]
    lo, hi = min(x for x in lower if x is not None), max(x for x in upper if x is not None)
    return Estimate(found.value, lo, hi, found.n, found.method, se=found.se, df=found.df, n_clusters=found.n_clusters)


def _level(scores: FloatArray, unit: IntArray | None, alpha: float, *, flags: bool) -> Estimate:
    return rate(scores, clusters=unit, alpha=alpha) if flags else mean_estimate(scores, clusters=unit, alpha=alpha)
