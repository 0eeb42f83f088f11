import pytest
from hypothesis import given
from hypothesis import strategies as st

from distbench.stats import look_schedule, looks


def test_looks_are_shares_of_the_task():
    assert looks(3200) == [100, 200, 300, 400, 600, 800, 1000, 1200, 1600, 2000, 2400, 2800, 3200]


@given(st.integers(1, 20_000))
def test_looks_grow_to_all_samples_from_no_fewer_than_32(n):
    found = looks(n)
    assert found[-1] == n
    assert found[0] >= min(32, n)
    assert found == sorted(set(found))


def test_tasks_of_a_suite_progress_together_but_for_the_start_of_small_ones():
    schedule = look_schedule({"small": 100, "large": 3200})
    assert [look["large"] for look in schedule] == looks(3200)
    assert [look["small"] for look in schedule] == [32, 32, 32, 32, 32, 32, 32, 38, 50, 63, 75, 88, 100]


def test_a_look_never_cuts_a_cluster():
    sizes = [7, 20, 1, 30, 9] * 10
    ends = {sum(sizes[: i + 1]) for i in range(len(sizes))}
    schedule = look_schedule({"clustered": sizes, "plain": 300})
    assert {look["clustered"] for look in schedule} <= ends
    assert schedule[-1] == {"clustered": sum(sizes), "plain": 300}


@pytest.mark.parametrize("size", [0, [], [3, 0]])
def test_what_is_empty_cannot_be_looked_at(size):
    with pytest.raises(ValueError, match="task a has no samples"):
        look_schedule({"a": size})
