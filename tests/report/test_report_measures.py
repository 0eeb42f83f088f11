"""The section of speed, memory and energy: what stands beside what, and what is said where there is no number."""

from __future__ import annotations

import re

import pytest

from distbench.report import measured, numbers
from distbench.report.figures.rows import ratio_rows
from distbench.report.figures.spread import spread_lines
from distbench.report.html import render
from distbench.report.view import View
from distbench.schema.result import Estimate, Measurement, PercentileFacts, Result, StudentResult
from tests.report.made.estimates import estimate
from tests.report.made.measures import again, agreement, measurement
from tests.report.test_report_html import Page


@pytest.fixture(scope="module")
def page(synthetic: Result) -> Page:
    return Page(render(synthetic))


@pytest.fixture(scope="module")
def text(page: Page) -> str:
    return " ".join(page.text.split())


def changed(result: Result, **teacher: object) -> Result:
    return result.model_copy(update={"teachers": [result.teachers[0].model_copy(update=teacher)]})


def test_the_noise_floor_stands_before_the_speed_up(text: str) -> None:
    floor = "Teacher-135M measured against itself came out as 1.002× [0.99, 1.01] in end-to-end time (batch 1)"
    assert floor in text
    assert text.index(floor) < text.index("How fast")


def test_an_unquiet_machine_is_called_so(synthetic: Result) -> None:
    off = [each.model_copy(update={"ratio": estimate(1.08, 0.02, 30)}) for each in again()]
    found = " ".join(Page(render(changed(synthetic, again=off))).text.split())
    assert "That range misses 1×: the machine was not quiet enough" in found
    assert "1.08× [1.06, 1.10]" in found


def test_without_a_control_the_floor_is_unknown_not_zero(synthetic: Result) -> None:
    found = Page(render(changed(synthetic, again=[])))
    assert "Noise floor: not known" in " ".join(found.text.split())
    assert "Teacher against itself" not in found.text


def test_a_student_gets_the_control_of_its_own_measurement(synthetic: Result) -> None:
    first, second = (
        measurement("latency", "e2e_ms", "ms", middle, ratio, "batch 1")
        for middle, ratio in ((451.0, 1.0), (470.0, 1.1))
    )
    view = View(changed(synthetic, again=[second, first]))
    student = view.candidates[0]
    key = view.headline_measure("latency")
    mine = view.measurement(student, key)
    assert mine is not None
    found = measured.again_of(view, student, mine)
    assert found is not None
    assert found.teacher == mine.teacher == 451.0
    assert len(measured.noise_floors(view)) == 2


def test_every_measure_is_in_exactly_one_block(synthetic: Result) -> None:
    odd = measurement("wattage", "fan_noise", "sone", 3.0, 1.5, "night")
    student = synthetic.students[0]
    student = student.model_copy(update={"measurements": [*student.measurements, odd]})
    view = View(synthetic.model_copy(update={"students": [student, *synthetic.students[1:]]}))
    blocks = measured.blocks(view)
    assert [block.kind.anchor for block in blocks] == ["speed", "memory", "energy", "other"]
    assert [key for block in blocks for key in block.keys] == view.measures
    assert sum(len(block.rows) for block in blocks) == sum(len(each.measurements) for each in view.students)
    assert "fan noise (night)" in Page(render(view.result)).text


def test_percentiles_are_bounded_or_say_what_they_need(text: str, page: Page) -> None:
    assert "451 ms ≤ 460 ms" in text
    assert "not enough samples (30 of 59)" in text
    assert "not enough samples (30 of 299)" in text
    assert "spread-table" in {attrs.get("id") for _, attrs in page.tags}
    assert {name for name in page.data["figures"] if name.startswith("spread")} == {"spread-0", "spread-1", "spread-2"}


def test_a_percentile_without_a_value_is_never_a_number() -> None:
    shown = measured.shown_percentile(PercentileFacts(percent=99, value=None, upper=None, n=12, needs=299))
    assert shown.missing
    assert shown.sort is None
    assert shown.text == "— not enough samples (12 of 299)"


def test_a_teachers_percentiles_are_listed_once(synthetic: Result) -> None:
    rows = [each for each in measured.spreads(View(synthetic)) if each.key.metric == "e2e_ms"]
    assert [each.label for each in rows].count("Teacher-135M") == 1
    with_times = [each for each in synthetic.students if each.measurements]
    assert len(rows) == 1 + len(with_times)


