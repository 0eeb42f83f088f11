"""How much earlier does the order of `--max-time` decide than the order of the suite file?

    python scripts/simulate_planning.py [SUITES] [SEED]

Synthetic suites: 2 to 6 students, 4 to 12 gated tasks and some that are not, each task with its own number of samples
and its own price, students that exist already or are made first (with their control). Answers are drawn as 0/1 scores
around a true retention; verdicts come from the same statistics as a real run's. Nothing is tuned to the outcome: the
order sees prices and numbers of samples only.

Printed: the time to the verdict on the run (every student passes, or one fails) as a share of the whole run's time;
the students that are decided after a quarter of it; how often an early verdict is the one that all answers give.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from distbench import stats
from distbench.plan.arrange import Bundle, arrange

GATE, FLOOR, CHANCE, HALF = 0.95, 0.90, 0.25, 100.0
TRUE_RETENTION = (0.75, 0.85, 0.92, 0.97, 1.0)


@dataclass(frozen=True)
class Synthetic:
    """One suite: prices by cell, the suite's own order, what says something together, and every answer."""

    prices: dict[str, float]
    suite_order: list[str]
    bundles: list[Bundle]
    students: list[str]
    tasks: list[str]
    answers: dict[tuple[str, str], np.ndarray]


def synthetic(rng: np.random.Generator) -> Synthetic:
    """Draw a suite."""
    students = [f"s{n}" for n in range(rng.integers(2, 7))]
    gated = [f"t{n}" for n in range(rng.integers(4, 13))]
    others = [f"u{n}" for n in range(rng.integers(0, 4))]
    tasks = list(rng.permutation([*gated, *others]))
    samples = {task: int(10 ** rng.uniform(2, 3.3)) for task in tasks}
    price = {task: samples[task] * 10 ** rng.uniform(-0.5, 0.5) for task in tasks}
    whole = sum(price.values())
    makes = {student: whole * rng.uniform(0.2, 2.0) for student in students if rng.random() < 0.5}
    speed = {student: rng.uniform(0.3, 0.9) for student in students}
    prices = {f"big:{task}": price[task] for task in tasks}
    order = list(prices)
    bundles = []
    for student in students:
        models = [student, f"{student}-control"] if student in makes else [student]
        own = []
        for model in models:
            made = [f"make {model}"] if student in makes else []
            prices |= dict.fromkeys(made, makes.get(student, 0.0))
            prices |= {f"{model}:{task}": speed[student] * price[task] for task in tasks}
            own += made + [f"{model}:{task}" for task in tasks]
        order += own
        for task in tasks:
            wanted = (f"big:{task}", *(n for n in own if n.startswith("make ") or n.endswith(f":{task}")))
            gain = samples[task] / (samples[task] + HALF)
            bundles.append(Bundle(wanted, 0 if task in gated else 3, gain, f"{student}:{task}"))
    return Synthetic(prices, order, bundles, students, gated, _answers(rng, students, gated, samples))


def _answers(
    rng: np.random.Generator, students: Sequence[str], tasks: Sequence[str], samples: dict[str, int]
) -> dict[tuple[str, str], np.ndarray]:
    """Return 0/1 scores above a chance of 0.25; a student keeps an answer of the teacher's, or loses it."""
    found = {}
    for task in tasks:
        skill = rng.uniform(0.45, 0.85)
        found["big", task] = (rng.random(samples[task]) < skill).astype(float)
    for student in students:
        level = rng.choice(TRUE_RETENTION)
        for task in tasks:
            teacher = found["big", task]
            skill = CHANCE + min(1.0, level + rng.normal(0, 0.02)) * (teacher.mean() - CHANCE)
            kept = rng.random(len(teacher)) < 0.8  # the rest is answered anew, by its own skill
            fresh = (rng.random(len(teacher)) < (skill - 0.8 * teacher.mean()) / 0.2).astype(float)
            found[student, task] = np.where(kept, teacher, fresh)
    return found


def verdict(suite: Synthetic, student: str, tasks: Sequence[str]) -> stats.Verdict:
    """Return what a run says of a student whose tasks are finished so far; a missing task never passes."""
    if not tasks:
        return stats.Verdict.INCONCLUSIVE
    parts, claims = [], []
    for task in tasks:
        ours, theirs = suite.answers[student, task], suite.answers["big", task]
        estimate = stats.retained(ours, theirs, baseline=CHANCE)
        test = stats.margin_test(ours, theirs, margin=FLOOR, baseline=CHANCE)
        parts.append(stats.suite_task(task, ours, theirs, scale=(CHANCE, 1.0), estimate=estimate))
        claims.append(stats.Claim(task, estimate, FLOOR, p_below=test.p_below if test else None))
    whole = stats.retained_suite(parts)
    found = stats.decide_suite(stats.Claim("", whole.estimate, GATE), claims).verdict
    short = len(tasks) < len(suite.tasks) and found is stats.Verdict.PASS
    return stats.Verdict.INCONCLUSIVE if short else found


