"""Likelihood of text. Per byte it compares across tokenizers; per token it does not."""

from __future__ import annotations

import math
from dataclasses import replace

from numpy.typing import ArrayLike

from distbench.stats.clusters import mean_covariance
from distbench.stats.estimate import Estimate, Status
from distbench.stats.fieller import ratio_of_means
from distbench.stats.samples import Labels, paired

# e^709 is the largest power that a double holds.
_MAX_EXPONENT = 709.0


def bits_per_byte(log_likelihood: ArrayLike, n_bytes: ArrayLike) -> float:
    """Return −Σ log-likelihood (nats) ÷ Σ bytes ÷ ln 2 over documents: a ratio of sums, not a mean of ratios."""
    return nats_per_unit(log_likelihood, n_bytes) / math.log(2)


def perplexity(log_likelihood: ArrayLike, n_units: ArrayLike) -> float:
    """Return exp(−Σ log-likelihood (nats) ÷ Σ units); units are bytes, words or tokens. Infinite beyond a double."""
    exponent = nats_per_unit(log_likelihood, n_units)
    return math.exp(exponent) if exponent <= _MAX_EXPONENT else math.inf


def nats_per_unit(log_likelihood: ArrayLike, n_units: ArrayLike) -> float:
    """Return −Σ log-likelihood ÷ Σ units, in nats. Raises `ValueError` for negative counts or none at all."""
    ll, units = paired(log_likelihood=log_likelihood, n_units=n_units)
    if (units < 0).any() or not units.sum() > 0:
        raise ValueError("counts of units must be ≥ 0 and not all 0")
    return -math.fsum(ll) / math.fsum(units)


def delta_bits_per_byte(
    student: ArrayLike, teacher: ArrayLike, n_bytes: ArrayLike, *, clusters: Labels | None = None, alpha: float = 0.05
) -> Estimate:
    """Return teacher − student in bits per byte, so that + is better, from log-likelihoods (nats) by document.

    Fieller's interval over documents. To gate "at most x more bits per byte" decide it at the margin −x.
    """
    s, t, size = paired(student=student, teacher=teacher, n_bytes=n_bytes)
    nats_per_unit(s, size)
    moments = mean_covariance((s - t) / math.log(2), size, clusters=clusters)
    unbounded = (Status.NO_INTERVAL, "too few documents, or too unequal in length, for an interval")
    estimate = ratio_of_means(moments, alpha=alpha, empty=unbounded)
    # The bytes are above 0 by nature, so that the value exists even where Fieller's set is unbounded.
    return replace(estimate, value=float(moments.mean[0] / moments.mean[1]))


def byte_perplexity_ratio(
    student: ArrayLike, teacher: ArrayLike, n_bytes: ArrayLike, *, clusters: Labels | None = None, alpha: float = 0.05
) -> Estimate:
    """Return teacher's ÷ student's perplexity per byte, 2^delta_bits_per_byte: above 1 the student is better."""
    d = delta_bits_per_byte(student, teacher, n_bytes, clusters=clusters, alpha=alpha)
    power = [None if x is None else 2.0**x for x in (d.value, d.lo, d.hi)]
    return Estimate(power[0], power[1], power[2], d.n, d.method, d.status, d.reason, n_clusters=d.n_clusters)
