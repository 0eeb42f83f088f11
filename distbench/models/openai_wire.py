"""Bytes that come from a server, and the moment each of them came: one thread reads every socket and does nothing else.

What arrived is taken apart after its last byte. A client that parses while it measures delays its own clock: with many
streams at a time it would soon measure itself.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

BLOCK = 1 << 18  # bytes
MOST_BYTES = 1 << 28  # of one answer
ENDING = 64  # bytes that are looked at for an end
LAST_CHUNK = b"\r\n0\r\n\r\n"
DONE = (b"\ndata: [DONE]", b"\ndata:[DONE]")  # a text of the model has its line breaks escaped
HEAD_END = b"\r\n\r\n"


@dataclass
class Incoming:
    """What comes back for one request. Nothing changes any more once it has `ended`."""

    sock: socket.socket
    clock: Callable[[], int]
    blocks: list[tuple[int, bytes]] = field(default_factory=list)  # (ns on the clock, bytes)
    error: OSError | None = None
    complete: bool = False  # to the last byte of the answer: the connection can be used again
    said_done: threading.Event = field(default_factory=threading.Event)  # what follows is no text; or it has ended
    ended: threading.Event = field(default_factory=threading.Event)
    _over: bool = False
    _size: int = 0
    _total: int | None = None  # bytes, where the head says so
    _tail: bytes = b""
    _head: bytes | None = b""

    def read(self) -> bool:
        """Take what has arrived, and its moment; return whether that was the end."""
        try:
            while not self._over:
                self._take(self.sock.recv(BLOCK), self.clock())
                if not isinstance(self.sock, ssl.SSLSocket):
                    break  # TLS may hold more, which a selector does not see
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            self.error, self._over = error, True
        return self._over

    def end(self) -> None:
        """Let those who wait go on."""
        self.said_done.set()
        self.ended.set()

    def _take(self, block: bytes, now: int) -> None:
        if not block:
            self._over = True
            return
        self.blocks.append((now, block))
        self._size += len(block)
        if self._head is not None:
            self._look_at_head(block)
        self._tail = (self._tail + block)[-ENDING:]
        if any(done in self._tail for done in DONE):
            self.said_done.set()
        known = self._total is not None
        self.complete = self._size >= (self._total or 0) if known else self._tail.endswith(LAST_CHUNK)
        self._over = self.complete or self._size > MOST_BYTES

    def _look_at_head(self, block: bytes) -> None:
        """Find out whether the head says how long the answer is."""
        assert self._head is not None
        self._head += block
        head, end, _ = self._head.partition(HEAD_END)
        if not end:
            return
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length" and value.strip().isdigit():
                self._total = len(head) + len(HEAD_END) + int(value)
        self._head = None


class Wire:
    """The thread that reads. Sockets are added from any thread, and leave before those who wait for them go on."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        threading.Thread(target=self._run, name="wire", daemon=True).start()

    def watch(self, sock: socket.socket, clock: Callable[[], int]) -> Incoming:
        """Read a socket from now on, until its answer has ended."""
        sock.setblocking(False)
        incoming = Incoming(sock, clock)
        self._selector.register(sock, selectors.EVENT_READ, incoming)
        return incoming

    @staticmethod
    def give_up(incoming: Incoming) -> None:
        """End a connection; the reading thread sees that as its close."""
        with contextlib.suppress(OSError):
            incoming.sock.shutdown(socket.SHUT_RDWR)
        incoming.ended.wait(1.0)

    def _run(self) -> None:
        while True:  # a socket that is added while this waits is noticed, by epoll and kqueue
            for key, _ in self._selector.select():
                incoming: Incoming = key.data
                if incoming.read():
                    self._selector.unregister(incoming.sock)
                    incoming.end()
