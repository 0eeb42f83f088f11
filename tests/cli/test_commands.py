"""Commands that need no suite, `init`, and what every command does: light imports, UTF-8 whatever the locale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.acceptance.row import assert_one_line
from tests.command import Done, distbench, here


def assert_refused(done: Done, code: int, message: str) -> None:
    assert done.returncode == code, done.stderr
    assert_one_line(done, code)
    assert message in done.stderr


def test_commands_that_need_no_suite(tmp_path: Path) -> None:
    for arguments in (
        ["doctor", "--json"],
        ["plugins", "--json"],
        ["suites", "list", "--json"],
        ["schema", "suite"],
        ["schema", "result"],
    ):
        done = here(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
    assert_refused(here(tmp_path, "schema", "nothing"), 2, "suite, result")
    assert distbench(tmp_path, "--version").stdout.startswith("distbench ")
    assert_refused(here(tmp_path, "run"), 2, "--teacher")
    assert_refused(here(tmp_path, "compare", "nowhere"), 2, "no run at")
    assert_refused(here(tmp_path, "frobnicate"), 2, "frobnicate")


def test_init_writes_a_valid_suite_and_never_overwrites(tmp_path: Path) -> None:
    assert here(tmp_path, "init", "mine.yaml").returncode == 0
    assert "valid" in here(tmp_path, "suites", "validate", "mine.yaml").stdout
    assert_refused(here(tmp_path, "init", "mine.yaml"), 2, "exists already")


def test_the_top_module_is_light() -> None:
    code = (
        "import sys, distbench.cli, distbench.cli.app\n"
        "heavy = {'torch', 'transformers', 'plotly', 'pandas', 'lm_eval', 'sklearn', 'scipy', 'numpy'}\n"
        "heavy &= set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


def test_an_ascii_locale_is_no_error(tmp_path: Path) -> None:
    """Row: a result with ≥, … and names in any script, where the locale is C."""
    said = distbench(tmp_path, "suites", "list", "--json", check=0, PYTHONIOENCODING="ascii", LC_ALL="C").stdout
    assert json.loads(said)
    page = Path(__file__).parents[2] / "reports" / "quickstart" / "result.json"
    told = distbench(tmp_path, "compare", str(page), check=0, PYTHONIOENCODING="ascii", LC_ALL="C").stdout
    assert "%" in told
    assert not told.isascii()


def test_distil_takes_every_option_of_run_that_is_about_making() -> None:
    """Row: an error named --trust-task-code, and the command did not have it."""
    import typer.main

    from distbench.cli.app import app

    commands = typer.main.get_group(app).commands
    run, distil = ({word for each in commands[name].params for word in each.opts} for name in ("run", "distil"))
    without_suite, verdicts = {"--teacher", "--task", "--samples"}, {"--gate", "--policy", "--baseline"}
    shown = {"--on-inconclusive", "--dry-run", "--verbose", "-v"}
    assert run - distil == without_suite | verdicts | shown
