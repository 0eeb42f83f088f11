"""Tidy tables as pandas data frames: each column has its type also where it is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from distbench.errors import UsageError, did_you_mean
from distbench.schema.result import Result
from distbench.tables import TABLES, Column

# Text in Python's own strings: a foreign name may hold what UTF-8, and so Arrow, cannot.
_TEXT = pd.StringDtype("python", na_value=pd.NA)
_DTYPES: dict[str, Any] = {"text": _TEXT, "number": np.float64, "whole": pd.Int64Dtype(), "flag": pd.BooleanDtype()}


def frame_of(result: Result, name: str) -> pd.DataFrame:
    """Return a table of a result. Raises UsageError for a name that is none."""
    if name not in TABLES:
        raise UsageError(f"no table {name!r}{did_you_mean(name, TABLES)} (there are: {', '.join(TABLES)})")
    table = TABLES[name]
    rows = table.rows(result)
    return typed({each.name: [row[each.name] for row in rows] for each in table.columns}, table.columns)


def typed(values: Mapping[str, Any], columns: Sequence[Column]) -> pd.DataFrame:
    """Return a data frame of these columns, in their order; None becomes NaN or NA."""
    made = {each.name: pd.Series(values[each.name], dtype=_DTYPES[each.kind]) for each in columns}
    return pd.DataFrame(made, columns=[each.name for each in columns])
