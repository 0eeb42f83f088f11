"""A loaded Llama-style causal language model as a GGUF file, the format of llama.cpp.

Keys and tensor names: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Everything is read off the loaded
module, not off its config.json: the key of a rotary base has changed its place there, and a reader of the old one gets
another model without a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distbench.errors import RefusedError
from distbench.models.llama_cpp_tokens import write_tokenizer

PRECISIONS = {"float32": "F32", "float16": "F16", "q8_0": "Q8_0"}
STATIC_ROPE = {"default", "linear", "llama3"}  # frequencies that do not depend on the length of the text
_TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_IN_BLOCK = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_BLOCK = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)$")


@dataclass(frozen=True)
class Family:
    """A kind of model as llama.cpp knows it. `interleaved`: it rotates neighbouring rows of q and k, not halves."""

    name: str
    interleaved: bool


FAMILIES = {
    "llama": Family("llama", interleaved=True),
    "mistral": Family("llama", interleaved=True),
    "qwen2": Family("qwen2", interleaved=False),
    "qwen3": Family("qwen3", interleaved=False),
}


def write_gguf(module: Any, tokenizer: Any, file: Path, precision: str) -> str | None:
    """Write weights, hyper-parameters and tokenizer; return what a reader of the file must know, if anything.

    precision: of matrices; vectors (norms, biases) are always float32, as llama.cpp keeps them.
    Raises RefusedError where llama.cpp would compute something else than the module does.
    """
    import gguf

    family = _family(module.config)
    tensors = _tensors(module, family)
    _check_blocks(tensors, precision)
    writer = gguf.GGUFWriter(file, family.name)
    try:
        _write_sizes(writer, module)
        note = write_tokenizer(writer, tokenizer, module.get_input_embeddings().num_embeddings)
        writer.add_file_type(
            int(gguf.LlamaFileType[f"MOSTLY_{PRECISIONS[precision]}" if precision != "float32" else "ALL_F32"])
        )
        for name, values in tensors.items():
            _write_tensor(writer, name, values, precision)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return note


def _family(config: Any) -> Family:
    family = FAMILIES.get(config.model_type)
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise RefusedError(f"GGUF export knows the model types {known}; this model is {config.model_type!r}")
    sliding = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    if sliding or "sliding_attention" in (getattr(config, "layer_types", None) or []):
        raise RefusedError("GGUF export: a sliding attention window is not supported")
    if config.hidden_act != "silu":
        raise RefusedError(f"GGUF export: activation {config.hidden_act!r} is not supported; llama.cpp computes silu")
    return family


def _check_blocks(tensors: dict[str, Any], precision: str) -> None:
    if precision != "q8_0":
        return
    for name, values in tensors.items():
        if values.ndim == 2 and values.shape[1] % 32:
            raise RefusedError(f"GGUF export: q8_0 has blocks of 32, and {name} has rows of {values.shape[1]} numbers")


def _write_sizes(writer: Any, module: Any) -> None:
    config = module.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_vocab_size(module.get_input_embeddings().num_embeddings)


def _tensors(module: Any, family: Family) -> dict[str, np.ndarray]:
    """Return GGUF name → float32 values. A tied head is left out: llama.cpp takes the embeddings then."""
    config = module.config
    heads = {
        "attn_q": config.num_attention_heads,
        "attn_k": getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
    }
    found: dict[str, np.ndarray] = {}
    for name, parameter in module.named_parameters():  # tied ones come once
        target = _target(name)
        values = parameter.detach().float().cpu().numpy()
        part = target.split(".")[-2]
        if family.interleaved and part in heads:
            values = _interleave(values, heads[part])
        found[target] = np.ascontiguousarray(values)
    factors = _rope_factors(module)
    if factors is not None:
        if family.name != "llama":
            raise RefusedError(f"GGUF export: scaled rotary positions of {family.name!r} are not supported")
        found["rope_freqs.weight"] = factors
    return found


def _target(name: str) -> str:
    block = _BLOCK.match(name)
    if block and block[2] in _IN_BLOCK:
        return f"blk.{block[1]}.{_IN_BLOCK[block[2]]}.{block[3]}"
    layer, _, kind = name.rpartition(".")
    if layer in _TOP:
        return f"{_TOP[layer]}.{kind}"
    raise RefusedError(f"GGUF export: llama.cpp has no place for tensor {name!r}")


def _interleave(values: np.ndarray, heads: int) -> np.ndarray:
    """Reorder the rows of q or k, [rows, …]: (i, i + half) of a head become neighbours (2i, 2i + 1).

    transformers rotates row i of a head with row i + half; llama.cpp's 'llama' rotates neighbours.
    """
    half = values.shape[0] // heads // 2
    split = values.reshape(heads, 2, half, *values.shape[1:])
    return split.swapaxes(1, 2).reshape(values.shape)


def _rope_factors(module: Any) -> np.ndarray | None:
    """Return by what each rotary frequency is divided, [head / 2]; None where nothing is scaled."""
    rope = module.config.rope_parameters
    kind = rope.get("rope_type", "default")
    if kind not in STATIC_ROPE or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise RefusedError(
            f"GGUF export: rotary positions of type {kind!r}, or of a part of the head, are not supported"
        )
    rotary = module.get_decoder().rotary_emb
    frequencies = rotary.inv_freq.detach().double().cpu().numpy()
    if getattr(rotary, "attention_scaling", 1.0) != 1.0:
        raise RefusedError("GGUF export: scaled attention of rotary positions is not supported")
    plain = float(rope["rope_theta"]) ** -(np.arange(len(frequencies)) / len(frequencies))
    factors = plain / frequencies
    return None if np.allclose(factors, 1.0, rtol=1e-6) else factors.astype(np.float32)


def _write_tensor(writer: Any, name: str, values: np.ndarray, precision: str) -> None:
    import gguf

    kind = gguf.GGMLQuantizationType[PRECISIONS[precision] if values.ndim == 2 else "F32"]
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
