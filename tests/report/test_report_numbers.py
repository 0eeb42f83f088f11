"""Numbers are rounded once, and never across a threshold."""

import pytest

from distbench.report import numbers
from distbench.report.visible import json_block, one_line, plot_lines, plot_text, visible
from distbench.schema.result import Estimate

NBSP = numbers.SPACE


def found(**parts) -> Estimate:
    return Estimate(**{"value": None, "method": "test", **parts})


@pytest.mark.parametrize(
    ("value", "against", "text"),
    [
        (0.9725, (), "97.2"),
        (0.9497, (0.95,), "94.97"),
        (0.94996, (0.95,), "94.996"),
        (0.9502, (0.95,), "95.02"),
        (0.95, (0.95,), "95.0"),
        (0.95 - 1e-15, (0.95,), "95.0"),
        (-0.0004, (), "0.0"),
        (-0.0004, (0.0,), "−0.04"),
        (-0.12, (), "−12.0"),
        (12.3, (), "1,230.0"),
    ],
)
def test_percent_keeps_its_side_of_a_threshold(value, against, text):
    assert numbers.bare_percent(value, against) == text


@pytest.mark.parametrize(
    ("value", "text"), [(2.305, "2.31×"), (12.34, "12.3×"), (123.4, "123×"), (12345.6, "12,346×"), (0.5, "0.50×")]
)
def test_ratio(value, text):
    assert numbers.ratio(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.012, "+0.012"), (-0.012, "−0.012"), (0.0, "0.000"), (1234.5, "+1,234")])
def test_signed(value, text):
    assert numbers.signed(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0451, "s", f"45.1{NBSP}ms"),
        (3.2e-7, "s", f"320{NBSP}ns"),
        (0.0, "s", f"0{NBSP}s"),
        (135.0, "s", f"2{NBSP}min 15{NBSP}s"),
        (7380.0, "s", f"2{NBSP}h 03{NBSP}min"),
        (954e6, "bytes", f"954{NBSP}MB"),
        (999.8e6, "bytes", f"1.00{NBSP}GB"),
        (45.1, "ms", f"45.1{NBSP}ms"),
        (999.7, "ms", f"1.00{NBSP}s"),
        (812, "B", f"812{NBSP}B"),
        (45.3, "tokens/s", f"45.3{NBSP}tokens/s"),
        (0.00123, "J", f"0.00123{NBSP}J"),
    ],
)
def test_quantity_chooses_the_unit(value, unit, text):
    assert numbers.quantity(value, unit) == text


def test_a_missing_value_gives_its_reason():
    shown = numbers.as_percent(found(status="no_signal", reason="teacher at chance"))
    assert shown.text == "— no signal: teacher at chance"
    assert shown.missing
    assert shown.brief.text == "— no signal"
    assert numbers.as_percent(found()).text == "— not measured"


@pytest.mark.parametrize(
    ("parts", "interval"),
    [
        ({"lo": 0.9, "hi": None}, "[90.0, ∞]"),
        ({"lo": None, "hi": 0.97}, "[−∞, 97.0]"),
        ({"lo": None, "hi": None}, "[−∞, ∞]"),
        ({"lo": None, "hi": None, "status": "no_interval"}, ""),
        ({"lo": None, "hi": None, "n": 1}, ""),
        ({"lo": 0.9, "hi": 0.97}, "[90.0, 97.0]"),
    ],
)
def test_unbounded_limits(parts, interval):
    shown = numbers.as_percent(found(**{"value": 0.95, "n": 50, **parts}))
    assert shown.text == f"95.0{NBSP}%"
    assert shown.interval == interval
    assert ("unbounded" in shown.title) == ("∞" in interval)
    assert interval or "no interval" in shown.title


def test_unseen_characters_are_spelled_out():
    assert visible("a\u202eb\u2028c\ud800d\x1be") == "a⟨U+202E⟩b⟨U+2028⟩c⟨U+D800⟩d⟨U+001B⟩e"
    assert visible("tab\tand\nline, joiner \u200d") == "tab\tand\nline, joiner \u200d"
    assert one_line("a\n b   c", 4) == "a b…"
    assert plot_text("<b>&</b>") == "&lt;b&gt;&amp;&lt;/b&gt;"
    assert plot_lines("one two three four", 9) == "one two<br>three…"


def test_json_cannot_leave_its_script_block():
    text = str(json_block({"</script>": "<!--&\u2028\ud800"}))
    assert not set("<>&\u2028") & set(text)
    assert text.isascii()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (0.0132, "0.0132"),
        (0.000456, "0.000456"),
        (-0.02, "−0.0200"),
        (0.5, "0.500"),
        (1e-12, "0.0000000"),
    ],
)
def test_small_numbers_keep_their_digits(value, text):
    assert numbers.fine(value) == text


def test_points_carry_their_sign():
    assert [numbers.signed_points(value) for value in (0.05, -0.012, 0.0)] == ["+5.0", "−1.2", "0.0"]
