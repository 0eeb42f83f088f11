"""The page as a file: self-contained, escaped, complete, and silent about what is not there."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import plotly.offline
import pytest

from distbench.report import bundle
from distbench.report.html import render
from distbench.report.sections import SECTIONS
from distbench.report.sections import disagreements as samples_section
from distbench.report.view import View
from distbench.schema.result import Result

HOSTILE = "</script><script>alert(1)</script>"


class Page(HTMLParser):
    """The parts of a page that these tests look at."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self.text = ""
        self._inside: tuple[str, dict[str, str | None]] | None = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self._inside = (tag, dict(attrs))

    def handle_endtag(self, tag):
        if tag in {"script", "style"}:
            self._inside = None

    def handle_data(self, data):
        if self._inside:
            self.raw.append((*self._inside, data))
        else:
            self.text += data

    @property
    def data(self) -> dict:
        """The one block of data."""
        (block,) = [text for tag, attrs, text in self.raw if attrs.get("type") == "application/json"]
        return json.loads(block)

    @property
    def samples(self) -> dict:
        """The packed samples."""
        (block,) = [text for _, attrs, text in self.raw if attrs.get("id") == "samples-packed"]
        return json.loads(gzip.decompress(base64.b64decode(block)))

    @property
    def anchors(self) -> list[str]:
        """The sections that are there."""
        return [attrs["id"] for tag, attrs in self.tags if tag == "section"]


@pytest.fixture(scope="module")
def page(synthetic: Result) -> Page:
    return Page(render(synthetic))


def test_nothing_is_loaded(page: Page):
    for tag, attrs in page.tags:
        if tag == "img":
            assert (attrs.pop("src") or "").startswith("data:image/svg+xml;base64,")
        assert not {"src", "srcset", "action", "formaction", "data", "poster"} & attrs.keys(), (tag, attrs)
        assert "style" not in attrs
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        if "href" in attrs:
            assert attrs["href"].startswith("#") or attrs["href"] == "data:,", (tag, attrs)
    (style,) = [text for tag, _, text in page.raw if tag == "style"]
    assert "url(" not in style
    assert "@import" not in style


