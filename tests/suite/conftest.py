from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distbench import plugins
from distbench.errors import UsageError
from distbench.suite.load import LoadedSuite, load_suite

from .fakes import installation


@pytest.fixture(scope="module", autouse=True)
def _fake_installation() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "_entry_points", installation())
        plugins.forget()
        yield
    plugins.forget()


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LoadedSuite]:
    """Write a suite to `s.yaml` in the working directory and load it."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str | bytes, *overrides: str) -> LoadedSuite:
        Path("s.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
        return load_suite("s.yaml", overrides)

    return load_text


@pytest.fixture
def complaint(load: Callable[..., LoadedSuite]) -> Callable[..., str]:
    """Load a suite that is wrong and return the one line that says so."""

    def complaint_about(text: str | bytes, *overrides: str) -> str:
        with pytest.raises(UsageError) as caught:
            load(text, *overrides)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return complaint_about
