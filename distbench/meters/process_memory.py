"""This process's memory, as Linux accounts it: exact high-water marks, no polling."""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


def status_bytes(field: str) -> int | None:
    """Return a `kB` field of /proc/self/status (VmHWM, VmRSS, RssAnon, …) in bytes; None where there is none."""
    try:
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def reset_high_water() -> bool:
    """Set VmHWM back to the present size (Linux: write 5 to clear_refs); False where the kernel does not allow it."""
    try:
        CLEAR_REFS.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
