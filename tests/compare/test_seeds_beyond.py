"""Several training runs under metrics without a retention: bits per byte, divergence from the teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distbench import stats
from distbench.compare.run import compare
from distbench.compare.seeds_beyond import linear
from distbench.schema.record import MetricFacts
from distbench.schema.result import Result
from distbench.schema.studies import SeedSpread
from tests.compare.records import Recorded, rows
from tests.compare.test_training_runs import RATES, seeded_run, student

BITS = MetricFacts(
    name="bits_per_byte", primary=True, kind="ratio_of_sums", higher_is_better=False, baseline=0, best=0, n=0, mean=None
)
KL = MetricFacts(
    name="kl", primary=True, kind="mean", higher_is_better=False, baseline=0, best=0, reference=True, n=0, mean=None
)
DOCUMENTS = 40
BYTES = np.random.default_rng(5).integers(50, 900, DOCUMENTS).astype(float)


def bits(name: str) -> np.ndarray:
    """Return bits of each document: a student writes fewer than its control, a document more than another."""
    own = np.random.default_rng(list(RATES).index(name) if name in RATES else 77)
    rate = 0.9 + (0.05 if name.startswith("c") else 0.02) + own.normal(0, 0.004)
    shared = np.random.default_rng(6).normal(0, 0.1, DOCUMENTS)
    found: np.ndarray = BYTES * (rate + shared + own.normal(0, 0.01, DOCUMENTS))
    return found


def divergence(name: str) -> list[float]:
    return [(0.3 if name.startswith("c") else 0.1) + 0.01 * list(RATES).index(name)] * DOCUMENTS


def further(name: str) -> dict[str, Recorded | None]:
    above = bits(name)
    found: dict[str, Recorded | None] = {
        "wiki": (
            rows(
                (above / BYTES).tolist(), "bits_per_byte", "wiki", numerator=above.tolist(), denominator=BYTES.tolist()
            ),
            [BITS],
        )
    }
    if name != "t":
        found["prose"] = (rows(divergence(name), "kl", "prose"), [KL])
    return found


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> SeedSpread:
    result: Result = compare(seeded_run(tmp_path_factory.mktemp("seeds") / "run", also=further))
    found = student(result, "s").seeds
    assert found is not None
    return found


def per_byte(name: str) -> float:
    return float(bits(name).sum() / BYTES.sum())


def test_bits_per_byte_are_paired_by_seed_and_by_document(spread: SeedSpread) -> None:
    rate = next(each for each in spread.others if each.task == "wiki")
    students, controls = ([per_byte(f"{who}{end}") for end in ("", ".seed1", ".seed2")] for who in ("s", "c"))
    plain = stats.seed_difference(students, controls, higher_is_better=False)
    assert rate.delta is not None
    assert (rate.delta.value, rate.delta.lo, rate.delta.hi) == pytest.approx((plain.value, plain.lo, plain.hi))
    assert rate.delta.value is not None
    assert rate.delta.value > 0  # fewer bits are better
    assert rate.student.value == pytest.approx(np.mean(students))
    assert rate.delta_both is not None
    assert rate.delta_both.value == pytest.approx(plain.value)
    assert rate.delta_both.lo is not None
    assert rate.delta_both.lo < (plain.lo or 0.0)  # documents add to what seeds leave open
    assert [row.scores["wiki"] for row in spread.rows] == pytest.approx(students)
    assert [row.control["wiki"] for row in spread.rows] == pytest.approx(controls)


def test_divergences_are_compared_over_training_runs(spread: SeedSpread) -> None:
    found = next(each for each in spread.others if each.task == "prose")
    index = list(RATES).index
    mine = [0.1 + 0.01 * index(name) for name in ("s", "s.seed1", "s.seed2")]
    control = [0.3 + 0.01 * index(name) for name in ("c", "c.seed1", "c.seed2")]
    assert (found.metric, found.student.value) == ("kl", pytest.approx(np.mean(mine)))
    assert found.delta is not None
    assert found.delta.value == pytest.approx(np.mean(control) - np.mean(mine))
    assert found.delta_both is None  # one number a run: nothing is known of further documents
    assert [row.scores["prose"] for row in spread.rows] == pytest.approx(mine)


def test_retentions_stay_what_they_were(spread: SeedSpread, tmp_path: Path) -> None:
    alone = student(compare(seeded_run(tmp_path / "run")), "s").seeds
    assert alone is not None
    assert (alone.retained, alone.tasks, alone.gap_recovered) == (spread.retained, spread.tasks, spread.gap_recovered)
    assert alone.others == []


def test_a_ratio_is_linear_in_its_items() -> None:
    random = np.random.default_rng(8)
    below = random.uniform(1, 9, 5000)
    above = below * random.normal(0.9, 0.2, 5000)
    values = linear(above, below)
    assert values.mean() == pytest.approx(above.sum() / below.sum())
    draws = random.integers(0, 5000, (400, 5000))
    ratios = above[draws].sum(axis=1) / below[draws].sum(axis=1)
    assert values.std(ddof=1) / np.sqrt(5000) == pytest.approx(ratios.std(), rel=0.15)  # the bootstrap's spread
