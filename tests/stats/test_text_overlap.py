import pytest

from distbench.stats.text_overlap import chrf, exact_match, rouge_l

MEASURES = [exact_match, chrf, rouge_l]


@pytest.mark.parametrize("measure", MEASURES)
def test_equal_texts_overlap_completely_and_foreign_ones_not_at_all(measure):
    assert measure(["the cat sat", "abc"], ["the cat sat", "xyz"]) == [1.0, 0.0]


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence():
    # LCS "the cat sat" of 3 against 4 tokens; order counts.
    assert rouge_l(["the cat sat"], ["the cat sat down"]) == [pytest.approx(2 * 1 * 0.75 / 1.75)]
    assert rouge_l(["police killed the gunman"], ["police kill the gunman"]) == [pytest.approx(0.75)]
    assert rouge_l(["b a"], ["a b"]) == [pytest.approx(0.5)]


def test_chrf_weighs_recall_of_the_teachers_text_twice():
    # One character each way: 1-gram precision 1/2 and recall 1 or the reverse, no 2-gram in common.
    more, less = chrf(["ab"], ["a"])[0], chrf(["a"], ["ab"])[0]
    assert more == pytest.approx(5 * 0.5 * 1 / (4 * 0.5 + 1))
    assert less == pytest.approx(5 * 1 * 0.5 / (4 * 1 + 0.5))


def test_white_space_at_the_ends_is_no_difference():
    for measure in MEASURES:
        assert measure([" yes\n"], ["yes"]) == [1.0]


def test_what_cannot_be_compared_has_no_value():
    assert chrf(["", " ", "a"], ["", "", ""]) == [None, None, 0.0]
    assert rouge_l(["", "日本", "日本"], ["", "日本", "a"]) == [None, None, 0.0]
    assert chrf(["日本"], ["日本"]) == [1.0]
    assert exact_match([""], [""]) == [1.0]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("student", "teacher", "message"),
    [
        (["a"], [], "pair up"),
        ([], [], "pair up"),
        ("ab", ["a", "b"], "one text"),
        ([None], ["a"], r"student\[0\] is no"),
    ],
)
def test_texts_that_do_not_pair_up_are_refused(measure, student, teacher, message):
    with pytest.raises(ValueError, match=message):
        measure(student, teacher)
