"""The address holds what a reader chose: filters, the order of tables, one student, one sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import pytest

from distbench.schema.result import Result
from tests.report.visiting import Visit

pytestmark = pytest.mark.browser

SHOWN = "rows => rows.filter((row) => row.offsetParent).map((row) => row.innerText)"
TRACES = """() => [...document.querySelectorAll('.key .chart')][0]._fullData.map((t) => t.meta).filter(Boolean)"""


def chosen(page) -> dict[str, list[str]]:
    """Return what the fragment says after its section."""
    return parse_qs(unquote(page.evaluate("location.hash")).partition("?")[2])


def test_filters_and_orders_come_back_with_the_address(visit: Callable[..., Visit]) -> None:
    page = visit().page
    page.select_option("[data-column=task]", "topic")
    page.click("#students thead button:has-text('Smaller')")
    page.uncheck("#samples-diff")
    page.fill("#samples-search", "question 1")
    assert chosen(page) == {
        "task": ["topic"], "s.search": ["question 1"], "s.diff": ["no"], "sort.students": ["4down"],
    }  # fmt: skip
    address = page.evaluate("location.hash")
    assert address.startswith("#disagreements?")
    before = page.inner_text("#samples-status"), page.eval_on_selector_all("#students tbody", "b => b.map((x) => x.id)")
    again = visit("synthetic", address).page
    assert again.input_value("[data-column=task]") == "topic"
    assert not again.is_checked("#samples-diff")
    assert before == (
        again.inner_text("#samples-status"), again.eval_on_selector_all("#students tbody", "b => b.map((x) => x.id)")
    )  # fmt: skip
    assert again.evaluate("scrollY") > 1000  # it opens at the section
    again.evaluate("location.hash = '#tasks?verdict=FAIL'")  # a link to other choices takes the first ones back
    assert again.input_value("[data-column=task]") == ""
    assert again.input_value("#samples-search") == ""


def test_an_address_that_names_nothing_is_no_harm(visit: Callable[..., Visit]) -> None:
    found = visit("synthetic", "#nowhere?task=%3Cscript%3E&sort.students=99up&s.kind=lost&show=77")
    assert found.page.locator("#samples-table tbody tr").count() == 50
    assert [each for each in found.messages if "charts cannot be drawn" not in each] == []  # this page has none


def test_one_student_for_the_whole_page(charts: Visit, files: dict[str, Path]) -> None:
    found = charts
    page = found.page
    assert len(page.evaluate(TRACES)) == 4
    page.select_option("#show", label="23 layers, soft labels")
    found.until(f"({TRACES})().length === 2")
    assert page.evaluate(TRACES) == ["soft-23-layers-control", "soft-23-layers"]
    heat = "document.querySelector('[data-figure=heat] .chart')._fullData[0]"
    assert page.evaluate(f"{heat}.z[0].length") == 2
    assert page.evaluate(f"{heat}.z[0]") == pytest.approx([98.5, 91.0])
    assert len(page.eval_on_selector_all("#task-table tbody tr", SHOWN)) == 2 * 4
    assert len(page.eval_on_selector_all("#students tbody", SHOWN)) == 2
    assert page.inner_text("#samples-status") == "1–50 of 98"
    assert page.inner_text("#show-note") == "2 of 7 models"
    page.select_option("#show", "")
    found.until(f"({TRACES})().length === 4")
    assert page.evaluate(f"{heat}.z[0].length") == 6
    found.quiet(files["synthetic"])


def test_a_sample_has_a_link_of_its_own(controls: Any, synthetic: Result) -> None:
    page = controls
    page.fill("#samples-search", "=HYPERLINK")
    page.locator("#samples-table .permalink").click()
    assert chosen(page)["s.sample"] == ["=HYPERLINK(1)"]
    assert page.inner_text("#samples-status") == "1–1 of 1"
    assert page.is_visible("#samples-only")
    page.click("#samples-every")
    assert page.is_hidden("#samples-only")
    sample = synthetic.students[2].disagreements[5]
    page.evaluate(f"location.hash = '#disagreements?s.kind={sample.kind}&s.sample={quote(sample.sample_id)}'")
    page.evaluate("new Promise((go) => setTimeout(go))")
    assert page.locator("#samples-table tbody tr").count() == 2  # two students disagree on it


def test_groups_orders_and_differences_of_samples(visit: Callable[..., Visit]) -> None:
    page = visit("everything").page
    page.select_option("#samples-group", "dialect: rural")
    rows = page.locator("#samples-table tbody tr")
    assert "dialect: rural" in rows.first.inner_text()
    assert page.inner_text("#samples-status") == "1–10 of 10"
    page.select_option("#samples-group", "")
    page.select_option("#samples-order", "longest")
    assert "Question 118:" in rows.first.inner_text()
    page.select_option("#samples-order", "sample")
    assert "s00000" in rows.first.inner_text()


def test_the_difference_of_two_answers_is_marked_word_by_word(
    visit: Callable[..., Visit], synthetic: Result, tmp_path: Path
) -> None:
    from distbench.report.html import render

    sample = (
        synthetic.students[0]
        .disagreements[0]
        .model_copy(
            update={
                "teacher": "the river is <b>long</b> and cold",
                "student": "the river was <b>long</b> and very cold",
            }
        )
    )
    student = synthetic.students[0].model_copy(update={"disagreements": [sample]})
    (tmp_path / "one.html").write_text(render(synthetic.model_copy(update={"students": [student]})), "utf-8")
    page = visit(tmp_path / "one.html").page
    assert page.is_hidden("#samples-group")  # no sample belongs to a group
    marks = page.eval_on_selector_all(
        "#samples-table del, #samples-table ins", "m => m.map((x) => [x.tagName, x.innerText])"
    )
    assert marks == [["DEL", "is"], ["INS", "was"], ["INS", "very "]]
    assert "the river was <b>long</b> and very cold" in page.inner_text("#samples-table tbody")
    page.uncheck("#samples-diff")
    assert page.locator("#samples-table ins").count() == 0
