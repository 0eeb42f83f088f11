"""Which context lengths a model was not run at, and what its records say about it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distbench.compare.evidence import Evaluated
from distbench.compare.sides import NOT_RUN, Side
from distbench.store.samples import read_rows

WHO = ("teacher", "student")
MOST_LENGTHS = 16  # a task with more distinct lengths has documents of any length, not lengths that were asked for


def not_run(who: str, side: Side, file: Evaluated, mask: NDArray[np.bool_]) -> str | None:
    """Say that samples under `mask` were not run, how many and why (as the first one records it); None: all were."""
    left = mask & (side.status == NOT_RUN)
    if not left.any():
        return None
    row = int(side.rows[np.flatnonzero(left)[0]])
    why = read_rows(file.files, [row], ("prediction",))[row]["prediction"] or "no reason recorded"
    count = "" if left.sum() == mask.sum() else f" on {left.sum():,} of {mask.sum():,}"
    return f"{who} not run{count}: {why.removeprefix('not run: ')}"


def lengths_not_run(sides: tuple[Side, Side], files: tuple[Evaluated, Evaluated]) -> str:
    """Return the lengths that a side was not run at as a whole, each side with its reason; empty: there are none."""
    found = []
    for who, side, file in zip(WHO, sides, files, strict=True):
        lengths = side.numbers.get("length")
        if lengths is None:
            continue
        asked = np.unique(lengths[np.isfinite(lengths)])
        missing = [each for each in asked if (side.status[lengths == each] == NOT_RUN).all()]
        if missing and asked.size <= MOST_LENGTHS:
            named = ", ".join(f"{int(each):,}" for each in missing)
            found.append(f"length {named}: {not_run(who, side, file, np.isin(lengths, missing))}")
    return "; ".join(found)
