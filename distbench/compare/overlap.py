"""Free text of the student against the teacher's: exact match, chrF, ROUGE-L, on a seeded draw of the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from distbench import stats
from distbench.compare.evidence import Evaluated
from distbench.compare.pairs import Pair
from distbench.compare.sides import no_text
from distbench.stats import text_overlap
from distbench.store.samples import read_rows

# Comparing two texts of 2,000 characters takes tens of milliseconds; 200 pairs know a mean to about 0.03.
MOST_TEXTS = 200
FEWEST = 2
MEASURES: dict[str, Callable[[Sequence[str], Sequence[str]], Sequence[float | None]]] = {
    "exact match": text_overlap.exact_match,
    "chrF": text_overlap.chrf,
    "ROUGE-L": text_overlap.rouge_l,
}


def overlap(joined: Pair, files: tuple[Evaluated, Evaluated], alpha: float) -> tuple[dict[str, stats.Estimate], str]:
    """Return the mean overlap by measure, or why there is none; the reason is empty where answers are no free text.

    Free text: no model states how sure it is of a choice, and half of the teacher's answers have several words.
    """
    if joined.invalid is not None or any("confidence" in side.numbers for side in joined.sides):
        return {}, ""
    teacher, student = joined.hashes("prediction")
    answered = np.flatnonzero(
        ~(joined.failed[0] | joined.failed[1]) & ((teacher != no_text()) | (student != no_text()))
    )
    if answered.size < FEWEST:
        return {}, ""
    drawn = answered
    if answered.size > MOST_TEXTS:
        drawn = np.sort(np.random.default_rng(0).choice(answered, MOST_TEXTS, replace=False))
    texts = []
    for side, places, file in zip(joined.sides, joined.places, files, strict=True):
        rows = side.rows[places][drawn].tolist()
        read = read_rows(file.files, rows, ("prediction",))
        texts.append([read[row]["prediction"] or "" for row in rows])
    if sum(len(text.split()) > 1 for text in texts[0]) * 2 < len(texts[0]):
        return {}, ""
    clusters = None if joined.clusters is None else joined.clusters[drawn]
    try:
        values = {name: measure(texts[1], texts[0]) for name, measure in MEASURES.items()}
    except ImportError as error:
        return {}, f"no overlap of free text: the package {error.name} is not installed"
    return {name: found for name, each in values.items() if (found := _mean(each, clusters, alpha)) is not None}, ""


def _mean(values: Sequence[float | None], clusters: np.ndarray | None, alpha: float) -> stats.Estimate | None:
    """Return the mean over the pairs that the measure can say something about."""
    known = np.array([value is not None for value in values])
    if not known.any():
        return None
    numbers = np.array([value for value in values if value is not None], dtype=np.float64)
    return stats.mean_estimate(numbers, clusters=None if clusters is None else clusters[known], alpha=alpha)
