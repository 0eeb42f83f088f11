"""The page in a real browser: it draws, it loads nothing, and the numbers read off it are those of the result."""

import json
from pathlib import Path

import pytest

from distbench.report.view import MeasureKey, View
from distbench.schema.result import Result
from tests.report.visiting import DRAWN, READY

pytestmark = pytest.mark.browser

MARKS = """() => [...document.querySelectorAll('.key .chart')].flatMap((chart) => chart._fullData)
  .filter((trace) => trace.meta).map((trace) => [trace.meta, trace.x[0], trace.y[0]])"""


def test_draws_without_a_request_or_an_error(visit, files):
    found = visit(wait=DRAWN)
    page = found.page
    assert page.evaluate("document.documentElement.classList.contains('drawn')")
    types = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('[data-figure]')]"
        ".map((f) => [f.dataset.figure, [...new Set(f.querySelector('.chart')._fullData.map((t) => t.type))]]))"
    )
    assert types.pop("heat") == ["heatmap", "scatter"]
    assert types.pop("flips") == ["bar"]
    assert len(types) >= 5
    assert set(map(tuple, types.values())) == {("scatter",)}
    for mark in (
        ".key .point >> nth=1",
        "[data-figure=heat] .hm",
        "[data-figure^=ratio] .point",
        "[data-figure=task-0] .point",
        "[data-figure=spread-0] .point",
        "[data-figure=flips] .point",
    ):
        page.locator(mark).first.hover(force=True)
        page.wait_for_selector(f"{mark.split(' ')[0]} .hovertext")
    found.quiet(files["synthetic"])


def test_numbers_read_off_the_page_are_those_of_the_result(charts, synthetic):
    page = charts.page
    view = View(synthetic)
    for student in synthetic.students:
        cell = page.locator(f"tbody[data-name='{student.name}'] tr:first-child td.n").first
        value = student.suite.retained.value
        assert cell.get_attribute("data-sort") == ("" if value is None else repr(value))
        assert view.retained(student).text in cell.inner_text()
    read = page.locator("tbody[data-name='soft-23-int8'] td.n .number").first.inner_text()
    assert float(read.split()[0]) == round(view.recommended.suite.retained.value * 100, 1)
    drawn = {name: (x, y) for name, x, y in page.evaluate(MARKS)}
    for name, (x, y) in drawn.items():
        student = view.by_name[name]
        assert (x, y) == (student.compression["bytes_on_disk"], student.suite.retained.value * 100)
    assert "soft-23-layers-control" in drawn
    assert page.locator(".tile .big").first.inner_text() == view.retained(view.recommended).text


def test_key_chart_axis_and_range(charts, files, synthetic):
    page = charts.page
    assert "tiny" not in {name for name, _, _ in page.evaluate(MARKS)}
    page.select_option("#key-range", "full")
    assert "tiny" in {name for name, _, _ in page.evaluate(MARKS)}
    (measured,) = [each for each in View(synthetic).by_name["tiny"].measurements if each.metric == "e2e_ms"]
    page.select_option("#key-axis", label=MeasureKey.of(measured).title)
    assert ["tiny", measured.ratio.value] in [[name, x] for name, x, _ in page.evaluate(MARKS)]
    assert "Without a retained share: from scratch" in page.inner_text("#key-note")
    (peak,) = [key for key in View(synthetic).measures if key.metric == "peak_bytes"]
    page.select_option("#key-axis", label=peak.title)
    assert "Not on this axis: 23 layers, soft labels, int8" in page.inner_text("#key-note")
    charts.quiet(files["synthetic"])


def test_theme_follows_the_system_and_the_switch(visit, charts):
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "document.querySelector('.key .chart')._fullLayout.font.color"
    light = (charts.page.evaluate(ground), charts.page.evaluate(ink))
    assert charts.page.get_attribute("#theme", "aria-pressed") == "false"
    page = visit(color_scheme="dark", wait=READY).page
    dark = (page.evaluate(ground), page.evaluate(ink))
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    assert dark[0] != light[0]
    assert dark[1] != light[1]
    page.click("#theme")
    assert (page.evaluate(ground), page.evaluate(ink)) == light
    assert page.get_attribute("#theme", "aria-pressed") == "false"


def test_sorting_a_page_of_few_rows(visit, many):
    page = visit("many").page
    assert page.evaluate("document.querySelectorAll('*').length") < 20_000  # 24 students, 15 measures each
    assert page.locator("#samples-table tbody tr").count() == 50
    page.click("#students thead button:has-text('Smaller')")
    names = page.eval_on_selector_all("#students tbody", "bodies => bodies.map((body) => body.dataset.name)")
    by_size = sorted(many.students, key=lambda each: -each.compression["bytes_on_disk"])
    assert names == [student.name for student in by_size]
    assert page.get_attribute("#students thead th >> nth=4", "aria-sort") == "descending"
    page.click("#students thead button:has-text('Smaller')")
    assert page.get_attribute("#students thead th >> nth=4", "aria-sort") == "ascending"


def test_rows_without_a_number_stay_last(controls):
    page = controls
    for _ in range(2):
        page.click("#students thead button:has-text('Retained')")
        assert page.get_attribute("#students tbody >> nth=-1", "data-name") == "from-scratch"


def test_task_filter(controls, synthetic):
    page = controls
    page.select_option("[data-column=task]", "topic")
    page.select_option("[data-column=verdict]", "FAIL")
    shown = page.eval_on_selector_all("#task-table tbody tr:not([hidden])", "rows => rows.map((r) => r.innerText)")
    fails = [
        task for each in synthetic.students for task in each.tasks if (task.task, task.verdict) == ("topic", "FAIL")
    ]
    assert len(shown) == len(fails) > 0
    assert "rows" in page.inner_text("[data-filters] .count")


