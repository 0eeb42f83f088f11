"""Random language models of a few thousand parameters, one an architecture, and requests for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distbench.scoring.requests import Request

VOCABULARY = 61


def _small(**more: Any) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 0,
        "pad_token_id": 0,
    } | more  # fmt: skip


def _gpt(**more: Any) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 256, "bos_token_id": 0,
        "eos_token_id": 0,
    } | more  # fmt: skip


GQA = {"num_key_value_heads": 2}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", _small(**GQA)),
    "gpt2": ("GPT2", _gpt()),
    "gpt-neox": ("GPTNeoX", _small(rotary_pct=0.5)),
    "qwen2": ("Qwen2", _small(**GQA)),
    "qwen3": ("Qwen3", _small(**GQA, head_dim=8)),
    "phi": ("Phi", _small()),
    "opt": ("OPT", _small(ffn_dim=48, word_embed_proj_dim=32)),
    "mistral": ("Mistral", _small(**GQA, sliding_window=16)),
    "gemma": ("Gemma", _small(**GQA, head_dim=8)),
    "gemma2": ("Gemma2", _small(**GQA, head_dim=8, sliding_window=128, final_logit_softcapping=30.0)),
    "gemma3": ("Gemma3", _small(**GQA, head_dim=8, sliding_window=16)),
    "cohere": ("Cohere", _small(**GQA, logit_scale=0.5)),
    "bloom": ("Bloom", {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 3, "n_head": 4}),
    "gpt-neo": (
        "GPTNeo",
        {
            "vocab_size": VOCABULARY, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "window_size": 16,
            "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 256,
        },
    ),
    "mamba": ("Mamba", {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}),
    "phi3-longrope": (
        "Phi3",
        _small(
            **GQA, sliding_window=None, original_max_position_embeddings=32, max_position_embeddings=256,
            rope_parameters={
                "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
                "original_max_position_embeddings": 32,
            },
        ),
    ),
}  # fmt: skip


EAGER = ("mamba", "bloom", "gemma2", "gpt-neo")  # transformers has one kind of attention for them


def make(name: str, *, dtype: str = "float32", attention: str = "sdpa", seed: int = 0) -> Any:
    """Return a random model. Weights are ten times the usual size, so that what a token sees decides the answer."""
    import torch
    import transformers

    family, settings = CONFIGS[name]
    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}{'Text' if family == 'Gemma3' else ''}Config")(**settings)
    kind = transformers.AutoModelForCausalLM
    module = kind.from_config(config, **({} if name in EAGER else {"attn_implementation": attention}))
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0.0, 0.2)
    return module.to(getattr(torch, dtype)).eval()


def request(tokens: list[int], scored: int) -> Request:
    """Return the request that scores the last tokens of a text."""
    whole = np.asarray(tokens, dtype=np.int32)
    return Request(whole[:-1], whole[len(whole) - scored :])


def choices(
    documents: int = 12, context: int = 20, count: int = 4, answer: int = 5, shots: int = 0, seed: int = 0
) -> list[Request]:
    """Return multiple-choice requests: `count` answers to each context, behind `shots` tokens that all share."""
    random = np.random.default_rng(seed)
    draw: Callable[[int], list[int]] = lambda n: random.integers(1, VOCABULARY, n).tolist()  # noqa: E731
    head = draw(shots)
    made = []
    for _ in range(documents):
        stem = head + draw(int(random.integers(max(1, context // 2), context + 1)))
        for _ in range(count):
            ending = draw(int(random.integers(1, answer + 1)))
            made.append(request(stem + ending, len(ending)))
    return made


def plain(module: Any, each: Request) -> tuple[float, bool]:
    """Return the log-probability in float64 arithmetic after the logits, and whether it is greedy: one plain pass."""
    import torch

    with torch.no_grad():
        logits = module(input_ids=torch.as_tensor(each.tokens[None].astype(np.int64))).logits[0, each.first :]
    targets = torch.as_tensor(each.targets.astype(np.int64))
    logprobs = logits.double().log_softmax(-1)
    return float(logprobs.gather(1, targets[:, None]).sum()), bool((logits.argmax(-1) == targets).all())
