"""The comparison in a terminal and in a pull request."""

import io
import subprocess
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from distbench.report import text
from distbench.schema.result import Result


def printed(result: Result, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    for part in text.terminal_table(result):
        console.print(part)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_terminal_fits_and_says_the_verdict(synthetic, width):
    shown = printed(synthetic, width)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    assert "✓ PASS Good enough:" in shown
    assert "96.8" in shown
    assert "[94.97, ∞]" in shown
    assert "undecided" in shown
    assert "…" not in "".join(line for line in shown.splitlines() if "%" in line)


def test_terminal_80_columns_keeps_the_speed_up(many):
    assert "1.24×" in printed(many, 80)


def test_terminal_shows_no_control_character(synthetic):
    student = synthetic.students[0].model_copy(update={"label": "\x1b[31mred\x07 [bold]x[/bold]"})
    shown = printed(synthetic.model_copy(update={"students": [student]}), 160)
    assert "\x1b" not in shown
    assert "⟨U+001B⟩[31mred⟨U+0007⟩ [bold]x[/bold]" in shown


def test_terminal_of_nothing(empty, sizes_only):
    assert "INVALID" in printed(empty, 80)
    assert "2.00×" in printed(sizes_only, 80)
    assert "Faster" not in printed(sizes_only, 80)


def test_what_a_score_does_not_show_has_a_line_each(synthetic):
    shown = " ".join(printed(synthetic, 160).split())
    for line in (
        "same answer, least 93.0 % [92.0, 94.0]",
        "answers lost, most 4.5 % [3.7, 5.3]",
        "Δ Brier score, + is better −0.018 [−0.024, −0.012]",
        "retained, worst dialect: rural 83.0 % [79.0, 87.0]",
        "effective length 2,048 tokens",
        "bias: distance from neutral, growth in points +5.0 [+2.0, +8.0]",
        "Δ bits per byte, + is better −0.045 [−0.051, −0.039]",
        "KL(teacher ‖ student), nats per token 0.0132 [0.0112, 0.0152]",
    ):
        assert line in shown.replace("\u00a0", " "), line
    assert "| wiki | Δ bits per byte, + is better | −0.045 [−0.051, −0.039] |" in text.markdown(synthetic)


def test_text_needs_no_plotly():
    code = "import sys, distbench.report.text; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_markdown_holds_verdict_and_tables(synthetic):
    found = text.markdown(synthetic)
    assert found.startswith("## ✓ PASS: synthetic-suite\n")
    assert synthetic.verdict_reason in found
    assert "| ✓ pass | 23 layers, soft labels, int8 | 96.8\u00a0% [95.4, 98.2] | 1,800 |" in found
    assert "— no signal" not in found.split("### Task by task", maxsplit=1)[0]
    assert "— no signal" in found
    assert "**23 layers, soft labels: distillation helped.**" in found


def test_markdown_lets_nothing_act(synthetic):
    evil = "<img src=x> @everyone #12 [a](http://b) `c` | d\n# e www.f.g ~~h~~"
    student = synthetic.students[0].model_copy(update={"label": evil})
    found = text.markdown(synthetic.model_copy(update={"students": [student], "recommended": None}))
    row = next(line for line in found.splitlines() if "img" in line)
    assert "<img" not in row
    assert "@everyone" not in row
    assert "#12" not in row
    assert "http://" not in row
    assert "www.f" not in row
    assert r"\[a\]" in row
    assert r"\|" in row
    assert "</script>" not in text.markdown(synthetic)


def test_markdown_fits_a_comment(synthetic, many, empty):
    students = [
        student.model_copy(update={"name": f"s{number}-{student.name}", "label": "long name " * 12})
        for number in range(60)
        for student in many.students
    ]
    found = text.markdown(many.model_copy(update={"students": students}))
    assert len(found) < text.MARKDOWN_LIMIT
    assert len(found.encode()) < 2 * text.MARKDOWN_LIMIT
    assert "more students are in the full report" in found
    assert "more task results are in the full report" in found
    assert found.startswith("## ✓ PASS")
    assert len(text.markdown(synthetic)) < 20_000
    assert "No cell finished." in text.markdown(empty)
