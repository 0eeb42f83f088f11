"""The report as a file: where plotly.js is, how large it may be, and what the command prints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distbench.cli.app import app
from distbench.errors import UsageError
from distbench.report import bundle, page_file
from distbench.report.html import render
from distbench.report.page_file import write_page
from distbench.schema.result import Result
from tests.report.visiting import DRAWN, READY, Visit


def policy(page: str) -> str:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    return found[1]


def test_the_whole_library_in_the_page(synthetic: Result) -> None:
    page = render(synthetic, "full")
    assert bundle.csp_hash(bundle.full_plotly_js()) in policy(page).replace("&#39;", "'")
    assert len(page) > len(render(synthetic)) + 500_000
    assert ' src="http' not in page


def test_from_a_server_says_so_and_names_what_it_loads(synthetic: Result) -> None:
    page = render(synthetic, "cdn")
    url = f"https://cdn.jsdelivr.net/npm/plotly.js-cartesian-dist-min@{bundle.version()}/plotly-cartesian.min.js"
    assert f'<script src="{url}" integrity="sha384-' in page
    assert f"script-src {bundle.csp_hash(bundle.script())} {url}; " in policy(page).replace("&#39;", "'")
    assert "Not one file: it loads the charts" in page
    assert "it loads nothing from the network" not in page
    assert len(page) < 1_000_000


@pytest.mark.browser
def test_beside_the_page_it_is_loaded_from_there(
    visit: Callable[..., Visit], synthetic: Result, tmp_path: Path
) -> None:
    written = write_page(synthetic, tmp_path / "page.html", "directory")
    assert written.beside == tmp_path / bundle.NAME
    found = visit(written.path, wait=READY)
    assert found.page.evaluate("document.querySelector('.key .chart')._fullData.length") > 3
    found.quiet(written.path, written.beside)
    assert "keep the two files together" in found.page.inner_text("footer")
    written.beside.unlink()
    alone = visit(written.path, wait=DRAWN)  # without its neighbour: tables, and a sentence
    assert alone.page.locator("text=needs JavaScript and a browser from 2023").first.is_visible()


def test_a_large_page_is_named_and_a_huge_one_refused(
    synthetic: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "page.html"
    assert write_page(synthetic, file).warning is None
    monkeypatch.setattr(page_file, "LARGE", 100_000)
    assert "more than 100\u00a0kB is slow to open" in (write_page(synthetic, file).warning or "")
    monkeypatch.setattr(page_file, "TOO_LARGE", 200_000)
    file.unlink()
    with pytest.raises(UsageError, match="--force"):
        write_page(synthetic, file)
    assert not file.exists()
    assert write_page(synthetic, file, force=True).size == file.stat().st_size


def test_the_command_prints_where_it_wrote(sizes_only: Result, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(sizes_only.model_dump_json(), "utf-8")
    run = CliRunner()
    given = ["report", str(tmp_path / "result.json"), "--plotlyjs", "directory", "--json"]
    done = run.invoke(app, given)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["report"] == str(tmp_path / "report.html")
    assert said["bytes"] == (tmp_path / "report.html").stat().st_size
    assert said["beside"] == str(tmp_path / bundle.NAME)
    wrong = run.invoke(app, ["report", str(tmp_path / "result.json"), "--plotlyjs", "cnd"])
    assert isinstance(wrong.exception, UsageError)
    assert "expected one of: cartesian, full, directory, cdn" in str(wrong.exception)
