"""What a cell is expected to need before it runs, and where each number comes from. Unknown is null, never 0."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from distbench.schema.strict import Strict

Source = Literal["record", "probe", "scaled", "computed", "unknown"]


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


def about(value: float, factor: float, source: Source, why: str, sure: float | None = None) -> Forecast:
    """Return a forecast that is right within a factor; it is never below what is sure."""
    value = max(value, sure or 0.0)
    return Forecast(value=value, lo=max(value / factor, sure or 0.0), hi=value * factor, source=source, why=why,
                    sure=sure)  # fmt: skip
