"""Foreign text made safe to show: what cannot be seen is shown as a code point, and nothing acts as markup."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

from markupsafe import Markup

# Controls, lone surrogates and what XML forbids (U+FFFE, U+FFFF), and the characters that reorder or hide their
# neighbours. Joiners (U+200C, U+200D) stay: several scripts and emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_JSON_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


def visible(text: str) -> str:
    """Return the text with every unseen character spelled out, such as ⟨U+202E⟩."""
    return _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def one_line(text: str, limit: int | None = None) -> str:
    """Return the visible text on one line, cut to `limit` characters."""
    line = " ".join(visible(text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def markdown_text(text: str, limit: int | None = None) -> str:
    """Return foreign text as one line of Markdown in which nothing acts: no markup, link, mention, emoji or cell."""
    line = one_line(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_\[\]|~$])", r"\\\1", line)
    return re.sub(r"[@#]|:(?=//|[\w+-]+:)|(?<=www)\.", r"\g<0><!-- -->", line)


def plot_text(text: str, limit: int = 32) -> str:
    """Return the text for a plotly label, where `<b>` and `<a href>` would otherwise act."""
    return one_line(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plot_lines(text: str, width: int, lines: int = 2) -> str:
    """Return the text for a plotly label, broken into at most a few lines of about `width` characters."""
    parts = textwrap.wrap(one_line(text), width, break_long_words=True)
    kept = parts[:lines]
    if len(parts) > lines:
        kept[-1] = kept[-1][: width - 1].rstrip() + "…"
    return "<br>".join(plot_text(part, width) for part in kept)


def json_block(data: Any) -> Markup:
    """Return the data as JSON that no HTML parser can leave: ASCII only, and no `<`, `>` or `&`."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=str)
    return Markup(text.translate(_JSON_ESCAPES))  # noqa: S704 - the line above leaves nothing that could be markup


def finalize(value: Any) -> Any:
    """Make every string that a template prints visible; jinja2 escapes it afterwards."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
