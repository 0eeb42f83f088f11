"""Memory that one step frees is kept for the next one.

glibc gives every block above 32 MiB back to the system at once (mallopt(3), M_MMAP_THRESHOLD). A step on a CPU takes
dozens of them, logits above all, and each comes back page by page, zeroed by a page fault each: on a virtual machine
that took ten times as long as filling the block (48 MiB: 26 ms, 3 ms when kept).
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # mallopt's numbers for its parameters
LARGEST, ABOVE_ANY_TENSOR = 2**31 - 1, 2**30
USUAL = 32 * 2**20  # what glibc's own adaptation ends at; setting a threshold switches that off


@contextmanager
def kept() -> Iterator[None]:
    """Keep freed memory in this process meanwhile; give it back at the end. Nothing happens without glibc."""
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(MMAP_THRESHOLD, ABOVE_ANY_TENSOR)
    libc.mallopt(TRIM_THRESHOLD, LARGEST)
    try:
        yield
    finally:
        libc.mallopt(MMAP_THRESHOLD, USUAL)
        libc.mallopt(TRIM_THRESHOLD, 2 * USUAL)
        libc.malloc_trim(0)


def _glibc() -> Any:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
