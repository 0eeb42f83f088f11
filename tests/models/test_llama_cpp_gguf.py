"""GGUF files: read back by transformers, which knows nothing of the code that wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from distbench.errors import RefusedError
from distbench.models.hf_causal import HFCausal
from distbench.models.llama_cpp_gguf import write_gguf
from distbench.models.llama_cpp_tokens import _split
from tests.conftest import CPU

gguf = pytest.importorskip("gguf")
IDS = [0, 5, 17, 33, 60, 7, 9]
SIZES: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(tiny_lm: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_lm)


def random_model(config: Any) -> Any:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    module = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():  # vectors too: a norm of ones or a bias of zeros hides where it went
            parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.ndim == 2 else 1.0))
    return module


def rope(theta: float = 100_000.0, **more: Any) -> dict[str, Any]:
    return {"rope_theta": theta, "rope_type": "default", **more}


CONFIGS = {
    "llama": LlamaConfig(**SIZES, rope_parameters=rope(), tie_word_embeddings=True),
    "llama, own head": LlamaConfig(**SIZES, rope_parameters=rope(), tie_word_embeddings=False),
    "llama, all heads": LlamaConfig(**SIZES | {"num_key_value_heads": 4}, rope_parameters=rope()),
    "mistral": MistralConfig(**SIZES, rope_parameters=rope(), sliding_window=None),
    "qwen2": Qwen2Config(**SIZES, rope_parameters=rope(), tie_word_embeddings=False),
    # transformers' reader knows no other size of a head for this family
    "qwen3": Qwen3Config(**SIZES, head_dim=128, rope_parameters=rope(), tie_word_embeddings=True),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_another_reader_computes_the_same_logits(name: str, tokenizer: Any, tmp_path: Path) -> None:
    module, file = random_model(CONFIGS[name]), tmp_path / "model.gguf"
    write_gguf(module, tokenizer, file, "float32")
    with torch.inference_mode():
        expected = module(torch.tensor([IDS])).logits[0].numpy()
    np.testing.assert_allclose(HFCausal.open(file, CPU).logits(IDS), expected, rtol=1e-4, atol=1e-4)


def test_the_rotary_base_is_the_module_s(tokenizer: Any, tmp_path: Path) -> None:
    for theta in (10_000.0, 100_000.0, 500_000.0):
        file = tmp_path / f"{theta}.gguf"
        write_gguf(random_model(LlamaConfig(**SIZES, rope_parameters=rope(theta))), tokenizer, file, "float32")
        assert float(gguf.GGUFReader(file).fields["llama.rope.freq_base"].contents()) == theta


def test_scaled_positions_are_written_as_factors_of_each_frequency(tokenizer: Any, tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }  # fmt: skip
    module = random_model(LlamaConfig(**SIZES, rope_parameters=rope() | scaling))
    write_gguf(module, tokenizer, tmp_path / "model.gguf", "float32")
    tensors = {each.name: each.data for each in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    plain = 100_000.0 ** -(np.arange(4) / 4)
    used = plain / tensors["rope_freqs.weight"]
    np.testing.assert_allclose(used, module.model.rotary_emb.inv_freq.numpy(), rtol=1e-6)
    assert used[0] == pytest.approx(plain[0])  # the fastest one stays
    assert used[-1] == pytest.approx(plain[-1] / 8)


@pytest.mark.parametrize(
    ("precision", "matrix", "close"), [("float32", "F32", 0.0), ("float16", "F16", 0.01), ("q8_0", "Q8_0", 0.1)]
)
def test_matrices_have_the_precision_and_vectors_float32(
    precision: str, matrix: str, close: float, tokenizer: Any, tmp_path: Path
) -> None:
    module, file = random_model(CONFIGS["qwen2"]), tmp_path / "model.gguf"
    write_gguf(module, tokenizer, file, precision)
    kinds = {each.name: each.tensor_type.name for each in gguf.GGUFReader(file).tensors}
    assert kinds["blk.0.attn_q.weight"] == kinds["token_embd.weight"] == kinds["output.weight"] == matrix
    assert kinds["blk.0.attn_norm.weight"] == kinds["blk.0.attn_q.bias"] == "F32"
    with torch.inference_mode():
        expected = module(torch.tensor([IDS])).logits[0].numpy()
    error = float(np.abs(HFCausal.open(file, CPU).logits(IDS) - expected).max())
    assert error <= close * float(np.abs(expected).max()) + 1e-4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (GPT2Config(vocab_size=64, n_embd=32, n_layer=1, n_head=2), "knows the model types llama, mistral, .*'gpt2'"),
        (LlamaConfig(**SIZES, hidden_act="gelu"), "activation 'gelu' is not supported"),
        (MistralConfig(**SIZES, sliding_window=8), "a sliding attention window is not supported"),
        (
            LlamaConfig(
                **SIZES,
                rope_parameters=rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=64),
            ),
            "rotary positions of type 'yarn'",
        ),
        (
            Qwen2Config(**SIZES, rope_parameters=rope(rope_type="linear", factor=2.0)),
            "scaled rotary positions of 'qwen2' are not supported",
        ),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    config: Any, message: str, tokenizer: Any, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match=message):
        write_gguf(random_model(config), tokenizer, tmp_path / "model.gguf", "float32")
    assert not (tmp_path / "model.gguf").exists()


def test_rows_that_are_no_blocks_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    config = LlamaConfig(**SIZES | {"hidden_size": 40})
    with pytest.raises(RefusedError, match=r"q8_0 has blocks of 32, and token_embd\.weight has rows of 40 numbers"):
        write_gguf(random_model(config), tokenizer, tmp_path / "model.gguf", "q8_0")


# -- tokenizers --------------------------------------------------------------------------------------------------------


def test_text_is_read_as_the_source_reads_it(tokenizer: Any, tmp_path: Path) -> None:
    config = LlamaConfig(**SIZES | {"vocab_size": len(tokenizer) + 5})  # rows without a token
    assert write_gguf(random_model(config), tokenizer, tmp_path / "model.gguf", "float32") is None
    found = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    for text in ("the doctor with the patients", " was very kind\n\n", "naïve 12345 ☃", "<|endoftext|>the cats"):
        assert found(text).input_ids == tokenizer(text).input_ids
    assert found.eos_token_id == tokenizer.eos_token_id


def test_a_token_without_an_embedding_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="the tokenizer has token 295, and the model has 200 embeddings"):
        write_gguf(random_model(LlamaConfig(**SIZES | {"vocab_size": 200})), tokenizer, tmp_path / "m.gguf", "float32")


def test_a_tokenizer_of_another_kind_is_left_out_and_said(tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    fast = PreTrainedTokenizerFast(tokenizer_object=words)
    note = write_gguf(random_model(LlamaConfig(**SIZES)), fast, tmp_path / "model.gguf", "float32")
    assert note is not None
    assert "no tokenizer of its own" in note
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    assert fields["tokenizer.ggml.model"].contents() == "none"
    assert int(fields["llama.vocab_size"].contents()) == 300


LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.mark.parametrize(
    ("split", "name"),
    [
        (pre_tokenizers.ByteLevel(add_prefix_space=False), "gpt-2"),
        (pre_tokenizers.ByteLevel(add_prefix_space=True), None),
        (
            pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            ),
            "smollm",
        ),
        (pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)]), None),
    ],
)
def test_the_way_text_is_split_has_llama_cpp_s_name_or_none(split: Any, name: str | None) -> None:
    import json

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = split
    assert _split(json.loads(tokenizer.to_str())) == name


@pytest.mark.parametrize(("digits", "name"), [("{1,3}", "llama-bpe"), ("", "qwen2"), ("{1,2}", None)])
def test_splits_by_a_pattern_are_told_apart(digits: str, name: str | None) -> None:
    import json

    from tokenizers import Regex

    tokenizer = Tokenizer(models.BPE())
    pattern = Regex(LLAMA_3.replace("{1,3}", digits))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    assert _split(json.loads(tokenizer.to_str())) == name
