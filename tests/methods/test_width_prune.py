"""A narrower decoder is the wide one without what was cut, and what was cut mattered least."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoConfig, AutoModelForCausalLM

from distbench.data.calibration import Calibration
from distbench.data.token_signal import TokenRows
from distbench.errors import RefusedError, UsageError
from distbench.methods.importance import Level
from distbench.methods.slicing import Kept, KeptInside, Widths, narrowed
from distbench.methods.width_prune import Measured, WidthPrune, WidthPruneOptions, wanted_widths
from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU

IDS = torch.arange(24).reshape(2, 12)
SMALL = {"samples": 6, "length": 10}
SHAPE: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 48, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0,
    "pad_token_id": 0,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": True},
    "llama-biases": {"attention_bias": True, "mlp_bias": True},
    "mistral": {"head_dim": 12},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"head_dim": 16},
    "smollm3": {"no_rope_layer_interval": 2},
}
EVERYTHING = Kept(list(range(48)), [KeptInside(list(range(40)), list(range(6)), [0, 1])] * 3)


def module_of(family: str) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family.partition("-")[0], **(SHAPE | FAMILIES[family]))
    module = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)  # also biases, which begin as zeros
    return module.eval()


def logits(module: Any) -> torch.Tensor:
    with torch.inference_mode():
        return module(IDS, use_cache=False).logits


def silenced(module: Any, kept: Kept) -> torch.Tensor:
    """Return the logits of the whole model when what would be cut adds nothing: a hook before each output matrix."""

    def only(indices: list[int], width: int) -> Any:
        mask = torch.zeros(width)
        mask[indices] = 1.0
        return lambda _, given: (given[0] * mask,)

    size, hooks = module.model.layers[0].self_attn.head_dim, []
    for block, inside in zip(module.model.layers, kept.blocks, strict=True):
        heads = [head * size + i for head in inside.heads for i in range(size)]
        o_proj, down_proj = block.self_attn.o_proj, block.mlp.down_proj
        hooks.append(o_proj.register_forward_pre_hook(only(heads, o_proj.in_features)))
        hooks.append(down_proj.register_forward_pre_hook(only(inside.neurons, 40)))
    found = logits(module)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_cutting_nothing_gives_the_same_logits(family: str) -> None:
    module = module_of(family)
    assert torch.equal(logits(narrowed(module, Widths.of(module.config.to_dict()), EVERYTHING).eval()), logits(module))


KEPT = {
    "query heads inside groups": Kept(
        list(range(48)),
        [
            KeptInside(list(range(0, 40, 2)), [0, 2, 3, 5], [0, 1]),
            KeptInside(list(range(20)), [1, 2, 4, 5], [0, 1]),
            KeptInside(list(range(15, 35)), [0, 1, 3, 4], [0, 1]),
        ],
    ),
    "whole groups": Kept(
        list(range(48)),
        [
            KeptInside(list(range(40)), [3, 4, 5], [1]),
            KeptInside(list(range(40)), [0, 1, 2], [0]),
            KeptInside(list(range(40)), [3, 4, 5], [1]),
        ],
    ),
}


@pytest.mark.parametrize("what", KEPT)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_cut_model_is_the_whole_one_with_the_rest_silenced_also_when_loaded_again(
    family: str, what: str, tmp_path: Path
) -> None:
    module, kept = module_of(family), KEPT[what]
    old, inside = Widths.of(module.config.to_dict()), kept.blocks[0]
    new = Widths(48, len(inside.neurons), len(inside.heads), len(inside.groups), old.head_dim)
    made = narrowed(module, new, kept).eval()
    torch.testing.assert_close(logits(made), silenced(module, kept), rtol=1e-5, atol=1e-5)
    made.save_pretrained(tmp_path)
    again, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert torch.equal(logits(again.eval()), logits(made))


@pytest.mark.parametrize("family", FAMILIES)
def test_fewer_channels_are_the_whole_model_with_the_rest_held_at_zero(family: str, tmp_path: Path) -> None:
    module = module_of(family)
    old, channels = Widths.of(module.config.to_dict()), sorted(set(range(48)) - set(range(3, 48, 4)))
    made = narrowed(module, Widths(36, 40, 6, 2, old.head_dim), Kept(channels, EVERYTHING.blocks)).eval()
    gone = torch.ones(48, dtype=torch.bool)
    gone[channels] = False
    with torch.no_grad():
        module.get_input_embeddings().weight[:, gone] = 0.0
        for block in module.model.layers:
            for part in (block.self_attn.o_proj, block.mlp.down_proj):
                part.weight[gone] = 0.0
                if part.bias is not None:
                    part.bias[gone] = 0.0
        for name, parameter in module.named_parameters():
            if name.endswith("norm.weight") and len(parameter) == 48:  # the mean square is over 36 instead of 48
                parameter.mul_((36 / 48) ** 0.5)
        for part in module.modules():
            if hasattr(part, "variance_epsilon") and len(part.weight) == 48:
                part.variance_epsilon *= 36 / 48
    torch.testing.assert_close(logits(made), logits(module), rtol=1e-4, atol=1e-4)
    made.save_pretrained(tmp_path)
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path).eval()), logits(made))


def test_the_number_of_parameters_is_the_one_computed_by_hand() -> None:
    made = narrowed(module_of("llama"), Widths(48, 20, 4, 2, 8), KEPT["query heads inside groups"])
    attention = 48 * 32 + 2 * 48 * 16 + 32 * 48
    by_hand = 300 * 48 + 48 + 3 * (attention + 3 * 48 * 20 + 2 * 48)
    assert sum(parameter.numel() for parameter in made.parameters()) == by_hand
    config = made.config
    found = (config.hidden_size, config.intermediate_size, config.num_attention_heads, config.num_key_value_heads)
    assert (*found, config.head_dim) == (48, 20, 4, 2, 8)


# -- what is kept ----------------------------------------------------------------------------------------------------


def test_importance_is_the_formula_by_hand() -> None:
    module = module_of("llama")
    rows = TokenRows(torch.arange(30).reshape(3, 10).int())
    seen: dict[str, torch.Tensor] = {}
    block = module.model.layers[1]
    block.mlp.down_proj.register_forward_pre_hook(lambda _, given: seen.update(neurons=given[0]))
    block.input_layernorm.register_forward_hook(lambda _, given, out: seen.update(first=out))
    block.post_attention_layernorm.register_forward_hook(lambda _, given, out: seen.update(second=out))
    with torch.inference_mode():
        module(rows.ids[:, :-1].long())
    measured = Measured.on(module, rows)

    def score(x: torch.Tensor) -> np.ndarray:
        total = np.zeros(x.shape[-1])
        for row in x.double().numpy():
            total += np.abs(row).mean(axis=0) ** 2
        return np.sqrt(total)

    np.testing.assert_allclose(measured.neurons[1], score(seen["neurons"]), rtol=1e-5)
    np.testing.assert_allclose(measured.channels[1], score(seen["first"]) + score(seen["second"]), rtol=1e-5)
    assert measured.channels.shape == (4, 48)
    assert measured.outputs.shape == (3, 48)


def planted(path: Path, tmp_path: Path) -> HFCausal:
    """Return the fixture's model with some neurons, one group and some channels that do nothing at all."""
    model = HFCausal.open(path, CPU)
    with torch.no_grad():
        for index, block in enumerate(model.module.model.layers):
            block.mlp.up_proj.weight[index::4] = 0.0  # 16 of 64 neurons of each block, other ones in each
            block.self_attn.v_proj.weight[8 * (index % 2) : 8 * (index % 2) + 8] = 0.0  # one of two groups
    model.save(tmp_path / "planted")
    return HFCausal.open(tmp_path / "planted", CPU)


