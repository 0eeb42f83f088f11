"""How long a cell will take: as long as it took before, or as similar work did, scaled by what is asked and how large.

The first answer that can be given is given: the same work; the same with another number of samples; a task with other
models and the model with other tasks, together; one of the two; anything of its kind. Where there is no record at all
nothing is said: no constant of ours knows this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from distbench.plan.estimates import ranges
from distbench.plan.estimates.asked import Asked
from distbench.plan.estimates.past import Past
from distbench.plan.estimates.similar import Similar
from distbench.schema.forecast import Forecast, Source, about, unknown

FEW = 12  # rows of a kind that are looked at: more say no more
SMALL = 20e6  # parameters: below about this many, a sample's time is Python's and not the model's
FAR = 10.0  # beyond this ratio of sizes an estimate is an extrapolation


def seconds_of(work: Asked, similar: Similar) -> Forecast:
    """Return the seconds of a cell, without the start of its process."""
    by_kind = {"evaluate": _evaluation, "make": _making, "measure": _measurement}
    found = _recorded(work, similar) or by_kind[work.kind](work, similar)
    if found is None:
        return unknown(_nothing(work, similar))
    if similar.other_threads and found.lo is not None and found.hi is not None:
        more = {"lo": found.lo / ranges.OTHER_THREADS, "hi": found.hi * ranges.OTHER_THREADS}
        return found.model_copy(update=more | {"source": "scaled", "why": f"{found.why}; with other threads"})
    return found


def _nothing(work: Asked, similar: Similar) -> str:
    words = {"evaluate": "an evaluation", "make": "making a model in this way", "measure": "such a measurement"}
    more = f" ({similar.elsewhere} records are of other machines, devices or dtypes)" if similar.elsewhere else ""
    return f"no record of {words[work.kind]} on this machine{more}"


def _recorded(work: Asked, similar: Similar) -> Forecast | None:
    rows = similar.of_both(work.signature, work.model)
    itself = similar.by_id.get(work.id)  # its id holds how many samples it asks, also where nobody knows the number
    same = [itself] if itself else [row for row in rows if not row.probe and _equal(row.amount, work.amount)]
    if same:
        return about(median([row.seconds for row in same]), _spread(same, ranges.SAME), "record",
                     f"the same work was recorded here{_times(same)}")  # fmt: skip
    if rows and work.kind == "evaluate":
        source: Source = "probe" if all(row.probe for row in rows) else "scaled"
        words = "a short trial of it" if source == "probe" else "the same task and model with other samples"
        return about(_at(rows, work.amount), _wide(ranges.RESCALED, work, rows), source, words)
    return None


def _at(rows: Sequence[Past], amount: float | None) -> float:
    """Return the seconds of one model on one task at so many samples.

    A part is the same for any number of samples: with two numbers it is told from the rest, with one it is not.
    """
    if amount is None or not all(row.amount for row in rows):
        return median([row.seconds for row in rows])
    equal = [row.seconds for row in rows if _equal(row.amount, amount)]
    few, many = min(rows, key=_amount), max(rows, key=_amount)
    if equal or _amount(few) == _amount(many):
        return median(equal or [row.seconds * amount / _amount(row) for row in rows])
    slope = (many.seconds - few.seconds) / (_amount(many) - _amount(few))
    if slope <= 0:  # noise: the larger one is nearer to what is asked
        return many.seconds * max(1.0, amount / _amount(many))
    return max(few.seconds - slope * _amount(few), 0.0) + slope * amount


def _amount(row: Past) -> float:
    return row.amount or 0.0


def _evaluation(work: Asked, similar: Similar) -> Forecast | None:
    mine, others = similar.of_model(work.model)[:FEW], similar.of_work(work.signature)
    if mine and others and (both := _two_way(work, mine, others[:FEW], similar)):
        return about(median(both), _wide(ranges.TWO_WAY, work, others), "scaled",
                     "this task with other models, and this model with other tasks")  # fmt: skip
    if others:
        rows = _nearest(work, others)
        models = [similar.of_both(work.signature, model) for model in dict.fromkeys(row.model for row in rows)]
        times = [_at(each, work.amount) * _larger(work.params, each[0].params) for each in models]
        return about(median(times), _wide(ranges.OTHER_MODEL, work, rows, sized=True), "scaled",
                     "this task with other models, by size")  # fmt: skip
    if mine:
        tokens = similar.tokens(work.signature)
        words = f"this model on other tasks, by {'tokens' if tokens else 'samples'}"
        tasks = [similar.of_both(task, work.model) for task in dict.fromkeys(row.signature for row in mine)]
        times = [_at(each, work.amount) * _longer(tokens, each[0]) for each in tasks]
        return about(median(times), _wide(ranges.OTHER_TASK, work, mine), "scaled", words)
    rows = _nearest(work, [row for row in similar.of_kind("evaluate") if row.amount and row.use == work.use])
    if not rows:
        return None
    return about(_scaled(work, rows, by_size=True), _wide(ranges.OTHER_BOTH, work, rows, sized=True), "scaled",
                 "other models on other tasks, by samples and size")  # fmt: skip


def _two_way(work: Asked, mine: Sequence[Past], others: Sequence[Past], similar: Similar) -> list[float]:
    """Return (this model there) × (others here) ÷ (others there), for each pair that has the third."""
    found = []
    for model in dict.fromkeys(row.model for row in others):
        here = _at(similar.of_both(work.signature, model), work.amount)
        for there in mine:
            between = [row for row in similar.of_both(there.signature, model) if row.amount == there.amount]
            if between:
                found.append(there.seconds * here / between[0].seconds)
    return found


def _making(work: Asked, similar: Similar) -> Forecast | None:
    factor, words = ranges.OTHER_MODEL, "models made in the same way"
    rows = _nearest(work, similar.of_work(work.signature))
    if not rows:  # a training takes as long as other trainings rather than as a conversion does
        trained = work.amount is not None
        factor, words = ranges.OTHER_BOTH, "other trainings" if trained else "models made in other ways"
        family = [row for row in similar.of_kind("make") if row.use == work.use]
        rows = _nearest(work, [row for row in family if (row.amount is not None) == trained])
    if not rows:
        return None
    by = "data and size" if work.amount is not None else "size"
    return about(_scaled(work, rows, by_size=True), _wide(factor, work, rows, sized=True), "scaled",
                 f"{words}, by {by}")  # fmt: skip


def _measurement(work: Asked, similar: Similar) -> Forecast | None:
    rows = similar.of_work(work.signature)
    if not rows:
        return None
    return about(_scaled(work, rows, by_size=False), ranges.OTHER_MODEL, "scaled",
                 "the same meters on other models, by their number")  # fmt: skip


def _nearest(work: Asked, rows: Sequence[Past]) -> list[Past]:
    """Return the rows of the models that are nearest in size, at most five."""
    if work.params is None:
        return list(rows[:FEW])

    def far(row: Past) -> float:
        return max(row.params / work.params, work.params / row.params) if row.params and work.params else float("inf")

    return sorted(rows, key=far)[:5]


def _scaled(work: Asked, rows: Sequence[Past], *, by_size: bool) -> float:
    sizes = [_larger(work.params, row.params) if by_size else 1.0 for row in rows]
    return median([r.seconds * _ratio(work.amount, r.amount) * size for r, size in zip(rows, sizes, strict=True)])


def _larger(wanted: float | None, had: float | None) -> float:
    """Return how much longer a model takes than another by their parameters; 1 where a size is not known."""
    return (wanted + SMALL) / (had + SMALL) if wanted and had else 1.0


def _longer(tokens: float | None, row: Past) -> float:
    return tokens / (row.tokens / row.amount) if tokens and row.tokens and row.amount else 1.0


def _ratio(wanted: float | None, had: float | None) -> float:
    """Return how much more is wanted; 1 where it is not known, which `_wide` says."""
    return wanted / had if wanted and had else 1.0


def _wide(factor: float, work: Asked, rows: Sequence[Past], *, sized: bool = False) -> float:
    unknown_amount = work.amount is None and any(row.amount for row in rows)
    sizes = [_larger(work.params, row.params) for row in rows if row.params] if sized else []
    unsure = sized and (work.params is None or not sizes or not 1 / FAR <= median(sizes) <= FAR)
    return factor * (ranges.NOT_COUNTED if unknown_amount or unsure else 1.0)


def _spread(rows: Sequence[Past], least: float) -> float:
    times = [row.seconds for row in rows]
    return max(least, median(times) / min(times), max(times) / median(times))


def _times(rows: Sequence[Past]) -> str:
    return f" {len(rows)} times" if len(rows) > 1 else ""


def _equal(one: float | None, other: float | None) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) < 0.5)
