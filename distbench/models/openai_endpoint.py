"""A model behind an OpenAI-compatible HTTP server: vLLM, SGLang, llama.cpp, TGI, Ollama, a cloud service.

Nothing of it is loaded here. It can be measured as its clients see it; its weights, memory and size are unknown.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints

from distbench.errors import EnvironmentFault, OverloadedError, RefusedError, RunError, UsageError
from distbench.hashing import digest
from distbench.models.openai_answers import answer_of, request_of
from distbench.models.openai_echo import echo_of, judged
from distbench.models.openai_http import Server, UnusableRequestError
from distbench.models.openai_stream import Reply
from distbench.models.openai_words import freshened, word_prompts
from distbench.protocols import Asked, Decoded, Resolved, Sampling, Written
from distbench.schema.cell import Settings
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict

T = TypeVar("T")
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,127}$")]
GREETING_TOKENS = 2
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds before a request that was refused for now is sent again


class OpenAIOptions(Strict):
    """Options of `use: openai`; `source` is the server's base URL, such as http://localhost:8000/v1."""

    model: str = Field(min_length=1, max_length=256, description="the name under which the server knows it")
    api: Literal["completions", "chat"] = "completions"
    api_key_env: VariableName | None = Field(
        None, description="environment variable that holds the key; the key itself belongs in no suite"
    )
    unique_prompts: bool = Field(
        True, description="begin every request with other words, so that no server answers from a cache of prefixes"
    )
    retries: int = Field(5, ge=0, le=20, description="of a request that the server refuses for now (429, 503)")
    timeout_seconds: float = Field(300.0, gt=0, le=86_400, description="for one whole answer")
    concurrency: int = Field(8, ge=1, le=1024, description="requests of a task at the same time")
    first_text: str | None = Field(
        None, max_length=100, description="what stands before a text without context: the model's first special token"
    )


@dataclass(frozen=True)
class Dialect:
    """Which of the optional keys a server takes. Those that hold the length fixed are no part of OpenAI's own API."""

    fixed_length: bool = True
    usage: bool = True
    length_key: str = "max_tokens"
    greedy: bool = True

    def body(self, options: OpenAIOptions, prompt: str, tokens: int) -> dict[str, object]:
        """Return the request for exactly `tokens` tokens."""
        body: dict[str, object] = {"model": options.model, "stream": True, self.length_key: tokens}
        if options.api == "chat":
            body["messages"] = [{"role": "user", "content": prompt}]
        else:
            body["prompt"] = prompt
        if self.greedy:
            body["temperature"] = 0
        if self.fixed_length:
            body |= {"ignore_eos": True, "min_tokens": tokens}
        if self.usage:
            body["stream_options"] = {"include_usage": True}
        return body

    def words(self) -> str:
        """Return what is sent, for the record."""
        keys = [self.length_key, *(["temperature 0"] if self.greedy else [])]
        keys += ["ignore_eos", "min_tokens"] if self.fixed_length else []
        return ", ".join([*keys, *(["stream_options"] if self.usage else [])])


DIALECTS = (  # from the most telling to the plainest; what a server does not know it refuses or ignores
    Dialect(),
    Dialect(fixed_length=False),
    Dialect(fixed_length=False, usage=False),
    Dialect(fixed_length=False, length_key="max_completion_tokens", greedy=False),
)


