"""From scratch by configuration: the parent's family and tokenizer, other numbers, random weights by the seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoConfig, AutoModelForCausalLM

from distbench import plugins
from distbench.errors import UsageError
from distbench.models.hf_causal import HFCausal
from distbench.models.hf_fresh import ConfigOptions, FromConfig, LikeTeacher, LikeTeacherOptions, changed
from distbench.schema.cell import Settings
from distbench.schema.strict import Use
from tests.conftest import CPU

IDS = torch.tensor([[0, 5, 17, 33, 60]])


def made(path: Path, seed: int = 0, **options: Any) -> HFCausal:
    settings = Settings(seed=seed, device="cpu", dtype="float32", threads=1)
    model: HFCausal = FromConfig(ConfigOptions.model_validate(options)).make(HFCausal.open(path, CPU), settings)
    return model


def weights(model: HFCausal) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.module.named_parameters()}


def test_the_numbers_are_changed_and_parameters_are_as_many_as_computed_by_hand(tiny_lm: Path, tmp_path: Path) -> None:
    student = made(tiny_lm, num_hidden_layers=2, hidden_size=48, intermediate_size=20, num_attention_heads=6)
    config = student.module.config
    assert (config.num_hidden_layers, config.head_dim, config.num_key_value_heads) == (2, 8, 2)
    attention = 2 * 48 * 48 + 2 * 48 * 16
    vocabulary = len(student.tokenizer)
    by_hand = vocabulary * 48 + 48 + 2 * (attention + 3 * 48 * 20 + 2 * 48)
    assert sum(parameter.numel() for parameter in student.module.parameters()) == by_hand
    student.save(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.inference_mode():
        assert torch.equal(again(IDS).logits, student.module(IDS).logits)
    assert HFCausal.open(tmp_path, CPU).tokenizer.get_vocab() == student.tokenizer.get_vocab()


def test_the_seed_decides_the_weights(tiny_lm: Path) -> None:
    one, again, other = made(tiny_lm), made(tiny_lm), made(tiny_lm, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(again).values(), strict=True))
    assert not torch.equal(*(model.module.model.embed_tokens.weight for model in (one, other)))


def test_like_the_teacher_is_its_architecture_without_its_weights(tiny_lm: Path) -> None:
    teacher = HFCausal.open(tiny_lm, CPU)
    student = LikeTeacher(LikeTeacherOptions()).make(HFCausal.open(tiny_lm, CPU), CPU.model_copy(update={"seed": 7}))
    mine, theirs = weights(student), weights(teacher)
    assert {name: tensor.shape for name, tensor in mine.items()} == {name: t.shape for name, t in theirs.items()}
    assert not any(torch.equal(mine[name], theirs[name]) for name in mine if "norm" not in name)
    assert student.ends == teacher.ends


def test_embeddings_can_be_the_parents(tiny_lm: Path) -> None:
    teacher = HFCausal.open(tiny_lm, CPU)
    student = made(tiny_lm, seed=3, embeddings="copy", num_hidden_layers=1)
    untied = made(tiny_lm, seed=3, embeddings="copy", num_hidden_layers=1, tie_word_embeddings=False)
    table = teacher.module.model.embed_tokens.weight
    for model in (student, untied):
        assert torch.equal(model.module.model.embed_tokens.weight, table)
        assert torch.equal(model.module.lm_head.weight, table)
    assert untied.module.lm_head.weight is not untied.module.model.embed_tokens.weight
    assert not torch.equal(made(tiny_lm, seed=3).module.model.embed_tokens.weight, table)


REFUSED = {
    "an unknown key": ({"num_hiden_layers": 2}, r"'num_hiden_layers' is not a key of .*; did you mean 'num_hidden_lay"),
    "a key of every configuration": ({"chunk_size_feed_forward": 1}, "is not a key of"),
    "a word": ({"hidden_act": 1}, "'hidden_act' is no number of a llama configuration"),
    "the tokenizer's": ({"eos_token_id": 3}, "'eos_token_id' is no number of"),
    "heads": ({"hidden_size": 30}, "hidden_size 30 is not a multiple of num_attention_heads 4"),
    "groups": ({"num_attention_heads": 8, "num_key_value_heads": 3}, "8 is not a multiple of num_key_value_heads 3"),
    "odd heads": ({"hidden_size": 36}, "LlamaConfig refuses these numbers .* even"),  # rotary embeddings turn pairs
    "a wrong type": ({"max_position_embeddings": 1.5}, "LlamaConfig refuses these numbers"),
    "another width": ({"embeddings": "copy", "hidden_size": 48}, "needs the parent's hidden_size 32; here it is 48"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_numbers_that_cannot_be_are_refused_before_the_parent_is_loaded(tiny_lm: Path, why: str) -> None:
    options, message = REFUSED[why]
    with pytest.raises(UsageError, match=message):
        FromConfig(ConfigOptions.model_validate(options)).fits(tiny_lm)
    with pytest.raises(UsageError, match=message):
        made(tiny_lm, **options)


def test_a_vocabulary_that_lacks_tokens_is_refused(tiny_lm: Path) -> None:
    with pytest.raises(UsageError, match=r"vocab_size 100 is less than the tokenizer's \d+ tokens"):
        made(tiny_lm, vocab_size=100)


@pytest.mark.parametrize("key", ["hidden_size", "sliding_window"])
@pytest.mark.parametrize("value", ["64", [64], {"a": 1}])
def test_only_numbers_are_options(key: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        ConfigOptions.model_validate({key: value})
    with pytest.raises(UsageError, match=key):
        plugins.options("inits", Use(use="config", **{key: value}))


@pytest.mark.parametrize("key", ["num_hidden_layers", "num_attention_heads"])
@pytest.mark.parametrize("value", [0, 1.5, True])
def test_sizes_are_whole_numbers_of_one_or_more(key: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        ConfigOptions.model_validate({key: value})


def test_another_familys_own_words_are_understood() -> None:
    parent = AutoConfig.for_model("gpt2", n_embd=32, n_layer=2, n_head=4, vocab_size=64)
    assert changed(parent, {"n_layer": 1, "n_embd": 64}).n_embd == 64
    with pytest.raises(UsageError, match=r"'n_layers' is not a key of a gpt2 configuration; did you mean 'n_layer'\?"):
        changed(parent, {"n_layers": 1})


def family(name: str, **numbers: Any) -> Any:
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 6, "num_attention_heads": 4,
             "num_key_value_heads": 4, "vocab_size": 64, "pad_token_id": 0, "bos_token_id": 1,
             "eos_token_id": 2}  # fmt: skip
    return AutoConfig.for_model(name, **(small | numbers))


def test_fewer_blocks_are_the_first_ones() -> None:
    parent = family("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=2)
    found = changed(parent, {"num_hidden_layers": 3})
    assert found.layer_types == ["full_attention", "full_attention", "sliding_attention"]


def test_more_blocks_are_made_only_where_all_are_alike() -> None:
    assert changed(family("qwen2"), {"num_hidden_layers": 9}).layer_types == ["full_attention"] * 9
    mixed = family("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=2)
    with pytest.raises(UsageError, match=r"the parent's blocks differ \(layer_types\)"):
        changed(mixed, {"num_hidden_layers": 9})


def test_what_the_parent_derives_is_derived_again_and_what_it_states_stays() -> None:
    assert changed(family("mistral"), {"hidden_size": 64}).head_dim == 16
    assert changed(family("mistral", head_dim=12), {"hidden_size": 64}).head_dim == 12
    assert changed(family("mistral"), {"num_attention_heads": 2}).num_key_value_heads == 2
    assert changed(family("llama", num_key_value_heads=2), {"num_attention_heads": 8}).num_key_value_heads == 2
