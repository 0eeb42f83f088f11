import pytest
from hypothesis import given
from hypothesis import strategies as st

from distbench.stats import adjust_p_values, rejections

p_values = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)


def test_known_holm():
    # statsmodels 0.15.0 multipletests.
    assert adjust_p_values([0.001, 0.012, 0.03, 0.04, 0.2]) == pytest.approx([0.005, 0.048, 0.09, 0.09, 0.2])
    assert rejections([0.001, 0.012, 0.03, 0.04, 0.2]) == [True, True, False, False, False]


def test_a_missing_test_stays_missing_and_is_not_counted():
    assert adjust_p_values([0.04, 0.01, None, 0.03]) == [pytest.approx(0.06), pytest.approx(0.03), None, 0.06]
    assert rejections([0.04, 0.01, None, 0.03]) == [False, True, None, False]
    assert adjust_p_values([None]) == [None]
    assert adjust_p_values([]) == []


@given(p_values)
def test_holm_lies_between_the_raw_and_the_bonferroni_values(values):
    holm = adjust_p_values(values)
    bonferroni = adjust_p_values(values, method="bonferroni")
    hochberg = adjust_p_values(values, method="hochberg")
    for raw, ours, step_up, most in zip(values, holm, hochberg, bonferroni, strict=True):
        if raw is not None:
            assert raw <= step_up <= ours <= most <= 1


@given(p_values, st.randoms(use_true_random=False))
def test_order_does_not_matter(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    adjusted = adjust_p_values(values)
    assert adjust_p_values([values[i] for i in order]) == [adjusted[i] for i in order]


def test_false_discovery_rate():
    assert adjust_p_values([0.01, 0.02, 0.03], method="benjamini-hochberg") == pytest.approx([0.03, 0.03, 0.03])


@pytest.mark.parametrize("wrong", [[1.2], [-0.1], [float("nan")]])
def test_bad_p_values_are_refused(wrong):
    with pytest.raises(ValueError, match="p-values"):
        adjust_p_values(wrong)


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(ValueError, match="holm"):
        adjust_p_values([0.1], method="guess")
