"""A causal language model outside torch: what OpenVINO, ONNX Runtime and others share.

A runtime gives `forward`, one call of the decoder with its key-value cache; everything else follows from it. An
exported model is a folder with the runtime's own files, the source's tokenizer, and `export.json`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from distbench.errors import EnvironmentFault, RefusedError
from distbench.hashing import digest, file_digest
from distbench.models.language import ScoresByLogits, scored
from distbench.models.writing import WritesByLogits
from distbench.protocols import Decoded, Resolved, Stop
from distbench.schema.cell import Settings
from distbench.schema.places import at_home
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict
from distbench.schema.wording import first_fault

FACTS = "export.json"
Tokens = NDArray[np.int64]
Logits = NDArray[np.float32]


class ExportFacts(Strict):
    """What a folder of exported files cannot say by itself."""

    use: str
    precision: str
    vocabulary: int
    context_length: int
    ends: list[int]  # tokens after which nothing is written
    params_unique: int | None
    params_non_embedding: int | None
    details: dict[str, int | str] = Field(default_factory=dict)  # what the runtime needs, such as layers and heads


class NoOptions(Strict):
    """Options of a runtime that has none."""


class ExportedLM(ScoresByLogits, WritesByLogits, ABC):
    """A language model that a runtime other than torch computes, one open session a process.

    A subclass names itself in `use`, its files in `weights` (globs, the first must exist), and implements `_load` and
    `forward`; `past` is None at the start of a text, and else what the last call returned. A runtime that keeps the
    cache inside its session may return any token; it is only ever given the newest one.
    """

    Options: ClassVar[type[BaseModel]] = NoOptions
    offers: ClassVar[frozenset[str]] = frozenset({"language", "decode", "write"})
    learns: ClassVar[frozenset[str]] = frozenset()
    devices: ClassVar[frozenset[str]] = frozenset({"cpu"})
    requires: ClassVar[tuple[str, ...]] = ()
    keeps_past: ClassVar[bool] = False  # whether a cache that `forward` returned stays valid after the next call
    use: ClassVar[str]
    weights: ClassVar[tuple[str, ...]]

    def __init__(self, folder: Path, settings: Settings, options: Any) -> None:
        self.folder, self.settings, self.options = folder, settings, options
        self.facts = read_facts(folder, self.use)
        self.context_length = self.facts.context_length
        self.ends = frozenset(self.facts.ends)
        self.tokenizer = _tokenizer(folder)
        self._last: tuple[tuple[int, ...], Logits, Any] | None = None
        self._load()

    # -- what a runtime gives ---------------------------------------------------------------------------------------

    @abstractmethod
    def _load(self) -> None:
        """Open `self.folder` with `self.settings.threads` threads."""

    @abstractmethod
    def forward(self, tokens: Tokens, past: Any, *, every: bool) -> tuple[Logits, Any]:
        """Return logits and the cache after `tokens` [batch, n], which follow `past`.

        Logits are float32 [batch, n, vocabulary], or [batch, 1, vocabulary] of the last token unless `every`.
        """

    # -- finding and opening ----------------------------------------------------------------------------------------

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        """Find a folder that an export of this runtime wrote; its identity is the content of its files."""
        path = at_home(source)
        path = (path if path.is_absolute() else directory / path).absolute()
        read_facts(path, cls.use)
        if not list(path.glob(cls.weights[0])):
            raise EnvironmentFault(f"{path / cls.weights[0]} is missing")
        files = sorted(file for file in path.iterdir() if file.is_file())
        return Resolved(path, digest({file.name: file_digest(file) for file in files}), source)

    @classmethod
    def warm_up(cls) -> None:
        """Import the runtime and the tokenizer's library."""
        import importlib

        for module in (*cls.requires, "transformers"):
            importlib.import_module(module)

    @classmethod
    def open(cls, path: Path, settings: Settings, options: Any = None) -> Self:
        """Open an exported folder."""
        if settings.device.partition(":")[0] not in cls.devices:
            raise EnvironmentFault(f"{cls.use!r} runs on {', '.join(sorted(cls.devices))} only, not {settings.device}")
        return cls(path, settings, options or cls.Options())

    @classmethod
    def tokenizer_of(cls, path: Path) -> Any:
        """Load the tokenizer alone."""
        return _tokenizer(path)

    def footprint(self) -> Footprint:
        """Bytes of the runtime's files; parameters are those of the model that was exported."""
        files = {file for pattern in self.weights for file in self.folder.glob(pattern)}
        return Footprint(
            bytes_on_disk=sum(file.stat().st_size for file in files),
            params_unique=self.facts.params_unique,
            params_non_embedding=self.facts.params_non_embedding,
            dtype=self.facts.precision,
        )

    # -- language ---------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> str:
        """The runtime and its version."""
        from distbench.plugins import versions

        return " ".join([self.use, *versions("models", self.use).values()])

    def score(self, context: Sequence[int], continuation: Sequence[int]) -> tuple[float, bool]:
        """Return the log-probability of `continuation` after `context` in nats, and whether it is the greedy one."""
        if not self.keeps_past:
            return super().score(context, continuation)
        key = tuple(context)
        if self._last is None or self._last[0] != key:  # the choices of one question come one after the other
            logits, past = self.forward(np.asarray([key], dtype=np.int64), None, every=False)
            self._last = (key, logits[0], past)
        _, rows, past = self._last
        if len(continuation) > 1:
            more, _ = self.forward(np.asarray([continuation[:-1]], dtype=np.int64), past, every=True)
            rows = np.concatenate([rows, more[0]])
        return scored(rows, continuation)

    def logits(self, ids: Sequence[int]) -> Logits:
        """Return float32 logits [len(ids), vocabulary]: row i is about the token after ids[i]."""
        found, _ = self.forward(np.asarray([ids], dtype=np.int64), None, every=True)
        rows: Logits = found[0]
        return rows

    def continue_greedily(self, ids: Sequence[int], most: int, stop: Stop | None = None) -> list[int]:
        """Return at most `most` greedy tokens after `ids`."""
        written: list[int] = []
        tokens, past = np.asarray([ids], dtype=np.int64), None
        while len(written) < most:
            logits, past = self.forward(tokens, past, every=False)
            tokens = logits[:, -1].argmax(axis=-1)[:, None]
            written.append(int(tokens[0, 0]))
            if stop is not None and stop(written):
                break
        return written

    # -- inference work ---------------------------------------------------------------------------------------------

    def prompts(self, batch: int, length: int, seed: int) -> Tokens:
        """Return seeded random token ids [batch, length]: a dense decoder works the same on any tokens."""
        return np.random.default_rng(seed).integers(0, self.facts.vocabulary, (batch, length), dtype=np.int64)

    def decode(self, prompts: Tokens, output_tokens: int) -> Decoded:
        """Prefill once and decode greedily with the key-value cache; an end-of-text token does not end it."""
        written, marks = [], []
        tokens, past = prompts, None
        start = perf_counter_ns()
        for _ in range(output_tokens):
            logits, past = self.forward(tokens, past, every=False)
            tokens = logits[:, -1].argmax(axis=-1)[:, None]
            marks.append(perf_counter_ns() - start)
            written.append(tokens)
        return Decoded(np.concatenate(written, axis=1), tuple(marks))


