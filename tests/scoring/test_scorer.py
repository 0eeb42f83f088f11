"""The scorer answers as the model does by itself, or refuses with a reason."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from distbench.scoring import scorer as scorer_module
from distbench.scoring.limits import attention_window, refuse_by_length
from distbench.scoring.requests import Answer, NotHonouredError, Request
from distbench.scoring.scorer import FEWEST, MOST, USUAL, Scores, SharedPrefixScorer
from tests.scoring.models import CONFIGS, choices, make, plain, request

EXACT = ("llama", "gpt2", "gpt-neox", "qwen2", "qwen3", "phi", "opt", "gemma")


def agree(module: Any, requests: list[Request], scores: Scores, tolerance: float = 1e-4) -> None:
    for each, answer in zip(requests, scores.answers, strict=True):
        want, greedy = plain(module, each)
        assert answer.logprob == pytest.approx(want, abs=tolerance)
        assert answer.greedy == greedy


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", EXACT)
def test_answers_are_the_models_own(name: str, attention: str) -> None:
    module, requests = make(name, attention=attention), choices(documents=30)
    scores = SharedPrefixScorer(module).score(requests)
    agree(module, requests, scores)
    assert scores.tokens_run < scores.tokens_asked / 2
    assert scores.check.largest <= USUAL["float32"]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", EXACT)
def test_a_cached_prefix_changes_nothing(name: str, attention: str) -> None:
    module = make(name, attention=attention)
    scorer = SharedPrefixScorer(module)
    scorer._budget = 64
    requests = choices(documents=20, shots=120)
    scores = scorer.score(requests)
    agree(module, requests, scores)
    assert scores.tokens_run < scores.tokens_asked / 8


def test_the_longest_request_the_positions_allow_shares_a_row() -> None:
    """Rows are longer than the table of positions of GPT-2; depths are not."""
    module = make("gpt2")
    requests = [request([*range(1, 50)] * 5 + [t] * 12, 8) for t in (1, 2, 3)] + choices(documents=60)
    assert max(len(each.tokens) for each in requests) == 256
    agree(module, requests, SharedPrefixScorer(module).score(requests))


def test_long_documents_are_scored_from_their_first_token() -> None:
    """What a rolling log-likelihood asks: everything but the first token is a target."""
    module = make("llama")
    random = np.random.default_rng(0)
    requests = [request(random.integers(1, 60, n).tolist(), n - 1) for n in (2, 3, 100, 200, 256)]
    agree(module, requests, SharedPrefixScorer(module).score(requests), tolerance=1e-3)


@pytest.mark.parametrize("case", ["one", "none", "equal", "prefix of another", "single tokens"])
def test_small_cases(case: str) -> None:
    module = make("llama")
    requests = {
        "one": [request([1, 2, 3], 1)],
        "none": [],
        "equal": [request([1, 2, 3], 1)] * 5,
        "prefix of another": [request([1, 2, 3], 2), request([1, 2, 3, 4, 5], 2), request([1, 2, 3, 4, 5], 4)],
        "single tokens": [request([7, t], 1) for t in range(20)],
    }[case]
    scores = SharedPrefixScorer(module).score(requests)
    agree(module, requests, scores)
    assert len({(a.logprob, a.greedy) for a in scores.answers}) == len({plain(module, each) for each in requests})


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.1), ("float16", 0.02)])
def test_sixteen_bits_are_within_their_documented_tolerance(dtype: str, tolerance: float) -> None:
    assert USUAL[dtype] == tolerance
    module, requests = make("llama", dtype=dtype), choices(documents=30)
    scores = SharedPrefixScorer(module).score(requests)
    worst = max(
        abs(answer.logprob - plain(module, each)[0]) / len(each.targets) ** 0.5
        for each, answer in zip(requests, scores.answers, strict=True)
    )
    assert worst <= tolerance
    assert 0 < scores.check.largest <= tolerance * 3


def test_the_head_sees_the_scored_positions_alone() -> None:
    module, requests = make("llama"), choices(documents=30, context=40)
    scorer = SharedPrefixScorer(module)
    rows = 0

    def count(_: Any, given: tuple[Any, ...], __: Any) -> None:
        nonlocal rows
        rows += given[0].numel() // given[0].shape[-1]

    hook = module.lm_head.register_forward_hook(count)
    segments = scorer_module.pack(requests, scorer._budget)
    for segment in segments:
        list(scorer._forward.run(segment, scorer._batch.size))
    hook.remove()
    places = {
        (i, j, int(node))
        for i, segment in enumerate(segments)
        for j, row in enumerate(segment.rows)
        for scored in row.scored
        for node in scored.nodes
    }
    assert rows == len(places)
    assert rows < sum(len(each.tokens) for each in requests) / 4


def test_logits_are_made_a_bounded_number_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from distbench.scoring import forward

    module, requests = make("llama"), choices(documents=20)
    whole = SharedPrefixScorer(module).score(requests)
    monkeypatch.setattr(forward, "HEAD_BYTES", 4 * 61 * 3)
    sizes: list[int] = []
    hook = module.lm_head.register_forward_hook(lambda _, given, __: sizes.append(given[0].shape[-2]))
    scorer = SharedPrefixScorer(module)
    monkeypatch.setattr(scorer._forward, "plain", lambda each: Answer(*plain(module, each)))
    monkeypatch.setattr(scorer._forward, "beside_head", lambda each: None)
    parts = scorer.score(requests)
    hook.remove()
    small = [size for size in sizes if size <= 3]
    assert len(small) > 10
    for a, b in zip(whole.answers, parts.answers, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=1e-5)


# -- models that cannot ------------------------------------------------------------------------------------------------


def refused(module: Any, requests: list[Request]) -> str:
    with pytest.raises(NotHonouredError) as caught:
        SharedPrefixScorer(module).score(requests)
    return str(caught.value)


@pytest.mark.parametrize("name", ["mistral", "gemma3"])
def test_a_window_shorter_than_a_request_is_refused(name: str) -> None:
    module = make(name)
    assert "window of 16 tokens is shorter than a request of" in refused(module, choices(context=30))
    short = choices(context=10, answer=3)
    agree(module, short, SharedPrefixScorer(module).score(short))


def test_rows_wider_than_the_window_are_fine_while_requests_are_not() -> None:
    """A cache made for a sliding window would forget the prefix."""
    module = make("mistral")
    module.config.sliding_window = 140
    scorer = SharedPrefixScorer(module)
    scorer._budget = 64
    requests = choices(documents=20, shots=110)
    scores = scorer.score(requests)
    agree(module, requests, scores)
    assert scores.tokens_run < scores.tokens_asked / 8


@pytest.mark.parametrize("name", ["gemma2", "cohere"])
def test_what_stands_behind_the_head_is_seen(name: str) -> None:
    assert refused(make(name), choices()) == "its logits are changed behind the head (a soft cap or a scale)"


def test_what_stands_before_the_head_is_seen() -> None:
    import torch

    module = make("llama")
    head = module.lm_head

    class Scaled(torch.nn.Module):
        weight = head.weight

        def forward(self, hidden: Any) -> Any:
            return head(hidden)

    module.lm_head = Scaled()
    own = module.forward

    def forward(**given: Any) -> Any:
        hook = module.lm_head.register_forward_pre_hook(lambda _, args: (args[0] / 2,))
        try:
            return own(**given)
        finally:
            hook.remove()

    module.forward = forward
    assert "hidden states are changed" in refused(module, choices())


def test_a_state_space_model_is_refused() -> None:
    assert "mask and positions of our own" in refused(make("mamba"), choices())


def test_alibi_is_refused() -> None:
    module, requests = make("bloom"), choices()
    assert "mask and positions of our own" in refused(module, requests)


def test_local_attention_by_place_in_the_row_is_refused() -> None:
    """GPT-Neo's local layers look at places in the row, not at positions."""
    assert "window of 16" in refused(make("gpt-neo"), choices(context=30))
    assert "share a row" in refused(make("gpt-neo"), choices(context=10, answer=3))


