"""Disagreements to read: what was asked, the right answer, and how the two answers differ, word by word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from distbench.report import numbers
from distbench.report.terminal.grid import name
from distbench.report.visible import visible
from distbench.schema.result import Disagreement, StudentResult

LONGEST = 1200  # characters of one text on a terminal
_MOST_WORDS = 600  # beyond that a word diff takes longer than it helps
_KINDS = {"lost": ("lost", "only the teacher is right", "red"), "won": ("won", "only the student is right", "green")}
_LABELS = 9


@dataclass(frozen=True)
class Chosen:
    """Disagreements to show, of `fitting` ones in the result; `unrecorded`: more that only the run's files have."""

    samples: Sequence[tuple[StudentResult, Disagreement]]
    fitting: int
    unrecorded: int


def sample_parts(chosen: Chosen) -> list[RenderableType]:
    """Return the samples one after the other, and how many are not shown."""
    parts: list[RenderableType] = []
    for number, (student, sample) in enumerate(chosen.samples, 1):
        word, meaning, colour = _KINDS[sample.kind]
        title = Text(f"{number} of {numbers.count(chosen.fitting)} · ")
        title.append(word, style=f"bold {colour}").append(f" · {name(student.label)} · {name(sample.task)}")
        parts += [
            Rule(title, align="left", style="dim"),
            Text(f"{meaning}; sample {name(sample.sample_id)}", style="dim"),
        ]
        if sample.groups:
            groups = ", ".join(f"{name(key)} {name(value)}" for key, value in sample.groups.items())
            parts.append(Text(f"groups: {groups}", style="dim"))
        parts += [
            *_labelled("asked", Text(_cut(sample.prompt)), always=False),
            *_labelled("right", Text(_cut(sample.label)), always=False),
            _Answers(sample.teacher, sample.student),
            Text(),
        ]
    if not chosen.samples:
        parts.append(Text("no disagreement fits what was asked"))
    if chosen.fitting > len(chosen.samples):
        more = chosen.fitting - len(chosen.samples)
        parts.append(Text(f"{numbers.count(more)} more with --limit {chosen.fitting}", style="dim"))
    if chosen.unrecorded:
        unread = (
            f"{numbers.count(chosen.unrecorded)} further disagreements are not in the result, which keeps 500 a student"
        )
        parts.append(Text(f"{unread}; distbench.load(RUN).samples() reads them all", style="dim"))
    return parts


def _labelled(label: str, text: Text, *, always: bool) -> list[RenderableType]:
    if not always and not text.plain.strip():
        return []
    return [Text.assemble((f"{label:<{_LABELS}}", "bold"), text) if "\n" not in text.plain else _block(label, text)]


def _block(label: str, text: Text) -> RenderableType:
    return Padding(Text.assemble((f"{label}\n", "bold"), text), (0, 0, 0, 0))


class _Answers:
    """Both answers, the words that only one of them has marked: in colour, or as in a word diff where there is none."""

    def __init__(self, teacher: str, student: str) -> None:
        self.teacher, self.student = _cut(teacher), _cut(student)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        teacher, student = marked(self.teacher, self.student, marks=console.no_color or not console.is_terminal)
        yield from _labelled("teacher", teacher, always=True)
        yield from _labelled("student", student, always=True)


def marked(teacher: str, student: str, *, marks: bool) -> tuple[Text, Text]:
    """Return both texts with what differs marked: `[-only the teacher-]`, `{+only the student+}`, or by colour.

    Texts that have little in common, or are very long, are returned as they are: everything would be marked.
    """
    left, right = _words(teacher), _words(student)
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    short = len(left) <= _MOST_WORDS and len(right) <= _MOST_WORDS
    if not short or min(len(left), len(right)) < 2 or matcher.ratio() < 0.3:
        return Text(teacher or "(nothing)"), Text(student or "(nothing)")
    first, second = Text(), Text()
    for kind, a, b, c, d in matcher.get_opcodes():
        gone, new = "".join(left[a:b]), "".join(right[c:d])
        if kind == "equal":
            first.append(gone)
            second.append(new)
            continue
        _append(first, gone, ("[-", "-]") if marks else ("", ""), "" if marks else "bold red")
        _append(second, new, ("{+", "+}") if marks else ("", ""), "" if marks else "bold green")
    return first, second


def _append(text: Text, words: str, marks: tuple[str, str], style: str) -> None:
    """Append words with their mark; the space before them is not part of the difference."""
    bare = words.lstrip()
    text.append(words[: len(words) - len(bare)])
    if bare:
        text.append(f"{marks[0]}{bare}{marks[1]}", style=style)


def _words(text: str) -> list[str]:
    """Return words with the spaces before them, so that joined they are the text again."""
    return re.findall(r"\s*\S+|\s+$", text)


def _cut(text: str) -> str:
    """Return a text that is safe to print, its lines kept; of a long one, its beginning."""
    lines = visible(text[:LONGEST].replace("\r\n", "\n")).replace("\r", "⟨U+000D⟩").replace("\t", "    ")
    more = len(text) - LONGEST
    return f"{lines} … ({numbers.count(more)} more characters)" if more > 0 else lines
