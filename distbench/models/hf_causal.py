"""Causal language models in Hugging Face format: a checkpoint folder, or a GGUF file that is converted once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distbench.data.checkpoint import check_safetensors
from distbench.data.sources import resolve_checkpoint
from distbench.data.trust import NOBODY, trust_of
from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.models import int8
from distbench.models.hf_blocks import blocks_of, keep_blocks
from distbench.models.hf_divided import check_divisible, open_divided
from distbench.models.hf_opening import (
    CODE,
    PERMITS,
    PICKLE,
    UNREADABLE,
    Opening,
    no_tokenizer,
    opening,
    runs_code,
    unreadable,
)
from distbench.models.hf_weights import refuse_incomplete, refuse_nan
from distbench.models.language import ScoresByLogits
from distbench.models.quantised import BESIDE_INTEGERS, check_library
from distbench.models.torch_compiled import CompiledDecoder
from distbench.models.torch_decode import cache_bytes, decode_greedily, random_prompts
from distbench.models.torch_device import prepare_torch, torch_dtype
from distbench.models.torch_weights import weight_bytes
from distbench.models.writing import levels, prompts_of, written
from distbench.protocols import (
    Asked,
    Decoded,
    LearnReport,
    LearnSession,
    Resolved,
    Sampling,
    Stop,
    TrainingRecipe,
    Written,
)
from distbench.schema.cell import Settings
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict

UNSTATED_LENGTH = 2048


class HFCausalOptions(Strict):
    """Options of `use: hf-causal`: how it is opened."""

    attention: Literal["sdpa", "eager"] | None = Field(
        None, description="kernel of the attention; transformers' own choice where left out"
    )
    compile: bool = Field(
        False, description="torch.compile the decoding that meters repeat, with a static key-value cache"
    )
    tensor_parallel: int = Field(
        1, ge=1, le=1024, description="divide the weights among so many processes, one a device; for evaluations only"
    )
    trust_remote_code: bool = Field(False, description=CODE)
    allow_pickle: bool = Field(False, description=PICKLE)


class HFCausal(ScoresByLogits):
    """A `transformers` causal language model with its tokenizer.

    Attributes: module (torch.nn.Module, eval mode), tokenizer, settings, options.
    """

    Options = HFCausalOptions
    offers: ClassVar[frozenset[str]] = frozenset(
        {"causal-lm", "language", "cache", "decode", "layers", "remake", "int8", "learn", "lora", "save", "weights"}
        | {"write", "processes"}
    )
    learns: ClassVar[frozenset[str]] = frozenset({"tokens"})
    own: ClassVar[frozenset[str]] = frozenset({"tensor_parallel"})  # options that a student does not take over
    permits: ClassVar[frozenset[str]] = PERMITS
    unseen: ClassVar[frozenset[str]] = PERMITS

    def __init__(
        self,
        module: Any,
        tokenizer: Any,
        settings: Settings,
        folder: Path | None = None,
        options: HFCausalOptions | None = None,
    ) -> None:
        self.options = options or HFCausalOptions()
        self.module = module
        self._compiled: CompiledDecoder | None = None
        self.tokenizer = tokenizer
        self.settings = settings
        self.folder = folder

    @classmethod
    def resolve(cls, source: str, directory: Path, options: HFCausalOptions | None = None) -> Resolved:
        """Find a folder, GGUF file, wheel or hub id."""
        found = resolve_checkpoint(source, directory, trust_of(options) if options else NOBODY)
        if found.path is not None:
            check_library(found.path)
        return found

    @classmethod
    def processes(cls, options: HFCausalOptions) -> int:
        """Return how many processes hold the model together."""
        return options.tensor_parallel

    @classmethod
    def check_options(cls, path: Path | None, options: HFCausalOptions) -> None:
        """Raise UsageError where these files cannot be opened in that way; `path` None: they do not exist yet."""
        if options.tensor_parallel > 1:
            check_divisible(path, options.tensor_parallel)
            if options.compile:
                raise UsageError("compile and tensor_parallel do not go together")

    @classmethod
    def warm_up(cls) -> None:
        """Import torch and transformers."""
        import torch  # noqa: F401
        from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401

    @classmethod
    def open(cls, path: Path, settings: Settings, options: HFCausalOptions | None = None) -> Self:
        """Load weights and tokenizer; a missing tensor or a NaN is an error, never a random initialisation."""
        options = options or HFCausalOptions()
        device = prepare_torch(settings)
        if path.suffix == ".gguf":
            module, tokenizer = _open_gguf(path)
        else:
            how = opening(path, trust_of(options))
            check_library(path)
            if options.tensor_parallel > 1:
                module = open_divided(path, settings, options.tensor_parallel, how)
            else:
                module = _open_folder(path, settings, how)
            tokenizer = _tokenizer(path, trust_remote_code=how.runs_code)
        refuse_nan(module, path)
        if options.attention is not None:
            module.set_attn_implementation(options.attention)
        return cls(module.to(device).eval(), tokenizer, settings, path if path.is_dir() else None, options)

    @classmethod
    def tokenizer_of(cls, path: Path, options: HFCausalOptions | None = None) -> Any:
        """Load the tokenizer alone."""
        if path.suffix == ".gguf":
            return _tokenizer(path.parent, gguf_file=path.name)
        return _tokenizer(path, trust_remote_code=runs_code(path, trust_of(options) if options else NOBODY))

    # -- what it is -------------------------------------------------------------------------------------------------

    def footprint(self) -> Footprint:
        """Parameters of the loaded module (tied once) and bytes of its weight files."""
        if self.folder is None:
            raise RefusedError("the footprint of a model is read after it was saved")
        files = sorted(self.folder.glob("*.safetensors"))
        tensors = {name: entry for file in files for name, entry in check_safetensors(file).items()}
        sizes = {name: _count(entry["shape"]) for name, entry in tensors.items() if not name.endswith(BESIDE_INTEGERS)}
        embeddings = sum(
            size for name, size in sizes.items() if "embed_tokens" in name or "wte" in name or "lm_head" in name
        )
        dtypes = sorted({str(entry["dtype"]) for entry in tensors.values()})
        return Footprint(
            bytes_on_disk=sum(file.stat().st_size for file in files),
            params_unique=sum(sizes.values()),
            params_non_embedding=sum(sizes.values()) - embeddings,
            dtype="+".join(dtypes),
        )

    def save(self, folder: Path) -> None:
        """Write an ordinary checkpoint folder (int8 models: safetensors with int8 weights and scales)."""
        if any(int8.is_int8(layer) for layer in self.module.modules()):
            int8.save_int8(self.module, folder)
        else:
            self.module.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.folder = folder

    # -- language ---------------------------------------------------------------------------------------------------

    @property
    def context_length(self) -> int:
        """How many positions the model has; 2048, as in lm-eval, where its configuration does not say."""
        config = self.module.config
        config = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
        return int(getattr(config, "max_position_embeddings", None) or UNSTATED_LENGTH)

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end a text: those of the generation configuration, else the tokenizer's."""
        stated = getattr(getattr(self.module, "generation_config", None), "eos_token_id", None)
        stated = self.tokenizer.eos_token_id if stated is None else stated
        return frozenset(stated if isinstance(stated, list) else [] if stated is None else [stated])

    @property
    def engine(self) -> str:
        """The library and its version."""
        import transformers

        return f"transformers {transformers.__version__}"

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return float32 logits [len(ids), vocabulary]: row i is about the token after ids[i]."""
        import torch

        with torch.inference_mode():
            found = self.module(torch.tensor([list(ids)], device=self.module.device), use_cache=False).logits[0]
        return np.asarray(found.float().cpu().numpy(), dtype=np.float32)

    def continue_greedily(self, ids: Sequence[int], most: int, stop: Stop | None = None) -> list[int]:
        """Return at most `most` greedy tokens after `ids`, as `decode` writes them."""
        import torch

        prompt = torch.tensor([list(ids)], device=self.module.device)
        tokens: list[int] = self.decode(prompt, most).tokens[0].tolist()
        ends = (n for n in range(1, len(tokens) + 1) if stop is not None and stop(tokens[:n]))
        return tokens[: next(ends, len(tokens))]

    def write(self, asked: Sequence[Asked], sampling: Sampling) -> list[Written]:
        """Return an answer to each prompt, all of them at once."""
        import torch

        from distbench.data.text_decoding import Decoding, continue_rows

        prompts = prompts_of(self, asked, sampling)
        drawn = torch.from_numpy(np.stack([levels(one.seed, sampling.most) for one in asked]))
        how = Decoding(sampling.most, self.ends, sampling.temperature, drawn)
        answers = continue_rows(self.module, prompts, how, len(prompts))
        return [written(self.tokenizer, self.ends, *pair) for pair in zip(prompts, answers, strict=True)]

    # -- inference work ---------------------------------------------------------------------------------------------

    def prompts(self, batch: int, length: int, seed: int) -> Any:
        """Return seeded random token ids [batch, length]: a dense decoder works the same on any tokens."""
        return random_prompts(self.module, batch, length, seed)

    def decode(self, prompts: Any, output_tokens: int) -> Decoded:
        """Prefill once and decode greedily with the key-value cache; an end-of-text token does not end it."""
        if self.options.compile:
            self._compiled = self._compiled or CompiledDecoder(self.module)
            return self._compiled.decode(prompts, output_tokens)
        return decode_greedily(self.module, prompts, output_tokens)

    def cache_bytes(self, prompts: Any) -> int:
        """Return the bytes of the key-value cache after prompts [batch, length]."""
        return cache_bytes(self.module, prompts)

    def weight_bytes(self) -> int:
        """Return the bytes of the weights in memory."""
        return weight_bytes(self.module)

    # -- making students --------------------------------------------------------------------------------------------

    def layer_count(self) -> int:
        """Return the number of decoder blocks."""
        return len(blocks_of(self.module))

    def keep_layers(self, indices: list[int]) -> None:
        """Keep these decoder blocks (sorted, 0-based), in place."""
        keep_blocks(self.module, indices)
        self.folder = None

    def remade(self, module: Any) -> Self:
        """Return the same tokenizer and options around another module, on the same device; this one is not changed."""
        if self.options.attention is not None:
            module.set_attn_implementation(self.options.attention)
        module.generation_config = self.module.generation_config
        return type(self)(module.to(self.module.device).eval(), self.tokenizer, self.settings, None, self.options)

    def quantise_int8(self, skip: tuple[str, ...]) -> list[str]:
        """Replace linear layers by dynamic int8 ones, in place; the output head stays as it is."""
        if self.settings.device != "cpu":
            raise EnvironmentFault("int8-dynamic runs on the CPU only; use device: cpu")
        return int8.quantise_linears(self.module, ("lm_head", *skip))

    def learn(self, signal: Any, recipe: TrainingRecipe, session: LearnSession) -> LearnReport:
        """Train on a token signal with `transformers.Trainer`; the weights change in place."""
        from distbench.training.causal_lm import train

        return train(self, signal, recipe, session)


def _count(shape: list[int]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def _tokenizer(folder: Path, *, trust_remote_code: bool = False, **options: Any) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code, **options)
    except (OSError, ValueError) as error:
        raise no_tokenizer(folder, error) from error


def _open_folder(folder: Path, settings: Settings, how: Opening) -> Any:
    from transformers import AutoModelForCausalLM

    if (folder / int8.MARK).is_file():
        if settings.device != "cpu":
            raise EnvironmentFault(f"{folder} is an int8-dynamic model, which runs on the CPU only; use device: cpu")
        return int8.load_int8(folder, how)
    try:
        module, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch_dtype(settings),
            **how.words(),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below with the tensor's name
        )
    except UNREADABLE as error:
        raise unreadable(folder, error, "load") from error
    refuse_incomplete(report, folder)
    return module


def _open_gguf(path: Path) -> tuple[Any, Any]:
    """De-quantise to float32. The loaded object counts as quantised, so its tensors go into a fresh module."""
    import importlib.util

    import torch
    from transformers import AutoModelForCausalLM

    if importlib.util.find_spec("gguf") is None:
        raise EnvironmentFault(f"{path} needs the package gguf: pip install 'distbench[gguf]'")
    loaded, report = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
    )
    refuse_incomplete(report, path)
    config = type(loaded.config).from_dict(
        {k: v for k, v in loaded.config.to_dict().items() if k != "quantization_config"}
    )
    module = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    module.load_state_dict(loaded.state_dict())
    module.tie_weights()
    return module, _tokenizer(path.parent, gguf_file=path.name)
