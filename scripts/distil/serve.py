"""Serve a checkpoint over an OpenAI-compatible API on this machine, to try a black-box recipe without paying for it.

    python scripts/distil/serve.py CHECKPOINT --port 8000
    distbench distil recipes/black-box --set teachers.teacher.source=http://localhost:8000/v1

CHECKPOINT is a folder of a causal language model with its tokenizer. It answers /v1/completions and
/v1/chat/completions, streamed or at once, with log-probabilities where they are asked for, and /v1/models. It is no
production server: one answer at a time, no batches, no keys, only for programs on this machine. A prompt is repeated
with its log-probabilities where `echo` asks for it. What it cannot do (several answers, penalties) it refuses.
"""

from __future__ import annotations

import argparse
import codecs
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

from distbench.data.answers_guesses import Pieces

MOST_BYTES = 1 << 24  # of a request
KNOWN = frozenset(
    {"model", "prompt", "messages", "max_tokens", "max_completion_tokens", "temperature", "seed", "stream", "user"}
    | {"stream_options", "logprobs", "top_logprobs", "ignore_eos", "min_tokens", "echo", "stop"}
)
LENGTH = 16  # tokens, where a request does not say; as OpenAI's completions do


class WrongRequestError(Exception):
    """A request that this server cannot answer."""


@dataclass(frozen=True)
class Step:
    """A token: its bytes, natural log-probability at temperature 1, and the likeliest ones likewise.

    A prompt's first token has no probability: nothing stands before it.
    """

    token: int
    raw: bytes
    logp: float | None
    top: list[tuple[bytes, float]]


@dataclass
class Answer:
    """What is known of an answer once it is whole."""

    prompt_tokens: int = 0
    tokens: int = 0
    finish: str = "length"
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Wish:
    """A request, checked."""

    ids: list[int]
    chat: bool
    most: int
    temperature: float
    seed: int | None
    top: int | None  # likeliest tokens to tell; None: no log-probabilities at all
    ends: bool  # whether an end-of-text token ends the answer
    echo: bool = False  # whether the answer begins with the prompt
    stop: tuple[bytes, ...] = ()  # texts after which nothing more is written