@dataclass(frozen=True)
class Outcome:
    """When what was known: by student the time of its verdict and the verdict; times as shares of the whole run's."""

    decided: dict[str, tuple[float, stats.Verdict]]

    def run(self, students: Sequence[str]) -> tuple[float, stats.Verdict]:
        """Return when the run is decided: at its first FAIL, or when every student passes; 1 where it never is."""
        fails = [when for when, said in self.decided.values() if said is stats.Verdict.FAIL]
        if fails:
            return min(fails), stats.Verdict.FAIL
        passes = [when for when, said in self.decided.values() if said is stats.Verdict.PASS]
        if len(passes) == len(students):
            return max(passes), stats.Verdict.PASS
        return 1.0, stats.Verdict.INCONCLUSIVE


def play(suite: Synthetic, order: Sequence[str], said: Callable[[str, tuple[str, ...]], stats.Verdict]) -> Outcome:
    """Run cells one after the other and note when each student's verdict is final."""
    total, spent = sum(suite.prices.values()), 0.0
    done: set[str] = set()
    decided: dict[str, tuple[float, stats.Verdict]] = {}
    for cell in order:
        spent += suite.prices[cell]
        done.add(cell)
        task = cell.partition(":")[2]
        if task not in suite.tasks:
            continue
        for student in suite.students:
            if student in decided or not cell.startswith((f"{student}:", "big:")):
                continue
            there = tuple(t for t in suite.tasks if {f"big:{t}", f"{student}:{t}"} <= done)
            if (found := said(student, there)) in {stats.Verdict.PASS, stats.Verdict.FAIL}:
                decided[student] = spent / total, found
    return Outcome(decided)


def main(suites: int = 200, seed: int = 0) -> None:
    """Play every suite in both orders and print what came of it."""
    rng = np.random.default_rng(seed)
    times: dict[str, list[float]] = {"suite": [], "informative": []}
    early: dict[str, list[float]] = {"suite": [], "informative": []}
    ratios, right, fails = [], [], []
    for _ in range(suites):
        suite = synthetic(rng)
        known: dict[tuple[str, tuple[str, ...]], stats.Verdict] = {}

        def said(student: str, there: tuple[str, ...]) -> stats.Verdict:
            if (student, there) not in known:  # noqa: B023 - called in this turn of the loop only
                known[student, there] = verdict(suite, student, there)  # noqa: B023
            return known[student, there]  # noqa: B023

        informative = [cell for bundle in arrange(suite.bundles, suite.prices) for cell in bundle.cells]
        plays = {"suite": play(suite, suite.suite_order, said), "informative": play(suite, informative, said)}
        final = {student: said(student, tuple(suite.tasks)) for student in suite.students}
        ends = {name: outcome.run(suite.students) for name, outcome in plays.items()}
        if stats.Verdict.INCONCLUSIVE in {verdict for _, verdict in ends.values()}:
            continue
        for name, outcome in plays.items():
            times[name].append(ends[name][0])
            early[name].append(sum(when <= 0.25 for when, _ in outcome.decided.values()) / len(suite.students))
        ratios.append(ends["informative"][0] / ends["suite"][0])
        fails.append(ends["informative"][1] is stats.Verdict.FAIL)
        right += [found is final[student] for student, (_, found) in plays["informative"].decided.items()]
    print(f"{len(ratios)} of {suites} suites are decided in both orders; {sum(fails)} of them fail")
    for name, decided in times.items():
        print(f"{name:>12}: decided at {median(decided):.1%} of the time (median); "
              f"{np.mean(early[name]):.1%} of students decided after a quarter of it")  # fmt: skip
    for words, wanted in (("that fail", True), ("that pass", False)):
        if some := [ratio for ratio, fail in zip(ratios, fails, strict=True) if fail is wanted]:
            low, high = np.quantile(some, [0.05, 0.95])
            print(f"time to a verdict, informative ÷ suite, of suites {words}: median {median(some):.2f} "
                  f"[{low:.2f}, {high:.2f}]; later in {np.mean(np.array(some) > 1):.0%}")  # fmt: skip
    print(f"an early verdict on a student is that of all answers in {np.mean(right):.1%} of {len(right)}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
