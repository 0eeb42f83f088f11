"""What differs between two suites, in the words that their files have: `gate.retained 0.9 → 0.95`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from distbench.schema.wording import harmless, shorten

MOST = 6  # differences that are named
LONGEST = 40  # characters of a value


def changed_words(before: Any, after: Any) -> str:
    """Return the fields in which two suites differ, as one phrase; empty where they do not."""
    found = list(_changes(before, after, ""))
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return ", ".join([*found[:MOST], *more])


def _changes(before: Any, after: Any, where: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _changes(before.get(key), after.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(before, list) and isinstance(after, list) and _named(before) and _named(after):
        yield from _changes(_by_name(before), _by_name(after), where)
        names = [
            [name for name in _by_name(entries) if name in _by_name(others)]
            for entries, others in ((before, after), (after, before))
        ]
        if names[0] != names[1]:
            yield f"{harmless(where)} in another order"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from _changes(*pair, f"{where}[{number}]")
    elif _text(before) != _text(after):
        yield f"{harmless(where)} {_said(before, after)}"


def _named(entries: Sequence[Any]) -> bool:
    """Say whether every entry of a list has a name of its own: then a new one moves no other."""
    names = [each.get("name") for each in entries if isinstance(each, dict)]
    return len(names) == len(entries) == len({str(name) for name in names}) and None not in names


def _by_name(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {str(each["name"]): each for each in entries}


def _said(before: Any, after: Any) -> str:
    if before is None or after is None:
        whole = before if after is None else after
        value = "" if isinstance(whole, dict | list) else f" ({_shown(whole)})"
        return f"{'taken out' if after is None else 'added'}{value}"
    if isinstance(before, dict | list) or isinstance(after, dict | list):
        return "changed"
    return f"{_shown(before)} → {_shown(after)}"


def _shown(value: Any) -> str:
    return harmless(shorten(_text(value).strip('"'), LONGEST))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
