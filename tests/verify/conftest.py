"""A real small run: decision trees on images, distilled with a control, evaluated and measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import here

SUITE = """\
version: 1
name: small
device: cpu
threads: 1
teachers:
  big: {use: decision-tree, max_depth: 12, fit: {use: hard-labels, data: {use: sklearn-digits}}}
students:
  - name: kd
    of: big
    init: {use: decision-tree, max_depth: 8}
    distil: {use: soft-labels, data: {use: sklearn-digits, labelled: 269}}
  - name: small
    of: big
    init: {use: decision-tree, max_depth: 6}
    distil: {use: soft-labels, control: none, data: {use: sklearn-digits}}
tasks:
  - {use: classification, name: digits, data: {use: sklearn-digits}}
measure:
  latency: {batch_sizes: [1], rounds: 3, launches: 1}
gate: {retained: 0.1, task_floor: 0.1}
"""


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that nobody touched."""
    place = tmp_path_factory.mktemp("verify")
    (place / "small.yaml").write_text(SUITE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as own:  # from a cache that tests share, cells come with other tests' titles
        own.setenv("DISTBENCH_CACHE", str(place / "cache"))
        here(place, "run", "small.yaml", "--out", "run", check=0)
    return place / "run"
