"""From lm-eval's logged documents to sample rows: one row a document and metric, errors never dropped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from distbench.errors import RunError
from distbench.hashing import text_digest
from distbench.protocols import Metric, Sample

PREFERRED = ("acc_norm", "acc", "exact_match", "f1", "bits_per_byte")
# lm-eval logs a log-likelihood under these names and only its aggregate is a perplexity; bits per byte says the same
# comparably across tokenizers.
NOT_PER_DOCUMENT = {"perplexity", "word_perplexity", "byte_perplexity"}


@dataclass(frozen=True)
class Fields:
    """Which fields of a document mean something, whether the prompt is a part of a sample's identity, and bias rates.

    `neutral` names each metric that is a bias rate, with its unbiased value.
    """

    cluster: str | None = None
    groups: tuple[str, ...] = ()
    length: str | None = None
    prompt_counts: bool = True
    neutral: Mapping[str, float] = field(default_factory=dict)


PLAIN = Fields()


def rows_of(
    name: str,
    logged: list[dict[str, Any]],
    higher: Mapping[str, bool],
    task: Any,
    primary: str | None = None,
    fields: Fields = PLAIN,
) -> tuple[list[Sample], list[Metric]]:
    """Return sample rows and the meaning of each metric.

    A metric's name is "metric", or "metric,filter" where the task has several filters. A row with `error` has no scores
    and counts as an error under every metric that the other rows have.
    """
    filters = {row["filter"] for row in logged}
    known = dict.fromkeys(metric for row in logged for metric in row["metrics"])
    samples: list[Sample] = []
    for row in logged:
        for metric in known if row.get("error") else row["metrics"]:
            label = metric if len(filters) == 1 else f"{metric},{row['filter']}"
            if (sample := _sample(name, label, metric, row, fields)) is not None:
                samples.append(sample)
    measured = {sample.metric for sample in samples if sample.status == "ok"}
    samples = [sample for sample in samples if sample.metric in measured or not measured]
    names = list(dict.fromkeys(sample.metric for sample in samples))
    if primary is not None and primary not in names:
        raise RunError(f"task {name!r} has no metric {primary!r}; it has {', '.join(names)}")
    first = primary or next(
        (n for want in PREFERRED for n in names if n.split(",")[0] == want), names[0] if names else ""
    )
    chance = _chance(logged, task)
    metrics = [_meaning(n, [s for s in samples if s.metric == n], n == first, higher, chance) for n in names]
    return samples, [replace(m, neutral=fields.neutral.get(m.name.split(",", maxsplit=1)[0])) for m in metrics]


def close_calls(logged: list[dict[str, Any]], tolerance: float) -> list[str]:
    """Return the documents whose answer hangs on less than two scorers of one model may differ by (nats).

    Multiple choice only: the margin between the best and the second choice, also after division by length.
    """
    close = []
    for row in logged:
        choices, scores = _choices(row), _scores(row)
        if scores is None:
            continue
        sizes = _sizes(choices)
        raw, normalised = np.sort(scores)[-2:], np.sort(scores / sizes)[-2:]
        if raw[1] - raw[0] < 2 * tolerance or normalised[1] - normalised[0] < 2 * tolerance / sizes.min():
            close.append(str(row["doc_id"]))
    return close


def _sample(task: str, label: str, metric: str, row: dict[str, Any], fields: Fields) -> Sample | None:
    if metric in NOT_PER_DOCUMENT:
        return None
    value = math.nan if row.get("error") else row.get(metric)
    score: float | None = None
    numerator = denominator = None
    if isinstance(value, bool | int | float | np.generic):
        score = float(value)
    elif metric == "bits_per_byte" and isinstance(value, tuple | list):
        # A log-likelihood (nats) over bytes: bits = -nats / ln 2, so that the ratio of sums is bits per byte.
        numerator, denominator = -float(value[0]) / math.log(2), float(value[1])
        score = numerator / denominator if denominator else None
    else:  # BLEU, F1, Matthews' correlation: (label, answer) of one document is not a score of it
        return None
    # A NaN log-likelihood makes argmax take the first choice, which would often be right: it is an error instead.
    valid = score is not None and math.isfinite(score) and _finite(row)
    prediction, confidence = _answer(row, normalised=metric.startswith("acc_norm"))
    truth, loglikelihood, size = _truth(row)
    length = row["doc"].get(fields.length) if fields.length else None
    keyed = [row["doc_hash"], *([row["prompt_hash"]] if fields.prompt_counts else []), row["target_hash"]]
    return Sample(
        task=task,
        sample_id=f"{row['doc_id']}-{text_digest(keyed)[:16]}",
        metric=label,
        score=score if valid else None,
        status="ok" if valid else "error",
        cluster=str(row["doc"].get(fields.cluster)) if fields.cluster else None,
        groups={name: str(row["doc"][name]) for name in fields.groups if row["doc"].get(name) is not None},
        length=int(length) if isinstance(length, int | float) else None,
        numerator=numerator,
        denominator=denominator,
        prediction=prediction if not row.get("error") else f"[{row['error']}]",
        label=_label(row),
        prompt=_prompt(row),
        confidence=confidence,
        label_probability=truth,
        loglikelihood=loglikelihood,
        n_bytes=size,
        answer_digest=text_digest([json.dumps(row["resps"], default=str)])[:16],
    )


def _choices(row: dict[str, Any]) -> list[str]:
    """Return what a multiple-choice document lets the model choose from; empty for any other kind.

    They are the scored continuations, or the contexts where one continuation is scored after each. An imported log
    holds nothing else, and its answers have to read the same.
    """
    pairs = list(row["arguments"].values()) if isinstance(row["arguments"], dict) else list(row["arguments"])
    texts = [list(p.values()) if isinstance(p, dict) else list(p) for p in pairs]
    if len(texts) < 2 or not all(len(t) == 2 and isinstance(t[1], str) for t in texts):
        return []
    half = len(texts) // 2  # mutual information asks every choice a second time, after nothing
    if all(a[1] == b[1] and a[0] and not b[0] for a, b in zip(texts[:half], texts[half:], strict=False)):
        texts = texts[:half]
    return [str(t[0 if len({t[1] for t in texts}) == 1 else 1]) for t in texts]


def _scores(row: dict[str, Any]) -> np.ndarray | None:
    """Return the log-likelihood of every choice; None for a document that is no multiple choice."""
    count, answers = len(_choices(row)), row["filtered_resps"]
    if not count or not isinstance(answers, list | tuple) or len(answers) not in {count, 2 * count}:
        return None
    return np.array([float(answer[0]) for answer in answers[:count]])


def _finite(row: dict[str, Any]) -> bool:
    answers = row["filtered_resps"] if isinstance(row["filtered_resps"], list | tuple) else []
    numbers = [a[0] for a in answers if isinstance(a, tuple | list) and a and isinstance(a[0], int | float)]
    return not any(math.isnan(number) for number in numbers)


def _answer(row: dict[str, Any], *, normalised: bool) -> tuple[str, float | None]:
    """Return what the model answered under the metric, and the probability that it gives that answer."""
    choices, logp, answers = _choices(row), _scores(row), row["filtered_resps"]
    if logp is not None:
        best = int((logp / (_sizes(choices) if normalised else 1.0)).argmax())
        return choices[best], _probability(logp, best)
    first = answers[0] if isinstance(answers, list) and answers else answers
    return (str(first) if not isinstance(first, tuple | list) else str(first[0]))[:2000], None


def _sizes(choices: list[str]) -> np.ndarray:
    """Return what acc_norm divides by: characters of each choice, without the space that sets it off."""
    return np.array([max(1, len(choice.removeprefix(" "))) for choice in choices])


def _probability(logp: np.ndarray, index: int) -> float | None:
    """Return the softmax over the choices at one of them; None where a log-likelihood is not finite."""
    if not np.isfinite(logp).all():
        return None
    weights = np.exp(logp - logp.max())
    return float(weights[index] / weights.sum())


def _truth(row: dict[str, Any]) -> tuple[float | None, float | None, int | None]:
    """Return (probability of the label among the choices, its log-likelihood in nats, its bytes), if there is one."""
    choices, logp, label = _choices(row), _scores(row), _gold(row)
    if logp is None or label is None:
        return None, None, None
    value = float(logp[label])
    return _probability(logp, label), value if math.isfinite(value) else None, len(choices[label].encode())


def _gold(row: dict[str, Any]) -> int | None:
    """Return the index of the right choice; None where there is none, or more than one."""
    choices, gold = _choices(row), row.get("gold", row["target"])
    try:
        index = int(gold)
    except (ValueError, TypeError):
        plain = [choice.removeprefix(" ") for choice in choices]
        return plain.index(gold) if isinstance(gold, str) and gold in plain else None
    return index if 0 <= index < len(choices) else None


def _label(row: dict[str, Any]) -> str:
    choices, target = _choices(row), row["target"]
    try:
        return choices[int(target)]
    except (ValueError, TypeError, IndexError):
        return str(target)


def _prompt(row: dict[str, Any]) -> str:
    first = next(iter(row["arguments"].values())) if isinstance(row["arguments"], dict) else row["arguments"][0]
    return str(next(iter(first.values())) if isinstance(first, dict) else first[0])


def _chance(logged: list[dict[str, Any]], task: Any) -> float:
    """Return the score of guessing: the mean of 1 / choices; 0 where the answer is free text."""
    if task.OUTPUT_TYPE != "multiple_choice":
        return 0.0
    counts = [len(set(_choices(row))) or 1 for row in logged]
    return float(np.mean([1.0 / count if count > 1 else 0.0 for count in counts]))


def _meaning(name: str, rows: list[Sample], primary: bool, higher: Mapping[str, bool], chance: float) -> Metric:
    base = name.split(",", maxsplit=1)[0]
    scores = {row.score for row in rows if row.score is not None}
    if any(row.denominator is not None for row in rows):
        return Metric(name, primary, "ratio_of_sums", bool(higher.get(base, False)), 0.0, 0.0)
    kind = "binary" if scores <= {0.0, 1.0} else "mean"
    return Metric(name, primary, kind, bool(higher.get(base, True)), chance if base.startswith("acc") else 0.0)  # type: ignore[arg-type]
