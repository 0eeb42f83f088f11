"""`distbench diff`, `trend` and `report A B` on the command line."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from distbench.cli.app import app
from distbench.cli.output import print_json
from distbench.errors import UsageError
from distbench.report.changes_text import markdown_diff
from distbench.report.markdown_parts import MARKDOWN_LIMIT
from distbench.schema.diff import Diff
from distbench.schema.trend import Trend
from tests.compare.runs import STUDENT, flipped, simple, write

EVIL = '</script>|=HYPERLINK("x")\n[a](http://x) `b` \u202e\x00 <img src=x> @all'


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    labels = {"student": EVIL}
    worse = flipped(STUDENT, lost=60)
    return (
        write(folder / "a", simple(), labels=labels),
        write(folder / "b", simple(worse), labels=labels, date="2026-02-01T00:00:00Z"),
    )


def test_it_describes_and_exits_0(runs: tuple[Path, Path]) -> None:
    done = run("diff", *runs)
    assert done.exit_code == 0
    assert "worse" in done.stdout
    assert "\u202e" not in done.stdout
    assert "\x00" not in done.stdout


def test_ci_may_fail_on_what_got_worse(runs: tuple[Path, Path]) -> None:
    assert run("diff", *runs, "--fail-on", "worse").exit_code == 1
    assert run("diff", *runs[::-1], "--fail-on", "worse").exit_code == 0
    assert run("diff", *runs, "--fail-on", "slower").exit_code == 0  # nothing was measured, so nothing is slower
    assert run("diff", *runs, "--fail-on", "verdict").exit_code == 0  # A does not pass either
    assert isinstance(run("diff", *runs, "--fail-on", "wrose").exception, UsageError)


def test_json_is_the_document(runs: tuple[Path, Path]) -> None:
    done = run("diff", *runs, "--json")
    found = Diff.model_validate_json(done.stdout)
    assert found.students[0].verdict == "worse"
    assert found.students[0].label_b == EVIL
    assert isinstance(run("diff", *runs, "--json", "--markdown").exception, UsageError)


def test_markdown_is_a_table_in_which_nothing_acts(runs: tuple[Path, Path]) -> None:
    text = run("diff", *runs, "--markdown").stdout
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [line.replace("\\|", "").count("|") for line in rows]
    head = next(at for at, line in enumerate(rows) if "Rests on" in line)
    assert cells[head] == cells[head + 1] == cells[head + 2]
    assert "<img" not in text
    assert "</script>" not in text
    assert "\x00" not in text
    assert "@all" not in text


def test_markdown_fits_a_comment_whatever_there_is(runs: tuple[Path, Path]) -> None:
    found = Diff.model_validate_json(run("diff", *runs, "--json").stdout)
    student = found.students[0]
    long = [student.model_copy(update={"label_b": f"{'x' * 100_000}{number}"}) for number in range(5)]
    many = long + [student.model_copy(update={"label_b": f"student {number}"}) for number in range(900)]
    text = markdown_diff(found.model_copy(update={"students": many}))
    assert len(text) < MARKDOWN_LIMIT
    assert "are in the full diff" in text


def test_a_lone_surrogate_is_an_escape_in_json(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = Diff.model_validate_json(run("diff", *runs, "--json").stdout)
    odd = found.students[0].model_copy(update={"label_b": "odd \ud800 label"})
    print_json(found.model_copy(update={"students": [odd]}))
    text = capsys.readouterr().out
    text.encode("utf-8")
    assert json.loads(text)["students"][0]["label_b"] == "odd \ud800 label"


def test_the_margin_and_the_names_are_asked_for(runs: tuple[Path, Path]) -> None:
    assert "unchanged" in run("diff", *runs, "--margin", "0.5").stdout
    assert run("diff", *runs, "--match", "student=student").exit_code == 0
    for wrong in ("student", "=student", "student="):
        assert isinstance(run("diff", *runs, "--match", wrong).exception, UsageError)


@pytest.mark.parametrize("what", ["diff", "trend"])
def test_the_documents_have_a_schema(runs: tuple[Path, Path], what: str) -> None:
    schema = json.loads(run("schema", what).stdout)
    document = json.loads(run(what, *runs, "--json").stdout)
    jsonschema.validate(document, schema)
    broken = document | {f"{what}_schema": 2}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_a_trend_in_every_form(runs: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("trend", *runs[::-1], "--json", "--out", tmp_path / "t.html")
    found = Trend.model_validate_json(done.stdout)
    assert [each.label for each in found.releases] == ["a", "b"]
    assert [len(line.remarks) for line in found.lines] == [1]
    assert "retains less" in run("trend", *runs).stdout
    assert len(list(csv.reader(io.StringIO(run("trend", *runs, "--csv").stdout)))) == 3
    assert (tmp_path / "t.html").read_text("utf-8").count("<script") == 3
    assert isinstance(run("trend", runs[0]).exception, UsageError)
    assert isinstance(run("trend", *runs, "--csv", "--json").exception, UsageError)


def test_one_page_of_several_runs(runs: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run("report", *runs, "--out", page, "--json")
    assert json.loads(done.stdout)["report"] == str(page)
    text = page.read_text("utf-8")
    assert 'id="runs-table"' in text
    assert "<img src=x>" not in text


def test_it_works_without_torch_and_says_what_is_missing(runs: tuple[Path, Path], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers', 'lm_eval'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "sys.argv = ['distbench', 'diff', *sys.argv[1:]]\n"
        "from distbench.cli import main; main()\n"
    )
    call = [sys.executable, "-c", code, str(runs[0])]
    done = subprocess.run([*call, str(runs[1]), "--fail-on", "worse"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0][:18]) == (1, "--fail-on worse: <")
    assert "1 student surely worse" in done.stdout
    assert isinstance(run("diff", runs[0], tmp_path / "nowhere").exception, UsageError)
