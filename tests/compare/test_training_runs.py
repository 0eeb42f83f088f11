"""Several training runs of one student, and students of a grid, from records written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench import stats
from distbench.compare.run import compare
from distbench.compare.studies import study_axes
from distbench.schema.record import MetricFacts
from distbench.schema.result import Result, StudentResult
from distbench.schema.suite import StudyPoint
from distbench.store.run_dir import RunDir
from tests.compare.records import Recorded, rows, run_of

ACC = MetricFacts(name="acc", primary=True, kind="binary", higher_is_better=True, baseline=0.1, best=1, n=0, mean=None)
ITEMS = 300
RATES = {"s": 0.90, "s.seed1": 0.87, "s.seed2": 0.92, "c": 0.78, "c.seed1": 0.80, "c.seed2": 0.75}


def answers(rate: float, seed: int, n: int = ITEMS) -> list[float]:
    """Return exactly `rate` right answers, of items whose difficulty all models share."""
    random = np.random.default_rng(seed)
    order = np.argsort(np.arange(n) + random.normal(0, n / 4, n))
    scores = np.zeros(n)
    scores[order[: round(rate * n)]] = 1.0
    return scores.tolist()


def recorded(rate: float, seed: int) -> dict[str, Recorded | None]:
    return {"digits": (rows(answers(rate, seed), task="digits"), [ACC])}


def seeded_run(
    path: Path,
    crashed: str = "",
    gate: dict[str, Any] | None = None,
    also: Callable[[str], dict[str, Recorded | None]] = lambda name: {},
) -> RunDir:
    """A teacher, a student and its control, each trained with seeds 0, 1 and 2; `also`: further tasks of a model."""
    models: dict[str, dict[str, Recorded | None]] = {"t": recorded(0.98, 99)}
    models |= {name: recorded(rate, seed) for seed, (name, rate) in enumerate(RATES.items())}
    models = {name: found | also(name) for name, found in models.items()}
    if crashed:
        models[crashed] = {"digits": None}
    run = run_of(path, models, gate)
    manifest = run.manifest()
    changed = []
    for model in manifest.models:
        who, _, seed = model.name.partition(".seed")
        if who == "t":
            changed.append(model)
            continue
        suffix = f".seed{seed}" if seed else ""
        facts: dict[str, Any] = {"seed": int(seed or 0), "seed_of": who if seed else None}
        if who == "s":
            facts |= {"control": f"c{suffix}"}
        else:
            facts |= {"role": "control", "control_of": f"s{suffix}", "kind": "no-teacher", "required": False}
        changed.append(model.model_copy(update=facts))
    run.write_manifest(manifest.model_copy(update={"models": changed}))
    return run


def student(result: Result, name: str) -> StudentResult:
    return next(each for each in result.students if each.name == name)


def test_training_runs_are_one_student_with_a_row_a_seed(tmp_path: Path) -> None:
    result = compare(seeded_run(tmp_path / "run"))
    assert [each.name for each in result.students] == ["s", "c"]
    spread = student(result, "s").seeds
    assert spread is not None
    assert [row.seed for row in spread.rows] == [0, 1, 2]
    assert [round(row.scores["digits"] or 0, 4) for row in spread.rows] == [0.9, 0.87, 0.92]
    assert [round(row.control["digits"] or 0, 4) for row in spread.rows] == [0.78, 0.8, 0.75]
    assert student(result, "c").seeds is None


def test_the_numbers_are_those_of_the_statistics(tmp_path: Path) -> None:
    result = compare(seeded_run(tmp_path / "run"))
    spread = student(result, "s").seeds
    assert spread is not None
    (task,) = spread.tasks
    plain = stats.seed_difference([0.9, 0.87, 0.92], [0.78, 0.8, 0.75])
    assert task.delta is not None
    assert (task.delta.value, task.delta.lo, task.delta.hi) == pytest.approx((plain.value, plain.lo, plain.hi))
    scores = {name: np.array(answers(rate, seed)) for seed, (name, rate) in enumerate(RATES.items())}
    seeded = stats.SeededTask(
        np.array(answers(0.98, 99)),
        np.stack([scores[name] for name in ("s", "s.seed1", "s.seed2")]),
        np.stack([scores[name] for name in ("c", "c.seed1", "c.seed2")]),
        scale=(0.1, 1.0),
    )
    gap, kept = stats.gap_over_seeds([seeded]), stats.retained_over_seeds([seeded])
    assert spread.gap_recovered is not None
    assert (spread.gap_recovered.lo, spread.gap_recovered.hi) == pytest.approx((gap.lo, gap.hi))
    assert (spread.retained.value, spread.retained.lo) == pytest.approx((kept.value, kept.lo))
    assert spread.deviation == pytest.approx(np.std([0.8 / 0.88, 0.77 / 0.88, 0.82 / 0.88], ddof=1))


def test_the_gate_judges_the_first_seed_and_the_gap_is_that_of_the_method(tmp_path: Path) -> None:
    result = compare(seeded_run(tmp_path / "run"))
    found = student(result, "s")
    assert found.seeds is not None
    assert found.suite.retained.value == pytest.approx(0.8 / 0.88)
    assert found.suite.retained == found.seeds.rows[0].retained
    assert found.gap_recovered == found.seeds.gap_recovered
    assert found.gap_recovered is not None
    assert found.gap_recovered.method == stats.SEEDS_AND_ITEMS
    assert found.gap_recovered != found.seeds.rows[0].gap_recovered


def test_a_seed_that_would_be_judged_otherwise_is_said(tmp_path: Path) -> None:
    result = compare(seeded_run(tmp_path / "run", gate={"retained": 0.865, "task_floor": 0.5}))
    found = student(result, "s")
    assert found.verdict == "INCONCLUSIVE"
    assert found.seeds is not None
    assert {row.seed: row.verdict for row in found.seeds.rows}[2] == "PASS"
    assert any(
        "of the other training runs the same gate would say otherwise for seed 2 (PASS)" in w for w in found.warnings
    )


@pytest.mark.parametrize("crashed", ["s.seed1", "c.seed1"])
def test_a_seed_that_failed_on_one_side_is_left_out_on_both(tmp_path: Path, crashed: str) -> None:
    found = student(compare(seeded_run(tmp_path / "run", crashed)), "s")
    assert found.seeds is not None
    assert [row.seed for row in found.seeds.rows] == [0, 2]
    assert found.seeds.missing == [1]
    assert any("seed 1 did not finish" in warning for warning in found.warnings)
    assert found.seeds.tasks[0].delta is not None
    assert found.seeds.tasks[0].delta.n == 2


def test_one_finished_seed_is_no_spread(tmp_path: Path) -> None:
    run = seeded_run(tmp_path / "run", "s.seed1")
    manifest = run.manifest()
    kept = [model for model in manifest.models if "seed2" not in model.name]
    run.write_manifest(manifest.model_copy(update={"models": kept}))
    found = student(compare(run), "s")
    assert found.seeds is not None
    assert (found.seeds.retained.value, found.seeds.tasks) == (None, [])
    assert "1 of 2 training runs finished" in (found.seeds.retained.reason or "")
    assert found.gap_recovered is not None  # of the one model that there is


def test_a_study_holds_its_students_with_their_controls(tmp_path: Path) -> None:
    models = {"t": recorded(0.98, 99)}
    names = {"few": (0.9, 27), "few-no-teacher": (0.7, 27), "all": (0.95, None)}
    models |= {name: recorded(rate, seed) for seed, (name, (rate, _)) in enumerate(names.items())}
    run = run_of(tmp_path / "run", models)
    manifest = run.manifest()
    facts: dict[str, dict[str, Any]] = {
        "few": {"control": "few-no-teacher", "study": StudyPoint(name="labels", at={"labelled": 27})},
        "few-no-teacher": {"role": "control", "control_of": "few", "kind": "no-teacher"},
        "all": {"study": StudyPoint(name="labels", at={"labelled": None})},
    }
    changed = [model.model_copy(update=facts.get(model.name, {})) for model in manifest.models]
    run.write_manifest(manifest.model_copy(update={"models": changed}))
    result = compare(run)
    (study,) = result.studies
    assert (study.name, study.teacher) == ("labels", "t")
    assert [(axis.name, axis.values, axis.amount) for axis in study.axes] == [("labelled", [27, None], True)]
    few, every = study.entries
    assert (few.student, few.control, few.seeds) == ("few", "few-no-teacher", 1)
    assert few.retained == student(result, "few").suite.retained
    assert few.control_retained == student(result, "few-no-teacher").suite.retained
    assert few.gap_recovered == student(result, "few").gap_recovered
    assert every.control_retained is None
    wilson = stats.wilson(0.9 * ITEMS, ITEMS)
    score = few.scores["digits"]
    assert (score.value, score.lo, score.hi) == pytest.approx((0.9, wilson.lo, wilson.hi))
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_a_run_without_a_grid_has_no_study(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {"t": recorded(0.98, 1), "s": recorded(0.9, 2)})
    result = compare(run)
    assert result.studies == []
    assert student(result, "s").seeds is None


@pytest.mark.parametrize(
    ("name", "values", "amount"),
    [
        ("labelled", [27, 107], True),
        ("data.samples", [10, None], True),
        ("sequences", [10, 20.0], True),
        ("temperature", [1, 2], False),
        ("labelled", [None], False),
        ("samples", ["all", 10], False),
        ("samples", [True, 10], False),
    ],
)
def test_what_counts_as_an_amount_of_data(name: str, values: list[Any], amount: bool) -> None:
    (axis,) = study_axes([{name: value} for value in values])
    assert axis.amount is amount
