"""Answers that were paid for, kept one a line: what is in the file is never asked again, whatever happens next."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from distbench.protocols import Guess, Written
from distbench.store.files import disk_faults, sync_folder


class AnswerStore:
    """A file of JSON Lines, only ever appended to; each line is on the disk before `add` returns.

    A line that a killed process left unfinished is dropped when the file is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._answers: dict[str, Written] = {}
        self.reasons: dict[str, str] = {}  # why an answer could not be had this time

    @contextmanager
    def held(self) -> Iterator[AnswerStore]:
        """Keep other processes away, and read what is there: a second one waits, and asks only what is missing then."""
        with disk_faults(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            self._read()
            yield self

    def _read(self) -> None:
        self._answers = {}
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with disk_faults(self.path), self.path.open("r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())
        for line in data[:whole].splitlines():
            row = _row(line)
            if row is not None and "error" not in row:
                self._answers[row["key"]] = _written(row)

    def get(self, key: str) -> Written | None:
        """Return a finished answer, or None."""
        return self._answers.get(key)

    def add(self, key: str, answer: Written) -> None:
        """Keep an answer. Raises EnvironmentFault where the disk is full."""
        with self._lock:
            self._append({"key": key, **_plain(answer)})
            self._answers[key] = answer

    def mark(self, key: str, error: str) -> None:
        """Note that an answer could not be had; it is asked again next time."""
        with self._lock:
            self._append({"key": key, "error": error})
            self.reasons[key] = error

    def _append(self, row: dict[str, Any]) -> None:
        new = not self.path.exists()
        with disk_faults(self.path), self.path.open("ab") as file:
            file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.path.parent)


def _row(line: bytes) -> dict[str, Any] | None:
    """Return a line's object; None for what is damaged: it is as if that answer had never come."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return (
        row if isinstance(row, dict) and isinstance(row.get("key"), str) and ("error" in row or "text" in row) else None
    )


def _plain(answer: Written) -> dict[str, Any]:
    """Return an answer as JSON; bytes of tokens as Latin-1 text, which maps each byte to one character."""
    row: dict[str, Any] = {"text": answer.text, "ended": answer.ended}
    for name in ("prompt_tokens", "tokens", "logprob", "greedy"):
        if getattr(answer, name) is not None:
            row[name] = getattr(answer, name)
    if answer.ids is not None:
        row["ids"] = list(answer.ids)
    if answer.guesses is not None:
        row["guesses"] = [[_text(g.token), [[_text(t), p] for t, p in g.top]] for g in answer.guesses]
    return row


def _written(row: dict[str, Any]) -> Written:
    ids, guesses = row.get("ids"), row.get("guesses")
    return Written(
        text=row["text"],
        ended=bool(row["ended"]),
        ids=None if ids is None else tuple(ids),
        prompt_tokens=row.get("prompt_tokens"),
        tokens=row.get("tokens"),
        logprob=row.get("logprob"),
        greedy=row.get("greedy"),
        guesses=None
        if guesses is None
        else tuple(Guess(_bytes(t), tuple((_bytes(o), float(p)) for o, p in top)) for t, top in guesses),
    )


def _text(token: bytes | None) -> str | None:
    return None if token is None else token.decode("latin-1")


def _bytes(token: str | None) -> bytes | None:
    return None if token is None else token.encode("latin-1")
