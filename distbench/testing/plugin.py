"""The pytest plug-in: which run is tested, and the fixture that opens it. Imported whenever pytest starts: light."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from distbench.api import Run

OPTION, INI, ENVIRONMENT = "--distbench-run", "distbench_run", "DISTBENCH_RUN"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the key of the configuration."""
    group = parser.getgroup("distbench", "distbench: a gate in your own tests")
    group.addoption(
        OPTION, metavar="RUN", default=None, help="run directory or result.json that the fixture distbench_run opens"
    )
    parser.addini(INI, f"the same as {OPTION}; relative to the configuration file", default="")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which run is tested, where one is."""
    path = run_path(config)
    return None if path is None else f"distbench run: {path}"


def run_path(config: pytest.Config) -> Path | None:
    """Return the run: of the command line, else of the environment, else of the configuration file; None of none."""
    given: str | None = config.getoption(OPTION) or os.environ.get(ENVIRONMENT)
    if given:
        return Path(given)
    written: str = config.getini(INI)
    if not written:
        return None
    return (config.inipath.parent if config.inipath else config.rootpath) / written


@pytest.fixture(scope="session")
def distbench_run(pytestconfig: pytest.Config) -> Run:
    """Open the run that is tested. Where none is named, or it cannot be read, tests that ask for it are errors."""
    from distbench.api import load
    from distbench.errors import DistbenchError

    path = run_path(pytestconfig)
    if path is None:
        pytest.fail(f"no run to test: give {OPTION} RUN, or set {ENVIRONMENT} or {INI} = RUN", pytrace=False)
    try:
        run = load(path)
        _ = run.result
    except DistbenchError as error:
        pytest.fail(f"distbench: {error}", pytrace=False)
    return run
