"""The table of bad input, row by row: exit code, one line that says what and where, nothing written, in little time."""

from __future__ import annotations

import pytest

from tests.acceptance import model_rows, run_rows, suite_rows
from tests.acceptance.row import Place, Row, check

ROWS: list[Row] = [*suite_rows.ROWS, *model_rows.ROWS, *run_rows.ROWS]


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_row(row: Row, place: Place) -> None:
    check(row, place)


def test_every_row_of_the_table_is_here() -> None:
    assert {row.number for row in ROWS} == set(range(1, 37))
    assert len({row.id for row in ROWS}) == len(ROWS)
