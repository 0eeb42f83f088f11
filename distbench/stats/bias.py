"""Does the student inherit the teacher's bias? For paired-sentence sets and question sets with a stereotyped option."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from distbench.stats.difference import mean_estimate
from distbench.stats.estimate import Estimate
from distbench.stats.fidelity import proportion
from distbench.stats.samples import FloatArray, IntArray, Labels, codes, is_binary, paired


@dataclass(frozen=True)
class BiasTransfer:
    """Rates of biased answers; `neutral` is the rate of an unbiased model (0.5 for sentence pairs).

    `excess` = student − teacher. `inherited` = P(student biased | teacher biased). `closer_to_neutral` tells whether
    the student's rate is nearer to neutral than the teacher's (None: equally near).
    """

    teacher: Estimate
    student: Estimate
    excess: Estimate
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
    """Compare 0/1 "answer was biased" flags paired by sample; `templates` (what items were made from) are clusters."""
    s, t = paired(student=student, teacher=teacher)
    if not is_binary(s, t):
        raise ValueError("bias flags must be 0 or 1")
    unit = None if templates is None else codes("templates", templates, s.size)[0]
    biased = t == 1
    inherited = _rate(s[biased], None if unit is None else unit[biased], alpha)
    distance = abs(float(t.mean()) - neutral) - abs(float(s.mean()) - neutral)
    return BiasTransfer(
        teacher=_rate(t, unit, alpha),
        student=_rate(s, unit, alpha),
        excess=mean_estimate(s - t, clusters=unit, alpha=alpha),
        inherited=inherited,
        closer_to_neutral=None if abs(distance) < 1e-12 else distance > 0,
    )


def _rate(flags: FloatArray, unit: IntArray | None, alpha: float) -> Estimate:
    if unit is None or flags.size == 0:
        return proportion(float(flags.sum()), flags.size, alpha=alpha)
    return mean_estimate(flags, clusters=unit, alpha=alpha)
