"""Does the student write what the teacher writes? Overlap of free text, pair by pair; reported, not gated.

The teacher's text is the reference. A pair that a measure can say nothing about has None, never 0: two empty texts, or
for ROUGE-L two texts without a single token that it knows.
"""

from __future__ import annotations

from collections.abc import Sequence


def exact_match(student: Sequence[str], teacher: Sequence[str]) -> list[float]:
    """Return 1.0 for each pair of texts that are equal but for white space at both ends, else 0.0.

    Raises `ValueError` for sequences that do not pair up.
    """
    return [float(s.strip() == t.strip()) for s, t in _pairs(student, teacher)]


def chrf(student: Sequence[str], teacher: Sequence[str]) -> list[float | None]:
    """Return the sentence-level chrF2 of each pair, in [0, 1] (Popović 2015: F2 of character 1- to 6-grams).

    It is sacrebleu's with its defaults, divided by 100; no word boundaries, so it serves any script. Raises
    `ValueError` for sequences that do not pair up.
    """
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    # Characters are counted without white space, so a text of nothing else is empty.
    return [
        metric.sentence_score(s, [t]).score / 100 if s.strip() or t.strip() else None
        for s, t in _pairs(student, teacher)
    ]


def rouge_l(student: Sequence[str], teacher: Sequence[str]) -> list[float | None]:
    """Return the ROUGE-L F-measure of each pair, in [0, 1] (Lin 2004: longest common subsequence of tokens).

    It is rouge-score's without stemming, whose tokens are runs of a–z and 0–9 in lower case: texts in other scripts
    have none. Use `chrf` for those. Raises `ValueError` for sequences that do not pair up.
    """
    from rouge_score import rouge_scorer, tokenizers  # type: ignore[import-untyped]

    tokens = tokenizers.DefaultTokenizer(use_stemmer=False)
    metric = rouge_scorer.RougeScorer(["rougeL"], tokenizer=tokens)
    return [
        float(metric.score(t, s)["rougeL"].fmeasure) if tokens.tokenize(s) or tokens.tokenize(t) else None
        for s, t in _pairs(student, teacher)
    ]


def _pairs(student: Sequence[str], teacher: Sequence[str]) -> list[tuple[str, str]]:
    if isinstance(student, str) or isinstance(teacher, str):
        raise ValueError("texts must come as a sequence of texts, not as one text")
    if len(student) != len(teacher) or len(student) == 0:
        raise ValueError(f"texts must pair up: {len(student)} of the student, {len(teacher)} of the teacher")
    for name, texts in (("student", student), ("teacher", teacher)):
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"{name}[{position}] is no text; leave the sample out or name the failure")
    return list(zip(student, teacher, strict=True))
