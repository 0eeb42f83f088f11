"""Language models on ONNX Runtime: a graph whose key-value cache comes in and goes out of every call."""

from __future__ import annotations

from itertools import chain
from typing import Any, ClassVar

import numpy as np

from distbench.errors import RefusedError
from distbench.models.exported import ExportedLM, Logits, Tokens

FILE = "model.onnx"


class OnnxRuntimeLM(ExportedLM):
    """A folder that `deploy: {use: onnxruntime}` wrote, on ONNX Runtime's CPU provider.

    Inputs of the graph: `tokens` [batch, n], `rows` [m] (which of the n positions get logits), and per layer
    `past_key_i` and `past_value_i` [batch, heads, past, size]. Outputs: `logits` [batch, m, vocabulary], and per layer
    `key_i` and `value_i` with the new positions appended.
    """

    offers: ClassVar[frozenset[str]] = ExportedLM.offers | {"cache"}
    requires: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    keeps_past: ClassVar[bool] = True
    use: ClassVar[str] = "onnxruntime"
    weights: ClassVar[tuple[str, ...]] = (FILE, "*.onnx.data")

    def _load(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.threads
        options.inter_op_num_threads = 1
        # idle threads that spin would slow down whatever is measured beside this model
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = self.folder / FILE
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            line = str(error).strip().splitlines()[0][:200]
            raise RefusedError(f"{path}: ONNX Runtime {onnxruntime.__version__} cannot open it ({line})") from error
        details = self.facts.details
        self._layers = int(details["layers"])
        self._empty_cache = (int(details["heads"]), 0, int(details["head_size"]))
        self._outputs = ["logits", *names(self._layers)]

    def forward(self, tokens: Tokens, past: Any, *, every: bool) -> tuple[Logits, Any]:
        """Run the graph once; `past` is the list of the cache's OrtValues."""
        from onnxruntime import OrtValue

        batch, length = tokens.shape
        rows = np.arange(length) if every else np.array([length - 1])
        if past is None:
            empty = OrtValue.ortvalue_from_numpy(np.zeros((batch, *self._empty_cache), dtype=np.float32))
            past = [empty] * (2 * self._layers)
        feed = {
            "tokens": OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tokens)),
            "rows": OrtValue.ortvalue_from_numpy(rows),
            **dict(zip((f"past_{name}" for name in names(self._layers)), past, strict=True)),
        }
        logits, *cache = self._session.run_with_ort_values(self._outputs, feed)
        return logits.numpy(), cache

    def cache_bytes(self, prompts: Tokens) -> int:
        """Return the bytes of the key-value cache after prompts [batch, length]."""
        _, cache = self.forward(prompts, None, every=False)
        return sum(value.numpy().nbytes for value in cache)


def names(layers: int) -> list[str]:
    """Return the names of the cache's tensors, in the order of the graph."""
    return list(chain.from_iterable((f"key_{i}", f"value_{i}") for i in range(layers)))
