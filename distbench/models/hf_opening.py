"""How transformers may open a checkpoint: nothing of it runs, and no pickle is read, unless that was allowed by name.

What is allowed is passed on explicitly every time: transformers itself would ask at the terminal, or fall back.
"""

from __future__ import annotations

import atexit
import contextlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from distbench.data.checkpoint import check_checkpoint
from distbench.data.trust import Trust, code_named
from distbench.errors import DistbenchError, EnvironmentFault, RefusedError
from distbench.schema.wording import harmless
from distbench.store.leftovers import temporary_folder

PERMITS = frozenset({"trust_remote_code", "allow_pickle"})
CODE = "let the Python run that the checkpoint brings (auto_map); of a hub model only at a pinned commit"
PICKLE = "read weights from pytorch_model.bin where there are no safetensors: as weights only, no code runs"
UNREADABLE = (ValueError, KeyError, RuntimeError, ImportError, UnpicklingError)


@dataclass(frozen=True)
class Opening:
    """What was found, and allowed, of a checked folder."""

    runs_code: bool
    pickled: bool

    def words(self) -> dict[str, Any]:
        """Return what `from_pretrained` is told."""
        return {
            "use_safetensors": not self.pickled,
            "weights_only": True,
            "trust_remote_code": self.runs_code,
        }


def opening(folder: Path, trust: Trust) -> Opening:
    """Check a folder and return how it may be opened.

    Raises RefusedError for what is damaged, or not allowed; EnvironmentFault where a file is missing.
    """
    files = check_checkpoint(folder, trust)
    return Opening(runs_code=runs_code(folder, trust), pickled=files[0].suffix == ".bin")


def runs_code(folder: Path, trust: Trust) -> bool:
    """Return whether code of a folder will run: it names some, and somebody allowed it."""
    runs = trust.code and bool(code_named(folder))
    if runs:
        _keep_modules_apart()
    return runs


@cache
def _keep_modules_apart() -> None:
    """Give this process its own folder for the code of checkpoints.

    transformers copies it to a folder of the user and imports it from there; of two processes that do so at once, one
    can meet half a file.
    """
    from transformers import dynamic_module_utils

    kept = contextlib.ExitStack()
    atexit.register(kept.close)
    dynamic_module_utils.HF_MODULES_CACHE = str(kept.enter_context(temporary_folder("modules")))


def fresh_like(module: Any, config: Any, dtype: Any = None) -> Any:
    """Return an untrained module of a changed configuration; `dtype` None: in the type of `module`.

    It is of the module's own class, which transformers may not know: then a checkpoint's code defines it, and that was
    allowed when it was opened.
    """
    return type(module)._from_config(config, dtype=module.dtype if dtype is None else dtype)  # noqa: SLF001


def unreadable(folder: Path, error: Exception, verb: str) -> DistbenchError:
    """Return in one line why transformers cannot load a folder, or do what `verb` says with it."""
    first = harmless(next(iter(str(error).splitlines()), type(error).__name__))[:160]
    if isinstance(error, UnpicklingError):
        return RefusedError(f"{folder}: its pickle holds more than weights, and was not loaded ({first})")
    if isinstance(error, ImportError):
        return EnvironmentFault(f"{folder}: it needs a package that is not here ({first})")
    return RefusedError(f"{folder}: transformers cannot {verb} it ({first})")


def no_tokenizer(folder: Path, error: Exception) -> DistbenchError:
    """Return in one line why there is no tokenizer: it needs code that nobody allowed, or is not there."""
    first = next(iter(str(error).splitlines()), type(error).__name__)
    if "trust_remote_code" in str(error):
        return RefusedError(
            f"{folder}/tokenizer_config.json names code to run; to let it run, read its .py files and give "
            "trust_remote_code: true (a student: options: {trust_remote_code: true}) or --trust-remote-code MODEL"
        )
    return EnvironmentFault(f"{folder}: no usable tokenizer ({first[:120]})")
