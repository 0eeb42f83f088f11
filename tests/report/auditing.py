"""axe-core on an open page: what it finds, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from tests.report.visiting import Visit

PREPARE = """() => {
  document.querySelectorAll('details').forEach((each) => { each.open = true; });
  document.querySelectorAll('.permalink').forEach((each) => { each.style.opacity = 1; });
}"""
RUN = """async ([context, rules]) => {
  const found = await axe.run(context, { ...rules, resultTypes: ['violations'], preload: false });
  return found.violations.map((each) => [each.id, each.nodes.length, each.nodes[0].html.slice(0, 160),
    each.nodes[0].failureSummary]);
}"""
# Contrast takes most of the time. Rows of a table are alike and so are charts: the first ones of each are looked at.
ALIKE = ["tbody tr:nth-child(n+5)", "tbody:nth-of-type(n+5)", ".panel svg"]
ALL = [{"include": ["html"]}, {"rules": {"color-contrast": {"enabled": False}}}]
CONTRAST = [{"include": ["html"], "exclude": ALIKE}, {"runOnly": ["color-contrast"]}]


def with_axe(visit: Callable[..., Visit], name: str | Path, **options: Any) -> Any:
    """Open a page with axe. It is a script of its own, which the page's policy refuses: here alone it is set aside."""
    page = visit(name, bypass_csp=True, **options).page
    page.add_script_tag(content=(resources("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    page.evaluate(PREPARE)
    return page


def audit(page: Any, part: str = "html") -> None:
    """Assert that axe finds nothing on a page, in light and in dark; contrast is looked at in a `part` of it."""
    contrast = [{**CONTRAST[0], "include": [part]}, CONTRAST[1]]
    assert page.evaluate(RUN, ALL) == []
    assert page.evaluate(RUN, contrast) == []
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert page.evaluate(RUN, contrast) == []
