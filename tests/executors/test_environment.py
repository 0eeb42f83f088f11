"""A child gets what it needs of the environment and nothing secret."""

from __future__ import annotations

from distbench.executors.environment import child_environment


def test_secrets_stay_outside() -> None:
    given = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "canary", "OPENAI_API_KEY": "canary", "GITHUB_TOKEN": "canary"}
    assert "canary" not in child_environment(2, given).values()
    assert child_environment(2, given)["PATH"] == "/bin"


def test_threads_and_hash_seed_are_fixed_whatever_is_set() -> None:
    made = child_environment(3, {"OMP_NUM_THREADS": "64", "PYTHONHASHSEED": "random"})
    assert (made["OMP_NUM_THREADS"], made["MKL_NUM_THREADS"], made["PYTHONHASHSEED"]) == ("3", "3", "0")
