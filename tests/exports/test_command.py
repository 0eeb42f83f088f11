"""`distbench export`: what it prints, what it writes, and what it refuses before writing."""

import json
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distbench import plugins
from distbench.cli.app import app
from distbench.cli.exporting import _by_suffix, _given
from distbench.compare.merge import merge
from distbench.compare.reading import read_result
from distbench.errors import EnvironmentFault, ExitCode, UsageError
from distbench.exports.csv_rows import csv_text
from distbench.exports.svg import key_chart
from distbench.schema.strict import Use
from distbench.tables import TABLES

OWN = {"markdown", "latex", "csv", "parquet", "json", "svg", "png", "badge", "hf", "mlflow", "wandb", "trackio"}


def run(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_list_says_what_where_and_how():
    rows = {row["name"]: row for row in json.loads(run("--list", "--json").stdout)}
    assert set(rows) >= OWN
    assert rows["csv"]["to"] == "standard output, or --out FILE"
    assert rows["csv"]["options"]["table"]["default"] == "tasks"
    assert "students" in rows["csv"]["options"]["table"]["meaning"]
    for row in rows.values():
        assert row["summary"]
        assert all(about["meaning"] for about in row["options"].values())
    shown = run("--list").stdout
    assert "--set table=tasks  which table" in shown
    assert "--set bom=false" in shown
    for name in OWN:
        assert name in shown


def test_a_document_goes_to_standard_output_and_nothing_else_does(document, synthetic):
    found = run(document, "--format", "csv", "--set", "table=gate")
    assert found.stdout == csv_text(TABLES["gate"], synthetic_as_read(document))
    assert found.stderr == ""


def synthetic_as_read(document):
    from distbench.compare.reading import read_result

    return read_result(document)


def test_a_file_means_its_format_and_is_named(document, synthetic, tmp_path):
    found = run(document, "--out", tmp_path / "k.svg")
    assert found.stdout == f"{tmp_path / 'k.svg'}\n"
    assert (tmp_path / "k.svg").read_text("utf-8") == key_chart(synthetic) + "\n"
    said = json.loads(run(document, "-o", tmp_path / "t.csv", "--json").stdout)
    assert said == {"format": "csv", "files": [str(tmp_path / "t.csv")], "place": None, "notes": []}
    assert json.loads(run(document, "-f", "badge", "--json").stdout)["text"].startswith('{"schemaVersion": 1')


def test_notes_are_not_output(document, tmp_path):
    found = run(document, "-f", "hf", "-o", tmp_path / "m")
    assert found.stdout == f"{tmp_path / 'm' / 'README.md'}\n"
    assert "datasets.TASK=ORG/NAME" in found.stderr
    found = run(document, "-f", "hf", "-o", tmp_path / "m", "--set", "datasets.topic=org/t", "--student", "depth-12")
    assert len(found.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "name a format with --format"),
        (("--out", "x.doc"), "name a format with --format"),
        (("-f", "cvs"), "did you mean 'csv'"),
        (("-f", "csv", "--set", "tabel=x"), "did you mean 'table'"),
        (("-f", "csv", "--set", "table"), "expected OPTION=VALUE"),
        (("-f", "csv", "--set", "use=x"), "expected OPTION=VALUE"),
        (("-f", "csv", "--set", "table=x"), "no table 'x'"),
        (("-f", "csv", "--set", "table=all"), "writes a folder"),
        (("-f", "csv", "--student", "depth-12"), "about all students"),
        (("-f", "badge", "--student", "dept-12"), "did you mean 'depth-12'"),
        (("-f", "parquet"), "name it with --out"),
        (("-f", "png"), "name it with --out"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(document, tmp_path, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    found = run(document, *arguments)
    assert isinstance(found.exception, UsageError)
    assert why in str(found.exception)
    assert "\n" not in str(found.exception)
    assert list(tmp_path.iterdir()) == []


def test_no_run_is_a_usage_error(tmp_path):
    assert isinstance(run("--format", "csv").exception, UsageError)
    assert isinstance(run(tmp_path / "nothing", "--format", "csv").exception, UsageError)


@pytest.mark.parametrize("name", ["mlflow", "wandb", "trackio"])
def test_a_missing_extra_is_named_before_anything_is_read(document, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    found = run(document, "-f", name, "-o", tmp_path / "x")
    assert isinstance(found.exception, EnvironmentFault)
    assert found.exception.exit_code == ExitCode.ENVIRONMENT
    assert f"pip install 'distbench[{name}]'" in str(found.exception)
    assert not (tmp_path / "x").exists()


def test_an_unwritable_place_is_the_environments_fault(document, tmp_path):
    found = run(document, "-f", "csv", "-o", tmp_path / "no" / "t.csv")
    assert isinstance(found.exception, EnvironmentFault)


def test_a_process_exports_without_heavy_libraries(document, synthetic):
    code = (
        "import sys; from distbench.cli import main\n"
        "sys.argv = ['distbench', 'export', sys.argv[1], '--format', 'svg']\n"
        "try: main()\n"
        "finally: print([m for m in ('torch', 'transformers', 'lm_eval', 'plotly') if m in sys.modules],"
        " file=sys.stderr)"
    )
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    found = subprocess.run([sys.executable, "-c", code, document], capture_output=True, check=False, env=ascii_only)
    assert (found.returncode, found.stderr) == (0, b"[]\n")
    assert found.stdout.decode("utf-8") == key_chart(synthetic) + "\n"  # whatever the locale says


def test_the_commands_of_the_documentation_are_right():
    text = (Path(__file__).parents[2] / "docs" / "exports.md").read_text("utf-8").replace("\\\n", " ")
    fenced = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [
        *(line for block in fenced for line in block.splitlines()),
        *re.findall(r"`(distbench export [^`]*)`", text),
    ]
    seen = set()
    for command in (line for line in lines if line.startswith("distbench export ") and "--list" not in line):
        pairs = list(pairwise(shlex.split(command, comments=True)))
        given = dict(pairs)
        name = given.get("-f") or given.get("--format") or _by_suffix(Path(given["--out"]))
        sets = [value for word, value in pairs if word == "--set"]
        plugins.options("exports", Use.model_validate({"use": name, **_given(sets)}))
        seen.add(name)
    assert seen >= OWN


def test_exports_are_plug_ins():
    assert set(plugins.names("exports")) >= OWN
    assert {plugins.distribution("exports", name).package for name in OWN} == {"distbench"}


@pytest.mark.parametrize("name", ["markdown", "latex", "csv", "json", "svg", "badge"])
def test_several_runs_are_exported_as_the_page_merges_them(document, tmp_path, name):
    other = json.loads(document.read_text("utf-8"))
    other["run"], other["created_at"] = "a later run", "2031-01-01T00:00:00Z"
    later = tmp_path / "later.json"
    later.write_text(json.dumps(other), encoding="utf-8")
    asked = ["--student", "depth-12"] if name == "badge" else []
    found = run(document, later, "--format", name, *asked)
    if name == "badge":  # both runs have a student of this name: which one is meant must be said
        assert found.exit_code != 0
        return
    assert found.exit_code == 0, found.exception
    merged = merge([read_result(document), read_result(later)])
    if name == "csv":
        assert found.stdout == csv_text(TABLES["tasks"], merged)
    if name == "json":
        assert "a later run" in found.stdout
    assert found.stdout


def test_samples_are_those_of_one_run(document, tmp_path):
    found = run(document, document, "--format", "csv")
    assert isinstance(found.exception, UsageError)
    assert "twice" in str(found.exception)
