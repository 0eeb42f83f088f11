"""The repository's scripts as modules: they are no package, and are tested as they lie there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[1] / "scripts"


def script(name: str) -> ModuleType:
    """Load `scripts/NAME.py`, with what lies beside it importable, as when it is run."""
    path = FOLDER / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"scripts.{name}".replace("/", "."), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