def test_every_link_inside_the_page_has_a_target(page: Page):
    targets = {attrs.get("id") for _, attrs in page.tags}
    assert {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"} <= targets
    assert {f"student-{name}" for name in ("soft-23-int8", "hostile", "tiny")} <= targets
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_policy_names_exactly_what_runs(page: Page):
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    (style,) = [text for tag, _, text in page.raw if tag == "style"]
    (script,) = [text for tag, attrs, text in page.raw if tag == "script" and "type" not in attrs]
    for text in (style, script, bundle.plotly_js()):
        assert bundle.csp_hash(text) in policy


def test_hostile_text_is_shown_and_never_acts(page: Page):
    assert HOSTILE not in page.html
    assert HOSTILE in page.text
    assert "⟨U+202E⟩<b>%{x}" in page.text
    assert "\u202e" not in page.html
    assert [attrs.get("type") for tag, attrs in page.tags if tag == "script"] == [
        "application/json",
        "text/plain",  # samples
        "text/plain",  # plotly.js
        None,
    ]
    assert not [tag for tag, _ in page.tags if tag in {"b", "em", "iframe"}]
    assert "\ufffd" not in page.html
    page.html.encode("utf-8")
    (sample,) = [row for row in page.samples["rows"] if page.samples["texts"][row[3]] == "=HYPERLINK(1)"]
    assert "\ud800" in page.samples["texts"][sample[4]]


def test_plotly_labels_carry_no_markup(page: Page):
    figures = json.dumps(page.data["figures"])
    assert "<script" not in figures
    assert "&lt;/script&gt;" in figures


def test_lone_surrogates_everywhere(synthetic: Result):
    student = synthetic.students[0].model_copy(
        update={"label": "a\ud800b", "warnings": ["\udfff"], "made_by": "\udc00"}
    )
    found = Page(render(synthetic.model_copy(update={"students": [student], "run": "\ud83d", "suite": "s\ud800"})))
    found.html.encode("utf-8")
    assert "a⟨U+D800⟩b" in found.text


def test_texts_of_any_length_and_kind(synthetic: Result):
    label = "\x00\x1b[31m | =1+1 " + "x" * 100_000
    long = synthetic.students[0].model_copy(
        update={
            "label": label,
            "made_by": "y" * 100_000,
            "disagreements": [
                each.model_copy(update={"prompt": label, "groups": {"a\nb": "\u202e" + "z" * 2_000}})
                for each in synthetic.students[0].disagreements
            ],
        }
    )
    found = Page(render(synthetic.model_copy(update={"students": [long], "recommended": None, "description": label})))
    assert "\x00" not in found.html
    assert "\x1b" not in found.html
    assert "⟨U+0000⟩⟨U+001B⟩[31m | =1+1 xxx" in found.text
    assert len(found.html) < 1_700_000
    assert found.data["result"]["students"][0]["label"] == label  # what is downloaded is whole
    assert found.samples["texts"][2].startswith("\x00\x1b[31m")


def test_data_equals_the_result(page: Page, synthetic: Result):
    expected = json.loads(synthetic.model_dump_json(exclude={"students": {"__all__": {"disagreements"}}}))
    assert page.data["result"] == expected


def test_tables_hold_the_unrounded_numbers(page: Page, synthetic: Result):
    sorts = {float(attrs["data-sort"]) for tag, attrs in page.tags if tag == "td" and attrs.get("data-sort")}
    view = View(synthetic)
    for student in synthetic.students:
        values = [student.suite.retained.value, *student.compression.values()][:2]
        values += [task.retained.value for task in student.tasks] + [task.delta.value for task in student.tasks]
        values += [each.ratio.value for each in student.measurements if each.status == "measured"]
        assert {value for value in values if value is not None} <= sorts
        assert view.retained(student).text in page.text


def test_first_screen_says_what_it_means(page: Page):
    words = " ".join(page.text.split())
    for part in (
        "Use 23 layers, soft labels, int8 in place of Teacher-135M",
        "Good enough: 2 of 3 required students pass",
        "96.8 %",
        "95 % interval [95.4, 98.2]",
        "3.92×",
        "on disk: 538 MB → 137 MB.",
        "5 warnings.",
        "Left out of the mean: riddles. Mean of the tasks' own shares: 96.8 %.",
    ):
        assert part in words
    assert words.index("Use 23 layers") < words.index("5 warnings.") < words.index("Quality kept against")


def test_missing_numbers_give_reasons(page: Page):
    words = " ".join(page.text.split())
    assert "— no signal: the teacher (0.252) is not significantly above chance (0.25)" in words
    assert "not measurable: the peak memory of a child process cannot be read on this system" in words
    assert "[94.97, ∞]" in words
    titles = [attrs["title"] for _, attrs in page.tags if attrs.get("title")]
    assert any("unbounded" in title for title in titles)
    for found in re.findall(r'<span class="number missing"[^>]*>', page.html):
        assert "title=" in found


def test_sections_come_in_reading_order(page: Page):
    without = {"runs", "studies", "seeds"}  # the synthetic result is one run without a grid and further trainings
    assert page.anchors == [section.anchor for section in SECTIONS if section.anchor not in without]


def test_sections_are_silent_without_data(empty: Result, sizes_only: Result):
    nothing, sizes = Page(render(empty)), Page(render(sizes_only))
    assert nothing.anchors == ["verdict", "provenance"]
    assert "No cell finished." in nothing.text
    assert "plotly" not in {attrs.get("id") for _, attrs in nothing.tags}
    assert sizes.anchors == ["verdict", "tradeoff", "method", "provenance", "warnings"]
    assert "2.00×" in sizes.text
    assert sizes.data["figures"] == {}


@pytest.mark.parametrize("drop", ["tasks", "measurements", "training", "gate", "disagreements", "warnings"])
def test_students_without_one_part(synthetic: Result, drop: str):
    blank = None if drop == "training" else []
    also = {"agreement": None} if drop == "measurements" else {}
    students = [student.model_copy(update={drop: blank, **also}) for student in synthetic.students]
    found = Page(render(synthetic.model_copy(update={"students": students})))
    gone = {"measurements": {"speed"}, "training": {"training"}}
    gone["tasks"] = {"tasks", "calibration", "groups", "context", "bias"}
    gone["disagreements"] = {"disagreements"}
    assert not gone.get(drop, set()) & set(found.anchors)
    assert {attrs["href"][1:] for tag, attrs in found.tags if tag == "a"} <= {a.get("id") for _, a in found.tags}


def test_divergence_alone_is_agreement(synthetic: Result):
    student = synthetic.students[2].model_copy(update={"tasks": []})
    alone = Page(render(synthetic.model_copy(update={"students": [student]})))
    assert "agreement" in alone.anchors
    assert "Divergence from the teacher" in alone.text
    assert "agreement-table" not in {attrs.get("id") for _, attrs in alone.tags}
    none = student.model_copy(update={"divergence": []})
    assert "agreement" not in Page(render(synthetic.model_copy(update={"students": [none]}))).anchors


def test_what_a_score_does_not_show(page: Page):
    words = " ".join(page.text.split())
    for part in (
        "0.0132 [0.0112, 0.0152]",  # KL
        "2 infinite documents",
        "94.1 % [93.7, 94.5]",  # the same most likely token
        "0.121",  # Brier score of the teacher
        "-0.018 [-0.024, -0.012]".replace("-", "−"),
        "0.031 → 0.084",  # ECE
        "83.0 % [79.0, 87.0]",  # the worst group
        "600 values: more than 200 are no groups",
        "effective length 2,048 tokens (floor 90 %; asked at 1,024, 2,048, 4,096, 8,192).",
        "+5.0 [+2.0, +8.0]",  # bias, in points
        "further from neutral",
        "byte perplexity 0.969 [0.965, 0.973]",
        "≤ 8 %",
        "Hypervolume (retained × log₂ of the compression, from retained 0 at 1×): 1.910.",
    ):
        assert part in words, part
    assert "shown only" in words
    assert "not judged" in words


def test_a_length_without_samples_is_no_zero(synthetic: Result, page: Page):
    drawn = page.data["figures"]["context-0"]["data"][0]
    assert drawn["x"] == [1024, 2048, 4096, 8192]
    assert drawn["y"][2] is None
    assert drawn["connectgaps"] is False
    words = " ".join(page.text.split())
    assert "No value at 4,096 tokens: no sample of this length was answered by both." in words


def test_metrics_without_retention_are_not_in_the_heat_map(page: Page):
    names = page.data["figures"]["heat"]["layout"]["yaxis"]["ticktext"]
    assert "riddles" in names
    assert not {"stereotypes", "wiki"} & set(names)


def test_a_run_without_a_gate(synthetic: Result):
    found = Page(render(synthetic.model_copy(update={"thresholds": {}})))
    assert "fails the gate" not in found.text
    assert "Retained" in found.text


def test_no_recommendation_names_the_student_that_keeps_most(synthetic: Result):
    found = Page(render(synthetic.model_copy(update={"recommended": None, "verdict": "INCONCLUSIVE"})))
    words = " ".join(found.text.split())
    assert "No student is recommended" in words
    assert "The student that keeps most: 23 layers, soft labels" in words


def test_charts_show_every_meter_before_a_second_measure(synthetic: Result):
    student = synthetic.students[0]
    e2e = next(each for each in student.measurements if each.metric == "e2e_ms")
    batches = [e2e.model_copy(update={"workload": f"batch {number}"}) for number in range(2, 12)]
    more = student.model_copy(update={"measurements": [*batches, *student.measurements]})
    found = Page(render(synthetic.model_copy(update={"students": [more], "recommended": None})))
    titles = re.findall(r'<div class="panel"><h4>([^<]*)</h4>', found.html)
    assert titles[0] == "end-to-end time (batch 1)"
    assert "peak memory of the process while it works (batch 1)" in titles
    assert "gross energy per generated token (batch 1)" in titles
    assert "11 more measures in the table only." in found.text  # 10 batches, 5 of its own, 4 drawn


def test_several_teachers(synthetic: Result):
    second = synthetic.teachers[0].model_copy(update={"name": "second", "label": "Second teacher"})
    student = synthetic.students[0].model_copy(update={"of": ["second", "teacher"]})
    found = Page(
        render(synthetic.model_copy(update={"teachers": [*synthetic.teachers, second], "students": [student]}))
    )
    assert "student of second, teacher" in found.text


def test_samples_are_capped_and_the_page_says_so(many: Result, monkeypatch: pytest.MonkeyPatch):
    found = Page(render(many))
    assert len(found.samples["rows"]) == 24 * 300
    assert "300 of 1,000" in found.text
    assert len(found.html) < 2_750_000
    monkeypatch.setattr(samples_section, "BUDGET", 100_000)
    less = Page(render(many))
    kept = len(less.samples["rows"]) // 24
    assert 25 <= kept < 300
    assert f"{kept} of 1,000" in less.text
    long = many.students[0].disagreements[0].model_copy(update={"prompt": "x" * 9_000})
    student = many.students[0].model_copy(update={"disagreements": [long]})
    texts = Page(render(many.model_copy(update={"students": [student]}))).samples["texts"]
    assert max(map(len, texts)) == 2_000


def test_page_size(page: Page):
    assert len(page.html) < 1_600_000
    assert page.html.count("plotly.js") <= 1  # a comment of ours; the bundle itself is packed


def test_bundle_is_the_one_that_plotly_was_written_for():
    head = bundle.plotly_js()[:200]
    assert f"v{plotly.offline.get_plotlyjs_version()}\n" in head
    assert "cartesian" in head
    folder = files("distbench.report") / "assets" / "plotly"
    digest, name = (folder / "SHA256SUMS").read_text().split()
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert "MIT License" in (folder / "LICENSE").read_text()
    assert plotly.offline.get_plotlyjs_version() in (folder / "README.md").read_text()


def test_script_and_style_cannot_end_their_elements():
    assert "</script" not in bundle.script().lower()
    assert "</style" not in bundle.style().lower()
    assert "<!--" not in bundle.script()


def test_rendering_twice_gives_the_same_bytes(synthetic: Result):
    assert render(synthetic) == render(synthetic)
