"""From a reference to a loaded model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.data.trust import refuse_other_code
from distbench.errors import RunError
from distbench.hashing import digest
from distbench.schema.cell import ModelRef, Settings
from distbench.schema.strict import Use
from distbench.store.run_dir import RunDir


def model_path(ref: ModelRef, run: RunDir) -> Path:
    """Return where a model's files lie: a source's path, or the `model/` folder of the cell that made it."""
    if ref.cell is not None:
        path = run.cells / ref.cell / "model"
    elif ref.path is not None:
        path = Path(ref.path)
    else:
        raise RunError(f"model {ref.name!r} has neither a path nor a cell")
    if not path.exists():
        raise RunError(f"model {ref.name!r}: {path} does not exist")
    return path


def open_model(ref: ModelRef, run: RunDir, settings: Settings) -> Any:
    """Load a model with the plug-in that its reference names, in the way that it says."""
    options = plugins.options("models", Use(use=ref.use, **ref.options))
    return plugins.load("models", ref.use).open(ref.address or _allowed_path(ref, run), settings, options)


def _allowed_path(ref: ModelRef, run: RunDir) -> Path:
    """Return where a model's files lie, once their code is known to be that which was allowed."""
    path = model_path(ref, run)
    refuse_other_code(path, ref.trusted)
    return path


@dataclass(frozen=True)
class TeacherHandle:
    """A teacher that is loaded only if its outputs are not in the cache."""

    ref: ModelRef
    run: RunDir
    settings: Settings

    @property
    def identity(self) -> str:
        """What the teacher is, for cache keys."""
        return self.ref.identity

    @property
    def writer(self) -> str:
        """What decides the text that it writes."""
        ref, kind = self.ref, plugins.load("models", self.ref.use)
        unseen: frozenset[str] = getattr(kind, "unseen", frozenset())
        return digest([ref.content or ref.identity, ref.use, {k: v for k, v in ref.options.items() if k not in unseen}])

    @property
    def offers(self) -> frozenset[str]:
        """What can be asked of it."""
        return frozenset(plugins.load("models", self.ref.use).offers)

    def open(self) -> Any:
        """Load it."""
        return open_model(self.ref, self.run, self.settings)

    def tokenizer(self) -> Any:
        """Load its tokenizer alone; None where its family has none."""
        ref, kind = self.ref, plugins.load("models", self.ref.use)
        if not hasattr(kind, "tokenizer_of"):
            return None
        path = _allowed_path(ref, self.run)
        if not getattr(kind, "permits", None):
            return kind.tokenizer_of(path)
        return kind.tokenizer_of(path, plugins.options("models", Use(use=ref.use, **ref.options)))
