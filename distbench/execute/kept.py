"""What of a run is kept when it is interrupted, in words."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.execute.queue import Cell
from distbench.store.run_dir import RunDir
from distbench.training import checkpoints


def kept_words(run: RunDir, cells: Sequence[Cell]) -> str:
    """Say how many cells are finished, and from which step each training that was given up will go on."""
    finished = [cell for cell in cells if (run.cells / cell.id).is_dir()]
    words = f"everything that finished is kept: {len(finished)} of {len(cells)} cells"
    for cell in cells:
        scratch = run.scratch(cell.id)
        complete = checkpoints.complete(scratch) if cell not in finished and scratch.is_dir() else []
        if complete:
            words += f"; '{cell.title}' will go on from step {checkpoints.step_of(complete[-1])}"
    return words
