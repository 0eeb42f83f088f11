"""From a torch module to an OpenVINO graph that keeps its key-value cache, in float32 or with int8 weights.

How a cache becomes state: https://docs.openvino.ai/2025/openvino-workflow/running-inference/inference-request/
stateful-models.html
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from distbench.errors import RefusedError
from distbench.models.exported import write_facts
from distbench.models.openvino_runtime import FILE
from distbench.models.quantised import is_quantised
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict

_NO_TELEMETRY = {"CI": "true", "NNCF_CI": "1"}  # the two packages send reports of use unless these are set


class OpenVINODeploymentOptions(Strict):
    """Options of `deploy: {use: openvino}`."""

    precision: Literal["float32", "int8"] = Field("float32", description="int8: weights, one scale an output row")
    activations: Literal["float32", "int8"] = Field(
        "int8", description="of an int8 export: int8 as OpenVINO quantises them on the fly by itself, or float32"
    )


class OpenVINODeployment:
    """Trace the decoder with its cache; int8 by NNCF's data-free compression of weights."""

    Options = OpenVINODeploymentOptions
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm", "language"})
    makes: ClassVar[str] = "openvino"
    quantised: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ("openvino", "nncf")

    def __init__(self, options: OpenVINODeploymentOptions) -> None:
        self.options = options

    def exact(self, settings: Settings) -> bool:
        """Return whether the graph computes in float32; it does so whatever the suite's dtype."""
        return self.options.precision == "float32"

    def opens(self) -> dict[str, Any]:
        """Return how activations are treated; float32 weights leave no choice."""
        return {"activations": self.options.activations} if self.options.precision == "int8" else {}

    def export(self, model: Any, folder: Path) -> None:
        """Write the graph, the facts and the tokenizer."""
        import openvino

        from distbench.models.cached_decoder import cache_shape

        if is_quantised(model.module):
            raise RefusedError("a quantised model cannot be exported; export the float one with precision: int8")
        shape = cache_shape(model.module)
        with _quietly():
            graph = _stateful(_traced(model.module, shape), shape)
            if self.options.precision == "int8":
                import nncf

                graph = nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_SYM)
        openvino.save_model(graph, folder / FILE, compress_to_fp16=False)
        layers, heads, size = shape
        write_facts(folder, model, "openvino", self.options.precision, layers=layers, heads=heads, head_size=size)


def _traced(module: Any, shape: tuple[int, int, int]) -> Any:
    """Return the graph of `CachedDecoder` with the cache as inputs and outputs; batch and lengths are free."""
    import openvino
    import torch

    from distbench.models.cached_decoder import CachedDecoder, example

    layers, heads, size = shape
    with torch.no_grad():
        graph = openvino.convert_model(CachedDecoder(module).eval(), example_input=example(module, shape))
    caches = [[-1, heads, -1, size]] * (2 * layers)
    free = [[-1, -1], [-1], *caches]
    graph.reshape({port: openvino.PartialShape(each) for port, each in zip(graph.inputs, free, strict=True)})
    graph.inputs[0].get_tensor().set_names({"tokens"})
    graph.inputs[1].get_tensor().set_names({"rows"})
    graph.outputs[0].get_tensor().set_names({"logits"})
    return graph


def _stateful(graph: Any, shape: tuple[int, int, int]) -> Any:
    """Turn each pair of cache input and output into a variable, which starts with no position at all."""
    from openvino import opset13
    from openvino.passes import MakeStateful, Manager

    pairs = [(old.get_node(), new.get_node()) for old, new in zip(graph.inputs[2:], graph.outputs[1:], strict=True)]
    manager = Manager()
    manager.register_pass(MakeStateful(pairs))
    manager.run_passes(graph)
    _, heads, size = shape
    tokens = opset13.shape_of(graph.input("tokens"), output_type="i64")
    batch = opset13.gather(tokens, opset13.constant(np.array([0])), opset13.constant(np.array(0)))
    start = opset13.concat([batch, opset13.constant(np.array([heads, 0, size]))], axis=0)
    empty = opset13.broadcast(opset13.constant(np.float32(0)), start)
    for node in graph.get_ops():
        if node.get_type_name() == "ReadValue":
            node.set_arguments([empty])
    graph.validate_nodes_and_infer_types()
    return graph


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep notes of the converters out of the cell's log, and reports of use in the house; errors are raised."""
    before, environment = logging.root.manager.disable, dict(os.environ)
    logging.disable(logging.WARNING)
    os.environ.update(_NO_TELEMETRY)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        for name in _NO_TELEMETRY:
            os.environ.pop(name) if name not in environment else os.environ.update({name: environment[name]})
