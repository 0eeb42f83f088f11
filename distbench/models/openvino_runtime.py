"""Language models on OpenVINO: a graph that keeps its key-value cache as state of the session."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from distbench.errors import RefusedError
from distbench.models.exported import ExportedLM, Logits, Tokens
from distbench.schema.strict import Strict

FILE = "openvino_model.xml"
WEIGHTS = "openvino_model.bin"


class OpenVINOOptions(Strict):
    """Options of `use: openvino`."""

    activations: Literal["float32", "int8"] = Field(
        "int8",
        description="int8: activations before int8 weights are quantised on the fly, as OpenVINO does by itself; "
        "without effect on float32 weights",
    )


class OpenVINOLM(ExportedLM):
    """A folder that `deploy: {use: openvino}` wrote, on OpenVINO's CPU device.

    Inputs of the graph: `tokens` [batch, n] and `rows` [m] (which of the n positions get logits); its output: `logits`
    [batch, m, vocabulary]. Sums and the cache are float32: the hints of this machine (bfloat16, a cache in 8 bits) are
    turned off, so that only the stated precision tells two exports apart.
    """

    Options = OpenVINOOptions
    offers: ClassVar[frozenset[str]] = ExportedLM.offers | {"cache"}
    requires: ClassVar[tuple[str, ...]] = ("openvino",)
    keeps_past: ClassVar[bool] = True
    use: ClassVar[str] = "openvino"
    weights: ClassVar[tuple[str, ...]] = (FILE, WEIGHTS)

    def _load(self) -> None:
        import openvino

        wanted = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": self.settings.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "KV_CACHE_PRECISION": "f32",
        }
        if self.options.activations == "float32":
            wanted["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        path = self.folder / FILE
        try:
            compiled = openvino.Core().compile_model(path, "CPU", wanted)
        except RuntimeError as error:
            line = str(error).strip().splitlines()[-1][:200]
            raise RefusedError(f"{path}: OpenVINO {openvino.__version__} cannot open it ({line})") from error
        self._request = compiled.create_infer_request()
        self._held = 0  # positions in the cache

    def forward(self, tokens: Tokens, past: Any, *, every: bool) -> tuple[Logits, Any]:
        """Run the graph once; the session keeps the cache, and `past` is how many of its positions `tokens` follow."""
        length = tokens.shape[1]
        rows = np.arange(length) if every else np.array([length - 1])
        if past is None:
            self._request.reset_state()
            self._last, self._held = None, 0  # the session no longer holds the context that `score` may have kept
        elif past < self._held:
            self._forget(past)
        self._held = (past or 0) + length
        self._request.infer({"tokens": np.ascontiguousarray(tokens), "rows": rows}, share_inputs=True)
        return np.array(self._request.get_tensor("logits").data), self._held  # a copy: the session writes over its own

    def _forget(self, start: int) -> None:
        """Drop what the session holds from position `start` on."""
        import openvino

        for state in self._request.query_state():
            state.state = openvino.Tensor(np.ascontiguousarray(state.state.data[:, :, :start]))

    def cache_bytes(self, prompts: Tokens) -> int:
        """Return the bytes of the key-value cache after prompts [batch, length]."""
        self.forward(prompts, None, every=False)
        return sum(int(state.state.byte_size) for state in self._request.query_state())
