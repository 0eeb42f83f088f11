"""Pages about several runs: a merged report, a diff, a trend. Every number on them is one of the document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from distbench.compare.diff import diff
from distbench.compare.merge import merge
from distbench.compare.source import Source
from distbench.compare.trend import trend
from distbench.report import changes, numbers
from distbench.report.choices import choices
from distbench.report.html import render
from distbench.report.several import diff_page, trend_page
from distbench.report.view import View
from distbench.schema.diff import Diff
from distbench.schema.record import HostFacts
from distbench.schema.result import Result, Surroundings
from distbench.schema.trend import Trend
from tests.report.auditing import audit, with_axe
from tests.report.made.estimates import HOSTILE, TASKS
from tests.report.made.results import result_of
from tests.report.made.students import five_students, student
from tests.report.visiting import DRAWN, STARTED, Visit

HOSTS = [
    HostFacts(fingerprint=letter * 16, cpu=f"CPU {letter}", cores=2, memory_bytes=1, os="Linux", python="3.11")
    for letter in "ab"
]


def release(name: str, kept: float, host: HostFacts, date: str, *, hostile: bool = False) -> Result:
    """A run of two students and a control; `hostile` gives one an evil label."""
    labels = {"label": f"{HOSTILE} \u202e<b>%{{x}} {name}"} if hostile else {}
    where = Surroundings(host=host, device="cpu", threads=2)
    passing, control, *_ = five_students()
    tiny = student("tiny", dict.fromkeys(TASKS, kept), 3.0, "FAIL", **labels)
    students = [each.model_copy(update={"measured_on": where}) for each in (passing, control, tiny)]
    return result_of(students, run=name, created_at=date, host=host, recommended=passing.name, trade_offs=[])


@pytest.fixture(scope="module")
def three() -> list[Source]:
    rows = [
        release("one", 0.80, HOSTS[0], "2026-01-01T00:00:00Z"),
        release("two", 0.84, HOSTS[1], "2026-02-01T00:00:00Z"),
        release("three", 0.94, HOSTS[1], "2026-03-01T00:00:00Z", hostile=True),
    ]
    return [Source(Path(each.run), each) for each in rows]


@pytest.fixture(scope="module")
def merged(three: list[Source]) -> Result:
    return merge([each.result for each in three])


@pytest.fixture(scope="module")
def compared(three: list[Source]) -> Diff:
    return diff(three[1], three[2])


@pytest.fixture(scope="module")
def over_time(three: list[Source]) -> Trend:
    return trend(three)


@pytest.fixture(scope="module")
def pages(
    merged: Result, compared: Diff, over_time: Trend, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("several")
    made = {"merged": render(merged), "diff": diff_page(compared), "trend": trend_page(over_time)}
    for name, text in made.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    return {name: folder / f"{name}.html" for name in made}


class _Page(HTMLParser):
    """The rows of every table by its id, and the ids of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.rows: dict[str, list[list[str]]] = {}
        self.table = ""
        self.cell: list[str] | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.ids += [given["id"]] if given.get("id") else []
        self.links += [given["href"]] if tag == "a" and (given.get("href") or "").startswith("#") else []
        if tag == "table":
            self.table = given.get("id") or ""
        elif tag == "tr":
            self.rows.setdefault(self.table, []).append([])
        elif tag in {"td", "th"} and self.table:
            self.cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"} and self.cell is not None:
            self.rows[self.table][-1].append(" ".join("".join(self.cell).split()))
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)


def read(page: Path) -> _Page:
    found = _Page()
    found.feed(page.read_text("utf-8"))
    return found


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", ["merged", "diff", "trend"])
def test_ids_are_unique_links_lead_somewhere_and_data_is_json(pages: dict[str, Path], name: str) -> None:
    found, text = read(pages[name]), pages[name].read_text("utf-8")
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links if not link.startswith("#m-")} <= set(found.ids)
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert block is not None
    data = json.loads(block[1])
    assert set(data["figures"]) >= set(re.findall(r'data-figure="([^"]+)"', text))


@pytest.mark.parametrize("name", ["merged", "diff", "trend"])
def test_hostile_names_are_shown_and_never_act(pages: dict[str, Path], name: str) -> None:
    text = pages[name].read_text("utf-8")
    assert HOSTILE not in text
    assert "\u202e" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt; ⟨U+202E⟩&lt;b&gt;%{x} three" in text


def test_every_student_of_every_run_is_on_the_page_with_its_run(pages: dict[str, Path], merged: Result) -> None:
    rows = read(pages["merged"]).rows
    assert [row[1].split("synthetic")[0] for row in rows["runs-table"][1:]] == ["one", "two", "three"]
    students = [row for row in rows["students"] if len(row) > 2]
    for each in merged.students:
        assert each.run is not None
        machine = "CPU a" if each.run.startswith("one") else "CPU b"
        assert any(flat(each.run) in row[1] and machine in row[1] for row in students)


