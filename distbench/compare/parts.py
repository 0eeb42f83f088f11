"""Parts of a task that grew while a run was at work, seen as one evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.hashing import text_digest
from distbench.schema.record import EvaluateResult, MetricFacts, ScorerFacts


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
            "scorer": _scorer([part.scorer for part in parts]),
            "batch_halved": [half for part in parts for half in part.batch_halved],
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


def _scorer(parts: Sequence[ScorerFacts | None]) -> ScorerFacts | None:
    """Return what all parts say of their scorer; one part that went the slow way is said for all."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    first = next((part for part in known if part.name == "hf"), known[0])
    largest = [part.largest_difference for part in known if part.largest_difference is not None]
    return first.model_copy(
        update={
            "compared": sum(part.compared for part in known),
            "largest_difference": max(largest, default=None),
            "tolerance": max(part.tolerance for part in known),
            "close_calls": [call for part in known for call in part.close_calls][:100],
            "close_calls_total": sum(part.close_calls_total for part in known),
        }
    )
