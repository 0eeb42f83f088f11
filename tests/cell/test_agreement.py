"""How an export is compared with its source: against models whose logits are written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from distbench.cell.agreement import (
    GREEDY_TOKENS,
    PROMPT_TOKENS,
    PROMPTS,
    agreement_of,
    kl_of_logits,
    listen,
    prompts_for,
    refuse_disagreement,
)
from distbench.compare.agreement import agreement_words
from distbench.errors import RunError
from distbench.schema.record import Agreement

WORDS = 50


class Chain:
    """After token t comes t + `step`, whatever came before; `slip` makes position `slip` say something else."""

    tokenizer: Any = None
    context_length = 256

    def __init__(self, step: int = 1, slip: int | None = None, noise: float = 0.0) -> None:
        self.step, self.slip, self.noise = step, slip, noise

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        rows = np.zeros((len(ids), WORDS), dtype=np.float32)
        for i, token in enumerate(ids):
            rows[i, (token + self.step + (i == self.slip)) % WORDS] = 5.0
        return rows + self.noise * np.random.default_rng(0).standard_normal(rows.shape).astype(np.float32)

    def continue_greedily(self, ids: Sequence[int], most: int, stop: Any = None) -> list[int]:
        written = list(ids)
        for _ in range(most):
            written.append(int(self.logits(written)[-1].argmax()))
        return written[len(ids) :]


def compared(export: Any, *, exact: bool = True) -> Agreement:
    prompts = prompts_for(Chain(), seed=0)
    return agreement_of(prompts, listen(Chain(), prompts.ids), export, exact=exact)


def test_a_model_agrees_with_itself() -> None:
    found = compared(Chain())
    assert (found.greedy_equal, found.greedy_total) == (PROMPTS * GREEDY_TOKENS, PROMPTS * GREEDY_TOKENS)
    assert (found.first_divergence, found.top1, found.kl, found.largest_difference) == (None, 1.0, 0.0, 0.0)
    assert found.positions == PROMPTS * (PROMPT_TOKENS + GREEDY_TOKENS)
    refuse_disagreement(found, "export x")
    assert agreement_words(found) == []


def test_tokens_count_up_to_the_first_that_differs() -> None:
    # the answer about position PROMPT_TOKENS + 4 is wrong: five tokens are right, and what follows is another text
    found = compared(Chain(slip=PROMPT_TOKENS + 4))
    assert found.first_divergence == 5
    assert found.greedy_equal == 5 * PROMPTS
    assert found.top1 == 1 - 1 / (PROMPT_TOKENS + GREEDY_TOKENS)
    assert found.largest_difference == 5.0


@pytest.mark.parametrize("export", [Chain(step=2), Chain(slip=3)], ids=["every token", "one position"])
def test_an_exact_export_that_says_something_else_is_refused(export: Chain) -> None:
    found = compared(export)
    with pytest.raises(RunError, match="export x: the export says something else: "):
        refuse_disagreement(found, "export x")


def test_the_refusal_says_how_far_apart_they_are() -> None:
    found = compared(Chain(step=2))
    with pytest.raises(RunError, match=r"0 of 128 greedy tokens equal, top-1 agreement 0\.0%, KL 3\.\d+ nats"):
        refuse_disagreement(found, "export x")


def test_a_lossy_export_is_reported_and_never_refused() -> None:
    found = compared(Chain(step=2), exact=False)
    refuse_disagreement(found, "export x")
    (words,) = agreement_words(found)
    assert "in a lower precision" in words
    assert "0 of 128 greedy tokens equal, the first difference at token 1; top-1 agreement 0.0%" in words


def test_rounding_alone_is_no_disagreement() -> None:
    found = compared(Chain(noise=1e-5))
    refuse_disagreement(found, "export x")
    assert 0 < found.largest_difference < 1e-3
    assert 0 < found.kl < 1e-8


def test_kl_is_that_of_the_definition() -> None:
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.5, 0.25])
    logits = np.log(np.array([p, q])).astype(np.float32)
    expected = [0.5 * np.log(2) - 0.25 * np.log(2), 0.0]
    assert kl_of_logits(logits, np.stack([logits[1], logits[1]])) == pytest.approx(expected, abs=1e-6)


class Broken(Chain):
    def __init__(self, rows: Any) -> None:
        super().__init__()
        self.rows = rows

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        return np.asarray(self.rows(super().logits(ids)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows * np.nan, "computes NaN or infinite logits"),
        (lambda rows: rows[:, :-1], r"logits of shape \[56, 49\], its source \[56, 50\]"),
    ],
)
def test_an_export_that_computes_no_numbers_is_an_error_however_lossy(change: Any, message: str) -> None:
    with pytest.raises(RunError, match=message):
        compared(Broken(change), exact=False)


def test_prompts_are_seeded_and_random_without_a_tokenizer() -> None:
    one, same, other = (prompts_for(Chain(), seed) for seed in (0, 0, 1))
    assert one == same
    assert one.ids != other.ids
    assert one.kind == "random tokens"
    assert max(map(max, one.ids)) < WORDS


def test_a_short_context_shortens_the_prompts() -> None:
    model = Chain()
    model.context_length = GREEDY_TOKENS + 3
    assert {len(ids) for ids in prompts_for(model, 0).ids} == {3}