class OpenAIEndpoint:
    """A served language model. Offers what a client can do: ask for a number of tokens and see when they come."""

    Options = OpenAIOptions
    offers: ClassVar[frozenset[str]] = frozenset({"answer", "decode", "judge", "served", "write"})
    unseen: ClassVar[frozenset[str]] = frozenset(
        {"api_key_env", "concurrency", "retries", "timeout_seconds", "unique_prompts"}
    )
    learns: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        server: Server,
        options: OpenAIOptions,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server, self.options, self._sleep = server, options, sleep
        self.dialect = DIALECTS[0]
        self.kept: Path | None = None

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        """Check the URL; nobody is asked. Raises RefusedError for what is no URL, or one with credentials in it."""
        url = _checked(source)
        note = (
            f"it is served at {url}: its content cannot be hashed, so no other run reuses its results, and what stands "
            "behind the URL may change"
        )
        return Resolved(None, digest(["served", url]), url, notes=(note,), address=url)

    @classmethod
    def variables(cls, options: OpenAIOptions) -> set[str]:
        """Return the environment variable that holds the key."""
        return {options.api_key_env} if options.api_key_env else set()

    @classmethod
    def warm_up(cls) -> None:
        """Nothing: the standard library is enough."""

    @classmethod
    def open(cls, path: Path | str, settings: Settings, options: OpenAIOptions | None = None) -> Self:
        """Ask the server at the address `path` for two tokens: which keys it takes, and whether it answers at all."""
        if options is None:
            raise EnvironmentFault(f"the endpoint {path} needs the name of a model: model")
        key = _key(options.api_key_env)
        server = Server(str(path), options.model, key, options.api_key_env, options.timeout_seconds)
        model = cls(server, options)
        model.greet()
        return model

    def footprint(self) -> Footprint:
        """Return no size: a client cannot see it."""
        said = f"{self.options.api} with {self.dialect.words()}"
        return Footprint(note=f"{self.options.model} is served at another place: its size is unknown; asked by {said}")

    @property
    def engine(self) -> str:
        """What answers."""
        return f"an OpenAI-compatible server ({self.options.api})"

    def keep(self, folder: Path) -> None:
        """Say where answers are kept until the work that they are for is finished: they may be paid for."""
        self.kept = folder

    # -- inference work ---------------------------------------------------------------------------------------------

    def prompts(self, batch: int, length: int, seed: int) -> list[str]:
        """Return seeded texts of `length` words: about as many tokens; the server's own count is what is recorded."""
        return word_prompts(batch, length, seed)

    def decode(self, prompts: Sequence[str], output_tokens: int) -> Decoded:
        """Send all prompts at once. Where the server refuses one for now, all are asked anew: none of it is counted."""
        return self._patiently(lambda: self._decode(prompts, output_tokens))

    def answer(self, prompt: str, output_tokens: int) -> Decoded:
        """Send one prompt; marks count from this call, so an opening connection is in them. Not repeated."""
        return _together(self._ask([prompt], output_tokens))

    def write(self, asked: Sequence[Asked], sampling: Sampling) -> list[Written]:
        """Return an answer to each prompt, asked as it stands, one after the other.

        An answer that fails in any way that may pass is asked for again, as often as `retries` says.
        """
        return [self._patiently(lambda one=one: self._written(one, sampling), RunError) for one in asked]  # type: ignore[misc]

    def _written(self, asked: Asked, sampling: Sampling) -> Written:
        if asked.given is not None:
            return self._judged(asked, asked.given)
        path, body = request_of(asked.prompt, sampling, self.options.model, self.options.api, self.dialect)
        (reply,) = self.server.ask(path, [body], empty=sampling.empty)
        return answer_of(reply, sampling, self.server.where)

    def _judged(self, asked: Asked, given: str) -> Written:
        if self.options.api == "chat" or not isinstance(asked.prompt, str):
            raise UsageError(
                f"{self.server.where}: the chat API cannot say how likely a given text is: api: completions"
            )
        context = asked.prompt or self.options.first_text or ""
        body = echo_of(context + given, self.options.model, self.dialect)
        (reply,) = self.server.ask("/completions", [body])
        return judged(reply, context, given, self.server.where)

    def greet(self) -> None:
        """Find the dialect that the server takes."""
        prompt = word_prompts(1, 8, 0)[0]
        for dialect in DIALECTS:
            self.dialect = dialect
            try:
                self._patiently(lambda: self._ask([prompt], GREETING_TOKENS, check=False))
            except UnusableRequestError as error:
                if dialect is DIALECTS[-1]:
                    raise RunError(error.message) from None
            else:
                return

    def _decode(self, prompts: Sequence[str], output_tokens: int) -> Decoded:
        self.server.connect(len(prompts))
        return _together(self._ask(prompts, output_tokens))

    def _ask(self, prompts: Sequence[str], tokens: int, *, check: bool = True) -> list[Reply]:
        texts = [freshened(prompt) if self.options.unique_prompts else prompt for prompt in prompts]
        path = "/chat/completions" if self.options.api == "chat" else "/completions"
        replies = self.server.ask(path, [self.dialect.body(self.options, text, tokens) for text in texts])
        for reply in replies if check else []:
            self._check_length(reply, tokens)
        return replies

    def _check_length(self, reply: Reply, wanted: int) -> None:
        """Refuse an answer of another length: a model that stops early would look fast."""
        if reply.tokens == wanted:
            return
        where, pieces = self.server.where, len(reply.marks_ns)
        said = self.server.clean(repr(reply.finish))
        if reply.generated is None and pieces < wanted and reply.finish == "length":
            raise RunError(f"{where} sent {wanted} tokens in {pieces} pieces of text and does not count them (usage)")
        raise RunError(
            f"{where} generated {reply.tokens} of {wanted} tokens (finish_reason {said}); a fixed length needs a "
            "server that heeds max_tokens and ignore_eos or min_tokens"
        )

    def _patiently(self, ask: Callable[[], T], again: type[RunError] = OverloadedError) -> T:
        """Ask again while the server is too busy: exponential back-off with full jitter, and Retry-After as a floor.

        again: the errors after which to ask again; a request that the server does not understand is never repeated.
        After Brooker 2015, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
        """
        for attempt in range(self.options.retries + 1):
            try:
                return ask()
            except UnusableRequestError:
                raise
            except again as error:
                floor = getattr(error, "wait_seconds", None) or 0.0
                if attempt == self.options.retries:
                    raise type(error)(f"{error.message}, also after {attempt} retries") from None
                if floor > LONGEST_WAIT:
                    raise OverloadedError(f"{error.message}; it wants to be asked again in {floor:.0f} s") from None
                spread = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT)
                self._sleep(floor + random.uniform(0, spread))  # noqa: S311 - it only spreads the load
        raise AssertionError("the last attempt returns or raises")


