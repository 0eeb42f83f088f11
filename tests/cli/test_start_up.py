"""What a command imports before it does anything: libraries that take seconds come when something needs them."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = ("torch", "transformers", "datasets", "lm_eval", "sklearn", "pandas", "plotly", "scipy.stats", "scipy.special")
COMMANDS = """
import distbench.cli.data, distbench.cli.planning, distbench.cli.running, distbench.cell.__main__, distbench.cell.probe
import distbench.models.hf_causal, distbench.tasks.lm_eval  # classes that a suite is checked against
"""
TREE = """
from distbench.models.decision_tree import DecisionTree
DecisionTree.warm_up()
import sys
assert "sklearn" in sys.modules
"""
# What was hidden while skops was imported can be imported after it, and skops knows as many types as ever.
UNHIDDEN = """
from skops.io._trusted_types import SKLEARN_ESTIMATOR_TYPE_NAMES as known
assert "sklearn.tree._classes.DecisionTreeClassifier" in known and len(known) > 150, len(known)
import sklearn.externals.array_api_compat.torch
"""


@pytest.mark.parametrize(
    ("code", "absent", "then"),
    [(COMMANDS, SLOW, ""), (TREE, ("torch", "transformers", "datasets"), UNHIDDEN)],
    ids=["commands", "trees"],
)
def test_slow_libraries_wait_until_they_are_needed(code: str, absent: tuple[str, ...], then: str) -> None:
    check = f"import sys; found = [name for name in {absent!r} if name in sys.modules]; assert not found, found"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}\n{then}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