def test_measure_filter(controls, synthetic):
    page = controls
    page.select_option("[data-column=measure]", label="time to load")
    shown = page.eval_on_selector_all("#speed-table tbody tr:not([hidden])", "rows => rows.map((r) => r.innerText)")
    loads = [each for student in synthetic.students for each in student.measurements if each.meter == "load"]
    assert len(shown) == len(loads) > 0


def test_disagreements_are_paged_filtered_and_searched(controls, synthetic):
    page = controls
    lost = sum(sample.kind == "lost" for student in synthetic.students for sample in student.disagreements)
    status = page.locator("#samples-status")
    assert status.inner_text() == f"1–50 of {lost}"
    assert page.locator("#samples-table tbody tr").count() == 50
    page.click("#samples-next")
    assert status.inner_text() == f"51–100 of {lost}"
    page.select_option("#samples-kind", "won")
    page.select_option("#samples-task", "topic")
    assert status.inner_text() == "1–10 of 10"
    assert page.is_disabled("#samples-next")
    page.select_option("#samples-kind", "")
    page.select_option("#samples-task", "")
    page.fill("#samples-search", "QUESTION 118:")
    assert status.inner_text() == "1–1 of 1"
    row = page.locator("#samples-table tbody tr")
    before = len(row.inner_text())
    row.get_by_role("button", name="show all").click()
    assert len(row.inner_text()) > before
    page.fill("#samples-search", "nothing says this")
    assert status.inner_text() == "none"


def test_hostile_sample_is_shown_literally(charts, files):
    found = charts
    found.page.fill("#samples-search", "</script>")
    text = found.page.inner_text("#samples-table tbody")
    assert "</script><script>alert(1)</script><img src=x onerror=alert(2)> ⟨U+202E⟩abc⟨U+2028⟩ ⟨U+D800⟩" in text
    found.quiet(files["synthetic"])


def test_downloads(controls, synthetic):
    page = controls
    page.fill("#samples-search", "=HYPERLINK")
    with page.expect_download() as csv:
        page.click("#samples-csv")
    head, row = Path(csv.value.path()).read_bytes().decode().split("\r\n")[:2]
    assert head == '"student","kind","task","sample_id","question","expected","teacher","student_answer","groups"'
    for cell in ("'=HYPERLINK(1)", "'@SUM(1)", "'+1", "'-1"):
        assert f'"{cell}"' in row
    with page.expect_download() as samples:
        page.click("#samples-json")
    (sample,) = json.loads(Path(samples.value.path()).read_text("utf-8"))
    assert sample["sample_id"] == "=HYPERLINK(1)"
    assert "\ud800" in sample["question"]
    with page.expect_download() as whole:
        page.click("#save-result")
    saved = json.loads(Path(whole.value.path()).read_text("utf-8"))
    for student in saved["students"]:
        student["disagreements"] = []
    bare = [student.model_copy(update={"disagreements": []}) for student in synthetic.students]
    assert Result.model_validate_json(json.dumps(saved)) == synthetic.model_copy(update={"students": bare})


@pytest.mark.parametrize(("name", "widths"), [("everything", (768, 390)), ("long", (1920, 1320, 390))])
def test_no_sideways_scrolling(visit, name, widths):
    found = visit(name, wait=DRAWN, viewport={"width": widths[0], "height": 900})
    for width in widths:
        found.page.set_viewport_size({"width": width, "height": 900})
        found.until(f"document.documentElement.scrollWidth <= {width}")
        found.until(
            "[...document.querySelectorAll('.js-plotly-plot')].every((c) => !c.offsetParent || c.clientWidth > 150)"
        )


def test_keyboard_reaches_the_table_early(visit):
    page = visit().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#students"
    page.keyboard.press("Tab")
    assert page.evaluate("Boolean(document.activeElement.closest('#students'))")


def test_a_click_on_a_mark_lights_its_row(charts):
    page = charts.page
    page.click(".key .chart .point >> nth=-2", force=True)
    page.wait_for_selector("#students tbody.lit")
    assert page.locator("#students tbody.lit").count() == 1


def test_without_javascript_every_number_is_there(visit, files, synthetic):
    found = visit(java_script_enabled=False, wait="main")
    page = found.page
    assert page.is_visible("text=Use 23 layers, soft labels, int8 in place of Teacher-135M")
    view = View(synthetic)
    table = page.inner_text("#students")
    for student in synthetic.students:
        assert view.retained(student).text in table
    assert page.is_hidden("#theme")
    assert page.locator("text=needs JavaScript and a browser from 2023").first.is_visible()
    image = page.locator("img.static-chart")
    assert image.is_visible()
    assert image.bounding_box()["height"] > 200  # drawn from the page itself: no request
    assert [url for url in found.requests if not url.startswith("data:")] == [files["synthetic"].as_uri()]


def test_without_decompression_the_tables_remain(browser, files):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(files["synthetic"].as_uri())
    page.wait_for_selector("html.no-plotly", state="attached")
    assert page.locator("text=needs JavaScript and a browser from 2023").first.is_visible()
    assert page.locator("#samples-lost").is_visible()
    context.close()


def test_prints_in_light_colours(visit):
    page = visit(color_scheme="dark", wait=DRAWN).page
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.querySelector('.key .chart')._fullLayout.font.color") == "#16181d"
    assert page.is_hidden("#samples")
    assert page.evaluate("document.querySelector('.key .chart svg').clientWidth") <= 700


def test_a_run_of_nothing(visit, files):
    found = visit("empty", wait="html.js")
    assert "No cell finished." in found.page.inner_text("#verdict")
    found.quiet(files["empty"])
