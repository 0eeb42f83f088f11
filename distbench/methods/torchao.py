"""Linear layers in 8 bits by torchao, PyTorch's library of quantised tensors (https://github.com/pytorch/ao).

The result is an ordinary transformers checkpoint: its config.json names the scheme and its safetensors hold the
integers and their scales, so whatever else reads transformers checkpoints of torchao opens it too.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, ClassVar, Literal

from pydantic import Field

from distbench.errors import EnvironmentFault, RefusedError
from distbench.schema.strict import Strict

OLDEST = (0, 18)  # what this was written against; older ones wrap their integers in other classes
HEAD = "lm_head"


class TorchAOOptions(Strict):
    """Options of `quantise: {use: torchao}`."""

    scheme: Literal["int8-weight-only", "int8-dynamic"] = Field(
        "int8-weight-only",
        description="int8-weight-only: weights int8 per output row, computed in the model's dtype; "
        "int8-dynamic: activations too, one scale a token",
    )
    skip: list[str] = Field([], description="linear layers whose name ends with one of these words stay as they are")


class TorchAO:
    """Replace the weights of linear layers by torchao's quantised tensors; the output head stays as it is."""

    Options = TorchAOOptions
    requires: ClassVar[tuple[str, ...]] = ("torchao",)
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm", "save"})

    def __init__(self, options: TorchAOOptions) -> None:
        self.options = options

    def quantise(self, model: Any) -> Any:
        """Return the model with quantised layers (it is changed)."""
        check_version()
        from torchao.quantization import quantize_
        from transformers import TorchAoConfig
        from transformers.quantizers.auto import AutoHfQuantizer

        skip = (HEAD, *self.options.skip)
        module, scheme = model.module, _config(self.options.scheme)
        names = [name for name, layer in module.named_modules() if _chosen(layer, name, skip)]
        if not names:
            raise RefusedError(f"torchao: no linear layer is left to quantise (skipped: {', '.join(skip)})")
        quantize_(module, scheme, lambda layer, name: _chosen(layer, name, skip))
        quantizer = AutoHfQuantizer.from_config(
            TorchAoConfig(scheme, modules_to_not_convert=list(skip)), pre_quantized=False
        )
        module.hf_quantizer = quantizer  # what save_pretrained asks for how to write the tensors
        module.config.quantization_config = quantizer.quantization_config
        return model


def check_version() -> None:
    """Raise EnvironmentFault where torchao is too old, or has no kernels for this torch."""
    import torch

    found = version("torchao")
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        wanted = ".".join(str(part) for part in OLDEST)
        raise EnvironmentFault(f"torchao {found} is older than {wanted}: pip install 'distbench[torchao]' --upgrade")
    import torchao

    if torchao.skip_loading_so_files:
        raise EnvironmentFault(
            f"torchao {found} was built for another torch than {torch.__version__}: install the torchao that its "
            "table of versions names for this torch (https://github.com/pytorch/ao/issues/2919)"
        )


def _config(scheme: str) -> Any:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig

    kind = Int8WeightOnlyConfig if scheme == "int8-weight-only" else Int8DynamicActivationInt8WeightConfig
    return kind(set_inductor_config=False)  # it would change settings of the whole process


def _chosen(layer: Any, name: str, skip: tuple[str, ...]) -> bool:
    import torch

    return isinstance(layer, torch.nn.Linear) and not any(name == word or name.endswith("." + word) for word in skip)
