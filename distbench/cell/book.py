"""Raw readings of a measurement, until they become series."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from distbench.protocols import Quantity, Readings
from distbench.schema.record import Series


class Key(NamedTuple):
    """What a series is about."""

    model: str
    meter: str
    metric: str
    workload: str


class Value(NamedTuple):
    """One raw value, and when it was read."""

    value: float
    launch: int
    round: int


@dataclass
class Book:
    """Collects raw values; nothing is averaged before it is stored."""

    values: dict[Key, list[Value]] = field(default_factory=dict)
    missing: list[Series] = field(default_factory=list)

    def add(self, model: str, workload: str, readings: Readings, launch: int, number: int) -> None:
        """Keep what one repetition of `workload` ("meter/name") read."""
        meter, _, name = workload.partition("/")
        for metric, value in readings.items():
            several = value if isinstance(value, list) else [value]
            kept = self.values.setdefault(Key(model, meter, metric, name), [])
            kept += [Value(one, launch, number) for one in several]

    def once(self, model: str, reading: dict[str, Any], launch: int) -> None:
        """Keep a reading of a fresh process, or the reason why there is none."""
        key = Key(model, reading["meter"], reading["metric"], reading["workload"])
        if reading["value"] is not None:
            self.values.setdefault(key, []).append(Value(reading["value"], launch, 0))
        elif launch == 0:
            self.missing.append(
                Series(
                    **key._asdict(),
                    unit=reading["unit"],
                    higher_is_better=reading["higher"],
                    values=[],
                    status="not_measurable",
                    reason=reading["reason"],
                    method=reading["method"],
                )
            )

    def by_round(self, key: Key) -> dict[tuple[int, int], float]:
        """Return one value a (launch, round): the median where a repetition read several."""
        together: dict[tuple[int, int], list[float]] = {}
        for one in self.values.get(key, []):
            together.setdefault((one.launch, one.round), []).append(one.value)
        return {when: median(values) for when, values in together.items()}

    def series(self, quantities: dict[tuple[str, str], Quantity]) -> list[Series]:
        """Return everything measured and everything that could not be."""
        made = []
        for key, rows in self.values.items():
            quantity = quantities[key.meter, key.metric]
            made.append(
                Series(
                    **key._asdict(),
                    unit=quantity.unit,
                    higher_is_better=quantity.higher_is_better,
                    method=quantity.method,
                    values=[row.value for row in rows],
                    launch=[row.launch for row in rows],
                    pair=[row.round for row in rows],
                )
            )
        return made + self.missing
