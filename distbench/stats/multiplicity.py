"""Several tests at once: p-values that keep the chance of one false claim at α."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import scipy

from distbench.stats.samples import FloatArray, check_alpha

AdjustMethod = Literal["holm", "hochberg", "bonferroni", "benjamini-hochberg"]


def adjust_p_values(p_values: Sequence[float | None], *, method: AdjustMethod = "holm") -> list[float | None]:
    """Return p-values adjusted for their number; None (a test that could not be done) stays None and is not counted.

    `holm` (Holm 1979) and `bonferroni` control the family-wise error under any dependence, `hochberg` under positive
    dependence, `benjamini-hochberg` only the false discovery rate. Raises `ValueError` for a p-value outside [0, 1].
    """
    if method not in _ADJUST:
        raise ValueError(f"unknown method {method!r} of adjustment; known: {', '.join(_ADJUST)}")
    known = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if not ((known >= 0) & (known <= 1)).all():
        raise ValueError(f"p-values must lie in [0, 1], not {list(p_values)}")
    adjusted = iter(_ADJUST[method](known).tolist() if known.size else ())
    return [None if p is None else float(next(adjusted)) for p in p_values]


def rejections(
    p_values: Sequence[float | None], *, alpha: float = 0.05, method: AdjustMethod = "holm"
) -> list[bool | None]:
    """Tell which hypotheses fall at `alpha` after adjustment; None where there is no p-value."""
    check_alpha(alpha)
    return [None if p is None else p <= alpha for p in adjust_p_values(p_values, method=method)]


def _holm(p: FloatArray) -> FloatArray:
    order = np.argsort(p)
    out = np.empty_like(p)
    out[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return out


def _hochberg(p: FloatArray) -> FloatArray:
    order = np.argsort(p)[::-1]
    out = np.empty_like(p)
    out[order] = np.minimum.accumulate(np.minimum(1.0, p[order] * np.arange(1, p.size + 1)))
    return out


def _bonferroni(p: FloatArray) -> FloatArray:
    return np.minimum(1.0, p * p.size)


def _benjamini_hochberg(p: FloatArray) -> FloatArray:
    return np.asarray(scipy.stats.false_discovery_control(p, method="bh"), dtype=np.float64)


_ADJUST: dict[str, Callable[[FloatArray], FloatArray]] = {
    "holm": _holm,
    "hochberg": _hochberg,
    "bonferroni": _bonferroni,
    "benjamini-hochberg": _benjamini_hochberg,
}