class Writer:
    """A loaded checkpoint that writes one answer at a time."""

    def __init__(self, folder: Path, name: str, device: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.name, self.device, self.lock = name, device, threading.Lock()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.module: Any = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True).to(device).eval()
        ends = self.module.generation_config.eos_token_id
        self.ends = {ends} if isinstance(ends, int) else set(ends or ())
        self.bytes = Pieces(self.tokenizer).of

    def wish(self, body: dict[str, Any], *, chat: bool) -> Wish:
        """Return a request's meaning. Raises WrongRequestError."""
        if strange := sorted(body.keys() - KNOWN):
            raise WrongRequestError(f"this server does not know {strange[0]!r}")
        if body.get("model") != self.name:
            raise WrongRequestError(f"the model {body.get('model')!r} does not exist; it is {self.name!r}")
        most = body.get("max_completion_tokens") or body.get("max_tokens") or LENGTH
        temperature = body.get("temperature", 1.0)
        if not isinstance(most, int) or most < 1 or not isinstance(temperature, (int, float)) or temperature < 0:
            raise WrongRequestError("max_tokens is a whole number from 1 on, temperature a number from 0 on")
        top = body.get("top_logprobs", 0) if chat else body.get("logprobs")
        wanted = bool(body.get("logprobs")) if chat else top is not None
        ids = self._ids(body, chat=chat)
        if len(ids) + most > int(self.module.config.max_position_embeddings):
            raise WrongRequestError(f"{len(ids)} tokens of prompt and {most} of answer are too many for this model")
        ends, stop = not body.get("ignore_eos", False), body.get("stop") or []
        stops = tuple(text.encode() for text in ([stop] if isinstance(stop, str) else stop))
        told = int(top or 0) if wanted else None
        echo = bool(body.get("echo"))
        return Wish(ids, chat, most, float(temperature), body.get("seed"), told, ends, echo, stops)

    def _ids(self, body: dict[str, Any], *, chat: bool) -> list[int]:
        if not chat:
            if not isinstance(body.get("prompt"), str):
                raise WrongRequestError("the prompt must be one text")
            return list(self.tokenizer(body["prompt"])["input_ids"]) or [self.tokenizer.bos_token_id]
        if not isinstance(body.get("messages"), list) or self.tokenizer.chat_template is None:
            raise WrongRequestError("messages must be a list, and the model must have a chat template")
        shown = self.tokenizer.apply_chat_template(body["messages"], add_generation_prompt=True, return_dict=True)
        return list(shown["input_ids"])

    @torch.inference_mode()
    def steps(self, wish: Wish, answer: Answer) -> Iterator[Step]:
        """Yield tokens as they are written; `answer` is complete when there are no more."""
        answer.prompt_tokens, cache = len(wish.ids), None
        draw = torch.Generator().manual_seed(wish.seed) if wish.seed is not None else None
        ids = torch.tensor([wish.ids], device=self.device)
        if wish.echo:
            yield from self._shown(ids, wish)
        written = b""
        for _ in range(wish.most):
            out = self.module(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache, logits = out.past_key_values, out.logits[0, -1].float().cpu()
            if not wish.ends:
                logits[list(self.ends)] = -torch.inf
            token = _chosen(logits, wish.temperature, draw)
            answer.tokens += 1
            if token in self.ends:
                answer.finish = "stop"
                return
            yield self._step(token, torch.log_softmax(logits, dim=-1), wish.top)
            written += self.bytes.get(token, b"")
            if any(text in written for text in wish.stop):
                answer.finish = "stop"
                return
            ids = torch.tensor([[token]], device=self.device)

    def _shown(self, ids: Any, wish: Wish) -> Iterator[Step]:
        """Yield the prompt's tokens, each judged by what stands before it."""
        logp = torch.log_softmax(self.module(input_ids=ids).logits[0].float().cpu(), dim=-1)
        first = wish.ids[0]  # maybe one that stands for no text, and yet was written in the prompt
        yield Step(first, self.bytes.get(first) or self.tokenizer.decode([first]).encode(), None, [])
        for before, token in zip(logp, wish.ids[1:], strict=False):
            yield self._step(token, before, wish.top)

    def _step(self, token: int, logp: Any, top: int | None) -> Step:
        best = torch.topk(logp, top) if top else None
        likely = zip(best.indices.tolist(), best.values.tolist(), strict=True) if best is not None else ()
        told = [(self.bytes.get(each, b""), value) for each, value in likely]
        return Step(token, self.bytes.get(token, b""), float(logp[token]), told)


def _chosen(logits: Any, temperature: float, draw: Any) -> int:
    if temperature == 0.0:
        return int(logits.argmax())
    return int(torch.multinomial(torch.softmax(logits / temperature, dim=-1), 1, generator=draw))


def logprobs_of(step: Step, *, chat: bool) -> dict[str, Any]:
    """Return what is told of a token, in the form of the API that was asked."""
    if chat:
        told = [_told(raw, logp) for raw, logp in step.top]
        return {"content": [_told(step.raw, step.logp) | {"top_logprobs": told}]}
    top = {raw.decode(errors="replace"): logp for raw, logp in step.top}
    return {"tokens": [step.raw.decode(errors="replace")], "token_logprobs": [step.logp], "top_logprobs": [top]}


def _told(raw: bytes, logp: float | None) -> dict[str, Any]:
    return {"token": raw.decode(errors="replace"), "bytes": list(raw), "logprob": logp}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    writer: Writer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: what is asked may be private."""

    def do_GET(self) -> None:
        """List the one model."""
        if self.path != "/v1/models":
            self._plain(404, {"error": {"message": f"no such path {self.path}"}})
            return
        self._plain(200, {"object": "list", "data": [{"id": self.writer.name, "object": "model"}]})

    def do_POST(self) -> None:
        """Answer."""
        chat = self.path == "/v1/chat/completions"
        try:
            if not chat and self.path != "/v1/completions":
                raise WrongRequestError(f"no such path {self.path}")
            body = self._body()
            wish = self.writer.wish(body, chat=chat)
        except WrongRequestError as error:
            self._plain(400, {"error": {"message": str(error)}})
            return
        with self.writer.lock:
            if body.get("stream"):
                self._stream(wish, usage=bool((body.get("stream_options") or {}).get("include_usage")))
            else:
                self._whole(wish)

    def _body(self) -> dict[str, Any]:
        size = int(self.headers.get("Content-Length") or 0)
        if size > MOST_BYTES:
            raise WrongRequestError(f"a request may have at most {MOST_BYTES} bytes")
        try:
            body = json.loads(self.rfile.read(size))
        except ValueError:
            raise WrongRequestError("the request is not JSON") from None
        if not isinstance(body, dict):
            raise WrongRequestError("the request is no JSON object")
        return body

    def _stream(self, wish: Wish, *, usage: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        answer, text = Answer(), codecs.getincrementaldecoder("utf-8")(errors="replace")  # whole characters only
        for step in self.writer.steps(wish, answer):
            self._event(self._choice(wish, text.decode(step.raw), None, step))
        self._event(self._choice(wish, text.decode(b"", final=True), answer.finish, None))
        if usage:
            self._event({"choices": [], "usage": _usage(answer)})
        self._chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _choice(self, wish: Wish, text: str, finish: str | None, step: Step | None) -> dict[str, Any]:
        said: dict[str, Any] = {"delta": {"role": "assistant", "content": text}} if wish.chat else {"text": text}
        if step is not None and wish.top is not None:
            said["logprobs"] = logprobs_of(step, chat=wish.chat)
        return {"choices": [{"index": 0, "finish_reason": finish, **said}]}

    def _whole(self, wish: Wish) -> None:
        answer = Answer()
        answer.steps = list(self.writer.steps(wish, answer))
        text = b"".join(step.raw for step in answer.steps).decode(errors="replace")
        said: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if wish.chat else {"text": text}
        if wish.top is not None:
            each = [logprobs_of(step, chat=wish.chat) for step in answer.steps]
            names = each[0] if each else {}
            said["logprobs"] = {name: [one for told in each for one in told[name]] for name in names}
        choice = {"index": 0, "finish_reason": answer.finish, **said}
        self._plain(200, {"model": self.writer.name, "choices": [choice], "usage": _usage(answer)})

    def _plain(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _event(self, event: dict[str, Any]) -> None:
        self._chunk(f"data: {json.dumps(event)}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def _usage(answer: Answer) -> dict[str, int]:
    total = answer.prompt_tokens + answer.tokens
    return {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.tokens, "total_tokens": total}


def serve(writer: Writer, port: int) -> ThreadingHTTPServer:
    """Return a server on the loopback that answers once `serve_forever` runs; port 0: any that is free."""
    handler = type("BoundHandler", (Handler,), {"writer": writer})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> int:
    """Serve until it is interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free")
    parser.add_argument("--name", default="teacher", help="what the model is called in requests")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    began = time.perf_counter()
    server = serve(Writer(asked.checkpoint, asked.name, asked.device), asked.port)
    took = time.perf_counter() - began
    print(f"http://127.0.0.1:{server.server_address[1]}/v1 serves {asked.name!r} ({took:.1f} s to load)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 130
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
