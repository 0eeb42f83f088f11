"""A rule of the gate in words and numbers: what it is about, what it asks, what was seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from distbench.report import numbers, words
from distbench.report.numbers import Shown
from distbench.report.visible import one_line
from distbench.schema.result import GateCheck

_LONGEST = 120


@dataclass(frozen=True)
class Scale:
    """How the numbers of a rule are written: its threshold, and an estimate beside it."""

    threshold: Callable[[float], str]
    estimate: Callable[..., Shown]


_SHARE = Scale(numbers.whole_percent, numbers.as_percent)
_RATIO = Scale(numbers.whole_ratio, numbers.as_ratio)
_PLAIN = Scale(numbers.whole_plain, numbers.as_plain)
_POINTS = Scale(numbers.whole_points, numbers.as_points)
_SIZE = Scale(numbers.whole_size, numbers.as_size)


def scale(rule: str) -> Scale:
    """Return how the numbers of a rule are written."""
    kinds = ((words.RATIO_RULES, _RATIO), (words.PLAIN_RULES, _PLAIN), (words.POINT_RULES, _POINTS))
    if rule in words.SIZE_RULES:
        return _SIZE
    return next((found for rules, found in kinds if rule in rules), _SHARE)


def asked(check: GateCheck) -> str:
    """Return what a rule asks for, with its sign."""
    return f"{check.sign} {scale(check.rule).threshold(check.threshold)}"


def seen(check: GateCheck) -> Shown:
    """Return what a rule saw."""
    return scale(check.rule).estimate(check.observed, (check.threshold,))


def subject(check: GateCheck) -> str:
    """Return what a rule is about, in words: the rule, its task, or what was measured and how."""
    parts = [words.rule_words(check.rule)]
    if check.rule == "task_floor" and check.task is not None:
        parts = ["retained"]
    if check.rule == "measured" and check.metric is not None:
        parts = [f"{words.metric_words(check.metric)}, times better"]
    if check.task is not None:
        parts.append(one_line(check.task, _LONGEST))
    if check.workload:
        parts.append(one_line(check.workload, _LONGEST))
    return ": ".join(parts[:2]) + "".join(f", {part}" for part in parts[2:])
