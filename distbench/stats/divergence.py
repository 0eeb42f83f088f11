"""Distance between the teacher's and the student's distributions, row by row (a row is a token or an example)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from distbench.stats.difference import mean_estimate
from distbench.stats.estimate import Estimate, Status
from distbench.stats.samples import FloatArray, Labels

# Probabilities stored as float16 sum to 1 within this.
_SUM_TOLERANCE = 1e-3
_ROUNDING = 1e-9


@dataclass(frozen=True)
class DivergenceSummary:
    """Divergences of many rows (nats). `mean`, `median` and `p99` are infinite where the rows make them so.

    Infinite rows are counted in `n_infinite`, never clipped. `finite_mean` covers the finite rows, with its interval.
    """

    mean: float
    median: float
    p99: float
    n: int
    n_infinite: int
    finite_mean: Estimate


def kl_divergence(teacher: ArrayLike, student: ArrayLike) -> FloatArray:
    """Return KL(teacher ‖ student) of each row, in nats; infinite where the student gives a possible option 0.

    Raises `ValueError` for unequal shapes, negative or non-finite values, and rows that do not sum to 1.
    """
    t, s = _distributions(teacher, student)
    return np.asarray(scipy.special.rel_entr(t, s).sum(axis=1), dtype=np.float64)


def js_divergence(teacher: ArrayLike, student: ArrayLike) -> FloatArray:
    """Return the Jensen–Shannon divergence of each row, in nats: symmetric, between 0 and ln 2."""
    t, s = _distributions(teacher, student)
    middle = (t + s) / 2
    total = scipy.special.rel_entr(t, middle) + scipy.special.rel_entr(s, middle)
    return np.asarray(total.sum(axis=1) / 2, dtype=np.float64)


def kl_top_k_lower_bound(teacher: ArrayLike, student: ArrayLike) -> FloatArray:
    """Return a *lower bound* of KL(teacher ‖ student) from probabilities of the teacher's k likeliest options only.

    Both arrays hold the same k options a row; what they leave of 1 is lumped into one more. Lumping never raises KL
    (data processing inequality), so label the number as a bound. Raises `ValueError` as `kl_divergence`, but not for
    rows that sum to less than 1.
    """
    top = [_table(name, values) for name, values in (("teacher", teacher), ("student", student))]
    rest = [1 - table.sum(axis=1, keepdims=True) for table in top]
    if min(r.min() for r in rest) < -_SUM_TOLERANCE:
        raise ValueError("the probabilities of a row sum to more than 1")
    # A rest of the teacher within rounding, against a student that leaves none, is no proof of an excluded option.
    rest[0] = np.where((rest[1] <= _ROUNDING) & (rest[0] <= _SUM_TOLERANCE), 0.0, rest[0])
    rows = [np.hstack([table, np.maximum(r, 0.0)]) for table, r in zip(top, rest, strict=True)]
    return np.asarray(scipy.special.rel_entr(*rows).sum(axis=1), dtype=np.float64)


def summarise_divergence(
    values: ArrayLike, *, clusters: Labels | None = None, alpha: float = 0.05
) -> DivergenceSummary:
    """Summarise divergences of rows; `clusters` name the document of each row, as tokens of one are not independent."""
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 1 or rows.size == 0 or np.isnan(rows).any():
        raise ValueError("divergences must be a non-empty vector without NaN")
    finite = np.isfinite(rows)
    labels = None if clusters is None else [c for c, keep in zip(clusters, finite, strict=True) if keep]
    if finite.any():
        finite_mean = mean_estimate(rows[finite], clusters=labels, alpha=alpha)
    else:
        finite_mean = Estimate(None, None, None, 0, "paired_t", Status.UNDEFINED, "every row is infinite")
    return DivergenceSummary(
        mean=float(rows.mean()),
        # A quantile that interpolates towards inf is NaN in floating point; the next observed value is well defined.
        median=float(np.quantile(rows, 0.5, method="linear" if finite.all() else "higher")),
        p99=float(np.quantile(rows, 0.99, method="linear" if finite.all() else "higher")),
        n=rows.size,
        n_infinite=int((~finite).sum()),
        finite_mean=finite_mean,
    )


def _table(name: str, values: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"{name}: probabilities must be a table of rows × options, not of shape {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any():
        raise ValueError(f"{name}: probabilities must be finite and ≥ 0")
    return table


def _distributions(teacher: ArrayLike, student: ArrayLike) -> tuple[FloatArray, FloatArray]:
    t, s = _table("teacher", teacher), _table("student", student)
    if t.shape != s.shape:
        raise ValueError(f"teacher {t.shape} and student {s.shape} must cover the same rows and options")
    for name, table in (("teacher", t), ("student", s)):
        if (np.abs(table.sum(axis=1) - 1) > _SUM_TOLERANCE).any():
            raise ValueError(f"{name}: the probabilities of each row must sum to 1")
    return t, s
