"""Rows of documents: nothing lost, nothing doubled, labels one to the left, and no document sees another."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distbench.data.corpus_rows import Tokens, lay_out, pack, pieces_of, windows
from distbench.data.corpus_split import split
from distbench.data.token_signal import PADDING, TokenRows
from distbench.errors import RunError, UsageError
from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU

PAD = 999


def document(*ids: int, taught: int = 1) -> Tokens:
    """A document whose tokens from `taught` on are learned."""
    return Tokens(np.asarray(ids, dtype=np.int32), np.arange(len(ids)) >= taught)


lengths = st.lists(st.integers(2, 40), min_size=1, max_size=30)


# -- packing -----------------------------------------------------------------------------------------------------------


@given(lengths, st.integers(2, 17), st.booleans())
def test_every_prediction_is_made_exactly_once(sizes: list[int], length: int, packing: bool) -> None:
    """Each document's tokens are numbers of their own, so a prediction (what comes before, what comes) is unique."""
    starts = np.cumsum([0, *sizes])
    documents = [document(*range(a, b)) for a, b in itertools.pairwise(starts)]
    rows = lay_out(documents, length, PAD * 1000, packing=packing).rows
    before, after = rows.ids[:, :-1][rows.scored], rows.ids[:, 1:][rows.scored]
    made = sorted(zip(before.tolist(), after.tolist(), strict=True))
    assert made == [(t, t + 1) for a, b in itertools.pairwise(starts) for t in range(a, b - 1)]
    assert rows.positions == sum(size - 1 for size in sizes)
    same = rows.documents[:, :-1] == rows.documents[:, 1:]
    assert bool((same & (rows.documents[:, 1:] != PADDING))[rows.scored].all())
    assert bool(((rows.documents == PADDING) == (rows.ids == PAD * 1000)).all())


@given(lengths, st.integers(40, 64))
def test_packing_cuts_nothing_and_leaves_less_than_a_row_in_most(sizes: list[int], width: int) -> None:
    rows = pack(sizes, width)
    assert sorted(index for row in rows for index in row) == list(range(len(sizes)))
    filled = [sum(sizes[i] for i in row) for row in rows]
    assert max(filled) <= width
    assert sum(fill <= width / 2 for fill in filled) <= 1  # two such rows would have fitted into one
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_windows_share_one_token_and_say_how_many_there_are() -> None:
    assert list(windows(10, 4)) == [(0, 4), (3, 7), (6, 10)]
    assert list(windows(11, 4)) == [(0, 4), (3, 7), (6, 10), (9, 11)]
    assert list(windows(2, 4)) == [(0, 2)]
    assert list(windows(1, 4)) == []


def test_a_window_without_anything_to_learn_is_left_out() -> None:
    assert [(p.start, p.stop) for p in pieces_of([document(*range(10), taught=6)], 4)] == [(3, 7), (6, 10)]


def test_the_label_of_a_position_is_the_token_to_its_right_and_prompts_do_not_count() -> None:
    layout = lay_out([document(10, 11, 12, 13, taught=2), document(20, 21, 22, taught=1)], 7, PAD, packing=True)
    rows = layout.rows
    assert rows.ids.tolist() == [[10, 11, 12, 13, 20, 21, 22, PAD]]
    assert rows.documents.tolist() == [[0, 0, 0, 0, 1, 1, 1, PADDING]]
    #                               11     12    13   │ 20     21    22   │ padding
    assert rows.scored.tolist() == [[False, True, True, False, True, True, False]]
    assert [(p.piece.document, p.row, p.column) for p in layout.places] == [(0, 0, 0), (1, 0, 4)]


def test_one_document_a_row_is_as_wide_as_the_longest() -> None:
    rows = lay_out([document(1, 2), document(3, 4, 5)], 50, PAD, packing=False).rows
    assert rows.ids.tolist() == [[1, 2, PAD], [3, 4, 5]]
    assert rows.scored.tolist() == [[True, False], [True, True]]


