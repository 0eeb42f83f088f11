"""Markdown and LaTeX: every output is valid whatever the names hold, and its numbers are those of the report."""

import re
import shutil
import subprocess

import pytest
from markdown_it import MarkdownIt

from distbench.errors import UsageError
from distbench.exports.latex import LaTeX
from distbench.exports.markdown import Markdown
from distbench.exports.tex import COMMANDS, tex
from distbench.protocols.export import Source
from distbench.report import numbers
from distbench.report.text import MARKDOWN_LIMIT
from distbench.report.view import View
from tests.exports.conftest import NASTY

RESULTS = ["synthetic", "hostile", "many", "empty", "sizes_only"]


def markdown(result, **options) -> str:
    return Markdown(Markdown.Options(**options)).export(Source(result), None).text


def latex(result, **options) -> str:
    return LaTeX(LaTeX.Options(**options)).export(Source(result), None).text


@pytest.mark.parametrize("which", RESULTS)
def test_markdown_fits_a_comment_and_nothing_acts(request, which):
    said = markdown(request.getfixturevalue(which))
    assert len(said) < MARKDOWN_LIMIT
    said.encode("utf-8")
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(said)
    inline = [each for token in tokens for each in token.children or []]
    kinds = {each.type for each in inline}
    assert kinds <= {"text", "strong_open", "strong_close", "em_open", "em_close", "html_inline", "softbreak"}
    assert {each.content for each in inline if each.type == "html_inline"} <= {"<!-- -->"}
    blocks = {token.type.partition("_")[0] for token in tokens}
    assert blocks <= {"heading", "paragraph", "inline", "table", "thead", "tbody", "tr", "th", "td", "bullet", "list"}


def test_names_are_no_emoji_mention_issue_or_link(synthetic):
    named = synthetic.model_copy(update={"suite": "a :smile: @me #1 http://x.y www.z.w", "recommended": None})
    head = markdown(named).splitlines()[0]
    for acts in (":smile:", "@me", "#1", "http://", "www.z"):
        assert acts not in head
    assert head.replace("<!-- -->", "").endswith("a :smile: @me #1 http://x.y www.z.w")


@pytest.mark.parametrize("which", RESULTS)
def test_markdown_tables_keep_their_columns(request, which):
    width = None
    for line in markdown(request.getfixturevalue(which)).splitlines():
        columns = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert width is None or columns is None or columns == width, line
        width = columns


def test_markdown_says_the_numbers_of_the_report(synthetic):
    view, said = View(synthetic), markdown(synthetic, chart="key-chart.svg", report="https://x.y/r?a=1#b")
    assert said.splitlines()[2] == "![Retained share of the teacher against compression](key-chart.svg)"
    assert said.splitlines()[4] == "[The full report](https://x.y/r?a=1#b)"
    for student in view.students:
        assert f"| {view.retained(student)} |" in said or view.retained(student).missing
    with pytest.raises(UsageError, match="without spaces"):
        markdown(synthetic, chart="x) <script>")


def parsed(text: str) -> list[list[str]]:
    """Read our LaTeX strictly: every command known, braces and dollars paired, every row of one width."""
    text.encode("ascii")
    begins = re.findall(r"\\begin\{(\w+)\}", text)
    assert re.findall(r"\\end\{(\w+)\}", text) == begins[::-1] == ["tabular", "table"]
    structure = {"begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule", "emph"}
    structure |= {"footnotesize", "setlength", "tabcolsep", "multicolumn", "addlinespace", "raggedright", "linewidth"}
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    for command in re.findall(r"\\([A-Za-z]+|[^A-Za-z])", body):
        assert command in COMMANDS | structure | {"\\"}, command
    bare = re.sub(r"\\([A-Za-z]+|[^A-Za-z])", "", body)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert not set(bare) & set("%#\t\r")
    for line in bare.splitlines():
        assert line.count("$") % 2 == 0
        outside = re.sub(r"\$[^$]*\$", "", line)
        assert not set(outside) & set("_^<>|")
    width = 1 + len(re.search(r"\\begin\{tabular\}\{@\{\}p\{0\.(?:2|36)\\linewidth\}(r+)@\{\}\}", text)[1])
    rows = [line for line in body.splitlines() if line.endswith("\\\\") and not line.startswith("\\multicolumn")]
    cells = [re.split(r"(?<!\\)&", row.removesuffix("\\\\")) for row in rows]
    assert {len(row) for row in cells} == {width}
    assert all(row[0].startswith("\\raggedright ") for row in cells)
    return [[cell.strip().removeprefix("\\raggedright ") for cell in row] for row in cells]


@pytest.mark.parametrize("table", ["students", "tasks"])
@pytest.mark.parametrize("which", RESULTS)
def test_latex_is_valid_whatever_the_names_hold(request, which, table):
    result = request.getfixturevalue(which)
    rows = parsed(latex(result, table=table, caption=NASTY.replace("\ud800", "")))
    count = len(result.students) if table == "students" else sum(len(each.tasks) for each in result.students)
    assert len(rows) == count + 1


def test_latex_says_the_numbers_of_the_report(synthetic):
    view = View(synthetic)
    heading, *rows = parsed(latex(synthetic))
    at = heading.index(r"Retained (\%)")
    for student, row in zip(view.students, rows, strict=True):
        shown = view.retained(student)
        assert row[at] == tex(str(shown.brief)).replace(r"~\%", ""), student.label
    assert rows[0][at] == "96.8 [95.4, 98.2]"
    every = ["verdict", "retained", "n", "worst", "smaller", "faster", "memory", "energy", "gap"]
    wide, first = parsed(latex(synthetic, columns=every))[:2]
    assert dict(zip(wide[5:], first[5:], strict=True)) == {
        r"Smaller ($\times$)": "3.92",
        r"Faster ($\times$)": "1.62 [1.58, 1.66]",
        r"Less memory ($\times$)": "--- not measurable",
        r"Less energy ($\times$)": "--- not measurable",
        r"Gap recovered (\%)": "---",
    }
    assert rows[0][heading.index("n")] == numbers.count(1800)
    assert "95~\\% interval" in latex(synthetic)
    only = parsed(latex(synthetic, controls=False))
    assert len(only) == len(rows)  # the control went, the heading stays
    assert "--- no signal" in parsed(latex(synthetic, table="tasks"))[4]


def test_latex_compiles_where_there_is_an_engine(hostile, tmp_path):
    engine = shutil.which("pdflatex")
    if engine is None:
        pytest.skip("no pdflatex is installed: the strict reading above stands in")
    tables = latex(hostile) + latex(hostile, table="tasks", caption=NASTY.replace("\ud800", ""), label="b")
    text = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{tables}\\end{{document}}"
    (tmp_path / "t.tex").write_text(text, encoding="ascii")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert found.returncode == 0, found.stdout[-800:]
    assert "Missing character" not in found.stdout


def test_tex_lets_nothing_act_and_loses_nothing():
    assert tex("50% of $x_1$ & \\input{y} #2 ~^ -- ``a''") == (
        r"50\% of \$x\_\allowbreak{}1\$ \& \textbackslash{}input\{y\} \#2 \textasciitilde{}\textasciicircum{} {-}{-} "
        r"{`}{`}a{'}{'}"
    )
    assert tex("Größe é ŝ 中 \u202e") == r"Gr\"{o}\ss{}e \'{e} \^{s} [U+4E2D] $\langle$U+202E$\rangle$"
    assert tex("中", unicode=True) == "中"
