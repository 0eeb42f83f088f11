"""Parts of a task that grew while a run was at work, seen as one evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.hashing import text_digest
from distbench.schema.record import EvaluateResult, MetricFacts


def joined(parts: Sequence[EvaluateResult]) -> EvaluateResult:
    """Return consecutive parts of one model on one task as a single result.

    The digests of data and prompts are the first part's, which every model was asked alike; later parts are joined
    sample by sample, and a sample's id is the hash of its document and prompt.
    """
    first, last = parts[0], parts[-1]
    if len(parts) == 1 or first.drawn is None or last.drawn is None:
        return first
    return first.model_copy(
        update={
            "metrics": [_metric([part.metrics for part in parts], facts) for facts in first.metrics],
            "answers_digest": text_digest(part.answers_digest for part in parts),
            "drawn": first.drawn.model_copy(update={"stop": last.drawn.stop}),
        }
    )


def _metric(parts: Sequence[Sequence[MetricFacts]], facts: MetricFacts) -> MetricFacts:
    mine = [each for part in parts for each in part if each.name == facts.name]
    n = sum(each.n for each in mine)
    means = [each.mean for each in mine]
    known = [mean for mean in means if mean is not None]
    # a ratio of sums needs its denominators, which only the samples have
    mean = None
    if n and len(known) == len(means) and facts.kind != "ratio_of_sums":
        mean = sum(mean * each.n for mean, each in zip(known, mine, strict=True)) / n
    return facts.model_copy(update={"n": n, "mean": mean})
