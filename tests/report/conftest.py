"""Fixtures of the report's tests: results of `made`, and one browser for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distbench.report.html import render
from distbench.schema.result import Result
from tests.report.made.estimates import TASKS
from tests.report.made.results import long, of_two_runs, result_of
from tests.report.made.students import disagreements, five_students, off_range, student, with_groups_of_tasks
from tests.report.made.studies import add_study
from tests.report.visiting import DRAWN, FLAGS, NO_CHARTS, STARTED, WAIT, Visit, chromium


@pytest.fixture(scope="session")
def synthetic() -> Result:
    """Six students: control, quantised, ruined on one task, crashed, hostile, and one far below the gate."""
    return result_of([*five_students(), off_range()])


@pytest.fixture(scope="session")
def many() -> Result:
    """24 students with 300 samples each."""
    students = [
        student(
            f"student-{number:02d}",
            dict(zip(TASKS, (1.0 - number * 0.009, 0.995 - number * 0.011, 0.99 - number * 0.012), strict=True)),
            1.3 * 1.11**number,
            "PASS" if number < 2 else "INCONCLUSIVE" if number < 5 else "FAIL",
            label=f"Family {'ABCD'[number % 4]}, size {number}",
            disagreements=disagreements(300, text=f"text {number}"),
            disagreements_total=1000,
        )
        for number in range(24)
    ]
    return result_of(students, recommended="student-01")


@pytest.fixture(scope="session")
def empty() -> Result:
    """A run of which nothing finished."""
    return result_of(
        [],
        teachers=[],
        recommended=None,
        verdict="INVALID",
        verdict_reason="No cell finished.",
        cells=[],
        host=None,
        packages={},
        settings={},
        thresholds={},
        warnings=[],
    )


@pytest.fixture(scope="session")
def sizes_only() -> Result:
    """Students without a task and without a measurement: only their sizes are known."""
    bare = student("bare", {}, 2.0, "INVALID", label="bare", gate=[])
    return result_of([bare], recommended=None, verdict="INVALID", verdict_reason="Nothing was scored.", warnings=[])


@pytest.fixture(scope="session")
def everything() -> Result:
    """A result with every section that a page can have, and few students: audits take long."""
    passing, control, quantised, *_ = five_students()
    few = passing.model_copy(update={"tasks": passing.tasks[:2], "measurements": [], "disagreements": []})
    whole = add_study(result_of([with_groups_of_tasks(passing), control, quantised]), few, (30, 300))
    return of_two_runs(whole)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests; skipped where none is installed."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    if path is None:
        pytest.skip("no Chromium is installed")
    with driver.sync_playwright() as started:
        found = started.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def files(
    synthetic: Result, many: Result, empty: Result, everything: Result, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The pages that the browser opens, by name."""
    folder = tmp_path_factory.mktemp("pages")
    results = {"synthetic": synthetic, "many": many, "empty": empty, "everything": everything, "long": long(synthetic)}
    paths = {name: folder / f"{name}.html" for name in results}
    for name, result in results.items():
        paths[name].write_text(render(result), "utf-8")
    return paths


@pytest.fixture
def visit(browser: Any, files: dict[str, Path]) -> Iterator[Callable[..., Visit]]:
    """Open a page by its name, with a fragment and options of the browser's context.

    `wait`: "html.started" unless a test looks at charts: then controls and tables work, and nothing is drawn.
    """
    contexts = []

    def opened(name: str | Path = "synthetic", fragment: str = "", *, wait: str = STARTED, **options: Any) -> Visit:
        options.setdefault("viewport", {"width": 1320, "height": 900})
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(WAIT)
        found = Visit(contexts[-1].new_page())
        if wait == STARTED:
            found.page.add_init_script(NO_CHARTS)
        path = name if isinstance(name, Path) else files[name]
        found.page.goto(path.as_uri() + fragment)
        found.page.wait_for_selector(wait, state="attached")
        return found

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def shared(browser: Any, files: dict[str, Path]) -> Iterator[Any]:
    """The synthetic page without charts, opened once for the tests of its controls."""
    context = browser.new_context(viewport={"width": 1320, "height": 900}, accept_downloads=True)
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.add_init_script(NO_CHARTS)
    page.goto(files["synthetic"].as_uri())
    page.wait_for_selector(STARTED, state="attached")
    yield page
    context.close()


@pytest.fixture
def controls(shared: Any) -> Any:
    """The shared page with every control as it was at first."""
    return as_at_first(shared)


@pytest.fixture(scope="session")
def drawn(browser: Any, files: dict[str, Path]) -> Iterator[Visit]:
    """The synthetic page with its charts, opened once for the tests that look at them."""
    context = browser.new_context(viewport={"width": 1320, "height": 900})
    context.set_default_timeout(WAIT)
    found = Visit(context.new_page())
    found.page.goto(files["synthetic"].as_uri())
    found.page.wait_for_selector(DRAWN, state="attached")
    yield found
    context.close()


@pytest.fixture
def charts(drawn: Visit) -> Visit:
    """The shared page with charts, with every control as it was at first."""
    as_at_first(drawn.page)
    return drawn


def as_at_first(page: Any) -> Any:
    """Take back every choice: that is what an address that names none does."""
    page.evaluate("location.hash = '#bias?'")
    page.evaluate("new Promise((go) => setTimeout(go))")
    assert page.input_value("#samples-search") == ""
    page.evaluate("scrollTo(0, 0)")
    return page
