"""The chart and the badge: well-formed, self-contained, and the places of the marks give the values back."""

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from distbench.compare.reading import read_result
from distbench.errors import EnvironmentFault, UsageError
from distbench.exports import png
from distbench.exports.badge import BadgeExport
from distbench.exports.png import PNG
from distbench.exports.svg import SVG, key_chart
from distbench.protocols.export import Source
from distbench.report.figures.plane import MARGIN, PLOT_HEIGHT
from distbench.report.figures.static import FOOT, PLOT_WIDTH, WIDTH, percent_ticks, static_plane
from distbench.report.figures.trade import axes
from distbench.report.svg import short
from distbench.report.theme import DARK, LIGHT, colour
from distbench.report.view import View
from distbench.report.visible import one_line

RESULTS = ["synthetic", "hostile", "many", "empty", "sizes_only"]
NAMESPACE = "{http://www.w3.org/2000/svg}"
PUBLISHED = Path(__file__).parents[2] / "reports"


def drawn(text: str) -> ElementTree.Element:
    text.encode("utf-8")
    return ElementTree.fromstring(text)


def marks(root: ElementTree.Element) -> list[tuple[str, float, float]]:
    found = []
    for group in root.iter(f"{NAMESPACE}g"):
        if group.get("class") == "m":
            x, y = map(float, re.match(r"translate\(([-\d.]+) ([-\d.]+)\)", group.get("transform")).groups())
            found.append((group.find(f"{NAMESPACE}title").text, x, y))
    return found


@pytest.mark.parametrize("which", ["synthetic", "many", "digits", "quickstart"])
def test_marks_give_the_values_back(request, which):
    published = PUBLISHED / which / "result.json"
    result = read_result(published) if published.exists() else request.getfixturevalue(which)
    view = View(result)
    plane, _ = static_plane(view, axes(view)[0])
    (left, right), (low, high) = plane.x_edge, plane.y_edge
    read = marks(drawn(key_chart(result)))
    assert len(read) == len(plane.shown) > 2
    wanted = {one_line(point.student.label, 60): (point.x, point.y * 100) for point in plane.shown}
    for title, x, y in read:
        label = next(name for name in wanted if title.startswith(f"{name}: "))
        ratio, percent = left * (right / left) ** (x / PLOT_WIDTH), high - y / PLOT_HEIGHT * (high - low)
        assert math.isclose(ratio, wanted[label][0], rel_tol=0.001)
        assert math.isclose(percent, wanted[label][1], abs_tol=(high - low) * 0.0001)


def test_intervals_gate_front_and_links_are_where_the_numbers_are(synthetic):
    view = View(synthetic)
    plane, off = static_plane(view, axes(view)[0])
    root, text = drawn(key_chart(synthetic)), key_chart(synthetic)
    by_class = {path.get("class"): path.get("d") for path in root.iter(f"{NAMESPACE}path")}
    ends = [plane.pixels(*step, PLOT_WIDTH) for step in plane.frontier]
    stairs = re.findall(r"[ML]([-\d.]+) ([-\d.]+)", by_class["f"])
    assert [stairs[0], *stairs[2::2]] == [(short(x), short(y)) for x, y in ends]
    student, control = (
        next(point for point in plane.shown if point.student.name == name)
        for name in ("soft-23-layers", "soft-23-layers-control")
    )
    link = [plane.pixels(point.x, point.y * 100, PLOT_WIDTH) for point in (student, control)]
    assert by_class["l"] == "M{} {}L{} {}".format(*(short(value) for place in link for value in place))
    x, y = plane.pixels(student.x, student.y * 100, PLOT_WIDTH)
    top, bottom = (plane.pixels(student.x, limit * 100, PLOT_WIDTH)[1] for limit in student.y_interval[::-1])
    assert f'translate({short(x)} {short(y)})" d="M0 {short(top - y)}V{short(bottom - y)}M-4' in text
    gate = plane.pixels(1.0, 95.0, PLOT_WIDTH)[1]
    assert f'class="x" d="M0 {short(gate)}L' in text
    assert "gate 95\u00a0%" in text
    assert len(off) == 2
    assert "Not drawn: 2 models far below the gate, 1 model without a retained share or a size." in text


@pytest.mark.parametrize("which", RESULTS)
def test_svg_stands_alone_and_nothing_acts(request, which):
    text = key_chart(request.getfixturevalue(which))
    root = drawn(text)
    names = {element.tag.removeprefix(NAMESPACE) for element in root.iter()}
    assert names <= {"svg", "title", "desc", "style", "rect", "g", "path", "text"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in attributes if name.startswith("on") or "href" in name]
    style = root.find(f"{NAMESPACE}style").text
    assert "url(" not in style
    assert "@import" not in style
    assert root.get("role") == "img"
    assert [each.get("id") for each in root[:2]] == root.get("aria-labelledby").split()
    assert all(each.text for each in root[:2])