def test_a_rotary_embedding_that_follows_the_longest_request_is_refused() -> None:
    module = make("phi3-longrope")
    assert "changes for every sequence of a batch" in refused(module, choices(context=60))
    short = choices(context=20, answer=3)
    agree(module, short, SharedPrefixScorer(module).score(short))


class Deaf:
    """A backbone that ignores what it is told about masks (or positions)."""

    def __init__(self, module: Any, deaf_to: str) -> None:
        own = module.base_model.forward

        def forward(*args: Any, **given: Any) -> Any:
            return own(*args, **(given | {deaf_to: None}))

        module.base_model.forward = forward


@pytest.mark.parametrize("deaf_to", ["attention_mask", "position_ids"])
@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_ignores_mask_or_positions_is_caught(deaf_to: str, seed: int) -> None:
    module = make("llama", seed=seed)
    Deaf(module, deaf_to)
    assert "its answers change when sequences share a row" in refused(module, choices(documents=4, seed=seed))


@pytest.mark.parametrize("deaf_to", ["attention_mask", "position_ids"])
def test_it_is_caught_where_few_requests_share_a_row(deaf_to: str) -> None:
    """Fifty requests that fill rows of their own are right whatever the mask; the two that share one are wrong."""
    module = make("llama")
    Deaf(module, deaf_to)
    random = np.random.default_rng(0)
    alone = [request(random.integers(1, 30, 250).tolist(), 3) for _ in range(50)]
    shared = [request([50, *random.integers(30, 60, 9).tolist()], 3) for _ in range(2)]
    scorer = SharedPrefixScorer(module)
    scorer._budget = 255
    with pytest.raises(NotHonouredError, match="share a row"):
        scorer.score(alone + shared)


