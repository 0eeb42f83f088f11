"""What an initialiser chose for an untrained student, in words: the blocks it kept, their widths, the text it used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeGuard

WIDTHS = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim")
LONGEST = 400  # characters of a value that nobody here knows


def start_words(initial: dict[str, Any], number: Callable[[float], str]) -> Iterator[tuple[str, str]]:
    """Yield (what, words) of the notes that an initialiser left; `number` formats a plain number.

    What another package's initialiser left is shown as it stands.
    """
    kept, influence = initial.get("kept_blocks"), initial.get("influence")
    known = {"kept_blocks", "influence", "calibration", *WIDTHS}
    if _integers(kept):
        yield "blocks kept", f"{ranges(kept)} (counted from 0; {len(kept)} in all)"
    if _integers(kept) and _numbers(influence):
        yield from _influence(kept, influence, number)
    if widths := {name: initial[name] for name in WIDTHS if name in initial}:
        yield "widths", ", ".join(f"{name} {value}" for name, value in widths.items())
    if isinstance(initial.get("calibration"), dict):
        yield "measured on", _calibration(initial["calibration"])
    for name, value in initial.items():
        if name not in known:
            yield name, _short(value)


def ranges(places: Sequence[int]) -> str:
    """Return sorted numbers with runs drawn together: 0–10, 12, 14–15."""
    breaks = [at for at, (one, two) in enumerate(pairwise(places), start=1) if two != one + 1]
    runs = [places[start:end] for start, end in pairwise([0, *breaks, len(places)])]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs if run)


def _influence(kept: list[int], influence: list[float], number: Callable[[float], str]) -> Iterator[tuple[str, str]]:
    """Say how much the blocks that were kept, and those that were not, change of what goes through them."""
    inside = [value for at, value in enumerate(influence) if at in set(kept)]
    outside = [value for at, value in enumerate(influence) if at not in set(kept)]
    if inside and outside:
        words = f"{number(min(inside))} or more of kept blocks, {number(max(outside))} or less of dropped ones"
        yield "influence (1 − cosine)", words


def _calibration(facts: dict[str, Any]) -> str:
    """Return what text was measured on: its file by its hash."""
    texts = facts.get("texts")
    said = f"a file (SHA-256 {texts[:16]}…)" if isinstance(texts, str) and len(texts) == 64 else _short(texts)
    more = (f"{_short(value)} {name}" for name, value in facts.items() if name not in {"texts", "code"})
    return ", ".join([f"text {said}" if said.startswith("written") else said, *more])


def _integers(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and bool(value) and all(type(each) is int for each in value)


def _numbers(value: Any) -> TypeGuard[list[float]]:
    return isinstance(value, list) and bool(value) and all(isinstance(each, (int, float)) for each in value)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
