"""The parts of a Markdown document in which foreign text cannot act, and which never grows beyond what GitHub takes."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.report.visible import markdown_text

MARKDOWN_LIMIT = 65_536  # characters of a comment on GitHub
_LONGEST = 60


def escape(text: str, limit: int = _LONGEST) -> str:
    """Return foreign text as one line of Markdown in which nothing acts: no markup, link, mention or table cell."""
    return markdown_text(text, limit)


def row(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |\n"


def headed(head: str, lines: list[str]) -> list[str]:
    """Return lines under a heading that stands or falls with the first of them."""
    return [head + lines[0], *lines[1:]] if lines else []


def fitting(lines: list[str], room: int) -> tuple[list[str], int]:
    """Return the first lines that fit in `room` characters, and the room that is left."""
    kept = []
    for line in lines:
        if len(line) > room - 200:
            break
        kept.append(line)
        room -= len(line)
    return kept, room
