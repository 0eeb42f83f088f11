"""What `show` is asked for, and what its screens share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType

from distbench.cli.output import out
from distbench.errors import UsageError, did_you_mean
from distbench.report.visible import one_line

KINDS = ("lost", "won", "all")
_MOST_NAMES = 12


@dataclass(frozen=True)
class Wish:
    """What to show of a run; nothing: all of it at a glance."""

    student: str | None = None
    task: str | None = None
    model: str | None = None
    samples: str | None = None
    cell: str | None = None
    cells: bool = False
    limit: int = 10

    def check(self) -> None:
        """Raise UsageError for wishes that do not go together."""
        alone = [name for name in ("model", "cell", "cells") if getattr(self, name)]
        if len(alone) > 1 or (alone and (self.student or self.task or self.samples)):
            raise UsageError("--model, --cell and --cells show something of their own: give one of them alone")
        if self.samples is not None and self.samples not in KINDS:
            raise UsageError(
                f"--samples {one_line(self.samples, 40)!r} is not one of: {', '.join(KINDS)}"
                f"{did_you_mean(self.samples, KINDS)}"
            )


def unknown(noun: str, wanted: str, known: Sequence[str]) -> str:
    """Return the message for a name that is not there, with the nearest ones."""
    names = list(dict.fromkeys(known))
    shown = ", ".join(one_line(each, 60) for each in names[:_MOST_NAMES]) or "none"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"no {noun} {one_line(wanted, 80)!r} here{did_you_mean(wanted[:80], names)} (there are: {shown}{more})"


def print_parts(parts: Sequence[RenderableType]) -> None:
    """Print renderables one after the other."""
    console = out()
    for part in parts:
        console.print(part)
