"""The stand-in of the NVIDIA driver, compiled once, and children that load it as the real one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("nvml_stub.c")
ROOT = Path(__file__).parents[3]
GPUS = ("GPU-00000000-aaaa-aaaa-aaaa-000000000000", "GPU-11111111-bbbb-bbbb-bbbb-111111111111")


class StubDriver:
    """A driver whose state is a small file; `run` is a child that finds it where it looks for the real one."""

    def __init__(self, library: Path, state: Path) -> None:
        self.library, self.state = library, state
        self.set(watts=100, period_ms=5)

    def set(self, *fails: tuple[str, int], **numbers: float) -> None:
        lines = [f"{name} {value}" for name, value in numbers.items()]
        lines += [f"fail {function} {code}" for function, code in fails]
        before = self.state.read_text() if self.state.exists() else ""
        new = self.state.with_suffix(".new")
        new.write_text(before + "".join(line + "\n" for line in lines))  # the last line of a key counts
        new.replace(self.state)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(self.library), "NVML_STUB": str(self.state)}

    def run(self, code: str, **environment: str) -> Any:
        """Run code that binds `found` in a child that finds this driver; return it."""
        return in_child(code, **self.environment, **environment)


def in_child(code: str, **environment: str) -> Any:
    """Run code that binds `found`, with everything of the bench imported; return it."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import json\nfrom tests.meters.energy.bench import *\n{code}\nprint(json.dumps(found))",
        ],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with libnvidia-ml.so.1."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler for Linux here: the stand-in of the NVIDIA driver cannot be built")
    folder = tmp_path_factory.mktemp("nvml")
    subprocess.run(
        [compiler, "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(folder / "libnvidia-ml.so.1"), str(SOURCE)],
        check=True,
    )
    return folder


@pytest.fixture
def driver(nvml_library: Path, tmp_path: Path) -> StubDriver:
    """Two GPUs of 100 W whose counters have a new value every 5 ms."""
    return StubDriver(nvml_library, tmp_path / "nvml-state")
