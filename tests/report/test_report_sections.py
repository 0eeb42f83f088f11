"""Sections of other packages: by entry point, in their place, named when they fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from markupsafe import Markup

from distbench import plugins
from distbench.errors import EnvironmentFault
from distbench.report import sections as parts
from distbench.report.html import render
from distbench.report.sections.section import Fragment
from distbench.report.view import View
from distbench.schema.result import Result


class Carbon:
    """What another package might add."""

    title = "Carbon"
    anchor = "carbon"
    after = "speed"

    def render(self, view: View) -> Fragment | None:
        return Fragment(Markup('<section id="carbon"><h2>Carbon</h2></section>'))


class Silent(Carbon):
    anchor = "silent"

    def render(self, view: View) -> Fragment | None:
        return None


class Broken(Carbon):
    def render(self, view: View) -> Fragment | None:
        raise KeyError("carbon")


class Lost(Carbon):
    after = "nowhere"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def installed(**found: type) -> None:
        monkeypatch.setattr(plugins, "names", lambda group: sorted(found) if group == "sections" else [])
        monkeypatch.setattr(plugins, "load", lambda group, name: found[name])
        monkeypatch.setattr(plugins, "distribution", lambda group, name: plugins.Origin("carbon-pack", "1"))

    return installed


def test_a_section_of_another_package_stands_in_its_place(synthetic: Result, install: Callable[..., None]) -> None:
    install(carbon=Carbon, silent=Silent)
    page = render(synthetic)
    anchors = [section.anchor for section in parts.sections()]
    assert anchors[anchors.index("speed") + 1] == "carbon"
    assert page.index('id="speed"') < page.index('id="carbon"') < page.index('id="training"')
    assert '<a href="#carbon">Carbon</a>' in page
    assert 'id="silent"' not in page


def test_a_section_that_fails_is_named(synthetic: Result, install: Callable[..., None]) -> None:
    install(carbon=Broken)
    with pytest.raises(EnvironmentFault, match=r"report section 'carbon' \(.*\): KeyError"):
        render(synthetic)


@pytest.mark.parametrize(("found", "why"), [(Lost, "no section 'nowhere'"), (parts.Speed, "another section 'speed'")])
def test_a_section_without_a_place_is_refused(install: Callable[..., None], found: type, why: str) -> None:
    install(carbon=found)
    with pytest.raises(EnvironmentFault, match=f"carbon-pack: {why}"):
        parts.sections()
