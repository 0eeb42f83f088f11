"""Keep secrets out of records and messages: model arguments as they were typed, errors that quote a URL."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

BLANK = "(not recorded)"
_SECRET = re.compile(r"token(?!izer)|key|secret|passw|auth|header|cookie|credential", re.IGNORECASE)
_LOOKS_SECRET = re.compile(r"\b(hf_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{8,}|Bearer\s+\S+)")


def arguments(given: Any) -> dict[str, Any]:
    """Return model arguments (a mapping, or `a=b,c=d`) without what may be a secret."""
    if isinstance(given, str):
        given = dict(part.partition("=")[::2] for part in given.split(",") if part.strip())
    if not isinstance(given, dict):
        return {}
    return {text(str(key)): _clean(str(key), value) for key, value in given.items()}


def _clean(key: str, value: Any) -> Any:
    if _SECRET.search(key):
        return BLANK
    if isinstance(value, dict):
        return {text(str(k)): _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, list):
        return [_clean(key, each) for each in value]
    return text(value) if isinstance(value, str) else value


def text(value: str) -> str:
    """Return a text without credentials (a URL loses its user and query, a token is blanked) that UTF-8 can hold."""
    if "://" in value:
        try:
            parts = urlsplit(value)
            value = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        except ValueError:  # no URL after all, and nobody can say what it holds
            return BLANK
    return _LOOKS_SECRET.sub(BLANK, value.encode("utf-8", "replace").decode())
