"""What is known of a model's energy before it is measured: a number far from it says more about the instrument."""

from __future__ import annotations

import re
from statistics import median

from distbench.schema.record import Footprint, MeasureResult, Series

METRIC = "gross_joules_per_token"
SCOPE = "GPU board"
SIZES = (6e9, 10e9)  # parameters; other sizes have no anchor
BATCH = 8  # at least
JOULES = (0.05, 0.6)  # a generated token


def implausible_energy(result: MeasureResult) -> list[str]:
    """Return a warning for each model of about 8 billion parameters whose joules a token nobody else has read.

    ML.ENERGY v3 has 0.455 to 0.070 J a generated token for Llama-3.1-8B on one H100 at batch 8 to 512, and 0.444 to
    0.072 for Qwen3-8B (https://ml.energy/leaderboard).
    """
    found = []
    for series in result.series:
        size = result.footprints.get(series.model, Footprint()).params_unique
        if size is None or not SIZES[0] <= size <= SIZES[1] or not _anchored(series):
            continue
        joules = median(series.values)
        if not JOULES[0] <= joules <= JOULES[1]:
            found.append(
                f"{series.model} used {joules:.3g} J a token at {series.workload}; models of its size were read at "
                f"{JOULES[0]:g} to {JOULES[1]:g}: look at the instrument before believing it."
            )
    return found


def _anchored(series: Series) -> bool:
    """Say whether others have read what this series holds: tokens of larger batches, of a whole board."""
    batch = re.fullmatch(r"batch (\d+)", series.workload)
    here = (series.metric, series.scope, series.status) == (METRIC, SCOPE, "measured")
    return here and bool(series.values) and batch is not None and int(batch[1]) >= BATCH
