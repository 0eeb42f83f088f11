"""Who may write in a run directory: one process all of it, or several a cell each, never both at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from distbench.errors import EnvironmentFault
from distbench.store.claims import Holder, claim, holder_of, is_held, refuse_while_alive, shared
from distbench.store.leftovers import remove_unfinished

LOCK, LOCK_HOLDER, CLAIMS, WHOLE = ".lock", ".lock.pid", ".claims", "run"


class Hold(contextlib.ExitStack):
    """Something held until `close`, or until the end of its `with` block."""


def hold_run(path: Path) -> Hold:
    """Hold a whole run directory at once, or raise EnvironmentFault, saying who has it, or a cell of it."""
    hold = Hold()
    lock = FileLock(path / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise _refused(path) from None
    except OSError as error:
        raise EnvironmentFault(f"cannot lock {path}: {error.strerror}") from error
    hold.callback(lock.release)
    try:
        hold.enter_context(claim(path / CLAIMS / WHOLE, str(path)))
        for each in _claims(path):
            refuse_while_alive(each, f"cell {each.name} of {path}")
        (path / LOCK_HOLDER).write_text(str(os.getpid()), encoding="ascii")
    except BaseException:
        hold.close()
        raise
    return hold


@contextlib.contextmanager
def hold_cells(path: Path, ids: Sequence[str], on_wait: Callable[[Holder], None] | None = None) -> Iterator[None]:
    """Hold some cells of a run, beside others that hold other cells; what killed processes left of them is removed.

    Raises EnvironmentFault where somebody holds the run, or one of these cells.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(shared(path / LOCK, lambda: _refused(path)))
        refuse_while_alive(path / CLAIMS / WHOLE, str(path))
        for cell_id in ids:
            stack.enter_context(claim(path / CLAIMS / cell_id, f"cell {cell_id} of {path}", on_wait))
        remove_unfinished(path / "cells", ids)
        yield


def _claims(path: Path) -> list[Path]:
    """Return the claims of cells, of living and of dead processes."""
    return sorted(file for file in (path / CLAIMS).glob("[!.]*") if file.name != WHOLE)


def _refused(path: Path) -> EnvironmentFault:
    """Say who holds a run. The kernel says only that somebody does."""
    claims = [file for file in _claims(path) if is_held(file)]
    if claims and not is_held(path / CLAIMS / WHOLE):
        who = holder_of(claims[0]) or "another process"
        more = f" and {len(claims) - 1} other cells are" if len(claims) > 1 else " is"
        return EnvironmentFault(f"{path}: cell {claims[0].name}{more} being worked on, by {who}; wait for that to end")
    file = path / LOCK_HOLDER
    pid = file.read_text(encoding="ascii").strip() if file.exists() else "unknown"
    return EnvironmentFault(f"{path} is locked by process {pid}; wait for it or name another --out")
