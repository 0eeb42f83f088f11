"""A worker's log: libraries print into it what they like, so it is cleaned of secrets before anybody reads it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from distbench import secrets
from distbench.store.leftovers import OWNER


def tail(path: Path, lines: int = 20, limit: int = 8192) -> str:
    """Return the last lines of a log, without secrets."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - limit))
        return secrets.text("\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:]))


def clean(path: Path) -> None:
    """Rewrite a log in which something looks like a secret; any other log is left as it is, byte for byte.

    Its worker has ended. A log that cannot be rewritten (the disk is full) is removed.
    """
    temporary = path.with_name(f".{path.name}.{OWNER}-{os.getpid()}.tmp")
    changed = False
    try:
        with path.open("rb") as file, temporary.open("wb") as cleaned:
            for line in file:
                kept = secrets.text(line.decode("latin-1")).encode("latin-1")  # any bytes, and the same ones again
                changed = changed or kept != line
                cleaned.write(kept)
        if changed:
            temporary.replace(path)
    except OSError:
        path.unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
