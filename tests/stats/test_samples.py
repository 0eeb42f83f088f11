import numpy as np
import pytest

from distbench.stats.samples import check_alpha, codes, is_binary, paired, vector


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "empty"),
        ([1.0, float("nan")], r"scores\[1\] is nan"),
        ([float("inf")], "finite"),
        ([[1.0, 2.0]], "2 dimensions"),
        (3.0, "0 dimensions"),
    ],
)
def test_a_bad_vector_is_refused_with_its_name(values, said):
    with pytest.raises(ValueError, match=said):
        vector("scores", values)


def test_a_missing_score_is_not_a_zero():
    with pytest.raises(ValueError, match="nan"):
        vector("scores", [1.0, None])


def test_unequal_lengths_are_named():
    with pytest.raises(ValueError, match="student has 2, teacher has 3"):
        paired(student=[1, 0], teacher=[1, 0, 1])


def test_booleans_and_integers_become_floats():
    s, t = paired(student=np.array([True, False]), teacher=[1, 0])
    assert s.dtype == t.dtype == np.float64
    assert is_binary(s, t)
    assert not is_binary(s, np.array([0.0, 0.5]))


def test_codes_number_labels_in_order_of_appearance():
    numbers, labels = codes("groups", ["b", "a", "b", 7], 4)
    assert numbers.tolist() == [0, 1, 0, 2]
    assert labels == ["b", "a", 7]


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_sample_without_a_label_is_refused(missing):
    with pytest.raises(ValueError, match=r"clusters\[1\] is missing"):
        codes("clusters", ["a", missing], 2)


def test_a_wrong_number_of_labels_is_refused():
    with pytest.raises(ValueError, match="1 labels for 2 samples"):
        codes("clusters", ["a"], 2)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 5.0, float("nan")])
def test_alpha_must_be_a_probability(alpha):
    with pytest.raises(ValueError, match="alpha"):
        check_alpha(alpha)
