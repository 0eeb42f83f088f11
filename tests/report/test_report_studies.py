"""Studies and seeds on the page and in text. SYNTHETIC numbers: nothing was measured."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distbench.report.findings import distillation
from distbench.report.html import render
from distbench.report.studies import curve_axis, lines, not_drawn, pivot, shown_studies
from distbench.report.text import markdown, terminal_table
from distbench.report.view import View
from distbench.schema.result import Result
from distbench.schema.studies import Study, StudyAxis
from tests.report.made.estimates import HOSTILE
from tests.report.made.studies import AMOUNTS, METHODS, add_study, entry, near, spread
from tests.report.visiting import DRAWN, Visit


@pytest.fixture
def studied(synthetic: Result) -> Result:
    """A grid of method × labelled with seeds, one of its points over all data."""
    base = next(each for each in synthetic.students if each.name == "soft-23-layers")
    return add_study(synthetic.model_copy(update={"students": [], "recommended": None}), base)


def figures(result: Result) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', render(result), re.DOTALL)
    assert found is not None
    drawn: dict[str, Any] = json.loads(found[1])["figures"]
    return drawn


def test_without_a_study_there_is_no_trace(synthetic: Result) -> None:
    page = render(synthetic)
    assert 'id="studies"' not in page
    assert 'id="seeds"' not in page
    assert "study-" not in page
    assert "Study" not in markdown(synthetic)


def test_a_study_of_one_student_is_none(studied: Result) -> None:
    (study,) = studied.studies
    lone = studied.model_copy(update={"studies": [study.model_copy(update={"entries": study.entries[:1]})]})
    assert shown_studies(View(lone)) == []


def test_the_curve_has_a_line_a_method_from_little_to_much_data(studied: Result) -> None:
    (study,) = studied.studies
    axis = curve_axis(study)
    assert axis is not None
    found = lines(study, axis)
    assert [line.label for line in found] == list(METHODS)
    assert [[amount for amount, _ in line.points] for line in found] == [list(AMOUNTS)] * 2
    assert not_drawn(study, axis) == ["kd-soft-labels-None", "kd-hard-labels-None"]


def test_the_chart_shows_the_numbers_of_the_result(studied: Result) -> None:
    drawn = figures(studied)
    retained, score = drawn["study-1-0"], drawn["study-1-1"]
    named = {trace["name"]: trace for trace in retained["data"]}
    assert set(named) == {f"{method} {who}" for method in METHODS for who in ("student", "control")}
    (study,) = studied.studies
    taught = [each for each in study.entries if each.at["method"] == "soft-labels" and each.at["labelled"]]
    assert named["soft-labels student"]["y"] == pytest.approx([100 * (e.retained.value or 0) for e in taught])
    assert named["soft-labels control"]["y"] == pytest.approx(
        [100 * ((e.control_retained.value if e.control_retained else None) or 0) for e in taught]
    )
    assert named["hard-labels control"]["y"] == []  # no control was trained: no mark, and no zero
    bars = named["soft-labels student"]["error_y"]
    assert bars["array"] == pytest.approx([2.0] * 3)
    assert retained["layout"]["xaxis"]["type"] == "log"
    assert retained["layout"]["xaxis"]["ticktext"] == ["30", "300", "3,000"]
    low, high = retained["layout"]["xaxis"]["range"]
    assert low < math.log10(30) < math.log10(3000) < high
    (rule,) = score["layout"]["shapes"]  # the teacher's own score
    assert rule["y0"] == pytest.approx(0.88)


def test_the_table_puts_method_against_amount(studied: Result) -> None:
    (study,) = studied.studies
    table = pivot(study)
    assert table is not None
    assert (table.row_name, table.column_name) == ("method", "labelled")
    assert table.columns == ["30", "300", "3000", "default"]
    assert [row for row, _ in table.rows] == list(METHODS)
    assert all(cell is not None for _, cells in table.rows for cell in cells)


def test_a_hole_in_the_grid_is_no_number(studied: Result) -> None:
    (study,) = studied.studies
    without = study.model_copy(update={"entries": [e for e in study.entries if e.student != "kd-hard-labels-30"]})
    table = pivot(without)
    assert table is not None
    assert dict(table.rows)["hard-labels"][0] is None
    page = render(studied.model_copy(update={"studies": [without]}))
    assert "the grid has no such student" in page


def test_an_option_that_a_method_does_not_have_is_a_dash(studied: Result) -> None:
    axes = [StudyAxis(name="method", values=list(METHODS)), StudyAxis(name="temperature", values=[1, 2])]
    names = [each.student for each in studied.studies[0].entries]
    entries = [
        entry(names[0], {"method": "soft-labels", "temperature": 1}, 0.9, 0.8),
        entry(names[1], {"method": "soft-labels", "temperature": 2}, 0.9, 0.8),
        entry(names[4], {"method": "hard-labels"}, 0.8, None),
    ]
    study = Study(name="t", teacher="teacher", axes=axes, entries=entries)
    assert curve_axis(study) is None
    table = pivot(study)
    assert table is not None
    assert table.columns == ["1", "2", "—"]
    assert 'id="studies"' in render(studied.model_copy(update={"studies": [study]}))


def test_three_runs_speak_of_the_method_and_two_do_not(studied: Result) -> None:
    view = View(studied)
    one = studied.students[0].model_copy(update={"gap_recovered": near(0.5, 0.2)})
    for runs, expected, absent in (
        (3, "Over 3 training runs a side, distilled − control: +0.100 [+0.070, +0.130] on topic", "a claim about"),
        (2, "Only 2 training runs a side, and a claim about a method needs 3", "Over 2"),
    ):
        _, answer, why = distillation(view, one.model_copy(update={"seeds": spread(0.8, 0.7, runs)}))
        assert "distillation helped" in answer
        assert expected in why
        assert absent not in why
    _, _, alone = distillation(view, one.model_copy(update={"seeds": None}))
    assert "One training run a side: another seed may answer differently." in alone


def test_the_untrained_student_is_named_beside_the_trained_one(synthetic: Result) -> None:
    base = next(each for each in synthetic.students if each.name == "soft-23-layers")
    start = base.model_copy(
        update={"name": "u", "label": "untrained", "role": "control", "control_of": base.name, "kind": "untrained",
                "suite": base.suite.model_copy(update={"retained": near(0.123)}), "gap_recovered": None}
    )  # fmt: skip
    result = synthetic.model_copy(update={"students": [*synthetic.students, start]})
    _, _, why = distillation(View(result), base)
    assert "Untrained it retains 12.3\u00a0% [10.3, 14.3]." in why
    assert "untrained control" in render(result)


def test_every_training_run_is_on_the_page(studied: Result) -> None:
    drawn = figures(studied)["seeds-0"]
    runs = [trace for trace in drawn["data"] if trace["name"] == "student, one run"]
    assert len(runs) == len(studied.students)
    assert runs[0]["x"] == pytest.approx([0.8, 0.81, 0.82])
    page = render(studied)
    assert page.count('<td class="n" data-sort="2">2</td>') >= len(studied.students)  # the row of seed 2
    assert "+0.100" in page


def test_the_sections_stand_in_reading_order(studied: Result) -> None:
    anchors = re.findall(r'<section id="([a-z]+)"', render(studied))
    assert [each for each in anchors if each in {"tradeoff", "studies", "tasks", "training", "seeds"}] == [
        "tradeoff", "studies", "tasks", "training", "seeds",
    ]  # fmt: skip


def test_names_of_studies_cannot_act(studied: Result) -> None:
    page = render(studied)
    assert HOSTILE not in page
    assert "alert(1)" in page  # shown literally
    assert "<script>alert" not in markdown(studied)


def test_the_terminal_and_the_pull_request_have_the_table(studied: Result) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=160, color_system=None)
    for part in terminal_table(studied):
        console.print(part)
    shown = stream.getvalue()
    assert re.search(r"soft-labels +30 +3 +80\.0", shown)
    text = markdown(studied)
    assert "### Study kd" in text
    assert "| method | labelled | Training runs | Retained | Control retained | Gap recovered |" in text
    assert "| hard-labels | 30 | 3 | 88.0\u00a0% [86.0, 90.0] | — | — |" in text


def test_metrics_without_a_retention_are_compared_over_seeds_too(studied: Result) -> None:
    drawn = figures(studied)
    assert [drawn[f"seeds-{k}"]["layout"]["xaxis"]["title"]["text"] for k in range(3)] == [
        "acc on topic",
        "bits per byte on wiki",
        "held-out KL from the teacher, nats on held-out data",
    ]
    runs = next(trace for trace in drawn["seeds-1"]["data"] if trace["name"] == "control, one run")
    assert runs["x"] == [0.915] * 3
    page = render(studied)
    assert "+0.0031" in page
    assert "[+0.0019, +0.0043]" in page  # the interval of the paired difference, over seeds
    assert "one number a training run: it speaks of further runs only" in page
    _, _, why = distillation(View(studied), studied.students[0])
    assert "+0.0031 [+0.0019, +0.0043] on wiki" in why


@pytest.mark.browser
def test_it_draws_in_a_browser(visit: Callable[..., Visit], files: dict[str, Path]) -> None:
    found = visit("everything", wait=DRAWN, viewport={"width": 390, "height": 800})
    charts = found.page.evaluate(
        "[...document.querySelectorAll('#studies .chart, #seeds .chart')].map(c => c._fullData.length)"
    )
    assert len(charts) == 2 + 3
    assert min(charts) > 0
    assert found.page.evaluate("document.documentElement.scrollWidth") <= 390
    found.quiet(files["everything"])
