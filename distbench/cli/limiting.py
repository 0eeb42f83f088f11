"""`--cell-seconds` and `--cell-memory`: limits of this start, in the place of the suite's."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from distbench.errors import UsageError
from distbench.schema.limits import Limit, Limits
from distbench.schema.sizes import SIZE_WORDS
from distbench.suite.load import LoadedSuite


def limited(loaded: LoadedSuite, seconds: float | None, memory: str | None) -> LoadedSuite:
    """Return a suite with the command line's limits for every kind of cell. Its digest stays: limits decide no number.

    Raises UsageError for a limit that is none.
    """
    if seconds is None and memory is None:
        return loaded
    try:
        Limit(seconds=seconds, memory=memory)
    except ValidationError as error:
        if error.errors()[0]["loc"] == ("memory",):
            raise UsageError(f"--cell-memory {str(memory)[:40]!r}: expected {SIZE_WORDS}") from None
        raise UsageError(f"--cell-seconds {seconds}: expected a number above 0, at most a year") from None
    limits = (loaded.suite.limits or Limits()).overridden(seconds, memory)
    return replace(loaded, suite=loaded.suite.model_copy(update={"limits": limits}))
