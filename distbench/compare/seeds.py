"""All training runs of one student: what holds of the method, and not only of the checkpoint that is judged."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.estimates import missing, published
from distbench.compare.gap import suite_gap
from distbench.compare.pairs import Pair
from distbench.compare.seeds_beyond import HELDOUT, beyond_retention, rate_names, rate_of, rate_pairs
from distbench.compare.tasks import Compared
from distbench.compare.training_run import Beyond, Trained
from distbench.schema.studies import SeedRow, SeedSpread, SeedTask

ENOUGH = 3  # training runs from which on a sentence may be about the method


def seed_spread(runs: Sequence[Trained], alpha: float) -> SeedSpread | None:
    """Return the spread over training runs; None where there was to be only one.

    A seed of which either side did not finish is left out on both: the pairs stay pairs.
    """
    if len(runs) < 2:
        return None
    done = [run for run in runs if run.finished]
    left_out = [run.model.seed for run in runs if run not in done and run.model.seed is not None]
    rows = [_row(run, alpha) for run in done]
    if len(done) < 2:
        why = missing(f"{len(done)} of {len(runs)} training runs finished; a spread needs two")
        return SeedSpread(rows=rows, retained=why, missing=left_out)
    tasks = _tasks(done)
    beyond = beyond_retention(done, [_shared(_rates(name, done)) for name in rate_names(done)], alpha)
    if not tasks:
        why = missing("no task has a retention in every training run")
        return SeedSpread(rows=rows, others=beyond, retained=why, missing=left_out)
    controlled = all(task.control is not None for task in tasks.values())
    kept = list(tasks.values())
    # each task weighs the same in the gap, as it does for a single run
    alike = [replace(task, weight=1.0) for task in kept]
    shares = [row.retained.value for row in rows if row.retained.value is not None]
    return SeedSpread(
        rows=rows,
        tasks=[_task(name, task, done[0].retentions[name], alpha) for name, task in tasks.items()],
        others=beyond,
        retained=published(stats.retained_over_seeds(kept, alpha=alpha)),
        control_retained=published(stats.retained_over_seeds(_as_students(kept), alpha=alpha)) if controlled else None,
        gap_recovered=published(stats.gap_over_seeds(alike, alpha=alpha)) if controlled else None,
        deviation=float(np.std(shares, ddof=1)) if len(shares) == len(rows) else None,
        missing=left_out,
    )


def _row(run: Trained, alpha: float) -> SeedRow:
    assert run.model.seed is not None
    controls = {name: c.control for name, c in run.retentions.items() if c.control is not None}
    means: dict[str, float | None] = {name: float(each.student.mean()) for name, each in controls.items() if each.n}
    rates = {name: rate_of(c.control) for name, c in run.rates.items() if c.control is not None}
    return SeedRow(
        seed=run.model.seed,
        name=run.model.name,
        scores={name: c.result.student for name, c in (run.retentions | run.rates).items()} | _alone(run.beyond),
        control=means | rates | (_alone(run.control_beyond) if run.control_beyond else {}),
        retained=run.suite.retained,
        verdict=run.suite.verdict,
        gap_recovered=suite_gap(run.compared, alpha) if run.model.control else None,
    )


def _alone(beyond: Beyond) -> dict[str, float | None]:
    found: dict[str, float | None] = {name: each.estimate.value for name, each in beyond.divergences.items()}
    return found if beyond.heldout is None else found | {HELDOUT: beyond.heldout}


def _rates(name: str, runs: Sequence[Trained]) -> list[Pair]:
    students, controls = rate_pairs(name, runs)
    return [*students, *controls]


def _tasks(runs: Sequence[Trained]) -> dict[str, stats.SeededTask]:
    """Return the scores of every task that has a retention in all runs, on the items that all of them answered."""
    names = [name for name in runs[0].retentions if all(name in run.retentions for run in runs)]
    found = {name: _seeded([run.retentions[name] for run in runs]) for name in names}
    return {name: task for name, task in found.items() if task is not None}


def _seeded(compared: Sequence[Compared]) -> stats.SeededTask | None:
    first, students = compared[0].pair, [c.pair for c in compared]
    controls = [c.control for c in compared if c.control is not None]
    controls = controls if len(controls) == len(students) else []
    places = _shared([*students, *controls])
    clusters = None if first.clusters is None else first.clusters[places[0]]
    if len(places[0] if clusters is None else np.unique(clusters)) < 2:
        return None
    scores = [pair.student[at] for pair, at in zip([*students, *controls], places, strict=True)]
    part = compared[0].part
    assert part is not None, "a retention has a part"
    return stats.SeededTask(
        teacher=first.teacher[places[0]],
        student=np.stack(scores[: len(students)]),
        control=np.stack(scores[len(students) :]) if controls else None,
        scale=(first.facts.baseline, first.facts.best),
        clusters=clusters,
        weight=part.weight,
    )


def _shared(pairs: Sequence[Pair]) -> list[NDArray[np.intp]]:
    """Return where the teacher's items that all pairs share lie in each of them, in one order."""
    rows = [np.arange(len(pair.sides[0]))[pair.places[0]] for pair in pairs]
    common = functools.reduce(np.intersect1d, rows)
    return [np.flatnonzero(np.isin(each, common)) for each in rows]  # a pair keeps the teacher's order


def _task(name: str, task: stats.SeededTask, compared: Compared, alpha: float) -> SeedTask:
    facts = compared.pair.facts

    def score(values: NDArray[np.float64]) -> stats.Estimate:
        return stats.score_over_seeds(values, clusters=task.clusters, alpha=alpha)

    delta = both = None
    if task.control is not None:
        means = task.student.mean(axis=1), task.control.mean(axis=1)
        higher = facts.higher_is_better
        delta = stats.seed_difference(*means, higher_is_better=higher, alpha=alpha)
        both = stats.difference_over_seeds(
            task.student, task.control, higher_is_better=higher, clusters=task.clusters, alpha=alpha
        )
    return SeedTask(
        task=name,
        metric=facts.name,
        higher_is_better=facts.higher_is_better,
        student=published(score(task.student)),
        control=None if task.control is None else published(score(task.control)),
        delta=None if delta is None else published(delta),
        delta_both=None if both is None else published(both),
    )


def _as_students(tasks: Sequence[stats.SeededTask]) -> list[stats.SeededTask]:
    return [replace(task, student=task.control, control=None) for task in tasks if task.control is not None]


def seed_warnings(spread: SeedSpread | None, *, same_model: bool) -> list[str]:
    """Return what must be known about the training runs: which is judged, and whether the others would be judged so."""
    if spread is None:
        return []
    found = []
    if spread.missing:
        listed = ", ".join(map(str, spread.missing))
        found.append(f"Training runs of seed {listed} did not finish on both sides; they are left out.")
    if same_model:
        found.append("Every seed made the same model: nothing in this training is drawn, so seeds show no spread.")
    if spread.rows:
        judged, others = spread.rows[0], spread.rows[1:]
        unlike = [f"{row.seed} ({row.verdict})" for row in others if row.verdict != judged.verdict]
        if unlike:
            found.append(
                f"The gate judges the model of seed {judged.seed}, whose retention alone says {judged.verdict}; of the "
                f"other training runs the same gate would say otherwise for seed {', '.join(unlike)}."
            )
    return found
