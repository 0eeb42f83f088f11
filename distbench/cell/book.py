"""Raw readings of a measurement, until they become series."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from distbench.protocols import About, Missing, Quantity, Readings
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
    reasons: dict[Key, list[Missing]] = field(default_factory=dict)
    about: dict[tuple[str, str], About] = field(default_factory=dict)  # by model and "meter/workload"

    def add(self, model: str, workload: str, readings: Readings, launch: int, number: int) -> None:
        """Keep what one repetition of `workload` ("meter/name") read."""
        meter, _, name = workload.partition("/")
        for metric, value in readings.items():
            key = Key(model, meter, metric, name)
            kept = self.values.setdefault(key, [])
            if isinstance(value, Missing):
                self.reasons.setdefault(key, []).append(value)
                continue
            several = value if isinstance(value, list) else [value]
            kept += [Value(one, launch, number) for one in several]

    def tell(self, model: str, workload: str, about: About) -> None:
        """Remember where the readings of `workload` ("meter/name") come from, as one launch saw it."""
        before = self.about.get((model, workload))
        self.about[model, workload] = about if before is None else _joined(before, about)

    def once(self, model: str, reading: dict[str, Any], launch: int) -> None:
        """Keep a reading of a fresh process, or the reason why there is none."""
        key = Key(model, reading["meter"], reading["metric"], reading["workload"])
        about = About(**reading["about"])
        if reading["value"] is not None:
            self.values.setdefault(key, []).append(Value(reading["value"], launch, 0))
            self.tell(model, f"{key.meter}/{key.workload}", about)
        elif launch == 0:
            self.missing.append(
                Series(
                    **key._asdict(),
                    unit=reading["unit"],
                    higher_is_better=reading["higher"],
                    values=[],
                    status="not_measurable",
                    reason=reading["reason"],
                    remedy=reading["remedy"],
                    method=reading["method"],
                    scope=about.scope,
                    facts=about.facts,
                )
            )

    def by_round(self, key: Key) -> dict[tuple[int, int], float]:
        """Return one value a (launch, round): the median where a repetition read several."""
        together: dict[tuple[int, int], list[float]] = {}
        for one in self.values.get(key, []):
            together.setdefault((one.launch, one.round), []).append(one.value)
        return {when: median(values) for when, values in together.items()}

    def only_reasons(self, meter: str) -> bool:
        """Say whether a meter has given reasons so far, and not one value."""
        given = any(key.meter == meter for key in self.reasons) or any(one.meter == meter for one in self.missing)
        return given and not any(rows for key, rows in self.values.items() if key.meter == meter)

    def series(self, quantities: dict[tuple[str, str], Quantity]) -> list[Series]:
        """Return everything measured and everything that could not be."""
        return [self._series(key, quantities[key.meter, key.metric]) for key in self.values] + self.missing

    def _series(self, key: Key, quantity: Quantity) -> Series:
        rows, reasons = self.values[key], self.reasons.get(key, [])
        broken = next((why for why in reasons if why.final), None)
        why = broken or next(iter(reasons), None)
        if broken is not None:
            rows = []
        about = self.about.get((key.model, f"{key.meter}/{key.workload}"), About())
        reason = why.reason if why else None
        if why is not None and rows:
            reason = f"{len(reasons)} of {len(rows) + len(reasons)} repetitions have no value: {why.reason}"
        return Series(
            **key._asdict(),
            unit=quantity.unit,
            higher_is_better=quantity.higher_is_better,
            method=quantity.method,
            ratio=quantity.ratio,
            values=[row.value for row in rows],
            launch=[row.launch for row in rows],
            pair=[row.round for row in rows],
            status=about.status if rows else "not_measurable",
            reason=reason,
            remedy=(why.remedy or None) if why else None,
            scope=about.scope,
            facts=about.facts,
        )


def _joined(before: About, after: About) -> About:
    """Return what two launches say of one instrument: the larger of two numbers, the later of two words."""
    facts = dict(after.facts)
    for name, value in before.facts.items():
        now = facts.setdefault(name, value)
        if isinstance(value, float | int) and isinstance(now, float | int):
            facts[name] = max(value, now)
    return About(after.scope, after.status, facts)
