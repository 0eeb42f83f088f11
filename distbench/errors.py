"""The exception tree and the exit codes of every command.

* DistbenchError
  - UsageError ......... 2   the suite or the command line is wrong; nothing was written
  - RunError ........... 4   some cells failed; everything that finished is kept
    - OverloadedError        a server refuses a request for now
  - EnvironmentFault ... 5   disk, lock, device, hub, missing extra
  - RefusedError ....... 6   unsafe input, or a damaged / incompatible artefact
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller. 1 is never Python's default: it always means "gate failed"."""

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    RUN_FAILED = 4
    ENVIRONMENT = 5
    REFUSED = 6
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True)
class Position:
    """Where in a file something stands: 1-based line and column."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class DistbenchError(Exception):
    """Base of every error that distbench raises on purpose. Its text is one line: what, where, what would be right."""

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, *, at: Position | None = None) -> None:
        super().__init__(message)
        self.message = one_line(message)
        self.at = at

    def __str__(self) -> str:
        return one_line(f"{self.at}: {self.message}") if self.at else self.message


class UsageError(DistbenchError):
    """The suite file or the command line is wrong. Nothing was written."""

    exit_code = ExitCode.USAGE


class RunError(DistbenchError):
    """Some cells failed. Everything that finished is kept."""

    exit_code = ExitCode.RUN_FAILED


class OverloadedError(RunError):
    """A server refuses a request because it has too much to do. `wait_seconds`: when it wants to be asked again."""

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class EnvironmentFault(DistbenchError):  # noqa: N818 - EnvironmentError is Python's own
    """The machine cannot do it: disk, lock, device, hub, key or a missing extra."""

    exit_code = ExitCode.ENVIRONMENT


class RefusedError(DistbenchError):
    """Unsafe input that nobody trusted explicitly, or a damaged / incompatible artefact."""

    exit_code = ExitCode.REFUSED


_NO_MEMORY = (  # of RuntimeErrors: torch's CPU allocator, ONNX Runtime, C++, CUDA without torch
    "can't allocate memory",
    "failed to allocate memory",
    "bad allocation",
    "bad_alloc",
    "out of memory",
    "cublas_status_alloc_failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an exception means that memory ended, on the host or on a device: libraries have no common one."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in _NO_MEMORY)


def one_line(text: str) -> str:
    """Return a text on one line with escapes for what is not printable: it may quote a path or another program."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in text)


def nearest(word: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return up to `n` of the `known` names that look most like `word`, best first."""
    return difflib.get_close_matches(word, list(known), n=n, cutoff=0.5)


def did_you_mean(word: str, known: Iterable[str], n: int = 1) -> str:
    """Return "; did you mean 'x'?" for the nearest known names, or the empty string where nothing is near."""
    names = nearest(word, known, n)
    return f"; did you mean {' or '.join(repr(name) for name in names)}?" if names else ""
