"""lm-eval's own Hugging Face model around a model that distbench has loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def language_model(model: Any, batch_size: int, progress: Callable[[int, int], None]) -> Any:
    """Return an HFLM that asks `model` and reports requests done.

    `max_length` is always given: a tokenizer's model_max_length can be 10^30.
    """
    from lm_eval.models.huggingface import HFLM

    class Watched(HFLM):  # type: ignore[misc]
        done = total = 0

        def _loglikelihood_tokens(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
            self.done, self.total = 0, len(requests)
            return super()._loglikelihood_tokens(
                requests, True, *args[1:], **{k: v for k, v in kwargs.items() if k != "disable_tqdm"}
            )

        def _model_call(self, inps: Any, *args: Any, **kwargs: Any) -> Any:
            out = super()._model_call(inps, *args, **kwargs)
            self.done = min(self.total, self.done + inps.shape[0])
            progress(self.done, self.total)
            return out

    limit = int(getattr(model.module.config, "max_position_embeddings", 2048))
    return Watched(pretrained=model.module, tokenizer=model.tokenizer, batch_size=batch_size, max_length=limit)
