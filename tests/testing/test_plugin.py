"""The pytest plug-in: which run it opens, what a failing gate prints, and what it costs where nobody asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.made.results import result_of
from tests.report.made.students import five_students

pytest_plugins = ["pytester"]

GATE = """
from distbench.testing import assert_passes_gate, assert_retained

def test_good(distbench_run):
    assert_retained(distbench_run, "soft-23-layers", margin=0.95)
    assert_passes_gate(distbench_run, "soft-23-int8")

def test_bad(distbench_run):
    assert_retained(distbench_run, "depth-12")

def test_open(distbench_run):
    assert_retained(distbench_run, "hostile", margin=0.955, on_inconclusive="skip")

def test_loud(distbench_run):
    assert_retained(distbench_run, "hostile", margin=0.955, on_inconclusive="warn")
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result.json; its hostile student has no lone surrogate, which JSON cannot hold."""
    students = [each.model_copy(update={"disagreements": []}) for each in five_students()]
    file = tmp_path_factory.mktemp("plugin") / "result.json"
    file.write_text(result_of(students).model_dump_json(), encoding="utf-8")
    return file


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a gate among its tests."""
    monkeypatch.delenv("DISTBENCH_RUN", raising=False)
    pytester.makepyfile(GATE)
    return pytester


def test_a_gate_among_tests(project: pytest.Pytester, document: Path) -> None:
    found = project.runpytest_inprocess("--distbench-run", str(document), "-rs")
    found.assert_outcomes(passed=2, failed=1, skipped=1, warnings=1)
    found.stdout.fnmatch_lines(
        [
            f"distbench run: {document}",
            "*AssertionError: 12 layers retains 75.2*% ?73.8, 76.6? of its teacher over all tasks, n*; asked: *95*%",
            "*FAIL: upper limit 0.7660 < 0.95",
            "*InconclusiveWarning: *",
            "SKIPPED*retains 96.2*",
            "*INCONCLUSIVE: the interval 0.9497 to ∞ holds 0.955",
        ]
    )
    assert "_settle" not in found.stdout.str()  # the traceback ends in the test


def test_the_run_comes_from_the_environment_or_the_configuration(
    project: pytest.Pytester, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.path / "kept.json").write_bytes(document.read_bytes())
    project.makeini("[pytest]\ndistbench_run = kept.json\n")
    project.runpytest_inprocess("-k", "good").assert_outcomes(passed=1, deselected=3)
    monkeypatch.setenv("DISTBENCH_RUN", str(project.path / "nothing"))
    found = project.runpytest_inprocess("-k", "good")
    found.assert_outcomes(errors=1, deselected=3)
    found.stdout.fnmatch_lines(["*distbench: no run at *nothing*"])
    chosen = project.runpytest_inprocess("-k", "good", "--distbench-run", "kept.json")
    chosen.assert_outcomes(passed=1, deselected=3)


def test_no_run_is_an_error_not_a_skip(project: pytest.Pytester) -> None:
    found = project.runpytest_inprocess("-k", "good")
    found.assert_outcomes(errors=1, deselected=3)
    found.stdout.fnmatch_lines(
        ["*no run to test: give --distbench-run RUN, or set DISTBENCH_RUN or distbench_run = RUN*"]
    )
    assert "distbench run:" not in found.stdout.str()


def test_a_damaged_run_is_one_line(project: pytest.Pytester) -> None:
    (project.path / "x.json").write_text("{", encoding="utf-8")
    found = project.runpytest_inprocess("-k", "good", "--distbench-run", "x.json")
    found.assert_outcomes(errors=1, deselected=3)
    found.stdout.fnmatch_lines(["*distbench: x.json is no result document*"])


def test_pytest_starts_without_anything_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_x(): pass\n", encoding="utf-8")
    code = (
        "import sys, pytest\n"
        "assert pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'no:hypothesispytest', sys.argv[1]]) == 0\n"
        "assert 'distbench.testing.plugin' in sys.modules, 'not loaded by its entry point'\n"
        "heavy = {'pandas', 'numpy', 'pydantic', 'rich', 'distbench.api', 'distbench.errors', 'distbench.schema'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
