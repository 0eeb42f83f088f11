"""A task compared once more under another of its metrics, where a policy has rules for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from distbench.compare.asked import Asked
from distbench.compare.evidence import Evaluated, Evidence
from distbench.compare.tasks import Compared, compare_task
from distbench.schema.plan import PlannedModel


def further_metrics(
    evidence: Evidence, asked: Asked, models: tuple[PlannedModel, PlannedModel], compared: Sequence[Compared]
) -> list[Compared]:
    """Return a comparison for each further metric that is asked of a finished task, where both sides report it.

    `models`: the teacher and the student.
    """
    found = []
    for each in compared:
        spec = each.files[0].cell.task
        for metric, rules in asked.of_task(spec).metrics.items():
            sides = [evidence.evaluated(model, spec.title) for model in models]
            left, right = sides
            if left is None or right is None or left.facts(metric) is None or right.facts(metric) is None:
                continue
            floor = rules.floor.threshold if rules.floor else asked.gate.task_floor
            found.append(
                compare_task(_by(left, metric), right, None, floor=floor, alpha=asked.gate.alpha, weight=spec.weight)
            )
    return found


def _by(evaluated: Evaluated, metric: str) -> Evaluated:
    """Return an evaluation whose main metric is this one."""
    metrics = [facts.model_copy(update={"primary": facts.name == metric}) for facts in evaluated.result.metrics]
    return replace(evaluated, result=evaluated.result.model_copy(update={"metrics": metrics}))
