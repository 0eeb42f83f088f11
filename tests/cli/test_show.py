"""`show` and `compare` in a terminal: every screen, at every width, literal with hostile text, and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from distbench.cli import output
from distbench.cli.app import app
from distbench.cli.showing import choose
from distbench.cli.wishes import Wish
from distbench.compare.reading import read_result
from distbench.errors import DistbenchError, RefusedError, RunError, UsageError
from distbench.report import numbers
from distbench.report.terminal.grid import Column, Grid, Row, broken
from distbench.report.terminal.samples import marked
from distbench.schema.result import Result
from tests.api.finished import finished_run
from tests.compare.records import run_of
from tests.report.made.results import result_of
from tests.report.made.students import five_students, off_range

SCREENS = (
    [],
    ["--student", "good"],
    ["--task", "quiz"],
    ["--task", "quiz", "--student", "good"],
    ["--samples", "all", "--limit", "3"],
    ["--samples", "lost", "--student", "good", "--task", "quiz"],
    ["--cells"],
    ["--cell", "good-q"],
    ["--cell", "measure"],
    ["--model", "good"],
    ["--model", "teacher"],
    ["-q"],
    ["-v"],
)


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("show") / "run"
    finished_run(path)
    return path


@pytest.fixture(scope="module")
def document(run_path: Path) -> Path:
    """The run's result: reading it costs less than comparing again."""
    file = run_path.parent / "sent.json"
    file.write_text(read_result(run_path).model_dump_json(), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def synthetic() -> Result:
    return result_of([*five_students(), off_range()])


def shown(*arguments: object, columns: int = 120, **environment: str) -> str:
    """Return what a command prints; its own errors are raised."""
    env = {"COLUMNS": str(columns), **environment}
    found = CliRunner().invoke(app, [str(each) for each in arguments], env=env, catch_exceptions=False)
    assert found.exit_code == 0
    return found.stdout


@pytest.mark.parametrize("screen", SCREENS, ids=" ".join)
def test_every_screen_fits(run_path: Path, document: Path, screen: list[str]) -> None:
    for columns in (40, 80, 120, 200):
        text = shown("show", run_path if "--cell" in screen else document, *screen, columns=columns)
        assert text.strip()
        assert max(map(cell_len, text.splitlines())) <= columns
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)


def test_no_number_breaks_or_is_lost(document: Path) -> None:
    (student,) = [each for each in read_result(document).students if each.name == "good"]
    for columns in (40, 80, 200):
        text = " ".join(shown("show", document, "--student", "good", columns=columns).split())
        for task in student.tasks:
            kept = numbers.as_percent(task.retained, (0.8,))
            assert kept.text.replace("\u00a0", " ") in text
            assert kept.interval in text
        assert "speed-up" in text
        assert "1.99× [1.99, 1.99]" in text


def test_overview_has_verdict_last_and_every_model(run_path: Path) -> None:
    text = shown("show", run_path)
    assert text.index("Models") < text.index("✗ FAIL")
    assert "cells: 6 done, 1 missing" in text or "1 failed" in text
    for name in ("teacher", "good", "bad"):
        assert re.search(rf"^{name}\s+(teacher|student)", text, re.MULTILINE)


def test_disagreements_are_read_with_what_differs(document: Path) -> None:
    text = shown("show", document, "--samples", "lost", "--student", "good")
    assert "1 of 2 · lost · good · quiz" in text
    assert "only the teacher is right; sample 7" in text
    assert "[bold]x[/bold]" in text
    assert '</script><b>=HYPERLINK("x")|⟨U+202E⟩⟨U+0000⟩' in text
    won = shown("show", document, "--samples", "won", "--student", "good")
    assert "1 of 1 · won" in won
    assert "no disagreement fits" in shown("show", document, "--samples", "won", "--student", "bad", "--task", "quiz")


def test_the_rest_is_counted(synthetic: Result) -> None:
    students = [each for each in synthetic.students if each.name == "soft-23-layers"]
    chosen = choose(students, Wish(samples="all", limit=4))
    assert (len(chosen.samples), chosen.fitting, chosen.unrecorded) == (4, 130, 212 - 130)
    lost = choose(students, Wish(samples="lost", limit=500))
    assert len(lost.samples) == lost.fitting == sum(each.kind == "lost" for each in students[0].disagreements)