def test_the_page_narrows_to_a_run_and_to_a_machine(merged: Result) -> None:
    found = {(each.group, each.label): each.names for each in choices(View(merged))}
    own = {each.label: each.students for each in merged.runs}
    assert sorted(found["Models of a run", "two"]) == sorted(own["two"])
    machines = [label for group, label in found if group == "Models on a machine"]
    assert len(machines) == 2
    assert sorted(found["Models on a machine", machines[1]]) == sorted(own["two"] + own["three"])


def test_differences_are_said_in_plain_language(pages: dict[str, Path]) -> None:
    text = pages["merged"].read_text("utf-8")
    assert "What differs between the runs" in text
    assert "The runs are of different machines" in text


def test_one_run_has_no_such_section() -> None:
    assert 'id="runs-table"' not in render(release("one", 0.8, HOSTS[0], "2026-01-01T00:00:00Z"))


def test_numbers_of_a_diff_are_those_of_the_document(pages: dict[str, Path], compared: Diff) -> None:
    rows = read(pages["diff"]).rows
    shown = {
        row[1].split(" another")[0].split(" not recorded")[0].split(" the same")[0]: row
        for row in rows["overall-table"][1:]
    }
    for model in (each for each in compared.students if each.role == "student"):
        row = next(row for label, row in shown.items() if label.startswith(flat(changes.name(model))[:20]))
        assert row[0] == f"{changes.VERDICTS[model.verdict].glyph} {changes.VERDICTS[model.verdict].word}"
        for cell, found in ((2, model.retained_a), (3, model.retained_b)):
            assert row[cell] == flat(str(numbers.as_percent(found)))
        assert row[4].startswith(flat(str(numbers.as_points(model.retained_change, (0.0,)))))
    tasks = [row for row in rows["task-changes-table"][1:] if row[1].startswith(TASKS[0])]
    models = changes.models(compared)
    assert len(tasks) == len([each for model in models for each in model.tasks if each.task == TASKS[0]])
    measured = rows["measured-table"][1:]
    assert len(measured) == sum(len(model.measurements) for model in compared.students)


def test_numbers_of_a_trend_are_those_of_the_document(pages: dict[str, Path], over_time: Trend) -> None:
    rows = read(pages["trend"]).rows["trend-table"][1:]
    assert len(rows) == len(over_time.lines) * len(over_time.releases)
    line = over_time.lines[0]
    mine = [row for row in rows if row[1] == line.label]
    for point, row in zip(line.points, mine, strict=True):
        assert point is not None
        assert row[3] == flat(str(numbers.as_percent(point.retained, (0.95,))))
        assert row[6] == flat(str(numbers.as_ratio(point.speedup, (1.0,))))


def test_a_gap_is_a_gap_in_the_chart_and_in_the_table(three: list[Source], tmp_path: Path) -> None:
    without = three[1].result.model_copy(update={"students": three[1].result.students[:1], "trade_offs": []})
    found = trend([three[0], Source(Path("two"), without), three[2]])
    text = trend_page(found)
    block = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert block is not None
    (trace,) = [each for each in json.loads(block[1])["figures"]["trend-0"]["data"] if each["meta"] == "tiny"]
    assert [value is None for value in trace["y"]] == [False, True, False]
    assert trace["connectgaps"] is False
    assert text.count("not in it</span>") == 2  # the small student and the control


@pytest.mark.browser
def test_the_pages_draw_quietly_and_narrow_to_a_run(
    visit: Callable[..., Visit], pages: dict[str, Path], merged: Result
) -> None:
    for name, path in pages.items():
        visited = visit(path, wait=DRAWN)
        visited.quiet(path)
        page: Any = visited.page
        assert page.evaluate("document.documentElement.classList.contains('drawn')")
        types = page.evaluate(
            "[...document.querySelectorAll('.chart.js-plotly-plot')].flatMap((c) => c._fullData.map((t) => t.type))"
        )
        assert types
        assert set(types) <= {"scatter", "bar", "heatmap"}
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        if name == "merged":
            page.select_option("#show", label="one")
            left = "[...document.querySelectorAll('#students tbody')].filter((b) => b.offsetParent !== null)"
            assert sorted(page.evaluate(f"{left}.map((b) => b.dataset.name)")) == sorted(merged.runs[0].students)


@pytest.mark.browser
@pytest.mark.parametrize(("name", "wait", "part"), [("merged", STARTED, "#runs"), ("diff", DRAWN, "html"),
                                                    ("trend", DRAWN, "html")])  # fmt: skip
def test_axe_finds_nothing_on_pages_about_several_runs(
    visit: Callable[..., Visit], pages: dict[str, Path], name: str, wait: str, part: str
) -> None:
    """What a merged page has beyond a page of one run is the section of its runs; the other test has the rest."""
    pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    audit(with_axe(visit, pages[name], wait=wait), part)