def _together(replies: Sequence[Reply]) -> Decoded:
    """Return a batch: mark k is when every prompt had its k-th piece, or its last."""
    most = max(len(reply.marks_ns) for reply in replies)
    marks = (max(reply.marks_ns[min(k, len(reply.marks_ns) - 1)] for reply in replies) for k in range(most))
    counts = [reply.prompt_tokens for reply in replies]
    known = [count for count in counts if count is not None]
    return Decoded(
        tokens=None,
        marks_ns=tuple(marks),
        lengths=tuple(reply.tokens for reply in replies),
        prompt_tokens=sum(known) if len(known) == len(counts) else None,
    )


def _checked(source: str) -> str:
    """Return a base URL without the slash at its end."""
    try:
        parts = urlsplit(source)
        _ = parts.port
    except ValueError:
        raise RefusedError("the source of a served model is no URL") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise RefusedError(
            f"source {parts.scheme}://{parts.hostname}…: credentials and parameters do not belong in a URL, which is "
            "recorded; name the environment variable that holds the key as api_key_env"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RefusedError(
            f"source {source!r:.80}: a served model needs an http:// or https:// URL such as http://localhost:8000/v1"
        )
    return source.rstrip("/")


def _key(variable: str | None) -> str | None:
    """Return the key. Raises EnvironmentFault where it is not set, or cannot be sent."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise EnvironmentFault(f"the environment variable {variable} (api_key_env) is not set")
    if not (key.isascii() and key.isprintable()):
        raise EnvironmentFault(f"the environment variable {variable} holds characters that no key may have")
    return key
