"""A badge for a README: one student's verdict and what it keeps, or the verdict of the whole run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from distbench.protocols.export import Exported, Source, Writes
from distbench.report import words
from distbench.report.svg import FONT, Attributes, element, escaped
from distbench.report.theme import LIGHT
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.schema.result import StudentResult
from distbench.schema.strict import Strict

_COLOURS = {"pass": "brightgreen", "fail": "red", "undecided": "yellow", "neutral": "lightgrey"}  # of shields.io
_LONGEST = 40
_HEIGHT, _PAD = 20, 6  # pixels
# Widths of characters in an 11 px sans-serif, in pixels, about: the text is fitted to their sum in any font.
_NARROW, _WIDE, _USUAL = (3.6, frozenset("iljtfrI.,:;|'!()[] ·")), (9.4, frozenset("mwMW%—×")), 6.7


@dataclass(frozen=True)
class Badge:
    """What a badge says. `tone` is that of the verdict."""

    label: str
    message: str
    tone: str

    def endpoint(self) -> str:
        """Return the document that https://shields.io/badges/endpoint-badge reads."""
        document = {
            "schemaVersion": 1,
            "label": self.label,
            "message": self.message,
            "color": _COLOURS[self.tone],
        }
        return json.dumps(document, ensure_ascii=False) + "\n"

    def svg(self) -> str:
        """Return the badge as a picture of its own: no server, no font to load."""
        left, right = (text_width(text) + 2 * _PAD for text in (self.label, self.message))
        width, said = left + right, f"{self.label}: {self.message}"
        size: Attributes = {"width": width, "height": _HEIGHT, "viewBox": f"0 0 {width:g} {_HEIGHT}"}
        look: Attributes = {"font-family": FONT, "font-size": 11, "fill": "#fff"}
        return element(
            "svg",
            {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img", "aria-label": said, **look},
            element("title", {}, escaped(said)),
            element("rect", {"width": width, "height": _HEIGHT, "rx": 3, "fill": "#3f4650"}),
            element("path", {"fill": LIGHT[self.tone], "d": _right_half(left, right)}),
            *(self._text(text, at, room) for text, at, room in ((self.label, 0, left), (self.message, left, right))),
        )

    @staticmethod
    def _text(text: str, at: float, room: float) -> str:
        """Return a text squeezed into its room, whatever font the reader has."""
        place: Attributes = {
            "x": at + _PAD,
            "y": 14,
            "textLength": room - 2 * _PAD,
            "lengthAdjust": "spacingAndGlyphs",
        }
        return element("text", place, escaped(text))


def text_width(text: str) -> float:
    """Return about how wide a text is, in pixels; characters beyond Latin count as square."""

    def width(character: str) -> float:
        for size, characters in (_NARROW, _WIDE):
            if character in characters:
                return size
        return _USUAL if ord(character) < 0x250 else 11.0

    return round(sum(map(width, text)), 1)


def _right_half(left: float, right: float) -> str:
    return f"M{left:g} 0h{right - 3:g}q3 0 3 3v14q0 3-3 3H{left:g}Z"


def badge_of(view: View, student: StudentResult | None) -> Badge:
    """Return the badge of a student, or of the whole run where there is none."""
    if student is None:
        verdict = words.VERDICTS[view.result.verdict]
        passed = sum(each.verdict == "PASS" for each in view.candidates)
        of = words.plural(len(view.candidates), "student")
        return Badge(one_line(view.result.suite, _LONGEST), f"{verdict.word} · {passed} of {of} passed", verdict.tone)
    verdict, kept = words.VERDICTS[student.verdict], view.retained(student)
    message = verdict.word if kept.missing else f"{verdict.word} · {kept.text} retained"
    return Badge(one_line(student.label, _LONGEST), message, verdict.tone)


class BadgeExport:
    """`--format badge`: about `--student`; else about the recommended student, or the one that keeps most."""

    class Options(Strict):
        """Options of the format."""

        picture: Literal["json", "svg"] | None = Field(
            None, description="json: for shields.io; svg: a picture; left out: by the ending of --out, else json"
        )
        subject: Literal["student", "run"] = Field(
            "student", description="run: the verdict of all required students together"
        )
        label: str | None = Field(
            None, min_length=1, max_length=200, description="the left half; else the name of the student or the suite"
        )

    summary: ClassVar[str] = "verdict and retained %, for shields.io (JSON) or as a picture (SVG)"
    writes: ClassVar[Writes] = "text"
    of_one: ClassVar[bool] = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Return the badge."""
        view = View(source.result)
        student = None if self.options.subject == "run" else source.chosen() or view.headline
        badge = badge_of(view, student)
        if self.options.label is not None:
            badge = Badge(one_line(self.options.label, _LONGEST), badge.message, badge.tone)
        picture = self.options.picture or ("svg" if to is not None and to.suffix == ".svg" else "json")
        return Exported(text=badge.svg() + "\n" if picture == "svg" else badge.endpoint())
