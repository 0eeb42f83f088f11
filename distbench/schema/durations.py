"""Lengths of time as people write them: 2h, 90m, 1h30m, 45s, or seconds."""

from __future__ import annotations

import re

from distbench.errors import UsageError

UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)", re.IGNORECASE)


def duration_seconds(text: str, option: str) -> float:
    """Return a duration in seconds. Raises UsageError, naming the option, for what is none or not above 0."""
    given = text.strip()
    seconds = float(given) if re.fullmatch(r"\d+(?:\.\d+)?", given) else _parts(given)
    if seconds is None or not 0 < seconds < 1e9:
        raise UsageError(f"{option} {text[:40]!r}: expected a time above 0, such as 2h, 90m, 1h30m, 45s or seconds")
    return seconds


def _parts(text: str) -> float | None:
    if not text or _PART.sub("", text).strip():
        return None
    return sum(float(number) * UNITS[unit[0].lower()] for number, unit in _PART.findall(text))


def duration(seconds: float) -> str:
    """Return a duration in words: two units at most."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min" if seconds >= 600 else f"{int(seconds) // 60} min {int(seconds) % 60} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"
