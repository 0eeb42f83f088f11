"""A library in our process that talks and takes signals: what users hear, and the exit code, stay ours."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO


@contextlib.contextmanager
def own_signals() -> Iterator[None]:
    """Keep our handlers where a library sets its own: the exit code of an interrupted run is ours to say."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


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
