"""The script that measures a million records still runs; what it prints is for reading, never asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_compare.py"


@pytest.mark.parametrize("shape", ["choices", "clusters"])
def test_it_writes_and_compares(shape: str) -> None:
    command = [sys.executable, str(SCRIPT), "--records", "2000", "--shape", shape]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    steps = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    compared = json.loads(next(said for step, said in steps.items() if "compare" in step))
    assert compared["n"] == 2000
    assert compared["peak_mib"] > 0
    assert compared["lost"] > 0
