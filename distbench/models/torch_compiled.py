"""Greedy decoding through torch.compile: one graph for a step, a key-value cache of fixed size and address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distbench.errors import EnvironmentFault
from distbench.models.torch_decode import greedy_loop
from distbench.protocols import Decoded

if TYPE_CHECKING:
    import torch


class CompiledDecoder:
    """Decodes with a compiled step. The prefill runs uncompiled: its length differs from prompt to prompt.

    The cache is static and kept for every (batch, length): a graph captured with its addresses stays valid, which CUDA
    graphs need. The first call of a shape compiles; whoever measures warms up with the real shapes.
    """

    def __init__(self, module: Any) -> None:
        import torch

        self._module = module
        # on a GPU with CUDA graphs, as transformers' own generation compiles; inductor's C++ kernels on a CPU
        mode = "reduce-overhead" if module.device.type == "cuda" else "default"
        self._step: Any = torch.compile(module.forward, mode=mode)
        self._caches: dict[tuple[int, int], Any] = {}

    def decode(self, prompts: torch.Tensor, output_tokens: int) -> Decoded:
        """Return `output_tokens` greedy tokens a prompt, as `torch_decode.decode_greedily` does.

        Raises EnvironmentFault where the compiler that torch.compile needs is missing.
        """
        from torch._dynamo.exc import BackendCompilerFailed
        from torch._inductor.exc import InductorError

        cache = self._cache(prompts.shape[0], prompts.shape[1] + output_tokens)

        def first() -> Any:
            return self._module(prompts, past_key_values=cache, use_cache=True, logits_to_keep=1)

        def step(token: torch.Tensor, _: Any) -> Any:
            return self._step(token, past_key_values=cache, use_cache=True, logits_to_keep=1)

        try:
            return greedy_loop(prompts.device, first, step, output_tokens)
        except (BackendCompilerFailed, InductorError) as error:
            line = str(error).strip().splitlines()[0][:200]
            raise EnvironmentFault(
                f"compile: true: torch.compile cannot build its kernels here ({line}); it needs a C++ compiler (g++) "
                "on a CPU and Triton on a GPU. Install it, or leave compile out"
            ) from error

    def _cache(self, batch: int, length: int) -> Any:
        import torch
        from transformers import StaticCache

        key = (batch, length)
        if key not in self._caches:
            self._caches[key] = StaticCache(config=self._module.config, max_cache_len=length)
        with torch.inference_mode():  # what was written in it is changed in it
            self._caches[key].reset()
        return self._caches[key]
