"""A suite that gates energy on a machine without a meter: no verdict is made of numbers that nobody read."""

from __future__ import annotations

from pathlib import Path

import pytest

from distbench.compare.run import compare
from distbench.store.run_dir import RunDir
from tests.command import here

SUITE = """\
version: 1
name: energy
device: cpu
threads: 1
teachers:
  big: {{use: decision-tree, max_depth: 20, fit: {{use: hard-labels, data: {{use: sklearn-digits}}}}}}
students:
  - name: small
    of: big
    init: {{use: decision-tree, max_depth: 10}}
    distil: {{use: soft-labels, control: none, data: {{use: sklearn-digits}}}}
tasks:
  - {{use: classification, name: digits-test, data: {{use: sklearn-digits}}}}
measure:
  energy: {{batch_sizes: [64], rounds: 5, launches: 1, powercap: {nowhere}{more}}}
gate: {{retained: 0.3, task_floor: 0.3, energy: 1.01}}
"""


@pytest.mark.parametrize("estimate", [False, True])
def test_a_gate_on_energy_without_a_meter_ends_undecided(tmp_path: Path, estimate: bool) -> None:
    more = ", window_seconds: 0.2, estimate: {watts: [30, 90]}" if estimate else ""
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE.format(nowhere=tmp_path / "none", more=more))

    here(tmp_path, "run", str(suite), "--out", "out", check=0)
    (student,) = compare(RunDir(tmp_path / "out")).students
    (rule,) = (check for check in student.gate if check.rule == "energy")
    assert rule.verdict == "INCONCLUSIVE"
    assert (rule.observed.value, rule.observed.lo) == (None, None)
    (energy,) = (m for m in student.measurements if m.metric == "gross_joules_per_1000_samples")
    assert energy.teacher is None
    assert energy.status == ("estimated" if estimate else "not_measurable")
    if estimate:
        low, high = energy.estimates["student"]
        assert high >= 3 * low > 0
    else:
        assert "no RAPL counters" in str(energy.reason)
        assert energy.remedy
    assert not any(m.metric == "gross_joules_per_correct_answer" for m in student.measurements)
    here(tmp_path, "gate", "out", check=3)
