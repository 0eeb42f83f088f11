"""A library in our process that talks and takes signals: what users hear, and the exit code, stay ours."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

WAKE, WAKE_EVERY = signal.SIGURG, 0.05  # ignored where nobody handles it; seconds


@contextlib.contextmanager
def own_signals() -> Iterator[None]:
    """Keep our handlers where a library sets its own: the exit code of an interrupted run is ours to say."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def heard_while_waiting() -> Iterator[None]:
    """Let a KeyboardInterrupt that Ray marks as pending end a wait of this, the main thread, at once.

    Ray cancels a task by `_thread.interrupt_main`, which Python heeds when the present call of the system returns: a
    read from a child that says nothing returns when the child has ended. But the mark is written to Python's wake-up
    descriptor, too, and a signal that does nothing makes the call return.
    """
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    main, over = threading.main_thread().ident, threading.Event()
    assert main is not None, "it is running"

    def wake() -> None:
        while (byte := reading.recv(1)) and byte[0] != signal.SIGINT:
            pass
        while byte and not over.wait(WAKE_EVERY):  # the first may come just before the call
            signal.pthread_kill(main, WAKE)

    handler = signal.signal(WAKE, lambda number, frame: None)
    descriptor = signal.set_wakeup_fd(writing.fileno())
    waker = threading.Thread(target=wake, name="waker", daemon=True)
    waker.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(descriptor)
        writing.close()
        waker.join()
        reading.close()
        signal.signal(WAKE, handler)


class _Ours:
    """A stream that takes nothing from threads whose name begins with `foreign`."""

    def __init__(self, stream: TextIO, foreign: str) -> None:
        self._stream, self._foreign = stream, foreign

    def write(self, text: str) -> int:
        """Write, or pretend to."""
        if threading.current_thread().name.startswith(self._foreign):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def own_streams(foreign: str = "ray_") -> Iterator[None]:
    """Keep both standard streams for what we say: nothing comes from the threads of Ray, nor, on descriptor 2, from its
    C++ part. Its log files have all of it."""
    out, err = sys.stdout, sys.stderr
    ours, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    # a stream that somebody put in place of the process's own does not end in descriptor 2
    stream = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace") if err is sys.__stderr__ else None
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stdout, sys.stderr = _Ours(out, foreign), _Ours(stream or err, foreign)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        os.dup2(ours, 2)
        os.close(ours)
        if stream is not None:
            stream.close()
