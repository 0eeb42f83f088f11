from __future__ import annotations

from pathlib import Path

import pytest

from distbench.errors import UsageError
from distbench.suite import bundled
from distbench.suite.bundled import bundled_suites, resolve_suite


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with two suites, and an empty working directory."""
    package = tmp_path / "site-packages" / "distbench"
    (package / "bundled_suites").mkdir(parents=True)
    for name in ("quickstart.yaml", "digits.yaml", "notes.txt"):
        (package / "bundled_suites" / name).touch()
    monkeypatch.setattr(bundled, "_PACKAGE", package)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return package


def test_suites_of_an_installed_package(package: Path) -> None:
    suites = package / "bundled_suites"
    assert bundled_suites() == {"digits": suites / "digits.yaml", "quickstart": suites / "quickstart.yaml"}


def test_suites_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "distbench").mkdir()
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "a.yaml").touch()
    monkeypatch.setattr(bundled, "_PACKAGE", tmp_path / "distbench")
    assert bundled_suites() == {}  # somebody's folder `suites` beside the package is not ours
    (tmp_path / "pyproject.toml").touch()
    assert bundled_suites() == {"a": tmp_path / "suites" / "a.yaml"}


def test_a_file_comes_before_a_name(package: Path) -> None:
    assert resolve_suite("quickstart") == package / "bundled_suites" / "quickstart.yaml"
    Path("quickstart").mkdir()
    assert resolve_suite("quickstart") == package / "bundled_suites" / "quickstart.yaml"
    Path("digits").touch()
    assert resolve_suite("digits") == Path("digits")


def test_a_directory_is_left_to_the_reader(package: Path) -> None:
    assert package.is_dir()
    assert resolve_suite("..") == Path("..")


@pytest.mark.parametrize("argument", ["quikstart", "a\0b", "x" * 5000, ""])
def test_unknown_names(package: Path, argument: str) -> None:
    assert package.is_dir()
    if not argument:  # the empty path is the working directory
        assert resolve_suite(argument) == Path()
        return
    with pytest.raises(UsageError) as caught:
        resolve_suite(argument)
    assert f"(working directory: {Path.cwd()})" in str(caught.value)
    assert ("did you mean 'quickstart'?" in str(caught.value)) is (argument == "quikstart")
    assert "\0" not in str(caught.value)


def test_the_suites_of_this_checkout_are_found() -> None:
    assert all(path.is_file() for path in bundled_suites().values())