def test_what_does_nothing_is_found_and_cutting_it_changes_nothing(tiny_lm: Path, tmp_path: Path) -> None:
    parent = planted(tiny_lm, tmp_path)
    expected = logits(parent.module)
    options = {"intermediate_size": 48, "num_key_value_heads": 1, "calibration": SMALL}
    made = WidthPrune(WidthPruneOptions.model_validate(options))
    student = made.make(parent, CPU)
    torch.testing.assert_close(logits(student.module), expected, rtol=1e-5, atol=1e-6)
    student.save(tmp_path / "student")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "student")), logits(student.module))
    assert student.continue_greedily([0, 5], 5) == HFCausal.open(tmp_path / "student", CPU).continue_greedily([0, 5], 5)
    assert made.notes == {
        "kept_blocks": [0, 1, 2, 3],
        "calibration": {"texts": "written by the parent", "rows": 6, "tokens": 60},
        "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
    }  # fmt: skip


def test_silent_channels_are_found_and_cutting_them_changes_nothing(tiny_lm: Path, tmp_path: Path) -> None:
    parent, silent = HFCausal.open(tiny_lm, CPU), [1, 4, 5, 9, 20, 21, 30, 31]
    with torch.no_grad():
        parent.module.model.embed_tokens.weight[:, silent] = 0.0
        for block in parent.module.model.layers:
            block.self_attn.o_proj.weight[silent] = 0.0
            block.mlp.down_proj.weight[silent] = 0.0
    expected = logits(parent.module)
    options = {"hidden_size": 24, "keep": [0, 1, 2, 3], "calibration": SMALL}
    student = WidthPrune(WidthPruneOptions.model_validate(options)).make(parent, CPU)
    # less than float32 tells apart but for the norms' epsilon, which is no part of what they divide by
    torch.testing.assert_close(logits(student.module), expected, rtol=0, atol=float(expected.abs().max()) * 5e-3)
    ratio = student.module.model.norm.weight / (24 / 32) ** -0.5
    torch.testing.assert_close(ratio, torch.ones(24), rtol=1e-4, atol=0)
    student.save(tmp_path)
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path)), logits(student.module))


