"""What a notebook shows, in a real browser: nothing acts, nothing is loaded, the page works in its sandboxed frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import distbench
from distbench.schema.result import Result
from tests.report.visiting import DRAWN, WAIT, Visit

pytestmark = pytest.mark.browser


def test_summary_and_page_between_cells(browser: Any, synthetic: Result, tmp_path: Path) -> None:
    run = distbench.Run(result=synthetic)
    file = tmp_path / "notebook.html"
    shown = f"<!doctype html><html lang=en><meta charset=utf-8><title>n</title>{run._repr_html_()}"
    file.write_text(shown + run.report(height=900)._repr_html_(), "utf-8")
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    visit = Visit(context.new_page())
    visit.page.goto(file.as_uri())
    image = visit.page.locator("img")
    assert image.evaluate("each => each.complete && each.naturalWidth > 100")
    assert visit.page.locator("tbody tr").count() == len(synthetic.students)
    frame = visit.page.locator("iframe")
    frame.scroll_into_view_if_needed()
    page = frame.element_handle().content_frame()
    page.wait_for_selector(DRAWN, timeout=WAIT)
    assert page.locator(".js-plotly-plot").count() > 0
    assert page.evaluate("self.origin") == "null"  # it cannot reach the notebook
    page.locator("nav a").last.click()  # a link within the page stays within it
    page.wait_for_url("about:srcdoc#*", timeout=WAIT)
    visit.quiet(file)
    context.close()
