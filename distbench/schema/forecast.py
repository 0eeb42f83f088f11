"""What a cell is expected to need before it runs, and where each number comes from. Unknown is null, never 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from pydantic import Field

from distbench.schema.strict import Strict

Source = Literal["record", "probe", "scaled", "computed", "unknown"]
SOURCES: tuple[Source, ...] = get_args(Source)  # the best first


class Forecast(Strict):
    """A quantity before it is measured. `lo` and `hi` hold it in about 9 of 10 cases; `why` says how it was found.

    record: the same work on this machine; probe: a short trial of it; scaled: from records of similar work; computed:
    from the model's files.
    """

    value: float | None
    lo: float | None = None
    hi: float | None = None
    source: Source
    why: str
    sure: float | None = Field(None, description="it cannot be less than this: what a refusal rests on")


class CellForecast(Strict):
    """What one cell needs. Seconds leave out the start of its process; bytes; joules of the scope that `why` names."""

    seconds: Forecast
    memory_bytes: Forecast = Field(description="of the host, at the peak; of a measurement with all its models")
    device_memory_bytes: Forecast | None = Field(None, description="of the accelerator; null: the cell runs on the CPU")
    disk_bytes: Forecast = Field(description="what stays")
    scratch_bytes: Forecast = Field(description="what lies on disk besides while it works")
    energy_joules: Forecast


def unknown(why: str) -> Forecast:
    """Return the forecast of what nobody knows."""
    return Forecast(value=None, source="unknown", why=why)


def closest(found: Sequence[Forecast | None]) -> Forecast | None:
    """Return the one that is known most closely: of equal ranges the one from a better source, then the first."""

    def wide(each: Forecast | None) -> tuple[float, int]:
        if each is None or each.value is None or each.lo is None or each.hi is None:
            return float("inf"), len(SOURCES)
        return round(each.hi / each.lo, 6) if each.lo else float("inf"), SOURCES.index(each.source)

    return min(found, key=wide)


def about(value: float, factor: float, source: Source, why: str, sure: float | None = None) -> Forecast:
    """Return a forecast that is right within a factor; it is never below what is sure."""
    value = max(value, sure or 0.0)
    return Forecast(value=value, lo=max(value / factor, sure or 0.0), hi=value * factor, source=source, why=why,
                    sure=sure)  # fmt: skip
