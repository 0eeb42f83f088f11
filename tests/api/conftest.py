"""One finished run for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

import distbench
from tests.api.finished import finished_run


@pytest.fixture(scope="session")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory."""
    path = tmp_path_factory.mktemp("api") / "run"
    finished_run(path)
    return path


@pytest.fixture(scope="session")
def loaded(run_path: Path) -> distbench.Run:
    """The run, loaded."""
    return distbench.load(run_path)
