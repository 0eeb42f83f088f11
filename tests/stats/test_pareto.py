import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distbench.stats import Estimate, Status, front_probability, hypervolume, pareto_front

POINTS = [(1, 100), (2, 99), (4, 96), (3, 95), (4, 96), (8, 80), (8, 85), (6, 96)]
UP = (True, True)

clouds = st.lists(st.tuples(*[st.integers(-2, 6)] * 3), min_size=1, max_size=8)


def test_known_front_and_volume():
    # moocore 0.3.2 is_nondominated(keep_weakly=True) and hypervolume; pymoo 0.6.2 agrees.
    assert pareto_front(POINTS, maximise=UP) == [0, 1, 6, 7]
    assert hypervolume(POINTS, reference=(0, 0), maximise=UP) == pytest.approx(753.0)
    assert hypervolume([(1, 1), (-1, 5)], reference=(0, 0), maximise=UP) == 1.0


def test_equal_points_are_all_kept_and_weakly_dominated_ones_dropped():
    assert pareto_front([(1, 1), (1, 1), (1, 0)], maximise=UP) == [0, 1]


def test_minimising_is_maximising_the_negative():
    flipped = [(x, -y) for x, y in POINTS]
    assert pareto_front(flipped, maximise=(True, False)) == pareto_front(POINTS, maximise=UP)
    assert hypervolume(flipped, reference=(0, 0), maximise=(True, False)) == pytest.approx(753.0)


@settings(max_examples=50)
@given(clouds)
def test_volume_counts_the_dominated_unit_cubes(points):
    grid = np.stack(np.meshgrid(*[np.arange(6) + 0.5] * 3), axis=-1).reshape(-1, 3)
    covered = (grid[:, None, :] < np.array(points)[None, :, :]).all(axis=2).any(axis=1)
    assert hypervolume(points, reference=(0, 0, 0), maximise=(True,) * 3) == pytest.approx(covered.sum())


@given(clouds)
def test_the_front_alone_has_the_whole_volume(points):
    front = [points[i] for i in pareto_front(points, maximise=(True,) * 3)]
    assert front
    options = {"reference": (-3, -3, -3), "maximise": (True,) * 3}
    assert hypervolume(front, **options) == pytest.approx(hypervolume(points, **options))


def test_no_points_no_volume():
    assert hypervolume([(-1, -1)], reference=(0, 0), maximise=UP) == 0.0


def student(value, half):
    return Estimate(value, value - half, value + half, 500, "score_cml")


def test_how_sure_a_place_on_the_front_is():
    silent = Estimate(None, None, None, 10, "score_cml", Status.NO_SIGNAL)
    probability = front_probability([student(0.9, 0.02), student(0.7, 0.02), student(0.9, 0.02), silent], [1, 2, 3, 4])
    assert probability[0] > 0.99  # the cheapest is always on it
    assert probability[1] < 0.01  # worse and dearer
    assert probability[2] == pytest.approx(0.5, abs=0.04)  # as good and dearer
    assert np.isnan(probability[3])


def test_equal_cost_is_decided_by_retention():
    probability = front_probability([student(0.9, 0.02), student(0.8, 0.02)], [1, 1])
    assert probability == pytest.approx([1, 0], abs=0.01)
    assert np.isnan(front_probability([Estimate(None, None, None, 1, "x", Status.NO_SIGNAL)], [1])).all()


@pytest.mark.parametrize("points", [[(1, 2, 3)], [(float("nan"), 1)], [1, 2]])
def test_bad_points_are_refused(points):
    with pytest.raises(ValueError, match="columns"):
        pareto_front(points, maximise=UP)


def test_costs_must_match():
    with pytest.raises(ValueError, match="costs"):
        front_probability([student(0.9, 0.1)], [1, 2])
