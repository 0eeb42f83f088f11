"""Universal logit distillation, and where two tokenisations of one text meet."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_losses import Q, logits_like, loss_of

from distbench.errors import UsageError
from distbench.losses.alignment import aligned
from distbench.losses.chunked import chunked_sum
from distbench.losses.target import Full, Softened, Target

NO_LABEL = torch.tensor([0])
OTHER = [0.1, 0.6, 0.2, 0.05, 0.05]  # in falling order .6 .2 .1 .05 .05, beside .5 .3 .2


def test_falling_probabilities_by_hand() -> None:
    target = Target(NO_LABEL, Full([logits_like(OTHER, 5.0)]))
    assert float(loss_of("uld")(logits_like(Q, -2.0), target)) == pytest.approx(0.1 + 0.1 + 0.1 + 0.05 + 0.05)
    assert float(loss_of("uld", top_k=2)(logits_like(Q), target)) == pytest.approx(
        0.1 + 0.1 + 0.0
    )  # the rests are equal
    assert float(loss_of("uld", top_k=1)(logits_like(Q), target)) == pytest.approx(0.1 + 0.1)
    assert float(loss_of("uld", top_k=99)(logits_like(Q), target)) == pytest.approx(0.4)


def test_the_gradient_by_hand() -> None:
    """q = (.2, .5, .3): sorted .5 .3 .2 against .6 .2 .1, so the loss falls by .5 and rises by .3 and .2."""
    leaf = logits_like(Q).requires_grad_()
    loss_of("uld")(leaf, Target(NO_LABEL, Full([logits_like(OTHER)]))).backward()
    slopes, mean = torch.tensor([1.0, -1.0, 1.0]), 0.2 - 0.5 + 0.3
    assert leaf.grad[0].tolist() == pytest.approx([q * float(s - mean) for q, s in zip(Q, slopes, strict=True)])


def test_the_order_of_tokens_does_not_matter() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(6, 9, dtype=torch.float64), torch.randn(6, 14, dtype=torch.float64)
    loss, labels = loss_of("uld", temperature=2.0), torch.zeros(6, dtype=torch.long)
    one = loss(student, Target(labels, Full([teacher])))
    other = loss(student[:, torch.randperm(9)], Target(labels, Full([teacher[:, torch.randperm(14)]])))
    assert float(one) == pytest.approx(float(other), rel=1e-12)
    assert float(loss(student, Target(labels, Full([student.flip(1)])))) == pytest.approx(0.0, abs=1e-12)
    assert float(one) == pytest.approx(4 * float(loss_of("uld")(student / 2, Target(labels, Full([teacher / 2])))))


@given(seed=st.integers(0, 10_000), k=st.integers(1, 20))
def test_the_largest_and_the_rest_give_a_lower_bound(seed: int, k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (3 * torch.randn(3, size, generator=generator, dtype=torch.float64) for size in (12, 17))
    target = Target(torch.zeros(3, dtype=torch.long), Full([teacher]))
    part, whole = float(loss_of("uld", top_k=k)(student, target)), float(loss_of("uld")(student, target))
    assert 0.0 <= part <= whole + 1e-12


def test_extreme_logits_stay_finite() -> None:
    student = torch.tensor([[1e4, -1e4, 0.0]]).requires_grad_()
    found = loss_of("uld")(student, Target(NO_LABEL, Full([torch.tensor([[-1e4, 1e4, -torch.inf, 0.0]])])))
    found.backward()
    assert found.item() == pytest.approx(0.0, abs=1e-6)
    assert bool(torch.isfinite(student.grad).all())


def test_in_chunks_over_another_vocabulary() -> None:
    torch.manual_seed(1)
    hidden, weight = torch.randn(7, 4).double().requires_grad_(), torch.randn(11, 4).double().requires_grad_()
    target = Target(torch.zeros(7, dtype=torch.long), Full([torch.randn(7, 19).double()]))
    loss = loss_of("uld", top_k=5)
    expected, found = loss(hidden @ weight.t(), target), chunked_sum(hidden, weight, None, target.rows, [(1, loss)], 3)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, [hidden, weight]), torch.autograd.grad(expected, [hidden, weight]), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_other_targets_are_refused() -> None:
    logp = logits_like(Q)
    for teacher in (None, Softened(logp, 1.0), Full([logp, logp], (0.5, 0.5))):
        with pytest.raises(UsageError, match="logits of one teacher"):
            loss_of("uld")(logp, Target(NO_LABEL, teacher))


def offsets(text: str, *tokens: str) -> list[tuple[int, int]]:
    assert "".join(tokens) == text
    found, start = [], 0
    for token in tokens:
        found.append((start, start + len(token)))
        start += len(token)
    return found


def test_positions_that_have_read_the_same() -> None:
    ours = offsets("the cats sat", "the", " cat", "s", " sat")
    theirs = offsets("the cats sat", "th", "e", " cats", " ", "sat")
    assert aligned(ours, theirs) == ([0, 2, 3], [1, 2, 4])


def test_tokens_without_characters_stand_for_the_start_only() -> None:
    text = offsets("ab", "a", "b")
    with_marks, without = [(0, 0), *text, (0, 0)], text
    assert aligned(with_marks, with_marks) == ([0, 1, 2], [0, 1, 2])
    assert aligned(with_marks, without) == ([1, 2], [0, 1])
    assert aligned([*text, (2, 2)], text) == ([0, 1], [0, 1])


def test_the_last_byte_of_a_symbol_has_read_it() -> None:
    in_bytes = [(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)]
    assert aligned(in_bytes, [(0, 1), (1, 2), (2, 3)]) == ([0, 3, 4], [0, 1, 2])


def test_texts_that_never_meet() -> None:
    assert aligned([(0, 2)], [(0, 1), (1, 3)]) == ([], [])
    assert aligned([], [(0, 1)]) == ([], [])


@given(st.text(alphabet="ab ", min_size=1, max_size=30), st.data())
def test_the_end_of_a_text_is_always_common(text: str, data: st.DataObject) -> None:
    def cut() -> list[tuple[int, int]]:
        inner = sorted(data.draw(st.sets(st.integers(1, len(text)), max_size=len(text))) | {len(text)})
        return list(zip([0, *inner[:-1]], inner, strict=True))

    one, other = cut(), cut()
    ours, theirs = aligned(one, other)
    assert [one[i][1] for i in ours] == [other[j][1] for j in theirs]
    assert len(ours) == len({end for _, end in one} & {end for _, end in other})
    assert (ours[-1], theirs[-1]) == (len(one) - 1, len(other) - 1)
    assert aligned(one, one) == (list(range(len(one))), list(range(len(one))))


def test_offsets_of_a_tokenizer_are_what_is_read(tiny_lm: Path) -> None:
    from transformers import AutoTokenizer

    text = "the cats — very kind"
    tokenizer = AutoTokenizer.from_pretrained(tiny_lm)
    found = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    words = offsets(text, "the", " cats", " —", " very", " kind")
    ours, theirs = aligned(found, words)
    assert [found[i][1] for i in ours] == [words[j][1] for j in theirs]
    assert theirs[-1] == len(words) - 1
    assert 2 in theirs  # after the dash, which is three bytes