def test_loud_neurons_heads_and_channels_stay(tiny_lm: Path) -> None:
    module = HFCausal.open(tiny_lm, CPU).module
    with torch.no_grad():
        for block in module.model.layers:
            block.mlp.up_proj.weight[[3, 40, 63]] *= 1000.0
            for norm in (block.input_layernorm, block.post_attention_layernorm):
                norm.weight[[1, 30]] *= 50.0
    measured = Measured.on(module, TokenRows(torch.arange(30).reshape(3, 10).int()))
    old = Widths.of(module.config.to_dict())
    kept = measured.best([0, 2, 3], old, Widths(2, 3, 4, 2, 8))
    assert kept.channels == [1, 30]
    assert [inside.neurons for inside in kept.blocks] == [[3, 40, 63]] * 3


def test_query_heads_are_ranked_inside_their_group_and_groups_by_the_heads_that_stay() -> None:
    outputs = np.zeros((1, 6, 2))
    outputs[0, :, 0] = [1, 9, 1, 6, 6, 0]  # two groups of three
    measured = Measured([0.0], np.ones((1, 4)), outputs.reshape(1, 12), np.ones((2, 4)))
    old = Widths(4, 4, 6, 2, 2)
    assert measured.best([0], old, Widths(4, 4, 4, 2, 2)).blocks[0] == KeptInside([0, 1, 2, 3], [0, 1, 3, 4], [0, 1])
    assert measured.best([0], old, Widths(4, 4, 3, 1, 2)).blocks[0].heads == [3, 4, 5]  # 12 against 11
    assert measured.best([0], old, Widths(4, 4, 2, 1, 2)).blocks[0].heads == [3, 4]  # 12 against 10
    assert measured.best([0], old, Widths(4, 4, 1, 1, 2)).blocks[0].heads == [1]  # 6 against 9