def test_spread_chart_has_a_point_for_each_known_percentile_only(synthetic: Result) -> None:
    view = View(synthetic)
    rows = [each for each in measured.spreads(view) if each.key.metric == "e2e_ms"]
    figure = spread_lines(view, rows)
    teacher, *students = figure.data
    assert list(teacher.x) == [451.0, 451.0 * 1.06]
    assert list(teacher.y) == [0, 1]
    assert list(teacher.error_x.array) == pytest.approx([451.0 * 0.02, 451.0 * 0.04])
    assert {line.meta for line in students} == {each.name for each in view.students if each.measurements}
    assert list(figure.layout.yaxis.ticktext) == ["p50", "p90", "p95", "p99"]


def test_ratio_chart_ends_with_the_noise_floor(synthetic: Result) -> None:
    view = View(synthetic)
    key = view.headline_measure("latency")
    assert key is not None
    figure = ratio_rows(view, key, None)
    floor = figure.data[-1]
    assert list(floor.x) == [1.002]
    assert floor.meta is None, "it is no student: the page highlights by it"
    assert "against" in figure.layout.yaxis.ticktext[-1]
    assert floor.y[0] == len(figure.layout.yaxis.ticktext) - 1
    assert floor.error_x.array[0] == pytest.approx(0.009)


def test_memory_is_told_apart_with_the_cache_per_token(text: str) -> None:
    for words in ("weights in memory", "peak memory up to the first token", "files mapped into the warm process"):
        assert words in text
    assert "46.1 kB/token" in text


def test_sizes_stand_in_one_row_a_model_with_the_ratio_below(synthetic: Result, text: str) -> None:
    view = View(synthetic)
    block = next(block for block in measured.blocks(view) if block.kind.anchor == "memory")
    ((teacher, cells),) = measured.teacher_sizes(view, block)
    assert teacher.label == "Teacher-135M"
    assert [cell.sort for cell in cells] == [954e6, 560e6, 538e6, 930e6, 700e6, 610e6, 330e6, 46_080]
    student = view.by_name["tiny"]
    (size, ratio), *_ = measured.student_sizes(view, block, student)
    assert size.sort == pytest.approx(954e6 / 4.44)
    assert ratio == "4.44× [4.40,\u00a04.48]"
    lost, *rest = measured.student_sizes(view, block, view.by_name["soft-23-int8"])
    assert lost[0].missing
    assert "cannot be read on this system" in lost[0].text
    assert all(shown.text == "—" for shown, _ in rest)
    assert re.search(r"215 MB ?4\.44× \[4\.40, 4\.48\]", text)


def test_energy_shows_scope_instrument_and_estimates_as_ranges(text: str) -> None:
    assert "measured, GPU board" in text
    assert "window seconds: 5.00 s; edge error: 0.02; idle watts: 71.5" in text
    assert "0.3 J/token to 0.6 J/token estimated" in text
    assert "→ sudo chmod a+r" in text


def test_agreement_of_an_export_stands_beside_its_speed(synthetic: Result, text: str) -> None:
    assert "says the same in 13 of 32 tokens" in text
    assert "13 of 32" in text
    assert "token 6" in text
    assert "fewer bits: it may differ" in text
    student = synthetic.students[0].model_copy(update={"agreement": agreement(), "measurements": []})
    alone = Page(render(synthetic.model_copy(update={"students": [student]})))
    words = " ".join(alone.text.split())
    assert "speed" in alone.anchors
    assert "32 of 32" in words
    assert "the same precision: it must agree" in words
    assert "How fast" not in words


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (46_080, "bytes/token", "46.1 kB/token"),
        (0.4551, "J/token", "0.455 J/token"),
        (0.0713, "J/token", "0.0713 J/token"),
        (16.0, "samples", "16 samples"),
        (0.875, "share of requests", "87.5 %"),
        (0.0, "J/token", "0.00 J/token"),
        (104.04, "tokens/s", "104 tokens/s"),
    ],
)
def test_units(value: float, unit: str, shown: str) -> None:
    assert numbers.quantity(value, unit).replace("\u00a0", " ") == shown


def energy_of(student: StudentResult) -> list[Measurement]:
    return [each for each in student.measurements if each.meter == "energy"]


def test_the_quoted_energy_is_gross_per_token(synthetic: Result) -> None:
    view = View(synthetic)
    key = view.headline_measure("energy")
    assert key is not None
    assert (key.metric, key.workload) == ("gross_joules_per_token", "batch 1")
    assert all(energy_of(student) for student in view.candidates if student.measurements)


def test_a_missing_side_keeps_its_reason() -> None:
    lost = measurement(
        "memory", "peak_bytes", "bytes", 0.0, None, "batch 1", status="not_measurable", reason="nobody looked",
        ratio=Estimate(value=None, method="none", status="undefined"),
    ).model_copy(update={"teacher": None})  # fmt: skip
    shown = measured.shown_side(lost, "teacher")
    assert (shown.text, shown.title, shown.missing) == ("—", "nobody looked", True)
