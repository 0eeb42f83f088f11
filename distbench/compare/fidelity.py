"""Does the student answer as the teacher does? From hashes of answers and from correctness, each with an interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.pairs import Pair
from distbench.compare.sides import no_text


def fidelity(joined: Pair, alpha: float) -> dict[str, stats.Estimate]:
    """Return agreement, churn and kappa on answers, flips and retained knowledge on correctness, by field name.

    A crashed answer agrees with nothing. Samples that state no answer (a likelihood, say) give no agreement.
    """
    if not joined.n or joined.invalid is not None:
        return {}
    flips = joined.facts.kind == "binary" and joined.facts.neutral is None
    return {**_answers(joined, alpha), **(_correctness(joined, alpha) if flips else {})}


def _answers(joined: Pair, alpha: float) -> dict[str, stats.Estimate]:
    teacher, student = joined.hashes("prediction")
    if (teacher == no_text()).all() and (student == no_text()).all():
        return {}
    answered = ~(joined.failed[0] | joined.failed[1])
    same = ((teacher == student) & answered).astype(np.float64)
    clusters = joined.clusters
    found = {
        "agreement": stats.rate(same, clusters=clusters, alpha=alpha),
        "churn": stats.rate(1 - same, clusters=clusters, alpha=alpha),
    }
    if answered.any():
        found["cohen_kappa"] = stats.kappa(
            student[answered], teacher[answered], clusters=_where(clusters, answered), alpha=alpha
        )
    return found


def _correctness(joined: Pair, alpha: float) -> dict[str, stats.Estimate]:
    right = 1.0 if joined.facts.higher_is_better else 0.0
    teacher, student = joined.teacher == right, joined.student == right
    clusters = joined.clusters
    return {
        "negative_flips": stats.rate(teacher & ~student, clusters=clusters, alpha=alpha),
        "positive_flips": stats.rate(~teacher & student, clusters=clusters, alpha=alpha),
        "retained_knowledge": stats.rate(student[teacher], clusters=_where(clusters, teacher), alpha=alpha),
    }


def _where(clusters: NDArray[np.intp] | None, mask: NDArray[np.bool_]) -> NDArray[np.intp] | None:
    return None if clusters is None else clusters[mask]
