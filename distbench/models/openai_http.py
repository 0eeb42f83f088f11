"""One OpenAI-compatible server over HTTP: kept connections, streamed answers, and what each refusal means.

No redirect is followed: a key must not travel to another host. Nothing here prints the key, and texts of the server are
searched for it before they are quoted.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import perf_counter_ns
from urllib.parse import quote, urlsplit

from distbench import secrets
from distbench.errors import EnvironmentFault, OverloadedError, RunError
from distbench.models.openai_response import Response, response_of
from distbench.models.openai_stream import EventParser, Reply
from distbench.models.openai_wire import Incoming, Wire

DRAIN_SECONDS = 1.0  # for what follows the last event, so that the connection can be used again
BUSY = {429, 503, 529}
UNUSABLE = {400, 422}
QUOTED = 200  # characters of a server's text
Body = dict[str, object]


class UnusableRequestError(RunError):
    """The server does not understand the request: another dialect may do."""


@dataclass(frozen=True)
class Exchange:
    """A request that was sent. expires: seconds on the monotonic clock."""

    incoming: Incoming
    expires: float


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
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._address = parts.hostname, parts.port or (443 if self._tls else 80)
        self._host, self._base = parts.netloc, quote(parts.path, safe="/%~:@!$&'()*+,;=")
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._wire = Wire()

    def connect(self, number: int) -> None:
        """Have `number` connections open, so that none has to be opened while the clock runs."""
        try:
            ready = [self._take() for _ in range(number)]
        except OSError as error:
            raise self._broken(error, None) from None
        with self._lock:
            self._idle += ready

    def ask(self, path: str, bodies: Sequence[Body], *, empty: bool = False) -> list[Reply]:
        """Send requests at once; return their streamed answers, whose marks count from this call.

        empty: whether an answer without text is one; else it is an error.

        Raises OverloadedError where the server wants to be asked later, UnusableRequestError where it does not
        understand, EnvironmentFault for a key that it refuses and RunError for everything else; only after every
        request has ended, so that none disturbs what comes next.
        """
        ready = [self._request(path, body) for body in bodies]
        start, sent = self.clock(), list[Exchange]()
        try:
            for request in ready:
                sent.append(self._send(request))
        except OSError as error:
            for exchange in sent:
                self._end(exchange)
            raise self._broken(error, None) from None
        for exchange in sent:
            self._await(exchange)
        return [self._read(exchange, start, empty=empty) for exchange in sent]

    # -- one exchange -----------------------------------------------------------------------------------------------

    def _take(self) -> socket.socket:
        with self._lock:
            while self._idle:
                sock = self._idle.pop()
                if not _dropped(sock):
                    return sock
                sock.close()
        sock = socket.create_connection(self._address, timeout=self._timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_hostname=self._address[0])
        return sock

    def _request(self, path: str, body: Body) -> bytes:
        content = json.dumps(body).encode()
        head = [
            f"POST {self._base}{path} HTTP/1.1",
            f"Host: {self._host}",
            "User-Agent: distbench",
            "Content-Type: application/json",
            "Accept: text/event-stream",
            "Accept-Encoding: identity",
            f"Content-Length: {len(content)}",
        ]
        if self._key is not None:
            head.append(f"Authorization: Bearer {self._key}")
        return "\r\n".join([*head, "", ""]).encode() + content

    def _send(self, request: bytes) -> Exchange:
        expires = time.monotonic() + self._timeout
        sock = self._take()
        try:
            sock.settimeout(self._timeout)
            sock.sendall(request)
            return Exchange(self._wire.watch(sock, self.clock), expires)
        except BaseException:
            sock.close()
            raise

    def _await(self, exchange: Exchange) -> None:
        """Wait for the last event, and a little for the end behind it."""
        incoming = exchange.incoming
        if incoming.said_done.wait(max(0.0, exchange.expires - time.monotonic())):
            incoming.ended.wait(DRAIN_SECONDS)
        elif not incoming.ended.is_set():
            incoming.error = TimeoutError()
        if not incoming.ended.is_set():
            self._wire.give_up(incoming)

    def _end(self, exchange: Exchange) -> None:
        self._wire.give_up(exchange.incoming)
        exchange.incoming.sock.close()

    def _read(self, exchange: Exchange, start: int, *, empty: bool) -> Reply:
        """Take an answer apart."""
        incoming, reply = exchange.incoming, Reply()
        response = response_of(incoming.blocks)
        kept = False
        try:
            if response is None:
                raise self._broken(incoming.error, None)
            if response.status != 200:
                raise self._refusal(response)
            self._events(response, reply, start)
            if isinstance(incoming.error, TimeoutError) or not (reply.done or response.whole):
                raise self._broken(incoming.error, reply)
            kept = incoming.complete and response.kept
        finally:
            if kept:
                with self._lock:
                    self._idle.append(incoming.sock)
            else:
                incoming.sock.close()
        self._check_ended(reply, empty=empty)
        return reply

    def _events(self, response: Response, reply: Reply, start: int) -> None:
        kind = response.headers.get_content_type()
        if kind == "text/html":  # a proxy, a log-in, another site: asking again changes nothing
            raise EnvironmentFault(
                f"{self.where} answered with a web page (text/html): {self.clean(response.text)}; give the address of "
                "the API as source, which usually ends in /v1"
            )
        if kind != "text/event-stream":
            raise self._about(f"answered with {kind} instead of a stream of events: {response.text}")
        parser, now = EventParser(), 0
        try:
            for at, block in response.body:
                now = at - start
                for data in parser.feed(block):
                    reply.take(data, now)
            for data in parser.end():
                reply.take(data, now)
        except RunError as error:
            raise self._about(error.message) from None

    def _check_ended(self, reply: Reply, *, empty: bool) -> None:
        said = self.clean(repr(reply.finish))
        if not reply.done and reply.finish is None:
            raise self._about(f"ended its stream after {len(reply.marks_ns)} pieces of text, unfinished")
        if empty and reply.finish is not None:
            return
        if reply.generated == 0:
            raise self._about(f"generated no tokens (finish_reason {said})")
        if not reply.marks_ns:
            raise self._about(f"streamed no text (finish_reason {said})")

    # -- what went wrong --------------------------------------------------------------------------------------------

    def _refusal(self, response: Response) -> RunError | EnvironmentFault:
        """Return what a status other than 200 means."""
        status, said = response.status, self.clean(response.text)
        quoted = f"{status}: {said}" if said else str(status)
        if status in {401, 403}:
            remedy = "name the environment variable that holds a key as api_key_env"
            if self._key_name is not None:
                remedy = f"put a valid key into the environment variable {self._key_name}"
            return EnvironmentFault(f"{self.where} refuses access ({quoted}); {remedy}")
        if status == 404:
            hint = "check model, and that source ends as the server wants it, usually in /v1"
            return RunError(f"{self.where} does not know {self._model!r} or this path ({quoted}); {hint}")
        if status in BUSY:
            return OverloadedError(f"{self.where} is too busy ({quoted})", _retry_after(response))
        if 300 <= status < 400:
            return RunError(f"{self.where} redirects ({status}); redirects are not followed, give the final URL")
        if status in UNUSABLE:
            return UnusableRequestError(f"{self.where} does not take the request ({quoted})")
        return RunError(f"{self.where} {'fails' if status >= 500 else 'refuses the request'} ({quoted})")

    def _about(self, text: str) -> RunError:
        """Return an error of this server, with its name, without the key, on one line."""
        return RunError(f"{self.where} {self.clean(text)}")

    def _broken(self, error: OSError | None, reply: Reply | None) -> RunError:
        """Return what a failed connection means. `reply`: what had arrived of an answer that had begun."""
        if isinstance(error, ConnectionRefusedError):
            return RunError(f"{self.where} cannot be reached: nothing listens there")
        if isinstance(error, socket.gaierror):
            return RunError(f"{self.where} cannot be reached: its host name is unknown")
        if isinstance(error, ssl.SSLError):
            return RunError(f"{self.where} cannot be reached: TLS: {self.clean(str(error.reason or error))}")
        if isinstance(error, TimeoutError):
            return RunError(f"{self.where} did not finish an answer within {self._timeout:g} s")
        why = "closed" if error is None else type(error).__name__
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


def _dropped(sock: socket.socket) -> bool:
    """Say whether the other side has closed an idle connection, or sent what nobody asked for.

    It is read and not only polled: TLS sends session tickets after its handshake, which are no reason to drop it.
    """
    sock.setblocking(False)
    try:
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


def _retry_after(response: Response) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date)."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(0.0, float(value)) if value.strip().isdigit() else _until(value)
    except (TypeError, ValueError):
        return None


def _until(date: str) -> float:
    return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