def test_word_diff() -> None:
    teacher, student = marked("The book of kings was long.", "The book of kings were long.", marks=True)
    assert (teacher.plain, student.plain) == ("The book of kings [-was-] long.", "The book of kings {+were+} long.")
    teacher, student = marked("a b c d", "a b c d", marks=False)
    assert not teacher.spans
    assert not student.spans
    coloured, _ = marked("The book of kings was long.", "The book of kings were long.", marks=False)
    assert coloured.plain == "The book of kings was long."
    assert [str(span.style) for span in coloured.spans] == ["bold red"]
    for pair in (("yes", "no"), ("", "x"), ("w " * 5000, "v " * 5000)):
        teacher, student = marked(*pair, marks=True)
        assert (teacher.plain, student.plain) == tuple(text or "(nothing)" for text in pair)


@pytest.mark.parametrize("screen", SCREENS, ids=" ".join)
def test_json_is_one_document(run_path: Path, document: Path, screen: list[str]) -> None:
    found = json.loads(shown("show", run_path if "--cell" in screen else document, *screen, "--json"))
    assert found
    assert "NaN" not in json.dumps(found)
    if screen == []:
        assert found == json.loads(shown("compare", run_path, "--json"))
    if screen[:1] == ["--task"]:
        assert {row["task"] for row in found["tasks"]} == {"quiz"}
        assert len({row["student"] for row in found["tasks"]}) == (1 if "--student" in screen else 2)


def test_a_document_is_shown_as_its_run(run_path: Path, document: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(shown("compare", run_path, "--json"), encoding="utf-8")
    assert read_result(file) == read_result(document)
    for screen in ([], ["--samples", "all"]):
        assert shown("show", file, *screen) == shown("show", run_path, *screen)
    assert shown("compare", file) == shown("compare", run_path)
    assert shown("compare", "-q", file).splitlines()[0].startswith("✗ FAIL Not good enough")
    assert shown("compare", "-q", file).splitlines()[-1] == "Recommended: good"
    cell = shown("show", run_path / "cells" / "good-quiz")
    assert cell == shown("show", run_path, "--cell", "good-quiz")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["--student", "goood"], UsageError, "did you mean 'good'"),
        (["--task", "quizz"], UsageError, "did you mean 'quiz'"),
        (["--model", "teachr"], UsageError, "did you mean 'teacher'"),
        (["--samples", "losst"], UsageError, "is not one of: lost, won, all; did you mean 'lost'"),
        (["--model", "good", "--cells"], UsageError, "give one of them alone"),
        (["--cells", "--task", "quiz"], UsageError, "give one of them alone"),
        (["--cell", "zzz"], UsageError, "no cell 'zzz'"),
        (["--cell", "good-"], UsageError, "2 cells begin with 'good-'"),
        (["--cell", "bad-graded"], UsageError, "has no record: killed by signal 9"),
    ],
)
def test_what_is_not_there_is_said(
    run_path: Path, arguments: list[str], error: type[DistbenchError], words: str
) -> None:
    with pytest.raises(error, match=words):
        shown("show", run_path, *arguments)


