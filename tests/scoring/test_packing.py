"""Tries and rows: every request finds its own tokens on its own path, each distinct prefix is there once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distbench.scoring import packing, trie
from distbench.scoring.packing import MIN_PREFIX, Segment, pack
from distbench.scoring.requests import Request, Tokens, request_of
from distbench.scoring.trie import Row, common_prefix, order
from tests.scoring.models import choices, request


@st.composite
def request_lists(draw: st.DrawFn) -> list[Request]:
    """Requests over few tokens, many of them built on one another, equal, or prefixes of one another."""
    texts: list[list[int]] = []
    for _ in range(draw(st.integers(0, 12))):
        stem = draw(st.sampled_from(texts)) if texts and draw(st.booleans()) else []
        stem = stem[: draw(st.integers(0, len(stem)))]
        texts.append(stem + draw(st.lists(st.integers(0, 2), min_size=0 if len(stem) > 1 else 2, max_size=90)))
    return [request(text, draw(st.integers(1, len(text) - 1))) for text in texts]


def parents(row: Row) -> list[int]:
    """Return each node's parent: the last node before it that is not closed and one position higher; −1 for none."""
    return [
        max((j for j in range(i) if row.end[j] > i and row.depth[j] == row.depth[i] - 1), default=-1)
        for i in range(len(row))
    ]


def path(row: Row, node: int) -> list[int]:
    above, found = parents(row), [node]
    while above[found[-1]] >= 0:
        found.append(above[found[-1]])
    return found[::-1]


def check(segment: Segment, requests: list[Request]) -> list[int]:
    """Check a segment against its requests; return which they are."""
    for row in segment.rows:
        nodes = np.arange(len(row))
        mask = (nodes[:, None] >= nodes[None, :]) & (nodes[:, None] < np.asarray(row.end)[None, :])
        for i in range(len(row)):
            assert np.flatnonzero(mask[i]).tolist() == path(row, i)
        for scored in row.scored:
            want = requests[scored.index]
            nodes_of = path(row, int(scored.nodes[-1]))
            found = [*segment.prefix.tolist(), *(row.tokens[n] for n in nodes_of)]
            assert found == want.tokens.tolist()
            assert [row.depth[n] for n in nodes_of] == list(range(len(segment.prefix), len(want.tokens)))
            assert nodes_of[len(nodes_of) - len(want.targets) :] == scored.nodes.tolist()
            assert scored.targets.tolist() == want.targets.tolist()
        siblings = [(parent, token) for parent, token in zip(parents(row), row.tokens, strict=True)]
        assert len(set(siblings)) == len(siblings), "a prefix is there twice"
    return [scored.index for row in segment.rows for scored in row.scored]


@settings(max_examples=150, deadline=None)
@given(request_lists(), st.integers(4, 200))
def test_every_request_finds_its_own_path(requests: list[Request], budget: int) -> None:
    found = [index for segment in pack(requests, budget) for index in check(segment, requests)]
    assert sorted(found) == list(range(len(requests)))


@settings(max_examples=100, deadline=None)
@given(request_lists(), st.integers(4, 200))
def test_shared_names_exactly_those_that_are_not_scored_as_if_alone(requests: list[Request], budget: int) -> None:
    for segment in pack(requests, budget):
        alone = set() if len(segment.prefix) else {row.scored[0].index for row in segment.rows}
        everyone = {scored.index for row in segment.rows for scored in row.scored}
        assert set(segment.shared) == everyone - alone
        for row in segment.rows:
            for scored in row.scored:
                nodes = path(row, int(scored.nodes[-1]))
                assert scored.strangers == len(set(range(nodes[0], nodes[-1])) - set(nodes))


@settings(max_examples=60, deadline=None)
@given(request_lists())
def test_one_row_holds_each_distinct_prefix_once(requests: list[Request]) -> None:
    segments = pack(requests, 10**6)
    prefixes = {tuple(each.tokens[:n].tolist()) for each in requests for n in range(1, len(each.tokens) + 1)}
    assert sum(len(row) for segment in segments for row in segment.rows) == len(prefixes)


def test_nothing_gives_nothing() -> None:
    assert pack([], 100) == []


def test_a_chain_is_a_row_without_branches() -> None:
    one, longer, other = request([1, 2, 3], 1), request([1, 2, 3, 4], 2), request([1, 5, 6], 1)
    assert pack([one, longer], 100)[0].rows[0].chain
    assert pack([one], 100)[0].rows[0].chain
    assert not pack([one, other], 100)[0].rows[0].chain