def test_packed_documents_are_read_as_if_each_stood_alone(sure_lm: Path) -> None:
    """Real attention boundaries: positions restart and no key of another document is seen."""
    module = HFCausal.open(sure_lm, CPU).module
    generator = torch.Generator().manual_seed(3)
    sizes = [9, 5, 14, 3, 7]
    documents = [document(*torch.randint(1, 290, (n,), generator=generator).tolist()) for n in sizes]
    layout = lay_out(documents, 24, 0, packing=True)
    assert len(layout.rows) < len(documents)
    with torch.inference_mode():
        packed = module(**layout.rows.inputs("cpu")).logits
        naive = module(layout.rows.ids[:, :-1].long()).logits
        crossed = 0.0
        for place in layout.places:
            ids = torch.from_numpy(documents[place.piece.document].ids[:-1]).long()[None]
            alone = module(ids).logits[0]
            here = slice(place.column, place.column + len(alone))
            torch.testing.assert_close(packed[place.row, here], alone, atol=2e-4, rtol=1e-4)
            crossed = max(crossed, float((naive[place.row, here] - alone).abs().max()))
    assert crossed > 0.1  # without boundaries the logits are others: the test can fail


# -- the split ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=40), st.integers(0, 5))
def test_a_duplicate_never_lies_on_both_sides_and_nothing_is_lost(keys: list[str], seed: int) -> None:
    if len(set(keys)) < 2:
        return
    found = split(keys, 0.3, seed, None)
    assert sorted(found.train + found.heldout) == list(range(len(keys)))
    assert not {keys[i] for i in found.train} & {keys[i] for i in found.heldout}
    assert found.train
    assert found.heldout


def test_the_split_depends_on_content_and_seed_and_not_on_order() -> None:
    keys = [f"document {i}" for i in range(200)]
    first, turned = split(keys, 0.1, 0, None), split(keys[::-1], 0.1, 0, None)
    assert {keys[i] for i in first.heldout} == {keys[::-1][i] for i in turned.heldout}
    assert [keys[i] for i in first.train] == [keys[::-1][i] for i in turned.train]
    assert first.train != sorted(first.train)
    other = split(keys, 0.1, 1, None)
    assert set(first.heldout) != set(other.heldout)
    assert len(first.heldout) == len(other.heldout) == 20


def test_smaller_samples_are_the_beginning_of_larger_ones_with_the_same_held_out_part() -> None:
    keys = [f"document {i}" for i in range(200)]
    small, large = split(keys, 5, 0, 10), split(keys, 5, 0, 100)
    assert large.train[:10] == small.train
    assert small.heldout == large.heldout
    assert len(small.heldout) == 5


@pytest.mark.parametrize(
    ("keys", "heldout", "samples", "core"),
    [
        ([], 0.1, None, "0 examples"),
        (["a", "a"], 0.1, None, "0 examples to learn from: 1 distinct documents"),
        (["a", "b"], 2, None, "heldout: 2 keeps 2"),
        (["a", "b", "c"], 1, 3, "samples: 3, and only 2 documents"),
    ],
)
def test_a_split_with_an_empty_side_is_refused(keys: list[str], heldout: float, samples: int | None, core: str) -> None:
    with pytest.raises(RunError, match=core):
        split(keys, heldout, 0, samples)


# -- the context -------------------------------------------------------------------------------------------------------


def test_rows_know_how_many_positions_their_longest_document_takes() -> None:
    packed = lay_out([document(*range(2, 12)), document(20, 21, 22)], 15, PAD, packing=True).rows
    assert packed.reach == 10  # all of the first document: another one stands behind it
    alone = lay_out([document(*range(2, 12)), document(20, 21, 22)], 15, PAD, packing=False).rows
    assert alone.reach == 9
    assert TokenRows(alone.ids).reach == 9


def test_a_document_beyond_a_models_context_is_refused_with_both_numbers() -> None:
    class Small:
        context_length = 9

    fits, beyond = (lay_out([document(*range(2, n))], 20, PAD, packing=True).rows for n in (11, 12))
    fits.check_context(Small(), "student")
    with pytest.raises(UsageError, match=r"documents of 10 positions .* student has 9; set data\.length to 9 or less"):
        beyond.check_context(Small(), "student")
