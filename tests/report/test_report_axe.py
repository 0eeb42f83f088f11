"""Accessibility: axe-core finds nothing on a page with every section, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files as resources

import pytest

from tests.report.visiting import DRAWN, Visit

pytestmark = pytest.mark.browser
pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")

RUN = """async () => {
  document.querySelectorAll('details').forEach((each) => { each.open = true; });
  document.querySelectorAll('.permalink').forEach((each) => { each.style.opacity = 1; });
  const found = await axe.run(document, { resultTypes: ['violations'] });
  return found.violations.map((each) => [each.id, each.nodes.length, each.nodes[0].html.slice(0, 160),
    each.nodes[0].failureSummary]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Callable[..., Visit], scheme: str) -> None:
    # axe is a script of its own, which the page's policy would refuse: this test alone sets the policy aside
    page = visit("everything", color_scheme=scheme, bypass_csp=True, wait=DRAWN).page
    page.add_script_tag(content=(resources("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    assert page.evaluate(RUN) == []


def test_axe_would_find_something(visit: Callable[..., Visit]) -> None:
    page = visit("empty", bypass_csp=True).page
    page.add_script_tag(content=(resources("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert [each[0] for each in page.evaluate(RUN)] == ["button-name"]
