"""Can the readings of a measurement be what a clock and a counter read?"""

from __future__ import annotations

from collections.abc import Iterator

from distbench.cell.measure import AGAIN
from distbench.schema.cell import MeasureCell
from distbench.schema.record import CellRecord, MakeResult, MeasureResult, Series
from distbench.verify.looking import Look
from distbench.verify.subject import Subject

SLACK = 1.01  # clocks of two processes
LATENCY = ("latency", "e2e_ms")
CLOCK_UNITS = {"ms", "tokens/s", "samples/s"}


def _measured(subject: Subject) -> Iterator[tuple[str, CellRecord, MeasureResult]]:
    for name, record in subject.records.items():
        if isinstance(record.result, MeasureResult):
            yield name, record, record.result


def values(subject: Subject, look: Look) -> None:
    """Every reading belongs to a model of the cell, a launch and a round, and is a number that can be read."""
    for name, _, result in _measured(subject):
        where = subject.title(name)
        cell = subject.planned.get(name)
        meters = set(cell.meters) if isinstance(cell, MeasureCell) else None
        for series in result.series:
            look.saw(len(series.values))
            what = f"{series.metric} ({series.workload}) of {series.model}"
            for why in _faults(series, result, meters):
                look.damaged(where, f"{what}: {why}")
        for why in _meanings(result):
            look.damaged(where, why)
        if result.control is not None and result.control != result.models[0] + AGAIN:
            look.damaged(where, f"the teacher's second process is called {result.control!r}")
        for model in sorted(set(result.footprints) - set(result.models)):
            look.damaged(where, f"it states the size of {model!r}, which it did not measure")


def _faults(series: Series, result: MeasureResult, meters: set[str] | None) -> Iterator[str]:
    if series.model not in {*result.models, result.control}:
        yield "no such model was measured"
    if meters is not None and series.meter not in meters:
        yield f"no meter {series.meter!r} was planned"
    if not len(series.values) == len(series.launch) == len(series.pair):
        yield "not every value has a launch and a round"
    if any(not 0 <= launch < result.launches for launch in series.launch):
        yield f"a value of a launch that was not among the {result.launches}"
    if series.unit in CLOCK_UNITS and any(value <= 0 for value in series.values):
        yield "a clock that did not go forward"
    if series.status == "not_measurable" and series.values:
        yield "it could not be measured, and has values"
    if not series.values and series.reason is None:
        yield "no value, and no reason why"


def _meanings(result: MeasureResult) -> Iterator[str]:
    """Yield metrics that are counted in another unit for one model than for another."""
    seen: dict[tuple[str, str], tuple[str, bool]] = {}
    for series in result.series:
        key, meaning = (series.meter, series.metric), (series.unit, series.higher_is_better)
        if seen.setdefault(key, meaning) != meaning:
            yield f"{series.metric} of {series.model} has another unit or direction than for another model"


def clocks(subject: Subject, look: Look) -> None:
    """What was timed fits into the time that its cell took, and the cell ran on one machine that is known."""
    for name, record in subject.records.items():
        if record.imported is not None:
            continue
        where, took = subject.title(name), record.seconds
        look.saw()
        if took is None or took < 0:
            look.damaged(where, f"it took {took} seconds")
            continue
        inside = _timed(record)
        if inside > took * SLACK + 0.01:
            look.damaged(where, f"{inside:.2f} s were timed in a cell that took {took:.2f} s")
        if isinstance(record.result, MeasureResult) and record.host is None:
            look.damaged(where, "the machine that it was measured on is not known")


def _timed(record: CellRecord) -> float:
    """Return the seconds in which something was timed, one after the other, inside a cell."""
    result = record.result
    if isinstance(result, MakeResult):
        return result.training.seconds if result.training else 0.0
    if not isinstance(result, MeasureResult):
        return 0.0
    steps = [each for each in result.series if (each.meter, each.metric) == LATENCY and each.status == "measured"]
    return sum(sum(each.values) for each in steps) / 1e3 + sum(each.seconds for each in result.warm_ups)
