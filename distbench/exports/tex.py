"""Foreign text as LaTeX: nothing acts, and nothing needs more than plain LaTeX to compile."""

from __future__ import annotations

import re
import unicodedata

from distbench.report.numbers import SPACE
from distbench.report.visible import one_line

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_\allowbreak{}",  # names of tasks are long
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "`": "{`}",  # two of them would become a quotation mark
    "'": "{'}",
    "-": "{-}",  # two of them would become a dash
    "×": r"$\times$",
    "÷": r"$\div$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "−": "$-$",
    "∞": r"$\infty$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "→": r"$\to$",
    "Δ": r"$\Delta$",
    "µ": r"$\mu$",
    "‖": r"$\|$",
    "⟨": r"$\langle$",
    "⟩": r"$\rangle$",
    "—": "---",
    "–": "--",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
COMMANDS = frozenset(
    re.findall(r"\\([A-Za-z]+|[^A-Za-z])", " ".join(_SPECIAL.values())) + [mark for mark in _ACCENTS.values() if mark]
)
"""Every command that `tex` may write."""


def tex(text: str, *, unicode: bool = False) -> str:
    """Return a text as one line of LaTeX for use in a paragraph or a table cell.

    Pure ASCII: characters beyond accented Latin letters are spelled out as [U+4E2D]. `unicode` keeps them, for XeLaTeX
    and LuaLaTeX with a font that has them.
    """
    parts = [one_line(part) for part in text.split(SPACE)]  # an unbreakable space stays one: 95~%
    return "~".join("".join(_character(each, unicode=unicode) for each in part) for part in parts)


def _character(character: str, *, unicode: bool) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if " " <= character <= "~":
        return character
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[1] in _ACCENTS and parts[0].isascii() and parts[0].isalpha():
        return f"\\{_ACCENTS[parts[1]]}{{{parts[0]}}}"
    return character if unicode else f"[U+{ord(character):04X}]"
