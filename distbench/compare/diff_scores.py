"""What changed in a model's scores, task by task: paired by sample where both runs hold the same samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.estimates import missing, published
from distbench.compare.evidence import Evaluated
from distbench.compare.pairs import Pair, pair, primary_metric
from distbench.compare.ratios import ratio, ratio_of_sums
from distbench.compare.sides import OK
from distbench.compare.source import Source
from distbench.schema.diff import Basis
from distbench.schema.plan import PlannedModel
from distbench.schema.record import MetricFacts
from distbench.schema.result import Estimate
from distbench.store.samples import read_rows

LEAST_SHARED = 0.5  # of the smaller run's samples: with less in common, two samples of the task are compared
_PROMPTS_READ = 64
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreChange:
    """The change of one model's mean score on one task (B − A, + is better), and the samples behind it.

    `joined` holds A's scores as `teacher` and B's as `student`; None where the samples are not the same.
    """

    change: stats.Change
    basis: Basis
    scores: tuple[float | None, float | None]
    counts: tuple[int, int]
    joined: Pair | None = None
    note: str = ""


def evaluations(source: Source, name: str, task: str) -> Evaluated | None:
    """Return a model's finished evaluation; one against a teacher is that against its own first teacher."""
    model = source.model(name)
    if source.evidence is None or model is None:
        return None
    first = source.model(model.of[0]) if model.of else None
    return source.evidence.evaluated(model, task, first)


def tasks_of(source: Source, model: PlannedModel) -> list[str]:
    """Return the tasks that a model was evaluated on."""
    if source.evidence is None:
        return []
    return [task for task in source.evidence.manifest.task_order if evaluations(source, model.name, task) is not None]


def obstacle(a: Evaluated, b: Evaluated) -> str | None:
    """Say why a change of the score would not be one of the model; None: it would be."""
    one, other = primary_metric(a), primary_metric(b)
    meaning = [(m.name, m.kind, m.higher_is_better, m.baseline, m.best) for m in (one, other)]
    if one.name != other.name:
        return f"A was scored by {one.name}, B by {other.name}"
    if meaning[0] != meaning[1]:
        return f"{one.name} does not mean the same in both runs (kind, direction or chance level)"
    if a.result.task_version != b.result.task_version:
        return f"the task is another: version {a.result.task_version} in A, {b.result.task_version} in B"
    return None


def score_change(a: Evaluated, b: Evaluated, alpha: float) -> ScoreChange:
    """Return how the score changed from `a` to `b`, which must not have an `obstacle`."""
    facts = primary_metric(a)
    joined = pair(a, b, facts)
    if (why := _unlike(joined, (a, b)) or _not_finite(a, b, facts)) is not None:
        return ScoreChange(_nothing(why), "none", _own_scores(a, b, facts), _own_counts(a, b, facts))
    if not _shared(joined):
        return _independent(a, b, facts, alpha)
    joined = replace(joined, invalid=None, broken=None)
    counts = len(joined.sides[0]), len(joined.sides[1])
    note = ""
    if joined.n < max(counts):
        note = f"on the {joined.n:,} samples that both runs have (A has {counts[0]:,}, B {counts[1]:,})"
    change, scores = _paired(joined, alpha)
    if same_answers(a, b, whole=joined.n == max(counts), equal=bool((joined.teacher == joined.student).all())):
        return ScoreChange(stats.Change(_equal(joined.n), 1.0), "identical", scores, counts, joined, note)
    return ScoreChange(change, "paired", scores, counts, joined, note)


def _paired(joined: Pair, alpha: float) -> tuple[stats.Change, tuple[float | None, float | None]]:
    """Return the change on shared samples, and both mean scores on them."""
    facts = joined.facts
    if facts.kind == "ratio_of_sums":
        found = ratio(joined, 1.0, alpha)
        return stats.Change(found.delta, stats.p_of_interval(found.delta, alpha)), (found.teacher, found.student)
    before, after = (_oriented(scores, facts) for scores in (joined.teacher, joined.student))
    change = stats.paired_change(after, before, clusters=joined.clusters, alpha=alpha)
    return change, (_mean(joined.teacher), _mean(joined.student))


def _oriented(scores: Floats, facts: MetricFacts) -> Floats:
    """Return scores of which more is better; 0/1 scores stay 0/1."""
    if facts.higher_is_better:
        return scores
    return 1.0 - scores if facts.kind == "binary" else -scores


def same_answers(a: Evaluated, b: Evaluated, *, whole: bool, equal: bool) -> bool:
    """Say whether two evaluations gave the same answers on the samples that both have.

    `whole`: those are all, so the digests of all answers know it; otherwise it is one model that scores alike
    (`equal`). A model behind an address has no content that could be known: nothing follows from its identity.
    """
    if whole:
        return a.result.answers_digest == b.result.answers_digest
    one, other = a.cell.model, b.cell.model
    return equal and one.identity == other.identity and one.address is None and other.address is None