def test_damaged_input_is_refused(run_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    folder.mkdir()
    (folder / "record.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RefusedError, match="is not a record of this version"):
        shown("show", folder)
    with pytest.raises(UsageError, match="no run at"):
        shown("show", tmp_path / "nothing")
    (tmp_path / "r.json").write_text(shown("compare", run_path, "--json"), encoding="utf-8")
    with pytest.raises(UsageError, match="records of cells are in the run directory"):
        shown("show", tmp_path / "r.json", "--cell", "good")


def test_a_run_of_which_nothing_was_evaluated_says_why(tmp_path: Path) -> None:
    run_of(tmp_path / "failed", {"teacher": {"quiz": None}, "good": {"quiz": None}})
    text = shown("show", tmp_path / "failed")
    assert "teacher on quiz: killed by signal 9" in text
    assert "nothing to compare" in text
    cells = json.loads(shown("show", tmp_path / "failed", "--cells", "--json"))
    assert [(cell["status"], cell["error"]) for cell in cells] == [("failed", "killed by signal 9")] * 2
    assert re.search(r"made by\s+hand", shown("show", tmp_path / "failed", "--model", "good"))
    assert json.loads(shown("show", tmp_path / "failed", "--model", "good", "--json"))["training"] is None
    with pytest.raises(UsageError, match="did you mean 'good'"):
        shown("show", tmp_path / "failed", "--model", "god")
    with pytest.raises(RunError, match="no evaluation or measurement finished"):
        shown("show", tmp_path / "failed", "--student", "good")


def test_hostile_names_are_literal_on_every_screen(synthetic: Result, tmp_path: Path) -> None:
    evil = "\x1b[31m</script>\x07\n[bold]x[/bold] \u202e|" + "y" * 100_000
    changed = [
        each.model_copy(update={"label": evil, "made_by": evil, "warnings": [evil], "disagreements": []})
        for each in synthetic.students[:2]
    ]
    file = tmp_path / "evil.json"
    document = synthetic.model_copy(update={"students": changed, "description": evil, "suite": evil, "run": evil})
    file.write_text(document.model_dump_json(), encoding="utf-8")
    for screen in ([], ["--student", changed[0].name], ["--task", "topic"], ["--model", changed[0].name], ["--cells"]):
        text = shown("show", file, *screen, columns=80)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)
        assert max(map(cell_len, text.splitlines())) <= 80
        assert len(text) < 20_000
        assert screen == ["--cells"] or "⟨U+001B⟩[31m</script>" in text.replace("\n", "")


def test_colour_only_where_it_is_wanted(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in shown("show", document)
    coloured = shown("show", document, FORCE_COLOR="1", TERM="xterm-256color")
    assert "\x1b[31m" in coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert plain.split() == shown("show", document).split()
    bare = shown("show", document, FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", bare)
    monkeypatch.delenv("COLUMNS", raising=False)
    assert output.out().width == 160  # not a terminal, and nobody says how wide


def test_a_grid_drops_what_it_may_and_then_becomes_a_list() -> None:
    columns = [
        Column("Name"),
        Column("Score", number=True),
        Column("Why", drop=1),
        Column("Empty", number=True, drop=2),
    ]
    why = "because of this and that"
    grid = Grid(columns, [Row(["a_long_name/of.a-thing", numbers.Shown("1.00", "[0.50, 2.00]"), why, "—"])])

    def lines(width: int) -> list[str]:
        console = output.Console(width=width, file=open("/dev/null", "w"), record=True)  # noqa: PTH123, SIM115
        console.print(grid)
        return [line.rstrip() for line in console.export_text().splitlines()]

    assert "Empty" not in " ".join(lines(200))
    assert lines(200)[-1] == f"a_long_name/of.a-thing  1.00 [0.50, 2.00]  {why}"
    assert "Why" not in lines(30)[0]
    assert lines(30)[2].split() == ["a_long_name/of.", "1.00"]
    assert lines(20) == [
        "a_long_name/of.a-thi",
        "ng",
        "  Score: 1.00 [0.50,",
        "  2.00]",
        "  Why: because of",
        "  this and that",
    ]
    assert broken("one_two_three four", 8) == "one_two_\nthree\nfour"


def commands(group: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        group_of_them = hasattr(command, "commands")
        found |= commands(command, f"{prefix}{name} ") if group_of_them else {prefix + name: command}
    return found


def test_every_command_that_prints_can_print_json() -> None:
    known = commands(typer.main.get_command(app))
    options = {name: {o for p in each.params for o in p.opts} for name, each in known.items()}
    assert {name for name, has in options.items() if "--json" not in has} == set()
    assert {name for name, has in options.items() if "--debug" not in has} == set()
    assert {"compare", "show", "gate", "run", "distil"} <= {name for name, has in options.items() if "-q" in has}