def test_blocks_go_at_the_same_time(tiny_lm: Path, tmp_path: Path) -> None:
    def made(**options: Any) -> tuple[WidthPrune, HFCausal]:
        maker = WidthPrune(WidthPruneOptions.model_validate(options | {"calibration": SMALL}))
        return maker, maker.make(HFCausal.open(tiny_lm, CPU), CPU)

    maker, student = made(intermediate_size=32, keep=3, by="influence")
    rows = Calibration(**SMALL).rows(HFCausal.open(tiny_lm, CPU), CPU.seed)
    measured = Measured.on(HFCausal.open(tiny_lm, CPU).module, rows)
    assert maker.notes["influence"] == pytest.approx(measured.influence)
    assert maker.notes["kept_blocks"] == sorted(np.argsort(-np.asarray(measured.influence))[:3].tolist())
    assert student.module.config.num_hidden_layers == 3
    student.save(tmp_path)
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path)), logits(student.module))
    _, named = made(hidden_size=24, keep=[0, 3])
    assert (named.module.config.hidden_size, named.layer_count()) == (24, 2)


def test_the_level_is_the_mean_ratio_of_root_mean_squares() -> None:
    level = Level([0, 2])
    x = torch.tensor([[[3.0, 0.0, 4.0], [1.0, 1.0, 1.0], [9.0, 9.0, 0.0]]])
    level(x, x, torch.tensor([[True, True, False]]))
    assert level.value == pytest.approx((((25 / 2) / (25 / 3)) ** 0.5 + 1.0) / 2)


# -- what cannot be --------------------------------------------------------------------------------------------------

LLAMA: dict[str, Any] = {"model_type": "llama"} | SHAPE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"intermediate_size": 41}, "intermediate_size 41 is more than the parent's 40; it only takes away"),
        ({"num_attention_heads": 5}, r"5 query heads do not fit 2 key/value heads; .* a multiple of 2 up to 6"),
        ({"num_attention_heads": 4, "num_key_value_heads": 1}, "a multiple of 1 up to 3"),
        ({"num_key_value_heads": 3}, "num_attention_heads 9 is more than the parent's 6"),
        ({"hidden_size": 40}, "a multiple of the 6 heads; 40 is not, 36 is"),
    ],
)
def test_widths_that_cannot_be_are_refused_in_words(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        wanted_widths(LLAMA, WidthPruneOptions.model_validate(options))


@pytest.mark.parametrize(
    ("given", "heads"),
    [
        ({"num_attention_heads": 4}, (4, 2)),
        ({"num_key_value_heads": 1}, (3, 1)),
        ({"num_attention_heads": 2, "num_key_value_heads": 1}, (2, 1)),
    ],
)
def test_heads_that_are_left_out_follow(given: dict[str, int], heads: tuple[int, int]) -> None:
    found = wanted_widths(LLAMA, WidthPruneOptions.model_validate(given))
    assert (found.heads, found.groups) == heads


def test_without_groups_keys_follow_their_queries() -> None:
    found = wanted_widths(LLAMA | {"num_key_value_heads": 6}, WidthPruneOptions(num_attention_heads=4))
    assert (found.heads, found.groups) == (4, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 2}, "give hidden_size, intermediate_size"),
        ({"hidden_size": 8, "by": "influence"}, "give 'keep' a number"),
        ({"hidden_size": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        WidthPruneOptions.model_validate(options)


def test_the_parents_files_are_asked_first(tiny_lm: Path, tmp_path: Path) -> None:
    prune = WidthPrune(WidthPruneOptions(intermediate_size=65))
    with pytest.raises(UsageError, match="intermediate_size 65 is more than the parent's 64"):
        prune.fits(tiny_lm)
    with pytest.raises(UsageError, match="keep 9 of 4"):
        WidthPrune(WidthPruneOptions(intermediate_size=8, keep=9)).fits(tiny_lm)
    (tmp_path / "config.json").write_text('{"model_type": "gemma2", "num_hidden_layers": 2}', encoding="utf-8")
    with pytest.raises(RefusedError, match=r"knows the layout of llama, .*, not of 'gemma2'"):
        prune.fits(tmp_path)


def test_a_tensor_that_is_not_known_is_refused_by_name() -> None:
    module = module_of("llama")
    module.model.layers[1].mlp.register_parameter("gain", torch.nn.Parameter(torch.ones(40)))
    with pytest.raises(RefusedError, match=r"the tensor model\.layers\.1\.mlp\.gain is not one of the known layout"):
        narrowed(module, Widths.of(module.config.to_dict()), EVERYTHING)
