import numpy as np
import pytest
from hypothesis import given

from distbench.stats import Cells

from .strategies import tables


def test_counts_who_is_right():
    cells = Cells.from_scores(student=[1, 0, 1, 0, 1], teacher=[1, 1, 0, 0, 1])
    assert cells == Cells(n11=2, n10=1, n01=1, n00=1)
    assert (cells.teacher_rate, cells.student_rate, cells.discordant) == (0.6, 0.6, 2)


@given(tables)
def test_scores_and_back(cells):
    assert Cells.from_scores(*cells.scores()) == cells


@given(tables)
def test_the_complement_exchanges_right_and_wrong(cells):
    s, t = cells.scores()
    assert Cells.from_scores(1 - s, 1 - t) == cells.complement()
    assert cells.complement().complement() == cells


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (-1, 1, 1, 1), (np.nan, 1, 1, 1), (np.inf, 0, 0, 0)])
def test_no_table_without_samples(counts):
    with pytest.raises(ValueError, match="cells"):
        Cells(*counts)


def test_only_zero_and_one_make_a_table():
    with pytest.raises(ValueError, match="0 or 1"):
        Cells.from_scores([1, 0.5], [1, 1])


def test_fractions_have_no_scores():
    half = Cells(1, 2, 3, 4).scaled(0.5)
    assert half.n == 5
    with pytest.raises(ValueError, match="whole"):
        half.scores()
