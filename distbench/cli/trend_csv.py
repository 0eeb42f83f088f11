"""A trend as CSV: a row for each student and release, raw numbers, empty for unknown, nothing a spreadsheet runs."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.exports.csv_rows import harmless, quoted
from distbench.schema.estimate import Estimate
from distbench.schema.trend import Trend, TrendPoint

_ESTIMATES = ("retained", "speedup", "memory", "energy", "change")
_TEXTS = ("verdict", "reason", "basis", "change_verdict", "change_reason")
COLUMNS = (
    "release", "run", "created_at", "student", "label", "role", "present",
    *(f"{name}{part}" for name in _ESTIMATES for part in ("", "_lo", "_hi", "_n")),
    "bytes_on_disk", "compression", "p_value", "p_holm", "same_model", "same_teacher", *_TEXTS,
)  # fmt: skip


def trend_csv(trend: Trend) -> str:
    """Return the table; a release without a student is a row that says so, without numbers."""
    rows: list[Sequence[str]] = [COLUMNS]
    for line in trend.lines:
        for release, point in zip(trend.releases, line.points, strict=True):
            who = [release.label, release.run, release.created_at, line.name, line.label, line.role]
            present = "false" if point is None else "true"
            rest = [""] * (len(COLUMNS) - 7) if point is None else _cells(point)
            rows.append([*map(_text, who), present, *rest])
    return "".join(",".join(row) + "\n" for row in rows)


def _cells(point: TrendPoint) -> list[str]:
    found = [part for name in _ESTIMATES for part in _estimate(getattr(point, name))]
    found += [_number(value) for value in (point.bytes_on_disk, point.compression, point.p_value, point.p_holm)]
    found += [{True: "true", False: "false", None: ""}[value] for value in (point.same, point.same_teacher)]
    return found + [_text(getattr(point, name) or "") for name in _TEXTS]


def _text(value: str) -> str:
    return quoted(harmless(value)) if value else ""


def _estimate(found: Estimate | None) -> list[str]:
    if found is None:
        return [""] * 4
    return [_number(value) for value in (found.value, found.lo, found.hi, found.n)]


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)