def test_it_is_found_before_all_is_computed() -> None:
    module = make("llama")
    Deaf(module, "attention_mask")
    scorer = SharedPrefixScorer(module)
    answered = 0

    def watch(done: int, total: int) -> None:
        nonlocal answered
        answered = done

    with pytest.raises(NotHonouredError):
        scorer.score(choices(documents=200, context=30), watch)
    assert 0 < answered < 100


def test_nan_weights_give_nan_and_no_difference() -> None:
    """Both ways say the same: there is no number. The sample becomes an error; JSON never sees a NaN."""
    import torch

    module = make("llama")
    with torch.no_grad():
        module.lm_head.weight[:] = math.nan
    scores = SharedPrefixScorer(module).score(choices())
    assert all(math.isnan(answer.logprob) for answer in scores.answers)
    assert scores.check.compared == 0
    assert json.dumps(asdict(scores.check), allow_nan=False)


def test_a_nan_of_the_packed_pass_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = SharedPrefixScorer(make("llama"))
    monkeypatch.setattr(scorer._forward, "plain", lambda each: Answer(math.nan, False))
    with pytest.raises(NotHonouredError, match="by nan nats"):
        scorer.score(choices())


def test_an_impossible_token_is_minus_infinity_both_ways() -> None:
    import torch

    module = make("llama")
    with torch.no_grad():
        module.lm_head.bias = torch.nn.Parameter(torch.zeros(61))
        module.lm_head.bias[5] = -math.inf
    scores = SharedPrefixScorer(module).score([request([1, 2, 5], 1), request([1, 2, 6], 1)])
    assert scores.answers[0].logprob == -math.inf
    assert math.isfinite(scores.answers[1].logprob)
    assert math.isfinite(scores.check.largest)


def test_running_out_of_memory_is_not_called_a_property_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = SharedPrefixScorer(make("llama"))

    def full(*_: Any) -> Any:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(scorer._forward, "_hidden", full)
    with pytest.raises(RuntimeError, match="out of memory"):
        scorer.score(choices())


def test_the_check_depends_on_the_requests_alone() -> None:
    """What a record says must not depend on what the same process scored before."""
    scorer = SharedPrefixScorer(make("llama"))
    first, second = (scorer.score(choices(documents=30)) for _ in range(2))
    assert first == second
    assert first.check.compared == FEWEST
    assert scorer.score(choices(documents=150, context=4)).check.compared == MOST


def test_progress_counts_every_request_once() -> None:
    heard: list[tuple[int, int]] = []
    SharedPrefixScorer(make("llama")).score(choices(documents=5), lambda done, total: heard.append((done, total)))
    assert heard == [(i + 1, 20) for i in range(20)]


def test_every_configuration_here_says_its_window() -> None:
    import transformers

    windows = {}
    for name, (family, given) in CONFIGS.items():
        config = getattr(transformers, f"{family}{'Text' if family == 'Gemma3' else ''}Config")(**given)
        windows[name] = attention_window(config)
    assert {name for name, window in windows.items() if window} == {"mistral", "gemma2", "gemma3", "gpt-neo"}


@pytest.mark.parametrize(
    ("family", "given", "window"),
    [
        ("Llama4Text", {"attention_chunk_size": 99}, 99),
        ("Qwen2", {"sliding_window": 99}, None),
        ("Qwen2", {"sliding_window": 99, "use_sliding_window": True, "max_window_layers": 1}, 99),
        ("Mistral", {"sliding_window": None}, None),
        ("Phi3", {"sliding_window": 99}, 99),
    ],
)
def test_windows_by_all_their_names(family: str, given: dict[str, Any], window: int | None) -> None:
    import transformers

    config = getattr(transformers, f"{family}Config")(num_hidden_layers=4, **given)
    assert attention_window(config) == window
    refuse_by_length(config, 99)
    if window is not None:
        with pytest.raises(NotHonouredError, match="window of 99 tokens is shorter than a request of 100"):
            refuse_by_length(config, 100)


def test_the_window_of_a_text_model_inside_another_is_found() -> None:
    from transformers import Gemma3Config

    config = Gemma3Config(text_config={"sliding_window": 99})
    with pytest.raises(NotHonouredError, match="window of 99"):
        refuse_by_length(config, 100)


def test_a_configuration_without_any_of_this_is_no_obstacle() -> None:
    refuse_by_length(object(), 10**6)


def test_the_check_costs_a_bounded_number_of_plain_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = SharedPrefixScorer(make("llama"))
    plain_pass, asked = scorer._forward.plain, []
    monkeypatch.setattr(scorer._forward, "plain", lambda each: asked.append(each) or plain_pass(each))
    scores = scorer.score(choices(documents=60))
    assert FEWEST <= len(asked) == scores.check.compared <= MOST
