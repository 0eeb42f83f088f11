"""From questions about long texts to sample rows: ask, score, and never truncate."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from distbench.data.long_context import Context
from distbench.hashing import text_digest
from distbench.protocols import Sample
from distbench.tasks.ask import Watch, continuations, loglikelihoods

BATCH_TOKENS: Final = 4096  # a batch's logits take tokens × vocabulary × 4 bytes: 0.8 GB for 49,152 words
QUARTERS: Final = ("0–25 %", "25–50 %", "50–75 %", "75–100 %")
TOKENS_A_NUMBER: Final = 8  # five digits at a token each, with a space and a comma


@dataclass(frozen=True)
class Asked:
    """One question with its text: `prompt` is followed by a space and one of `choices`; `choices[gold]` is right."""

    id: str
    cluster: str | None
    length: int
    prompt: str
    choices: tuple[str, ...]
    gold: int
    depth: float

    @property
    def numbers(self) -> list[str]:
        """The right answer's numbers."""
        return re.findall(r"\d+", self.choices[self.gold])


def asked_of(texts: Sequence[Context], count: int) -> list[Asked]:
    """Return the first `count` questions of the texts; the text is the cluster where it has several questions."""
    found: list[Asked] = []
    for index, context in enumerate(texts):
        cluster = f"{context.length}/{index}" if len(context.questions) > 1 else None
        for number, question in enumerate(context.questions):
            prompt = context.text + question.stem
            name = f"{context.length}-{index}-{number}-{text_digest([prompt, *question.choices])[:16]}"
            found.append(Asked(name, cluster, context.length, prompt, question.choices, question.gold, question.depth))
    return found[:count]


def token_range(tokenizer: Any, asked: Sequence[Asked]) -> tuple[int, int]:
    """Return the fewest and the most tokens that a prompt with its longest answer has for this tokenizer."""
    texts = [f"{item.prompt} {max(item.choices, key=len)}" for item in asked]
    counts = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    return min(counts), max(counts)


def chosen(model: Any, task: str, asked: Sequence[Asked], longest: int, watch: Watch) -> list[Sample]:
    """Ask for the most likely choice. `longest` (tokens) bounds the batch."""
    pairs = [(item.prompt, f" {choice}") for item in asked for choice in item.choices]
    scores = iter(loglikelihoods(model, pairs, watch, batch_size=max(1, BATCH_TOKENS // longest)))
    return [_of_choices(task, item, [next(scores)[0] for _ in item.choices]) for item in asked]


def written(model: Any, task: str, asked: Sequence[Asked], longest: int, watch: Watch) -> list[Sample]:
    """Ask for a greedy continuation; its first numbers must be the answer's, in order."""
    texts = continuations(
        model,
        [item.prompt for item in asked],
        watch,
        max_tokens=answer_tokens(asked),
        stop=["\n"],
        batch_size=max(1, BATCH_TOKENS // longest),
    )
    return [_of_text(task, item, text) for item, text in zip(asked, texts, strict=True)]


def answer_tokens(asked: Sequence[Asked]) -> int:
    """Return how many tokens an answer may take."""
    return TOKENS_A_NUMBER * max(len(item.numbers) for item in asked) + TOKENS_A_NUMBER


def left_out(task: str, metric: str, asked: Sequence[Asked], reason: str) -> list[Sample]:
    """Return rows that say why they were not run."""
    return [_sample(task, metric, item, score=None, status="not_run", prediction=reason) for item in asked]


def _of_choices(task: str, item: Asked, scores: list[float]) -> Sample:
    # With a NaN argmax takes the first choice, which is sometimes right: it is an error instead.
    valid = not any(math.isnan(score) for score in scores)
    logp = np.array(scores)
    best = int(logp.argmax()) if valid else 0
    weights = np.exp(logp - logp.max())
    shares = weights / weights.sum()
    return _sample(
        task,
        "acc",
        item,
        score=float(best == item.gold) if valid else None,
        status="ok" if valid else "error",
        prediction=item.choices[best] if valid else "",
        confidence=float(shares[best]) if valid else None,
        label_probability=float(shares[item.gold]) if valid else None,
        loglikelihood=scores[item.gold] if valid else None,
        answer_digest=text_digest(repr(score) for score in scores)[:16],
    )


def _of_text(task: str, item: Asked, text: str) -> Sample:
    # "48,213" is 48213, while "48213, 10000" are two numbers.
    found = re.findall(r"\d+", re.sub(r"(?<=\d),(?=\d{3}\b)", "", text))
    right = found[: len(item.numbers)] == item.numbers
    return _sample(
        task, "exact_match", item, score=float(right), prediction=text.strip(), answer_digest=text_digest([text])[:16]
    )


def _sample(task: str, metric: str, item: Asked, **given: Any) -> Sample:
    quarter = QUARTERS[min(3, int(item.depth * 4))]
    return Sample(
        task=task,
        sample_id=item.id,
        metric=metric,
        cluster=item.cluster,
        groups={"depth": quarter},
        length=item.length,
        label=item.choices[item.gold],
        prompt=item.prompt,
        **given,
    )