def test_requests_of_one_token_and_equal_requests_share_their_node() -> None:
    one = [request([7, t], 1) for t in (1, 2, 1)]
    (segment,) = pack(one, 100)
    (row,) = segment.rows
    assert row.tokens == [7]
    assert [scored.nodes.tolist() for scored in row.scored] == [[0]] * 3


def test_a_long_context_of_many_requests_is_computed_once_and_cached() -> None:
    shared = choices(documents=40, context=30, shots=400)
    segments = pack(shared, 128)
    (segment,) = segments
    assert len(segment.prefix) == 400
    assert len(segment.rows) > 1
    asked = sum(len(each.tokens) for each in shared)
    run = len(segment.prefix) + sum(len(row) for row in segment.rows)
    assert run < asked / 10
    assert sorted(check(segment, shared)) == list(range(len(shared)))


def test_parts_that_share_much_more_than_the_rest_have_a_prefix_of_their_own() -> None:
    one, two = (choices(documents=30, context=30, shots=300, seed=seed) for seed in (1, 2))
    mixed = [each for pair in zip(one, two, strict=False) for each in pair]
    found = pack(mixed, 128)
    assert sorted(len(segment.prefix) for segment in found) == [300, 300]
    assert sorted(i for segment in found for i in check(segment, mixed)) == list(range(len(mixed)))


def test_a_short_common_beginning_is_not_worth_a_pass_of_its_own() -> None:
    shared = choices(documents=60, context=30, shots=MIN_PREFIX - 1)
    assert {len(segment.prefix) for segment in pack(shared, 128)} == {0}


def test_a_prefix_beyond_the_budget_is_cached_for_a_single_row_too() -> None:
    """Its mask would hold the square of its tokens."""
    (segment,) = pack([request([1] * 5000 + [t, t], 2) for t in (2, 3)], 512)
    assert len(segment.prefix) == 4999
    assert [len(row) for row in segment.rows] == [3]


def test_a_row_is_bounded_unless_one_context_needs_more() -> None:
    for segment in pack(choices(documents=100, context=60), 200):
        assert all(len(row) <= 400 for row in segment.rows)


def test_a_hundred_thousand_requests_are_packed_with_a_few_comparisons_each(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counted(a: Tokens, b: Tokens) -> int:
        nonlocal compared
        compared += 1
        return common_prefix(a, b)

    monkeypatch.setattr(packing, "common_prefix", counted)
    monkeypatch.setattr(trie, "common_prefix", counted)
    random = np.random.default_rng(0)
    many = [request([*([d] * 10), *random.integers(0, 50, 6).tolist()], 6) for d in range(25_000) for _ in range(4)]
    segments = pack(many, 512)
    assert compared < 3.5 * len(many)
    assert sum(len(row.scored) for segment in segments for row in segment.rows) == 100_000


def test_prefixes_within_prefixes_do_not_exhaust_the_stack() -> None:
    """Every request begins with the whole of the one before it: the deepest nesting there is."""
    text = np.random.default_rng(0).integers(0, 50, 20_000).tolist()
    nested = [request([*text[:n], 60 + twist], 1) for n in range(200, 20_000, 200) for twist in (0, 1)]
    found = [scored.index for segment in pack(nested, 64) for row in segment.rows for scored in row.scored]
    assert sorted(found) == list(range(len(nested)))


def test_the_order_puts_shared_prefixes_side_by_side() -> None:
    texts = [[300, 1, 1], [2, 1, 1], [300, 1, 2], [2, 1], [65_536, 0]]
    ranked = [texts[i] for i in order([request([*text, 0], 1) for text in texts])]
    assert ranked == sorted(texts)
    assert [common_prefix(np.asarray(a), np.asarray(b)) for a, b in pairwise(ranked)] == [2, 0, 2, 0]


def test_a_request_too_long_loses_tokens_on_the_left_as_in_lm_eval() -> None:
    each = request_of(list(range(10)), [10, 11], limit=4)
    assert (each.tokens.tolist(), each.targets.tolist(), each.first) == ([7, 8, 9, 10], [10, 11], 2)
    whole = request_of([5], [6, 7, 8], limit=3)
    assert (whole.tokens.tolist(), whole.first) == ([5, 6, 7], 0)


@pytest.mark.parametrize(("context", "target"), [([], [1]), ([1], []), ([1], [1, 2, 3, 4, 5])])
def test_what_cannot_be_scored_is_an_error(context: list[int], target: list[int]) -> None:
    with pytest.raises(ValueError, match=r"at least one token|does not fit"):
        request_of(context, target, limit=4)
