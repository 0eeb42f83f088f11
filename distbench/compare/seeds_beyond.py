"""Training runs under metrics that have no retention: bits per byte, divergence from the teacher, held-out KL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.estimates import published
from distbench.compare.pairs import Pair
from distbench.compare.ratios import sums
from distbench.compare.training_run import Trained
from distbench.schema.studies import SeedTask

HELDOUT = "held-out data"
KL = "heldout_kl"
Floats = NDArray[np.float64]


def beyond_retention(
    runs: Sequence[Trained], shared: Sequence[Sequence[NDArray[np.intp]]], alpha: float
) -> list[SeedTask]:
    """Return one entry a metric that every run has.

    shared: for each of `rate_names`, where the items common to all runs lie in each pair (students, then controls).
    """
    rates = [_rate(name, runs, places, alpha) for name, places in zip(rate_names(runs), shared, strict=True)]
    return [*(each for each in rates if each is not None), *_divergences(runs, alpha), *_heldout(runs, alpha)]


def rate_names(runs: Sequence[Trained]) -> list[str]:
    """Return the ratios of sums that all runs have."""
    return [name for name in runs[0].rates if all(name in run.rates for run in runs)]


def rate_pairs(name: str, runs: Sequence[Trained]) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs of all students, and of all controls; no controls unless every run has one."""
    compared = [run.rates[name] for run in runs]
    controls = [c.control for c in compared if c.control is not None and c.control.invalid is None]
    return [c.pair for c in compared], controls if len(controls) == len(compared) else []


def rate_of(joined: Pair) -> float | None:
    """Return the ratio of sums of a pair's second side over all its items."""
    found = sums(joined)
    return None if isinstance(found, str) else float(found[1].sum() / found[2].sum())


def _rate(name: str, runs: Sequence[Trained], places: Sequence[NDArray[np.intp]], alpha: float) -> SeedTask | None:
    students, controls = rate_pairs(name, runs)
    facts, clusters = students[0].facts, students[0].clusters
    clusters = None if clusters is None else clusters[places[0]]
    columns = []
    for joined, at in zip([*students, *controls], places, strict=True):
        found = sums(joined)
        if isinstance(found, str) or len(at if clusters is None else np.unique(clusters)) < 2:
            return None
        columns.append(linear(found[1][at], found[2][at]))
    student = np.stack(columns[: len(students)])
    control = np.stack(columns[len(students) :]) if controls else None
    delta = both = None
    if control is not None:
        higher = facts.higher_is_better
        delta = stats.seed_difference(student.mean(axis=1), control.mean(axis=1), higher_is_better=higher, alpha=alpha)
        both = stats.difference_over_seeds(student, control, higher_is_better=higher, clusters=clusters, alpha=alpha)
    mine, others = (
        None if each is None else published(stats.score_over_seeds(each, clusters=clusters, alpha=alpha))
        for each in (student, control)
    )
    assert mine is not None
    return SeedTask(
        task=name,
        metric=facts.name,
        higher_is_better=facts.higher_is_better,
        student=mine,
        control=others,
        delta=None if delta is None else published(delta),
        delta_both=None if both is None else published(both),
    )


def linear(above: Floats, below: Floats) -> Floats:
    """Return a value an item whose mean is Σ above / Σ below, and whose spread is that of the ratio.

    The ratio r is linear in the items to first order: r + (above − r·below) / mean(below) (Cochran 1977, Sampling
    Techniques, §6.3). Differences of two ratios over the same items are then paired by item.
    """
    ratio = above.sum() / below.sum()
    found: Floats = ratio + (above - ratio * below) / below.mean()
    return found


def _divergences(runs: Sequence[Trained], alpha: float) -> list[SeedTask]:
    found = []
    for name, first in runs[0].beyond.divergences.items():
        mine = [run.beyond.divergences.get(name) for run in runs]
        others = [run.control_beyond.divergences.get(name) if run.control_beyond else None for run in runs]
        entry = _over_seeds(
            (name, first.result.metric),
            [each.estimate.value if each else None for each in mine],
            [each.estimate.value if each else None for each in others],
            alpha,
            higher_is_better=first.result.higher_is_better,
        )
        found += [entry] if entry else []
    return found


def _heldout(runs: Sequence[Trained], alpha: float) -> list[SeedTask]:
    mine = [run.beyond.heldout for run in runs]
    others = [run.control_beyond.heldout if run.control_beyond else None for run in runs]
    entry = _over_seeds((HELDOUT, KL), mine, others, alpha, higher_is_better=False)
    return [entry] if entry else []


def _over_seeds(
    name: tuple[str, str],
    student: Sequence[float | None],
    control: Sequence[float | None],
    alpha: float,
    *,
    higher_is_better: bool,
) -> SeedTask | None:
    """Return the spread of one number a run, over training runs only; None where a run has none."""
    mine = [value for value in student if value is not None]
    others = [value for value in control if value is not None]
    if len(mine) < len(student):
        return None
    paired = len(others) == len(mine)
    delta = stats.seed_difference(mine, others, higher_is_better=higher_is_better, alpha=alpha) if paired else None
    return SeedTask(
        task=name[0],
        metric=name[1],
        higher_is_better=higher_is_better,
        student=published(stats.seed_mean(mine, alpha=alpha)),
        control=published(stats.seed_mean(others, alpha=alpha)) if paired else None,
        delta=None if delta is None else published(delta),
    )
