"""Do result.json and report.html say what the cells say?"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from distbench.errors import DistbenchError, RunError
from distbench.schema.result import Result
from distbench.verify.looking import Look
from distbench.verify.subject import Subject, read

CLOSE = 1e-6  # relative: another version of numpy, or another processor
LONGEST_PAGE = 512 << 20
MOST_VALUES = 10
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
_NOT_IN_PAGES = {"disagreements"}  # they are in a part of their own, packed


def result(subject: Subject, look: Look) -> None:
    """result.json is what `compare` computes from these cells."""
    stored = _stored(subject, "result.json", look)
    now = _now(subject, look)
    if stored is None or now is None:
        return
    look.saw()
    _report(look, "result.json", list(differences(stored, now)))


def page(subject: Subject, look: Look) -> None:
    """report.html shows what `compare` computes from these cells."""
    path = subject.run.path / "report.html"
    if not path.is_file() or path.is_symlink():
        look.nothing("there is no report.html")
        return
    now = _now(subject, look)
    if now is None:
        return
    look.saw()
    found = _DATA.search(path.read_text("utf-8", "replace")) if path.stat().st_size <= LONGEST_PAGE else None
    try:
        shown = json.loads(found[1])["result"] if found else None
    except (ValueError, KeyError, TypeError, RecursionError):
        shown = None
    if not isinstance(shown, dict):
        look.damaged("report.html", "it holds no result: it is not a page of this version of distbench, or was changed")
        return
    _report(look, "report.html", list(differences(shown, shortened(now), leave=_NOT_IN_PAGES)))


def shortened(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result as a page shows it: with labels that are not longer than it prints."""
    from distbench.report.html import with_short_labels

    found: dict[str, Any] = json.loads(with_short_labels(Result.model_validate(result, strict=False)).model_dump_json())
    return found


def _now(subject: Subject, look: Look) -> dict[str, Any] | None:
    found = subject.compared
    if isinstance(found, RunError):
        look.nothing("no evaluation or measurement finished, so there is nothing to compare")
    elif isinstance(found, DistbenchError):
        look.nothing(f"the run cannot be compared: {found}")
    return found if isinstance(found, dict) else None


def _stored(subject: Subject, name: str, look: Look) -> dict[str, Any] | None:
    path = subject.run.path / name
    if not path.exists():
        look.nothing(f"there is no {name}")
        return None
    try:
        found = json.loads(read(path))
    except (ValueError, RecursionError) as error:
        look.damaged(name, f"it is not JSON: {str(error)[:120]}")
        return None
    if not isinstance(found, dict):
        look.damaged(name, "it is no result document")
        return None
    return found


def _report(look: Look, name: str, found: list[tuple[str, str]]) -> None:
    """Tell values that differ. Where only one side has some keys, another version wrote it, and may compute otherwise:
    then nobody can tell a change of the code from a change by hand.
    """
    changed = [each for each in found if each[1]]
    absent = [path for path, what in found if not what]
    say = look.suspicious if absent else look.damaged
    for path, what in changed[:MOST_VALUES]:
        say(name, f"{path}: {what}")
    if len(changed) > MOST_VALUES:
        say(name, f"and {len(changed) - MOST_VALUES} more values that the cells do not give")
    if absent:
        shown = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
        look.warning(name, f"another version of distbench wrote it: only one side has {shown}")


def differences(stored: Any, now: Any, path: str = "", leave: set[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield (where, what differs); an empty text where only one side has a key at all."""
    if isinstance(stored, dict) and isinstance(now, dict):
        for key in {**stored, **now}:
            at = f"{path}.{key}" if path else key
            if leave and key in leave:
                continue
            if key in stored and key in now:
                yield from differences(stored[key], now[key], at, leave)
            else:
                yield at, ""
    elif isinstance(stored, list) and isinstance(now, list):
        if len(stored) != len(now):
            yield path, f"{len(stored)} entries, and the cells give {len(now)}"
            return
        for number, (one, other) in enumerate(zip(stored, now, strict=True)):
            yield from differences(one, other, f"{path}[{_name(one, number)}]", leave)
    elif not _same(stored, now):
        yield path, f"{_short(stored)}, and the cells give {_short(now)}"


def _name(entry: Any, number: int) -> str:
    """Return what an entry of a list is called, or its place."""
    name = entry.get("name") or entry.get("task") or entry.get("id") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else str(number)


def _same(one: Any, other: Any) -> bool:
    numbers = [isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other)]
    if all(numbers):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=1e-12)
    return type(one) is type(other) and one == other


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
