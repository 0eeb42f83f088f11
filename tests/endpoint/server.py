"""A server of completions on the loopback with known delays, and with every way to fail that a client must survive."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "tiny"


Piece = tuple[str, dict[str, Any] | None]  # text, and what is told of its log-probabilities


@dataclass
class Behaviour:
    """What the server does. Times in seconds; pieces are sent no earlier than they say."""

    ttft: float = 0.0
    itl: float = 0.0
    stall_at: int | None = None  # before this piece (0-based) …
    stall: float = 0.0  # … it waits so much longer
    concurrency: int | None = None  # requests at work at a time; the others wait
    key: str | None = None
    unknown_keys: tuple[str, ...] = ()  # of a request: refused with 400
    tokens_per_piece: int = 1
    usage: bool = True
    stops_after: int | None = None  # tokens
    finish: str = "length"
    statuses: list[int] = field(default_factory=list)  # answered first, one a request
    retry_after: str | None = None
    body: str = '{"error": {"message": "told so"}}'
    mode: str = "ok"
    mode_from: int = 0  # the first request (0-based) that gets `mode`
    garbage: str = "<html>surprise</html>"
    hangs: bool = False  # after its last event
    keep_alive: bool = True
    empty_first: bool = True  # events without text before the first piece, as chat servers send them
    modes: dict[int, str] = field(default_factory=dict)  # of single requests, by number; before `mode`
    says: Callable[[dict[str, Any]], list[Piece]] | None = None  # what it answers; words without end where left out


class Loopback(ThreadingHTTPServer):
    """Serves one behaviour and remembers what it was asked."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour = behaviour
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.turn = threading.Semaphore(behaviour.concurrency or 1_000_000)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is not of interest here."""


@contextmanager
def serving(behaviour: Behaviour | None = None, **changes: Any) -> Iterator[Loopback]:
    """Serve a behaviour until the block ends."""
    with serve(Loopback(behaviour or Behaviour(**changes))) as server:
        yield server


@contextmanager
def serve(server: Loopback) -> Iterator[Loopback]:
    """Serve until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Loopback

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_POST(self) -> None:
        came = time.perf_counter()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append({**body, "path": self.path})
            self.server.headers.append(dict(self.headers))
        refusal = self._refusal(body)
        if refusal is not None:
            self._plain(*refusal)
            return
        mode = self.server.behaviour.mode if number >= self.server.behaviour.mode_from else "ok"
        mode = self.server.behaviour.modes.get(number, mode)
        if mode == "silent":
            self.close_connection = True
            return
        if mode == "not http":
            self.wfile.write(b"220 smtp ready\r\n")
            self.close_connection = True
            return
        if mode == "page":
            self._plain(200, "<html><title>Log in</title></html>", "text/html")
            return
        if mode == "not streamed":
            self._plain(200, json.dumps({"choices": [{"text": "all at once"}]}))
            return
        with self.server.turn:
            self._stream(body, mode, came if self.server.behaviour.concurrency is None else time.perf_counter())

    def _refusal(self, body: dict[str, Any]) -> tuple[int, str] | None:
        b = self.server.behaviour
        with self.server.lock:
            if b.statuses:
                return b.statuses.pop(0), b.body
        given = self.headers.get("Authorization", "")
        if b.key is not None and given != f"Bearer {b.key}":
            return 401, json.dumps({"error": {"message": f"Incorrect API key provided: {given}"}})
        if body["model"] != MODEL:
            return 404, json.dumps({"error": {"message": f"The model `{body['model']}` does not exist"}})
        if unknown := [key for key in b.unknown_keys if key in body]:
            return 400, json.dumps({"error": {"message": f"Unrecognized request argument: {unknown[0]}"}})
        return None

    def _plain(self, status: int, body: str, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status in {301, 302, 307, 308}:
            self.send_header("Location", "http://elsewhere.invalid/v1/completions")
        if self.server.behaviour.retry_after is not None:
            self.send_header("Retry-After", self.server.behaviour.retry_after)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def _stream(self, body: dict[str, Any], mode: str, start: float) -> None:
        b = self.server.behaviour
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        if b.keep_alive:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        odd = {
            "garbage": lambda: self._send(f"data: {b.garbage}\n\n".encode()),
            "other json": lambda: self._send(b'data: ["no", "completion"]\n\n'),
            "endless line": self._flood,
            "comments for ever": self._comments,
        }
        if mode in odd:
            odd[mode]()
            if not b.hangs:
                self._end()
            return
        if b.says is not None and mode == "ok":
            self._say(body, b.says(body), start)
            return
        self._send(b": a comment is no text\n\n")
        if b.empty_first:
            self._event(self._choice(body, ""))
        wanted = body.get("max_tokens") or body["max_completion_tokens"]
        tokens = 0 if mode == "nothing" else wanted if b.stops_after is None else min(wanted, b.stops_after)
        if self._pieces(body, mode, start, tokens):
            self._finish(body, tokens)

    def _say(self, body: dict[str, Any], pieces: list[Piece], start: float) -> None:
        """Send an answer that is given, cut at the length that was asked for."""
        b = self.server.behaviour
        most = body.get("max_tokens") or body["max_completion_tokens"]
        for number, (text, logprobs) in enumerate(pieces[:most]):
            time.sleep(max(0.0, start + b.ttft + number * b.itl - time.perf_counter()))
            choice = self._choice(body, text)
            if body.get("logprobs"):
                choice["choices"][0]["logprobs"] = logprobs
            self._event(choice)
        self._finish(body, min(most, len(pieces)), b.finish if len(pieces) > most else "stop")

    def _pieces(self, body: dict[str, Any], mode: str, start: float, tokens: int) -> bool:
        """Send the text, each piece no earlier than it is due; return whether the stream goes on."""
        b = self.server.behaviour
        due = start + b.ttft
        for number, first in enumerate(range(0, tokens, b.tokens_per_piece)):
            due += (b.itl if number else 0.0) + (b.stall if number == b.stall_at else 0.0)
            time.sleep(max(0.0, due - time.perf_counter()))
            if number == 2 and mode in {"dies", "ends early", "error event"}:
                self._break_off(mode)
                return False
            words = "".join(f" w{k}" for k in range(first, min(first + b.tokens_per_piece, tokens)))
            self._event(self._choice(body, words))
        return True

    def _break_off(self, mode: str) -> None:
        if mode == "dies":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif mode == "ends early":
            self._end()
        else:
            self._event({"error": {"message": "the engine died", "code": 500}})
            self._end()

    def _finish(self, body: dict[str, Any], tokens: int, finish: str | None = None) -> None:
        b = self.server.behaviour
        self._event(self._choice(body, "", finish or b.finish))
        if b.usage and body.get("stream_options", {}).get("include_usage"):
            text = body.get("prompt") or body["messages"][0]["content"]
            self._event({"choices": [], "usage": {"prompt_tokens": len(text.split()), "completion_tokens": tokens}})
        self._send(b"data: [DONE]\n\n")
        if b.hangs:
            time.sleep(5)
        else:
            self._end()

    def _choice(self, body: dict[str, Any], text: str, finish: str | None = None) -> dict[str, Any]:
        content = {"delta": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
        return {"choices": [{"index": 0, **content, "finish_reason": finish}]}

    def _event(self, event: dict[str, Any]) -> None:
        self._send(f"data: {json.dumps(event)}\n\n".encode())

    def _send(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self.server.behaviour.keep_alive else data)

    def _end(self) -> None:
        if self.server.behaviour.keep_alive:
            self.wfile.write(b"0\r\n\r\n")

    def _flood(self) -> None:
        for _ in range(40):
            self._send(b"data: " + b"x" * (1 << 16))

    def _comments(self) -> None:
        for _ in range(2000):
            self._send(b": still here\n\n")
            time.sleep(0.01)
