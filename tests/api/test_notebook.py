"""What a notebook shows: static, safe, and the page in a frame of its own."""

from __future__ import annotations

import base64
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import distbench
from distbench.report import numbers
from distbench.schema.result import Result
from tests.report.made.results import result_of
from tests.report.made.students import five_students, off_range


class Tags(HTMLParser):
    """Collects the tags and the text of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def synthetic() -> Result:
    return result_of([*five_students(), off_range()])


def test_summary_says_the_verdict_and_shows_hostile_names(synthetic: Result) -> None:
    shown = Tags(distbench.Run(result=synthetic)._repr_html_())
    assert {tag for tag, _ in shown.tags} <= {
        "div", "strong", "br", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "img", "ul", "li", "p",
        "code",
    }  # fmt: skip
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
    assert synthetic.verdict_reason in shown.text
    assert "</script><script>alert(1)</script> ⟨U+202E⟩<b>%{x}" in shown.text
    assert "\u202e" not in shown.text
    student = synthetic.students[0]
    assert numbers.as_percent(student.suite.retained, (0.95,)).text in shown.text


def test_the_chart_is_an_image_in_which_nothing_acts(synthetic: Result) -> None:
    shown = Tags(distbench.Run(result=synthetic)._repr_html_())
    (image,) = [attributes for tag, attributes in shown.tags if tag == "img"]
    kind, _, data = (image["src"] or "").partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert b"<svg" in base64.b64decode(data)
    assert image["alt"]
    bare = Tags(distbench.Run(result=synthetic.model_copy(update={"trade_offs": []}))._repr_html_())
    assert "img" not in {tag for tag, _ in bare.tags}


def test_a_run_of_nothing_is_shown(synthetic: Result) -> None:
    nothing = synthetic.model_copy(update={"students": [], "trade_offs": [], "warnings": [], "cells": []})
    assert "synthetic" not in Tags(distbench.Run(result=nothing)._repr_html_()).text


def test_the_page_stands_in_a_sandbox(loaded: distbench.Run, tmp_path: Path) -> None:
    page = loaded.report(height=321)
    (tag, attributes), *rest = Tags(page._repr_html_()).tags
    assert (tag, rest) == ("iframe", [])
    assert (attributes["srcdoc"] or "").replace('<base href="about:srcdoc">', "", 1) == page.html
    assert "allow-same-origin" not in (attributes["sandbox"] or "")
    assert "height:321px" in (attributes["style"] or "")
    assert "<title>" in page.html
    assert html.escape(page.framed) in page._repr_html_()
    assert page.save(tmp_path / "x.html").read_text(encoding="utf-8") == page.html
    assert len(repr(page)) < 200


def test_show_prints_where_there_is_no_notebook(loaded: distbench.Run, capsys: pytest.CaptureFixture[str]) -> None:
    loaded.show()
    shown = capsys.readouterr().out
    assert "✗ FAIL" in shown
    assert re.search(r"good\s+9\d\.\d", shown)
