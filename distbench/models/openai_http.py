"""HTTP to one OpenAI-compatible server: kept connections, streamed answers, and what each refusal means.

The standard library's client is used because it adds little to what is measured and follows no redirects: a key must
not travel to another host. Nothing here prints the key, and texts of the server are searched for it first.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from time import perf_counter_ns
from urllib.parse import urlsplit

from distbench.data import secrets
from distbench.errors import EnvironmentFault, OverloadedError, RunError
from distbench.models.openai_stream import EventParser, Reply, error_text

BLOCK = 1 << 16  # bytes
MOST_ERROR_BYTES = 1 << 16
DRAIN_SECONDS = 1.0  # for what follows the last event, so that the connection can be used again
BUSY = {429, 503, 529}
UNUSABLE = {400, 422}
QUOTED = 200  # characters of a server's text
Body = dict[str, object]


class UnusableRequestError(RunError):
    """The server does not understand the request: another dialect may do."""


class Server:
    """One server: where it is, the key it wants, and open connections to it. Safe to ask from many threads."""

    def __init__(
        self,
        url: str,
        model: str,
        key: str | None = None,
        key_name: str | None = None,
        timeout_seconds: float = 300.0,
        clock: Callable[[], int] = perf_counter_ns,
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, "checked when the source was resolved"
        self.where, self.clock = f"the endpoint {url}", clock
        self._model, self._key, self._key_name, self._timeout = model, key, key_name, timeout_seconds
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()

    def connect(self, number: int) -> None:
        """Have `number` connections open, so that none has to be opened while the clock runs."""
        try:
            ready = [self._take() for _ in range(number)]
        except OSError as error:
            raise self._broken(error, None) from None
        with self._lock:
            self._idle += ready

    def ask(self, path: str, body: Body, start_ns: int | None = None) -> Reply:
        """Return a streamed answer; its marks count from `start_ns`, else from this call.

        Raises OverloadedError where the server wants to be asked later, UnusableRequestError where it does not
        understand, EnvironmentFault for a key that it refuses and RunError for everything else.
        """
        start = self.clock() if start_ns is None else start_ns
        connection, reply = None, None
        try:
            connection = self._take()
            response, sock = self._send(connection, path, body)
            reply = Reply()
            reusable = self._read(response, sock, reply, start)
        except RunError as error:
            _close(connection)
            raise self._about(error) from None
        except (OSError, HTTPException) as error:
            _close(connection)
            raise self._broken(error, reply) from None
        except BaseException:
            _close(connection)
            raise
        if reusable:
            with self._lock:
                self._idle.append(connection)
        self._check_ended(reply)
        return reply

    # -- one exchange -----------------------------------------------------------------------------------------------

    def _take(self) -> HTTPConnection:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if not _dropped(connection):
                    return connection
                connection.close()
        if self._tls is None:
            connection = HTTPConnection(self._host, self._port, timeout=self._timeout)
        else:
            connection = HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        connection.connect()
        return connection

    def _send(self, connection: HTTPConnection, path: str, body: Body) -> tuple[HTTPResponse, socket.socket]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        sock: socket.socket = connection.sock  # an answer after which the connection closes takes it away
        sock.settimeout(self._timeout)
        connection.request("POST", self._base + path, json.dumps(body).encode(), headers)
        response = connection.getresponse()
        if response.status != 200:
            raise self._refusal(response)
        kind = response.headers.get_content_type()
        if kind != "text/event-stream":
            raise RunError(f"answered with {kind} instead of a stream of events: {_text(response)}")
        return response, sock

    def _read(self, response: HTTPResponse, sock: socket.socket, reply: Reply, start: int) -> bool:
        """Read the stream to its end; return whether the connection can be used again."""
        parser = EventParser()
        deadline = time.monotonic() + self._timeout
        while not reply.done:
            sock.settimeout(max(deadline - time.monotonic(), 1e-3))
            block = response.read1(BLOCK)
            now = self.clock() - start
            for data in parser.feed(block) if block else parser.end():
                reply.take(data, now)
            if not block:
                break
            if time.monotonic() > deadline:  # a server that sends comments for ever
                raise TimeoutError
        return _drained(sock, response)

    def _check_ended(self, reply: Reply) -> None:
        if not reply.done and reply.finish is None:
            raise RunError(f"{self.where} ended its stream after {len(reply.marks_ns)} pieces of text, unfinished")
        if reply.generated == 0:
            raise RunError(f"{self.where} generated no tokens (finish_reason {self.clean(repr(reply.finish))})")
        if not reply.marks_ns:
            raise RunError(f"{self.where} streamed no text (finish_reason {self.clean(repr(reply.finish))})")

    # -- what went wrong --------------------------------------------------------------------------------------------

    def _refusal(self, response: HTTPResponse) -> RunError | EnvironmentFault:
        """Return what a status other than 200 means."""
        status, said = response.status, self.clean(_text(response))
        quoted = f"{status}: {said}" if said else str(status)
        if status in {401, 403}:
            if self._key_name is None:
                remedy = "name the environment variable that holds a key as api_key_env"
            else:
                remedy = f"put a valid key into the environment variable {self._key_name}"
            return EnvironmentFault(f"{self.where} refuses access ({quoted}); {remedy}")
        if status == 404:
            hint = "check model, and that source ends as the server wants it, usually in /v1"
            return RunError(f"does not know {self._model!r} or this path ({quoted}); {hint}")
        if status in BUSY:
            return OverloadedError(f"is too busy ({quoted})", _retry_after(response.headers.get("Retry-After")))
        if 300 <= status < 400:
            return RunError(f"redirects ({status}); redirects are not followed, give the final URL as source")
        if status in UNUSABLE:
            return UnusableRequestError(f"does not take the request ({quoted})")
        return RunError(f"{'fails' if status >= 500 else 'refuses the request'} ({quoted})")

    def _about(self, error: RunError) -> RunError:
        """Return an error of this server, with its name, without the key, on one line."""
        text = f"{self.where} {self.clean(error.message)}"
        if isinstance(error, OverloadedError):
            return OverloadedError(text, error.wait_seconds)
        return type(error)(text)

    def _broken(self, error: Exception, reply: Reply | None) -> RunError:
        """Return what a failed connection means. `reply`: what had arrived of an answer that had begun."""
        if isinstance(error, ConnectionRefusedError):
            return RunError(f"{self.where} cannot be reached: nothing listens there")
        if isinstance(error, socket.gaierror):
            return RunError(f"{self.where} cannot be reached: its host name is unknown")
        if isinstance(error, ssl.SSLError):
            return RunError(f"{self.where} cannot be reached: TLS: {self.clean(str(error.reason or error))}")
        if isinstance(error, TimeoutError):
            return RunError(f"{self.where} did not finish an answer within {self._timeout:g} s")
        why = type(error).__name__
        if reply is None:
            return RunError(f"{self.where} closed the connection or does not speak HTTP, before an answer ({why})")
        return RunError(f"{self.where} broke off after {len(reply.marks_ns)} pieces of text ({why})")

    def clean(self, text: str) -> str:
        """Return a text of the server on one line, without the key, cut to what a message may quote."""
        if self._key:
            text = text.replace(self._key, secrets.BLANK)
        line = " ".join(secrets.text(text).split())
        line = "".join(c if c.isprintable() else "?" for c in line)
        return line if len(line) <= QUOTED else line[: QUOTED - 1] + "…"


def _close(connection: HTTPConnection | None) -> None:
    if connection is not None:
        connection.close()


def _dropped(connection: HTTPConnection) -> bool:
    """Say whether the other side has closed an idle connection, or sent what nobody asked for.

    It is read and not only polled: TLS sends session tickets after its handshake, which are no reason to drop it.
    """
    sock: socket.socket = connection.sock
    sock.setblocking(False)
    try:
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


def _drained(sock: socket.socket, response: HTTPResponse) -> bool:
    """Read what follows the last event; return whether the answer is complete and leaves the connection open."""
    if response.will_close:
        response.close()
        return False
    try:
        sock.settimeout(DRAIN_SECONDS)
        response.read(BLOCK)
        return response.isclosed()
    except (OSError, HTTPException):
        return False


def _text(response: HTTPResponse) -> str:
    """Return what a server says in a body that is no stream: its error message, else its first bytes."""
    try:
        body = response.read(MOST_ERROR_BYTES)
    except IncompleteRead as error:
        body = error.partial
    raw = body.decode("utf-8", "replace")
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    return error_text(answer) if isinstance(answer, dict) else raw


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date)."""
    if value is None:
        return None
    try:
        return max(0.0, float(value)) if value.strip().isdigit() else _until(value)
    except (TypeError, ValueError):
        return None


def _until(date: str) -> float:
    return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