def write_facts(folder: Path, model: Any, use: str, precision: str, **details: int | str) -> None:
    """Write `export.json` and the tokenizer of the source `model` (`hf-causal`) beside the exported files."""
    size = model.footprint()
    facts = ExportFacts(
        use=use,
        precision=precision,
        vocabulary=int(model.module.get_output_embeddings().weight.shape[0]),
        context_length=model.context_length,
        ends=sorted(model.ends),
        params_unique=size.params_unique,
        params_non_embedding=size.params_non_embedding,
        details=details,
    )
    (folder / FACTS).write_text(facts.model_dump_json(indent=1) + "\n", encoding="utf-8")
    model.tokenizer.save_pretrained(folder)


def read_facts(folder: Path, use: str) -> ExportFacts:
    """Return what `write_facts` wrote; refuse a folder that another runtime's export wrote."""
    path = folder / FACTS
    if not path.is_file():
        raise EnvironmentFault(f"{path} is missing: {folder} is no exported model")
    try:
        facts = ExportFacts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RefusedError(f"{path} is not what an export writes: at {first_fault(error)}") from error
    if facts.use != use:
        raise RefusedError(f"{folder} was exported for {facts.use!r}; it cannot be opened as {use!r}")
    return facts


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise RefusedError(f"{folder}: its tokenizer needs Python of the checkpoint, which no export brings") from error