def test_svg_without_a_point_says_so(empty, sizes_only):
    for result in (empty, sizes_only):
        assert "No student has both a retained share and a size." in key_chart(result)
        assert marks(drawn(key_chart(result))) == []


def test_svg_is_small_light_and_dark():
    result = read_result(PUBLISHED / "quickstart" / "result.json")
    auto, light, dark = (key_chart(result, scheme) for scheme in ("auto", "light", "dark"))
    assert 3_000 < len(auto.encode()) < 6 * 1024
    assert "prefers-color-scheme:dark" in auto
    assert LIGHT["ink"] in light
    assert DARK["ink"] not in light
    assert DARK["ink"] in dark
    assert "99.2\u00a0% [95.2, 103.3]" in auto  # for a reader who does not see it


@pytest.mark.parametrize(("low", "high"), [(0.0, 105.0), (93.1, 101.2), (99.2, 100.4), (-40.0, 300.0)])
def test_ticks_are_few_and_round(low, high):
    ticks = percent_ticks(low, high)
    assert 2 <= len(ticks) <= 9
    assert all(low <= tick <= high for tick in ticks)


@pytest.mark.browser
def test_png_shows_the_marks_in_their_colours(synthetic, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    try:
        png.found_browser()
    except EnvironmentFault:
        pytest.skip("no Chromium is installed")
    view = View(synthetic)
    plane, _ = static_plane(view, axes(view)[0])
    PNG(PNG.Options(scale=2.0)).export(Source(synthetic), tmp_path / "k.png")
    picture = image.open(tmp_path / "k.png").convert("RGB")
    assert picture.size == (2 * round(WIDTH), 2 * (430 + FOOT))
    for point in plane.shown:
        x, y = plane.pixels(point.x, point.y * 100, PLOT_WIDTH)
        seen = picture.getpixel((round(2 * (x + MARGIN["l"])), round(2 * (y + MARGIN["t"]))))
        wanted = LIGHT["bg"] if point.control else colour(view.slots[point.student.name])
        assert "#{:02x}{:02x}{:02x}".format(*seen) == wanted, point.student.label


def test_png_without_a_browser_names_the_remedy(synthetic, tmp_path, monkeypatch):
    monkeypatch.setenv("DISTBENCH_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(EnvironmentFault, match=r"no program; install one, or set DISTBENCH_CHROMIUM"):
        PNG(PNG.Options()).export(Source(synthetic), tmp_path / "k.png")
    monkeypatch.setenv("DISTBENCH_CHROMIUM", "true")  # a program that draws nothing
    with pytest.raises(EnvironmentFault, match="did not draw the chart"):
        PNG(PNG.Options()).export(Source(synthetic), tmp_path / "k.png")
    assert list(tmp_path.iterdir()) == []


def badge(result, to=None, student=None, **options) -> str:
    return BadgeExport(BadgeExport.Options(**options)).export(Source(result, None, student), to).text


def test_badge_speaks_of_one_student_or_of_the_run(synthetic):
    assert json.loads(badge(synthetic)) == {
        "schemaVersion": 1,
        "label": "23 layers, soft labels, int8",
        "message": "pass · 96.8\u00a0% retained",
        "color": "brightgreen",
    }
    failing = json.loads(badge(synthetic, student="depth-12"))
    assert (failing["message"], failing["color"]) == ("fail · 75.2\u00a0% retained", "red")
    crashed = json.loads(badge(synthetic, student="from-scratch"))
    assert (crashed["message"], crashed["color"]) == ("invalid", "lightgrey")  # no number where there is none
    whole = json.loads(badge(synthetic, subject="run"))
    assert (whole["label"], whole["message"]) == ("synthetic-suite", "pass · 2 of 6 students passed")
    with pytest.raises(UsageError, match="did you mean 'depth-12'"):
        badge(synthetic, student="depth12")


@pytest.mark.parametrize("which", RESULTS)
def test_badge_is_valid_as_json_and_as_svg(request, which):
    result = request.getfixturevalue(which)
    assert json.loads(badge(result))["message"]
    root = drawn(badge(result, Path("b.svg")))
    texts = [each.text for each in root.iter(f"{NAMESPACE}text")]
    said = json.loads(badge(result, picture="json"))
    assert texts == [said["label"], said["message"]]
    assert float(root.get("width")) < 500


def test_svg_option_reaches_the_chart(synthetic):
    assert SVG(SVG.Options(scheme="dark")).export(Source(synthetic), None).text == key_chart(synthetic, "dark") + "\n"
