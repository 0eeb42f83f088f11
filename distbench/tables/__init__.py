"""A result as tidy tables: what data frames and files of rows are made of.

One row a thing, one column a variable, raw numbers without rounding. A number that is not known is None and its reason
stands in a column beside it. Names of columns are stable: they are added, not renamed.
"""

from distbench.tables.decisions import CELLS, DISAGREEMENTS, GATE, STUDIES, TRADE_OFF, WARNINGS
from distbench.tables.measured import MEASUREMENTS
from distbench.tables.models import SEEDS, STUDENTS, TEACHERS
from distbench.tables.table import Column, Row, Table
from distbench.tables.tasks import BIAS, CALIBRATION, CONTEXT, DIVERGENCES, GROUPS, TASKS

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        STUDENTS,
        TEACHERS,
        TASKS,
        MEASUREMENTS,
        GATE,
        TRADE_OFF,
        STUDIES,
        SEEDS,
        GROUPS,
        CONTEXT,
        BIAS,
        CALIBRATION,
        DIVERGENCES,
        DISAGREEMENTS,
        CELLS,
        WARNINGS,
    )
}

__all__ = ["TABLES", "Column", "Row", "Table"]
