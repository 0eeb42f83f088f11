"""Random tables and score arrays for the property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from distbench.stats import Cells

counts = st.one_of(st.integers(0, 3), st.integers(0, 60), st.integers(0, 2000))
tables = st.tuples(counts, counts, counts, counts).filter(lambda c: sum(c) >= 2).map(lambda c: Cells(*c))
baselines = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9])
margins = st.floats(-0.5, 1.5)


@st.composite
def score_pairs(draw: st.DrawFn, *, min_size: int = 4, max_size: int = 60):
    """Paired real scores (student, teacher) of a teacher that is usually good."""
    n = draw(st.integers(min_size, max_size))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    teacher = rng.normal(2.0, 1.0, n)
    return 0.9 * teacher + rng.normal(0.0, draw(st.floats(0.05, 1.0)), n), teacher
