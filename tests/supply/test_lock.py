"""The lock files follow from the dependencies, everything in them is hashed, and the check says where it is not so."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import script

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    return script("lock")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_the_locks_are_current(lock: ModuleType) -> None:
    assert lock.list_faults(ROOT) == []


def test_the_lock_has_what_the_project_needs(lock: ModuleType) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = lock.blocks((ROOT / "requirements" / "dev.lock").read_text(encoding="utf-8"))
    for need in project["dependencies"]:
        name = lock.canonical(lock.re.match(r"[A-Za-z0-9._-]+", need)[0])
        assert name == "torch" or name in locked, name
    assert "torch==" in (ROOT / "requirements" / "torch.lock").read_text(encoding="utf-8")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_check_sees_what_does_not_fit(lock: ModuleType, copy: Path) -> None:
    assert lock.list_faults(copy) == []
    change(copy / "constraints.txt", "numpy==", "numpy==1")
    faults = lock.list_faults(copy)
    assert [fault for fault in faults if "written for other dependencies" in fault]
    assert [fault for fault in faults if "numpy" in fault and "is not the" in fault]


def test_a_new_dependency_makes_the_locks_old(lock: ModuleType, copy: Path) -> None:
    change(copy / "pyproject.toml", "dependencies = [", 'dependencies = [\n    "left-pad>=1",')
    assert len(lock.list_faults(copy)) == 3


def test_a_line_without_a_hash(lock: ModuleType, copy: Path) -> None:
    path = copy / "requirements" / "dev.lock"
    whole = path.read_text(encoding="utf-8")
    entry = lock.blocks(whole)["jinja2"]
    path.write_text(whole.replace(entry, entry.partition(" \\")[0] + "\n"), encoding="utf-8")
    assert lock.list_faults(copy) == ["dev.lock: jinja2 has no hash"]


def test_an_address_instead_of_a_version(lock: ModuleType, copy: Path) -> None:
    path = copy / "requirements" / "build.lock"
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    path.write_text(f"{first}\nevil @ https://h.invalid/evil.whl\n{rest}", encoding="utf-8")
    assert "pins nothing" in lock.list_faults(copy)[0]
    path.unlink()
    assert lock.list_faults(copy) == ["build.lock is missing"]
