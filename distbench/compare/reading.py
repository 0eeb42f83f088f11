"""One way to get a result: from a run directory, which is compared afresh, or from a result.json."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from distbench.compare.run import compare
from distbench.errors import RefusedError, UsageError
from distbench.schema.result import Result
from distbench.schema.wording import first_fault
from distbench.store.plain import plain_bytes
from distbench.store.run_dir import RunDir


def read_result(path: Path) -> Result:
    """Return the result of a run directory or of a result document.

    Raises UsageError where there is neither, RefusedError where it is damaged or of another version, RunError where
    nothing of a run has finished.
    """
    return read_document(path) if path.is_file() else compare(RunDir.existing(path))


def read_document(path: Path) -> Result:
    """Read what `compare --json` printed or a run wrote as result.json."""
    if path.name == "manifest.json":
        raise UsageError(f"{path} is a run's manifest; name its directory {path.parent}")
    try:
        return Result.model_validate_json(plain_bytes(path))
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise RefusedError(
            f"{path} is no result document of this version of distbench: at {first_fault(error)}"
        ) from None
