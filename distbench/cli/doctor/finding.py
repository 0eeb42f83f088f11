"""One line of `doctor`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """A thing, whether it is usable, what was seen, and what to do. A usable thing may have a remedy too: a better one.

    facts: the numbers and words of `seen` for programs; SI units, the unit in the name.
    """

    group: str
    what: str
    usable: bool
    seen: str
    remedy: str = ""
    facts: dict[str, float | str | list[int] | None] = field(default_factory=dict)
