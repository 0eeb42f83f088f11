"""Accessibility: axe-core finds nothing on a page with every section, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.report.auditing import ALL, CONTRAST, RUN, audit, with_axe
from tests.report.visiting import DRAWN, Visit

pytestmark = pytest.mark.browser
pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")


def test_axe_finds_nothing_in_light_and_in_dark(visit: Callable[..., Visit]) -> None:
    audit(with_axe(visit, "everything", wait=DRAWN))


def test_axe_would_find_something(visit: Callable[..., Visit]) -> None:
    page = with_axe(visit, "empty")
    page.evaluate(
        """() => {
          document.querySelector('main').append(document.createElement('button'));
          const faint = document.createElement('p');
          faint.textContent = 'faint';
          faint.style.color = '#eeeeee';
          document.querySelector('main').append(faint);
        }"""
    )
    found = [each[0] for rules in (ALL, CONTRAST) for each in page.evaluate(RUN, rules)]
    assert found == ["button-name", "color-contrast"]
