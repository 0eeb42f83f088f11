"""What a loaded model is, and how it is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from pydantic import BaseModel

from distbench.schema.cell import Settings
from distbench.schema.record import Footprint
from distbench.schema.trusted import Trusted


@dataclass(frozen=True)
class Resolved:
    """A source that was found: where it lies, what it is, and where it came from in words."""

    path: Path | None  # None: it is served at `address`
    identity: str
    origin: str
    converts: bool = False  # True: it must be rewritten into this plug-in's own format before use (GGUF)
    notes: tuple[str, ...] = ()
    trusted: Trusted | None = None  # what its options had to allow
    address: str | None = None  # URL of a model whose content nobody here can hash: no other run reuses its results


@runtime_checkable
class Model(Protocol):
    """A loaded model. Its verbs are the methods that its `offers` promise."""

    Options: ClassVar[type[BaseModel]]
    offers: ClassVar[frozenset[str]]
    learns: ClassVar[frozenset[str]]  # kinds of training signal: "tokens", "features"
    # Optional: `requires`, top-level modules beyond distbench's own dependencies, checked before anything runs;
    # `devices`, kinds of device it runs on ({"cpu"}); without it the plug-in refuses by itself.
    # `variables(options)`, a class method: environment variables that it reads; a child's environment lacks others.
    # `permits`, names of options that let in what is refused otherwise, such as a checkpoint's own code. They belong to
    # the files, change no number; `resolve` and `tokenizer_of` then get the options as a last argument.
    # `unseen`, names of options that change nothing of what it says, such as how long an answer is waited for.
    # `tokenizer_of(path)`, a class method: loads the tokenizer alone.

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        """Find a source without loading it (no torch). Relative paths start at `directory`."""
        ...

    @classmethod
    def warm_up(cls) -> None:
        """Import the libraries that `open` needs: what a measurement of load time leaves out."""
        ...

    @classmethod
    def open(cls, path: Path, settings: Settings, options: Any = None) -> Self:
        """Load from a folder that `resolve` or `save` left, in evaluation mode.

        `options` is an instance of `Options`: how the model is opened, such as its attention kernel; None: defaults.
        """
        ...

    def footprint(self) -> Footprint:
        """Sizes of the loaded model; `None` for a size that does not exist for it."""
        ...


Stop = Callable[[Sequence[int]], bool]
"""Asked after every generated token, with all generated so far: whether that was the last one."""


Prompt = str | list[dict[str, str]]
"""What an answer is asked for: a text, or the messages of a conversation, each with `role` and `content`."""


@dataclass(frozen=True)
class Sampling:
    """How an answer is written: at most `most` tokens, at a temperature; 0: the likeliest token each time.

    top_logprobs: how many of the likeliest tokens at each step are told, where the model can. stop: texts at which an
    answer may end; whether they are in it is the model's business. empty: whether an answer without any text is one.
    """

    most: int
    temperature: float = 0.0
    top_logprobs: int = 0
    stop: tuple[str, ...] = ()
    empty: bool = False


@dataclass(frozen=True)
class Asked:
    """One answer that is wanted; a model that samples here draws from `seed`.

    given: a continuation of the prompt that is not written but judged, by a model that offers ``judge``.
    """

    prompt: Prompt
    seed: int = 0
    given: str | None = None


@dataclass(frozen=True)
class Guess:
    """What was thought at one step: the bytes of the token that came, and the likeliest ones with their natural logs.

    Bytes are None for a token that stands for no text.
    """

    token: bytes | None
    top: tuple[tuple[bytes | None, float], ...]


@dataclass(frozen=True)
class Written:
    """An answer. Counts are those of who wrote it; None: it does not tell.

    ids: its tokens, the one that ended it included. guesses: one a token, that of the end only where it is told.
    logprob, greedy: of a continuation that was given: its log-probability in nats, and whether it is the greedy one.
    """

    text: str
    ended: bool  # False: cut at `most` tokens
    ids: tuple[int, ...] | None = None
    prompt_tokens: int | None = None
    tokens: int | None = None
    guesses: tuple[Guess, ...] | None = None
    logprob: float | None = None
    greedy: bool | None = None


class Writer(Protocol):
    """The capability ``write``: answers to prompts. With ``judge``, it also judges continuations that are given."""

    def write(self, asked: Sequence[Asked], sampling: Sampling) -> list[Written]:
        """Return an answer to each, in order.

        Raises UsageError for what this model can never do, RunError for what went wrong this time.
        """
        ...


class Language(Protocol):
    """The capability ``language``: one sequence of token ids at a time, through whatever runs the model.

    A task asks these verbs of a model that has no torch module. `logits` and `continue_greedily` are also what an
    exported model is compared with its source by.
    """

    tokenizer: Any  # as transformers has it
    context_length: int  # positions
    ends: frozenset[int]  # tokens after which nothing is written
    engine: str  # what computes, with its version

    def logits(self, ids: Sequence[int]) -> Any:
        """Return float32 logits [len(ids), vocabulary] on the host: row i is about the token after ids[i]."""
        ...

    def score(self, context: Sequence[int], continuation: Sequence[int]) -> tuple[float, bool]:
        """Return the log-probability of `continuation` after `context` in nats, and whether it is the greedy one.

        Both have at least one token, and together at most `context_length` + 1.
        """
        ...

    def continue_greedily(self, ids: Sequence[int], most: int, stop: Stop | None = None) -> list[int]:
        """Return at most `most` greedy tokens after `ids`; an end-of-text token ends nothing unless `stop` says so."""
        ...
