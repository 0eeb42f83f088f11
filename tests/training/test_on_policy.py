"""What a student writes itself: after its prompts, the same again for a resumed step, scored up to its end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distbench.data.text_decoding import Decoding, continue_rows, draw
from distbench.data.token_signal import PADDING, TokenRows
from distbench.errors import UsageError
from distbench.models.hf_causal import HFCausal
from distbench.training.on_policy import ends_of, write
from tests.conftest import CPU

PROMPTS = [[5, 6, 7, 8, 9, 10], [20], [30, 31, 32], [40, 41, 42, 43]]


@pytest.fixture
def module(sure_lm: Path) -> torch.nn.Module:
    return HFCausal.open(sure_lm, CPU).module


def greedy_alone(module: torch.nn.Module, prompt: list[int], most: int, ends: frozenset[int]) -> list[int]:
    """The plainest loop there is: no cache, no batch."""
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(most):
            ids.append(int(module(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] in ends:
                break
    return ids[len(prompt) :]


def rows_of(prompts: list[list[int]], width: int, *, learned: int = 3) -> TokenRows:
    """Rows whose first `len(prompt)` tokens are prompts, with `learned` tokens after them."""
    ids = torch.zeros(len(prompts), width, dtype=torch.int32)
    documents = torch.full((len(prompts), width), PADDING, dtype=torch.int32)
    scored = torch.zeros(len(prompts), width - 1, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        stop = len(prompt) + learned
        ids[row, : len(prompt)] = torch.tensor(prompt)
        ids[row, len(prompt) : stop] = 250
        documents[row, :stop] = 0
        scored[row, len(prompt) - 1 : stop - 1] = True
    return TokenRows(ids, documents, scored)


# -- decoding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_prompts_of_any_length_are_continued_as_if_each_were_alone(module: torch.nn.Module, batch: int) -> None:
    found = continue_rows(module, PROMPTS, Decoding(12, frozenset()), batch)
    assert found == [greedy_alone(module, prompt, 12, frozenset()) for prompt in PROMPTS]


def test_an_answer_stops_with_its_end_token_and_the_others_go_on(module: torch.nn.Module) -> None:
    free = continue_rows(module, PROMPTS, Decoding(12, frozenset()), 64)
    ends = frozenset({free[0][4]})
    found = continue_rows(module, PROMPTS, Decoding(12, ends), 64)
    assert found == [greedy_alone(module, prompt, 12, ends) for prompt in PROMPTS]
    assert found[0] == free[0][: free[0].index(free[0][4]) + 1]
    assert any(len(tokens) == 12 for tokens in found)


def test_a_module_that_takes_no_positions_gets_prompts_of_one_length(module: torch.nn.Module) -> None:
    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.widths = module, []

        @property
        def device(self) -> torch.device:
            return torch.device("cpu")

        def forward(
            self, input_ids: torch.Tensor, past_key_values: object, use_cache: bool, logits_to_keep: int
        ) -> object:
            self.widths.append(input_ids.shape)
            return self.inner(
                input_ids=input_ids, past_key_values=past_key_values, use_cache=use_cache, logits_to_keep=logits_to_keep
            )

    prompts = [*PROMPTS, [50, 51, 52]]
    plain = Plain()
    found = continue_rows(plain, prompts, Decoding(5, frozenset()), 64)
    assert found == [greedy_alone(module, prompt, 5, frozenset()) for prompt in prompts]
    assert torch.Size([2, 3]) in plain.widths


def test_draws_follow_the_distribution_at_the_temperature_and_never_take_the_impossible() -> None:
    logits = torch.tensor([float("-inf"), 1.0, 0.0, 2.0, float("-inf")])
    levels = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    for temperature in (1.0, 2.0):
        drawn = draw(logits.expand(20_000, 5), temperature, levels)
        shares = torch.bincount(drawn, minlength=5) / 20_000
        torch.testing.assert_close(shares, torch.softmax(logits / temperature, -1), atol=1e-4, rtol=0)


# -- rows --------------------------------------------------------------------------------------------------------------


def test_prompts_stay_and_what_is_written_is_scored_up_to_its_end(module: torch.nn.Module) -> None:
    ends = frozenset(range(0, 296, 9))  # so that texts end early, at different places
    rows = write(module, rows_of(PROMPTS, 16), 15, seed=1, step=0, ends=ends)
    assert rows.ids.shape == (4, 16)
    lengths = []
    for row, prompt in enumerate(PROMPTS):
        ids, real = rows.ids[row].tolist(), int((rows.documents[row] == 0).sum())
        assert ids[: len(prompt)] == prompt
        answer = ids[len(prompt) : real]
        lengths.append(len(answer))
        assert not set(answer[:-1]) & ends
        assert real == 16 or answer[-1] in ends
        assert rows.scored[row].nonzero().flatten().tolist() == list(range(len(prompt) - 1, real - 1))
        assert bool((rows.documents[row, real:] == PADDING).all())
    assert len(set(lengths)) > 1


def test_where_all_is_learned_the_first_token_is_the_prompt(module: torch.nn.Module) -> None:
    given = TokenRows(torch.tensor([[7, 8, 9, 10], [11, 12, 13, 14]], dtype=torch.int32))
    rows = write(module, given, 3, seed=0, step=0, ends=frozenset())
    assert rows.ids[:, 0].tolist() == [7, 11]
    assert rows.positions == 6


def test_of_a_packed_row_the_first_document_is_taken_up(module: torch.nn.Module) -> None:
    given = TokenRows(
        torch.tensor([[1, 2, 3, 4, 5, 6]], dtype=torch.int32),
        torch.tensor([[0, 0, 0, 1, 1, 1]], dtype=torch.int32),
        torch.tensor([[False, True, False, False, True]]),
    )
    rows = write(module, given, 5, seed=0, step=0, ends=frozenset())
    assert rows.ids[0, :2].tolist() == [1, 2]
    assert rows.scored[0].tolist() == [False, True, True, True, True]
    assert int(rows.documents.max()) == 0


def test_a_step_writes_the_same_again_and_another_step_or_seed_does_not(module: torch.nn.Module) -> None:
    given = rows_of(PROMPTS, 16)
    first = write(module, given, 15, seed=1, step=3, ends=frozenset())
    torch.manual_seed(99)  # the global generator has no say
    again = write(module, given, 15, seed=1, step=3, ends=frozenset())
    assert torch.equal(first.ids, again.ids)
    for seed, step in ((1, 4), (2, 3), (3, 1)):
        other = write(module, given, 15, seed=seed, step=step, ends=frozenset())
        assert not torch.equal(first.ids, other.ids)


def test_a_lower_temperature_writes_what_is_likelier(module: torch.nn.Module) -> None:
    given = rows_of(PROMPTS * 8, 16)

    def likelihood(temperature: float) -> float:
        rows = write(module, given, 15, seed=0, step=0, temperature=temperature, ends=frozenset())
        with torch.inference_mode():
            logp = torch.log_softmax(module(rows.ids[:, :-1].long()).logits, dim=-1)
        return float(logp.gather(-1, rows.ids[:, 1:, None].long())[rows.scored].mean())

    assert likelihood(0.3) > likelihood(1.0) > likelihood(3.0)


def test_writing_leaves_no_trace_in_the_module_and_its_rows_can_be_trained_on(module: torch.nn.Module) -> None:
    module.train()
    rows = write(module, rows_of(PROMPTS, 16), 15, seed=0, step=0, ends=frozenset())
    assert module.training
    assert all(parameter.grad is None for parameter in module.parameters())
    logits = module(**rows.inputs("cpu")).logits
    torch.nn.functional.cross_entropy(logits[rows.scored], rows.ids[:, 1:][rows.scored].long()).backward()
    assert all(parameter.grad is not None for parameter in module.parameters() if parameter.requires_grad)


def test_a_prompt_without_room_is_refused(module: torch.nn.Module) -> None:
    with pytest.raises(UsageError, match="a prompt of 6 tokens leaves no room in rows of 6"):
        write(module, rows_of(PROMPTS, 16), 5, seed=0, step=0)


def test_ends_are_those_of_the_generation_configuration(module: torch.nn.Module) -> None:
    assert ends_of(module) == {0}
    module.generation_config.eos_token_id = [3, 4]
    assert ends_of(module) == {3, 4}
    module.generation_config.eos_token_id = None
    module.config.eos_token_id = 5
    assert ends_of(module) == {5}
