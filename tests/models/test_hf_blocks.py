"""Dropping blocks of many families: what is left is what it was, saved and loaded again it is still that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from distbench.errors import RefusedError
from distbench.models.hf_blocks import block_fields, blocks_of, keep_blocks

IDS = torch.arange(24).reshape(2, 12) % 50
SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 6, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
MIXED: dict[str, dict[str, Any]] = {  # families whose blocks differ from one another, each in its own words
    "llama": {},
    "qwen2": {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 3},
    "qwen3_moe": EXPERTS | {"decoder_sparse_step": 2, "mlp_only_layers": [3]},
    "gemma3_text": {"sliding_window": 4, "sliding_window_pattern": 3},
    "smollm3": {"no_rope_layer_interval": 3, "use_sliding_window": True, "sliding_window": 4},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4},
    "deepseek_v3": {
        "num_key_value_heads": 4, "first_k_dense_replace": 2, "n_routed_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 16, "n_group": 2,
        "topk_group": 1, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 8, "v_head_dim": 8,
        "qk_nope_head_dim": 8, "n_shared_experts": 1,
    },
}  # fmt: skip


def made(family: str) -> Any:
    torch.manual_seed(0)
    module = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **(SMALL | MIXED[family])))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # away from an initialisation that says nothing
    return module.eval()


def logits(module: Any) -> torch.Tensor:
    with torch.inference_mode():
        return module(IDS, use_cache=False).logits


def without(module: Any, kept: list[int]) -> torch.Tensor:
    """Return the logits when every other block only hands on what it gets."""
    hooks = [
        block.register_forward_hook(lambda _, given, out: (given[0], *out[1:]) if isinstance(out, tuple) else given[0])
        for index, block in enumerate(blocks_of(module))
        if index not in kept
    ]
    found = logits(module)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("kept", [[0, 2, 5], [1, 3], [0, 1, 2, 3, 4, 5]], ids=str)
@pytest.mark.parametrize("family", MIXED)
def test_kept_blocks_stay_what_they_were_also_when_loaded_again(family: str, kept: list[int], tmp_path: Path) -> None:
    module = made(family)
    expected = without(module, kept)
    keep_blocks(module, kept)
    torch.testing.assert_close(logits(module), expected, rtol=1e-5, atol=1e-5)
    module.save_pretrained(tmp_path)
    again, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    torch.testing.assert_close(logits(again.eval()), expected, rtol=1e-5, atol=1e-5)
    again.generation_config.max_new_tokens = 4  # each block finds its own place in the cache
    cached = again.generate(IDS, do_sample=False, use_cache=True, eos_token_id=None)
    assert torch.equal(cached, again.generate(IDS, do_sample=False, use_cache=False, eos_token_id=None))


def test_a_family_whose_blocks_follow_a_period_is_refused_by_name() -> None:
    config = AutoConfig.for_model(
        "jamba", **(SMALL | {"attn_layer_period": 3, "attn_layer_offset": 1, "expert_layer_period": 2,
                             "expert_layer_offset": 1, "num_experts": 2, "use_mamba_kernels": False})
    )  # fmt: skip
    module = AutoModelForCausalLM.from_config(config)
    with pytest.raises(RefusedError, match=r"JambaForCausalLM: blocks cannot be dropped: loaded again, block \d would"):
        keep_blocks(module, [0, 2, 4])


def test_overrides_of_single_blocks_follow_them() -> None:
    config = {"num_hidden_layers": 4, "per_layer_config": {"1": {"sliding_window": 8}, "3": {"sliding_window": 16}}}
    fields = block_fields(config, [0, 3])
    assert fields == {"num_hidden_layers": 2, "per_layer_config": {1: {"sliding_window": 16}}}
    assert block_fields(config, [0, 2])["per_layer_config"] is None


def test_a_decoder_without_a_list_of_blocks_is_refused_by_name() -> None:
    config = AutoConfig.for_model("gpt2", n_embd=32, n_layer=2, n_head=4, vocab_size=64)
    with pytest.raises(RefusedError, match="GPT2LMHeadModel has no list of decoder blocks named 'layers'"):
        keep_blocks(AutoModelForCausalLM.from_config(config), [0])
