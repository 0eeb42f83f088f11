"""From a torch module to an ONNX graph with a key-value cache, in float32 or int8."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from distbench.errors import RefusedError
from distbench.models import int8
from distbench.models.exported import write_facts
from distbench.models.onnx_runtime import FILE, names
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict

OPSET = 20
BLOCK = 32  # weights that share a scale, along the dimension that is summed over
INT8_PRODUCTS = 4  # ONNX Runtime's accuracy level: activations become int8 block by block


class OnnxRuntimeDeploymentOptions(Strict):
    """Options of `deploy: {use: onnxruntime}`."""

    precision: Literal["float32", "int8", "int8-blockwise"] = Field(
        "float32",
        description="int8: a scale a channel of the weights and one for all activations of a layer; int8-blockwise: a "
        "scale for every 32 of either, which loses less and leaves embedding and head in float32",
    )


class OnnxRuntimeDeployment:
    """Export with torch's ONNX exporter; int8 by ONNX Runtime's dynamic quantisation."""

    Options = OnnxRuntimeDeploymentOptions
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm", "language"})
    makes: ClassVar[str] = "onnxruntime"
    quantised: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "onnxscript")

    def __init__(self, options: OnnxRuntimeDeploymentOptions) -> None:
        self.options = options

    def exact(self, settings: Settings) -> bool:
        """Return whether the graph computes in float32; it does so whatever the suite's dtype."""
        return self.options.precision == "float32"

    def opens(self) -> dict[str, Any]:
        """Return nothing: ONNX Runtime has no options of ours."""
        return {}

    def export(self, model: Any, folder: Path) -> None:
        """Write model.onnx, the facts and the tokenizer."""
        from distbench.models.cached_decoder import cache_shape

        if any(int8.is_int8(layer) for layer in model.module.modules()):
            raise RefusedError("an int8-dynamic model cannot be exported; export the float one with precision: int8")
        shape = cache_shape(model.module)
        path = folder / FILE
        whole = path if self.options.precision == "float32" else folder / "float32.onnx"
        _trace(model.module, shape, whole)
        if whole != path:
            (_quantise if self.options.precision == "int8" else _quantise_blockwise)(whole, path)
            for file in folder.glob("float32.onnx*"):
                file.unlink()
        layers, heads, size = shape
        write_facts(folder, model, "onnxruntime", self.options.precision, layers=layers, heads=heads, head_size=size)


def _trace(module: Any, shape: tuple[int, int, int], path: Path) -> None:
    import torch
    from torch.export import Dim

    from distbench.models.cached_decoder import CachedDecoder, example

    cache = names(shape[0])
    past = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC}
    with _quietly(), torch.inference_mode():
        torch.onnx.export(
            CachedDecoder(module).eval(),
            example(module, shape),
            path,
            dynamo=True,
            opset_version=OPSET,
            external_data=True,  # a protobuf message ends at 2 GB
            input_names=["tokens", "rows", *(f"past_{name}" for name in cache)],
            output_names=["logits", *cache],
            dynamic_shapes=({0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC}, tuple(past for _ in cache)),
            verbose=False,
        )


def _quantise(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quietly():
        quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True, use_external_data_format=True)


def _quantise_blockwise(source: Path, target: Path) -> None:
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    with _quietly():
        made = MatMulNBitsQuantizer(
            onnx.load(source), bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=INT8_PRODUCTS
        )
        made.process()
        made.model.save_model_to_file(str(target), use_external_data_format=True)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporters' progress notes out of the cell's log; errors are raised, not logged."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
