"""The charts hold the numbers of the result."""

from itertools import combinations

import pytest

from distbench.report.figures.frame import ratio_ticks
from distbench.report.figures.heat import heat_map
from distbench.report.figures.key import key_chart
from distbench.report.figures.labels import Box, _box, place
from distbench.report.figures.pareto import front
from distbench.report.figures.trade import axes
from distbench.report.theme import DARK, LIGHT, SYMBOLS, colour, symbol
from distbench.report.view import View


def luminance(paint: str) -> float:
    parts = [int(paint[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(colours):
    for ground in ("bg", "surface"):
        assert contrast(colours["ink"], colours[ground]) >= 7
        assert contrast(colours["muted"], colours[ground]) >= 4.5
        assert contrast(colours["accent"], colours[ground]) >= 4.5
    for tone in ("pass", "fail", "undecided", "neutral"):
        assert contrast(colours[tone], colours[f"{tone}-bg"]) >= 4.5
    for slot in range(6):
        assert contrast(colours[f"s{slot}"], colours["bg"]) >= 3


def test_every_light_colour_has_one_dark_twin():
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)


def test_marks_of_the_first_42_students_differ():
    assert len({(colour(slot), symbol(slot)) for slot in range(42)}) == 42
    assert len(SYMBOLS) == 7


def test_pareto_front_keeps_equal_points_and_drops_weakly_dominated_ones():
    points = {"teacher": (1.0, 1.0), "a": (2.0, 0.9), "twin": (2.0, 0.9), "weak": (1.5, 0.9), "b": (4.0, 0.8)}
    assert front(points) == ["teacher", "a", "twin", "b"]
    assert front({}) == []


def traces(drawn, name):
    return [trace for trace in drawn["data"] if trace.get("meta") == name or trace.get("name") == name]


def test_key_chart_holds_the_numbers_of_the_result(synthetic):
    view = View(synthetic)
    chart = key_chart(view, axes(view)[0])
    for drawn in (chart.near, chart.full):
        for student in synthetic.students:
            for trace in traces(drawn, student.name):
                retained = student.suite.retained
                assert trace["y"] == [retained.value * 100]
                assert trace["x"] == [student.compression["bytes_on_disk"]]
                assert trace["error_y"]["arrayminus"][0] == pytest.approx((retained.value - retained.lo) * 100)
    assert {point.student.name for point in chart.off} == {"tiny", "depth-12"}
    assert not traces(chart.near, "tiny")
    assert traces(chart.full, "tiny")
    assert not traces(chart.full, "from-scratch")


def test_key_chart_marks_teacher_control_and_front(synthetic):
    view = View(synthetic)
    drawn = key_chart(view, axes(view)[0]).near
    (front_line,) = traces(drawn, "Pareto front")
    assert front_line["line"]["shape"] == "vh"
    assert (front_line["x"][0], front_line["y"][0]) == (1.0, 100.0)
    (teacher,) = traces(drawn, "teacher")
    assert (teacher["x"], teacher["y"]) == ([1], [100])
    (control,), (student,) = traces(drawn, "soft-23-layers-control"), traces(drawn, "soft-23-layers")
    assert control["marker"]["color"] == LIGHT["bg"]
    assert control["marker"]["line"]["color"] == student["marker"]["color"]
    assert control["marker"]["symbol"] == student["marker"]["symbol"]
    (link,) = traces(drawn, "student and its control")
    assert link["line"]["dash"] == "dot"
    assert [link["y"][0], link["y"][1]] == [student["y"][0], control["y"][0]]


def test_an_unbounded_interval_runs_to_the_edge(synthetic):
    view = View(synthetic)
    drawn = key_chart(view, axes(view)[0]).near
    (trace,) = traces(drawn, "hostile")
    assert trace["y"][0] + trace["error_y"]["array"][0] == pytest.approx(drawn["layout"]["yaxis"]["range"][1])


def test_axes_are_named_by_kind(synthetic):
    labels = [axis.label for axis in axes(View(synthetic))]
    assert labels[0] == "smaller: size on disk"
    assert any("end-to-end time" in label for label in labels)


def test_labels_of_many_students_do_not_overlap(many):
    view = View(many)
    drawn = key_chart(view, axes(view)[0]).near
    named = [note for note in drawn["layout"]["annotations"] if note.get("name") == "narrow"]
    assert 1 <= len(named) <= 6


def test_labels_that_do_not_fit_are_left_out():
    area = Box(0, 0, 300, 100)
    texts = [("a label", 100, 50), ("another label", 104, 52), ("a third label", 102, 51), *[("more", 103, 50)] * 9]
    places = place(texts, [], [], area)
    boxes = [_box(at, len(text) * 6.6, x, y) for (text, x, y), at in zip(texts, places, strict=True) if at]
    assert places[0] is not None
    assert None in places
    assert not any(one.meets(other) for one, other in combinations(boxes, 2))


def test_heat_map_is_centred_on_the_gate_and_says_no_signal(synthetic):
    drawn = heat_map(View(synthetic), 0.90).to_plotly_json()
    heat, words = drawn["data"]
    assert heat["type"] == "heatmap"
    assert heat["zmid"] == 90
    assert heat["zmid"] - heat["zmin"] == pytest.approx(heat["zmax"] - heat["zmid"])
    row = heat["y"][View(synthetic).tasks.index("riddles")]
    assert set(heat["z"][row]) == {None}
    assert set(words["text"]) == {"no signal"}


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.1), (0.8, 2.0), (0.9, 4.5), (0.5, 16), (0.9, 140), (0.9, 5000)])
def test_ratio_ticks_are_few_and_inside(low, high):
    ticks = ratio_ticks(low, high)
    assert 2 <= len(ticks) <= 9
    assert all(low <= tick <= high for tick in ticks)