def _equal(n: int) -> stats.Estimate:
    return stats.Estimate(0.0, 0.0, 0.0, n, stats.IDENTICAL)


def _shared(joined: Pair) -> bool:
    smaller = min(len(side) for side in joined.sides)
    return joined.n >= 2 and joined.n >= LEAST_SHARED * smaller


def _not_finite(a: Evaluated, b: Evaluated, facts: MetricFacts) -> str | None:
    if facts.kind == "ratio_of_sums":
        return None
    if all(np.isfinite(side.score[side.status == OK]).all() for side in (a.side(facts.name), b.side(facts.name))):
        return None
    return "a score is not a finite number although its sample is marked ok"


def _unlike(joined: Pair, files: tuple[Evaluated, Evaluated]) -> str | None:
    """Say that samples of one id are not the same sample: another expected answer, or another prompt.

    Equal digests of data and prompts need no look; where they differ, the runs may only have drawn other samples.
    """
    a, b = (each.result for each in files)
    if not joined.n or (a.data_digest, a.prompt_digest) == (b.data_digest, b.prompt_digest):
        return None
    labels = joined.hashes("label")
    if (labels[0] != labels[1]).any():
        return "the data differs: samples of one id have other expected answers"
    at = np.unique(np.linspace(0, joined.n - 1, min(joined.n, _PROMPTS_READ)).astype(int))
    texts = []
    for file, side, places in zip(files, joined.sides, joined.places, strict=True):
        rows = [int(row) for row in side.rows[places][at]]
        read = read_rows(file.files, rows, ("prompt",))
        texts.append([read[row]["prompt"] for row in rows])
    return "the prompts differ: samples of one id were asked in other words" if texts[0] != texts[1] else None


def _independent(a: Evaluated, b: Evaluated, facts: MetricFacts, alpha: float) -> ScoreChange:
    """Compare two samples of one task."""
    if a.result.data_digest == b.result.data_digest and a.result.prompt_digest != b.result.prompt_digest:
        why = "the prompts differ between the runs"
        return ScoreChange(_nothing(why), "none", _own_scores(a, b, facts), _own_counts(a, b, facts))
    sides = [_alone(each, facts, alpha) for each in (a, b)]
    scores = sides[0].value, sides[1].value
    oriented = sides if facts.higher_is_better else [stats.negated(each) for each in sides]
    change = stats.independent_change(oriented[1], oriented[0], alpha=alpha)
    note = "the runs asked other samples of the task: compared as two independent samples"
    return ScoreChange(change, "independent", scores, (sides[0].n, sides[1].n), None, note)


def _alone(evaluated: Evaluated, facts: MetricFacts, alpha: float) -> stats.Estimate:
    """Return the mean score of one model with its own interval."""
    itself = replace(pair(evaluated, evaluated, facts), invalid=None, broken=None)
    if facts.kind == "ratio_of_sums":
        columns = itself.numbers("numerator"), itself.numbers("denominator")
        if columns[0] is None or columns[1] is None or itself.failed[0].any():
            return stats.Estimate(None, None, None, itself.n, "none", stats.Status.UNDEFINED, "no sums of all samples")
        return ratio_of_sums(columns[0][0], columns[1][0], itself.clusters, alpha)
    if itself.n < 2:
        return stats.Estimate(None, None, None, itself.n, "none", stats.Status.UNDEFINED, "fewer than two samples")
    if facts.kind == "binary" and np.isin(itself.teacher, (0.0, 1.0)).all():
        return stats.rate(itself.teacher, clusters=itself.clusters, alpha=alpha)
    return stats.mean_estimate(itself.teacher, clusters=itself.clusters, alpha=alpha)


def _own_scores(a: Evaluated, b: Evaluated, facts: MetricFacts) -> tuple[float | None, float | None]:
    found = [each.facts(facts.name) for each in (a, b)]
    return (found[0].mean if found[0] else None), (found[1].mean if found[1] else None)


def _own_counts(a: Evaluated, b: Evaluated, facts: MetricFacts) -> tuple[int, int]:
    return len(a.side(facts.name)), len(b.side(facts.name))


def _nothing(reason: str) -> stats.Change:
    return stats.Change(stats.Estimate(None, None, None, 0, "none", stats.Status.INVALID, reason), None)


def _mean(scores: Floats) -> float | None:
    return float(scores.mean()) if scores.size and np.isfinite(scores).all() else None


def shown(change: stats.Change | None, why: str) -> Estimate:
    """Return a change as the document holds it."""
    return missing(why) if change is None else published(change.estimate)
