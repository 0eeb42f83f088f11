"""A lack of memory in words: how much was in use, and what the library said."""

from __future__ import annotations

import sys

from distbench.meters.process_memory import resident_bytes, status_bytes

GIB = 2**30


def out_of_memory(error: BaseException) -> str:
    """Return "out of memory", the peaks so far of this process and of its device's allocator, and what was said."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"out of memory at a peak of {_peaks()}" + (f"; {text[:200]}" if text else "")


def _peaks() -> str:
    mark = status_bytes("VmHWM")
    words = [f"{mark / GIB:.2f} GiB of the host" if mark else f"{resident_bytes() / GIB:.2f} GiB of the host or more"]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        words.append(f"{torch.cuda.max_memory_allocated() / GIB:.2f} GiB of the GPU")
    return " and ".join(words)
