import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from distbench.stats import (
    Cells,
    Status,
    agreement_bounds,
    churn,
    cohen_kappa,
    flips,
    kappa,
    p_above,
    proportion,
    rate,
    top1_agreement,
    wilson,
)

from .strategies import tables

answers = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=50)


@given(answers)
def test_agreement_and_churn_share_everything(pairs):
    student, teacher = zip(*pairs, strict=True)
    same, changed = top1_agreement(student, teacher), churn(student, teacher)
    assert same.value + changed.value == pytest.approx(1)
    assert same.lo == pytest.approx(1 - changed.hi)
    assert same.lo - 1e-12 <= same.value <= same.hi + 1e-12


@given(answers)
def test_kappa_is_scikit_learns_or_undefined(pairs):
    student, teacher = zip(*pairs, strict=True)
    ours = cohen_kappa(student, teacher)
    if len({*student, *teacher}) == 1:
        assert ours is None
    else:
        assert ours == pytest.approx(cohen_kappa_score(student, teacher))


def test_answers_may_be_of_any_kind():
    assert top1_agreement(np.array([1, 2, 3]), [1, 2, 4]).value == pytest.approx(2 / 3)
    assert cohen_kappa(["yes", 3], [3, "yes"]) == pytest.approx(-1.0)


def test_agreement_is_on_answers_not_on_correctness():
    # Both wrong, but differently.
    assert top1_agreement(["b"], ["c"]).value == 0.0


def test_flips():
    result = flips(Cells(60, 20, 5, 15))
    assert (result.negative.value, result.positive.value) == (0.2, 0.05)
    assert result.retained_knowledge.value == 0.75
    assert result.retained_knowledge.interval == wilson(60, 80)
    assert result.retained_knowledge.n == 80


def test_a_teacher_that_is_never_right_has_no_knowledge_to_retain():
    estimate = flips(Cells(0, 0, 3, 7)).retained_knowledge
    assert (estimate.value, estimate.lo, estimate.status) == (None, None, Status.UNDEFINED)
    assert proportion(0, 0).n == 0


def test_known_bounds_of_agreement():
    assert agreement_bounds(0.9, 0.85) == pytest.approx((0.75, 0.95))
    with pytest.raises(ValueError, match="accuracies"):
        agreement_bounds(90, 85)


@given(tables)
def test_agreement_on_correctness_stays_in_its_bounds(cells):
    low, high = agreement_bounds(cells.teacher_rate, cells.student_rate)
    agreement = (cells.n11 + cells.n00) / cells.n
    assert low - 1e-9 <= agreement <= high + 1e-9


@pytest.mark.parametrize(
    ("student", "teacher", "said"),
    [
        ([], [], "pair up"),
        (["a"], ["a", "b"], "pair up"),
        (["a", None], ["a", "b"], r"student\[1\]"),
        ([1.0], [np.nan], "teacher"),
    ],
)
def test_bad_answers_are_refused(student, teacher, said):
    with pytest.raises(ValueError, match=said):
        top1_agreement(student, teacher)


def test_kappa_has_the_standard_error_of_its_jackknife():
    random = np.random.default_rng(0)
    teacher = random.integers(3, size=400)
    student = np.where(random.random(400) < 0.3, random.integers(3, size=400), teacher)
    found = kappa(student, teacher)
    assert found.value == pytest.approx(cohen_kappa_score(student, teacher))
    left = [cohen_kappa_score(np.delete(student, i), np.delete(teacher, i)) for i in range(400)]
    jackknife = np.sqrt(399 / 400 * np.sum((np.array(left) - np.mean(left)) ** 2))
    assert found.se == pytest.approx(jackknife, rel=0.01)
    assert found.lo < found.value < found.hi
    repeated = kappa(np.tile(student, 5), np.tile(teacher, 5), clusters=np.tile(np.arange(400), 5))
    assert repeated.se == pytest.approx(found.se, rel=0.01)


def test_kappa_without_spread_or_meaning():
    assert kappa(["a", "b"], ["a", "b"]).interval is None
    assert kappa(["a", "a"], ["a", "a"]).status is Status.UNDEFINED


def test_a_clustered_rate_knows_its_clusters():
    random = np.random.default_rng(1)
    clusters = np.repeat(np.arange(50), 20)
    flags = (random.random(50) < 0.1).astype(float)[clusters]  # a cluster answers as one: 50 samples, not 1,000
    clustered, naive = rate(flags, clusters=clusters), rate(flags)
    of_clusters = rate(flags[::20])
    assert clustered.value == naive.value == of_clusters.value
    assert (clustered.lo, clustered.hi) == pytest.approx((of_clusters.lo, of_clusters.hi), abs=0.005)
    assert clustered.hi - clustered.lo > 3 * (naive.hi - naive.lo)


def test_a_rate_at_its_end_does_not_collapse():
    found = rate(np.zeros(1000), clusters=np.arange(1000) // 50)
    assert (found.value, found.lo) == (0.0, 0.0)
    assert found.hi > wilson(0, 20).hi  # 20 clusters, and t instead of z
    assert rate([]).status is Status.UNDEFINED
    assert rate([1, 0], clusters=["x", "x"]).interval is None


@given(st.integers(1, 199), st.sampled_from([0.02, 0.1, 0.5]))
def test_p_above_agrees_with_the_interval(k, ceiling):
    flags = np.repeat([1.0, 0.0], [k, 200 - k])
    found = rate(flags)
    assert (p_above(found, ceiling) < 0.025) == (found.lo > ceiling)


def test_p_above_of_nothing_is_none():
    assert p_above(rate([]), 0.1) is None
