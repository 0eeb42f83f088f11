"""Rows about whole runs: what is asked of them, where they go, and what a reader does with one that is odd."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

from tests.acceptance.by_hand import (
    document,
    edited,
    false_numbers,
    judged,
    not_numbers,
    unlike,
    unmetered,
    with_policy,
)
from tests.acceptance.row import RUN, Make, Place, Row
from tests.acceptance.suite_rows import SUITE
from tests.command import here
from tests.endpoint.server import serving

LABEL = "</script><script>alert(1)</script>"
TREES = """\
version: 1
name: trees
device: cpu
threads: 1
teachers:
  big: {use: decision-tree, source: ./big}
students:
  - {name: small, label: "LABEL", of: big, source: ./small}
tasks:
  - {use: classification, name: reviews, data: {use: labelled, files: {train: data.jsonl, test: asked.jsonl}}}
gate: {retained: 0.5}
"""
KEY = "ACCEPTANCE_CREDENTIAL"
SERVED = """\
version: 1
name: served
device: cpu
threads: 1
teachers:
  big: {use: hf-causal, source: ./model}
  api: {use: openai, source: "URL", model: tiny, api_key_env: ACCEPTANCE_CREDENTIAL}
students:
  - name: small
    of: big
    init: {use: layer-drop, keep: 2}
    distil:
      use: hard-labels
      teachers: [api]
      control: none
      steps: 1
      data: {use: answers, prompts: prompts.jsonl, length: 32, heldout: 2, max_new_tokens: 4}
tasks:
  - {use: lm-eval, name: distbench_facts, samples: 4}
"""


# -- suites that run ---------------------------------------------------------------------------------------------------


def reviews(teacher: str = "deep", student: str = "stump", lines: str | None = None, suite: str = TREES) -> Make:
    """Write a suite of two trees with the reviews they were made for; `lines` replaces those they are asked."""

    def make(place: Place) -> None:
        from tests.models.classified import BAD, GOOD

        known = [(0, text) for text in BAD] + [(1, text) for text in GOOD]
        data = [json.dumps({"text": f"{text} {n}", "label": label}) + "\n" for n in range(8) for label, text in known]
        place.write("data.jsonl", "".join(data))
        place.write("asked.jsonl", "".join(data) if lines is None else lines)
        place.write("suite.yaml", suite)
        shutil.copytree(place.trees / teacher, place.folder / "big")
        shutil.copytree(place.trees / student, place.folder / "small")

    return make


def finished(then: Callable[[Place], object], make: Make | None = None) -> Make:
    """Run the suite to its end, then change something."""

    def changed(place: Place) -> None:
        (make or reviews())(place)
        here(place.folder, *RUN, check=0)
        then(place)

    return changed


def reseeded(place: Place) -> None:
    place.write("suite.yaml", TREES.replace("threads: 1", "threads: 1\nseed: 7").replace("0.5", "0.6"))


def flip(place: Place) -> None:
    """Flip one bit in the middle of the samples of a finished cell."""
    path = next((place.folder / "run" / "cells").glob("*/samples.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # the cache holds the same file
    path.write_bytes(bytes(data))


def planned(place: Place) -> None:
    """Write a run of which nothing has been done."""
    from distbench.execute.start import begin
    from distbench.plan.expand import expand
    from distbench.store.run_dir import RunDir
    from distbench.suite.load import load_suite

    reviews()(place)
    loaded = load_suite(place.folder / "suite.yaml")
    plan = expand(loaded.suite, loaded.directory)
    begin(plan, RunDir.prepare(place.folder / "run"), loaded.digest, [])


def locked(place: Place) -> None:
    from distbench.store.run_dir import RunDir

    reviews()(place)
    place.open.enter_context(RunDir.prepare(place.folder / "run").lock())


def a_file(place: Place) -> None:
    reviews()(place)
    place.write("run", "")


def foreign(place: Place) -> None:
    reviews()(place)
    place.write("run/photo.png", "not ours")


def without_ray(place: Place) -> None:
    """Write a suite on a machine without Ray."""
    reviews()(place)
    place.open.enter_context(mock.patch.dict(sys.modules, {"ray": None}))


# -- servers -----------------------------------------------------------------------------------------------------------


def served(**behaviour: Any) -> Make:
    """Write a suite whose student learns from a server on this machine that behaves like this."""

    def make(place: Place) -> None:
        server = place.open.enter_context(serving(**behaviour))
        place.write("suite.yaml", SERVED.replace("URL", server.url))
        place.write("prompts.jsonl", "".join(json.dumps({"prompt": f"the doctor {i}"}) + "\n" for i in range(20)))
        shutil.copytree(place.tiny_lm, place.folder / "model")

    return make


def addressed(url: str) -> Make:
    def make(place: Place) -> None:
        place.write("suite.yaml", SERVED.replace("URL", url))
        shutil.copytree(place.tiny_lm, place.folder / "model")

    return make


GATE = ("gate", "run")
CHANCE = [1.0, 0.0, 0.0, 0.0] * 100

ROWS = [
    Row(
        14, "a label that is markup", reviews(suite=TREES.replace("LABEL", LABEL)), 0, LABEL, refused=False, loads=True
    ),
    Row(
        15,
        "unknown metric in a policy",
        with_policy,
        2,
        ("p.yaml:2:", "'accc'", "'acc'"),
        argv=(*GATE, "--policy", "p.yaml"),
    ),
    Row(16, "gated metric missing", judged(None), 3, "INCONCLUSIVE", argv=GATE, refused=False),
    Row(16, "gated metric NaN", not_numbers, 3, "INCONCLUSIVE", argv=GATE, refused=False),
    Row(16, "NaN that is said to be fine", false_numbers, 6, "no verdict on a damaged run", argv=GATE),
    Row(17, "teacher at chance", judged(CHANCE, CHANCE), 3, "NO_SIGNAL", argv=GATE, refused=False),
    Row(
        25,
        "student larger than teacher",
        reviews("stump", "deep"),
        0,
        "larger than its teacher",
        refused=False,
        loads=True,
    ),
    Row(
        26, "the teacher's own weights", reviews("deep", "deep"), 0, ("100", "exactly 100 %"), refused=False, loads=True
    ),
    Row(27, "an empty data set", reviews(lines="\n"), 4, "0 examples", refused=False, loads=True),
    Row(
        27,
        "a label outside the head",
        reviews(lines='{"text": "odd", "label": 5}\n'),
        4,
        "label 5 is outside the head, which has 2 labels",
        refused=False,
        loads=True,
    ),
    Row(28, "output is a file", a_file, 5, "run is a file; --out names a directory"),
    Row(
        28,
        "output cannot be written",
        reviews(),
        5,
        "/proc/distbench-run",
        argv=("run", "suite.yaml", "--out", "/proc/distbench-run"),
    ),
    Row(28, "output is locked", locked, 5, "locked by"),
    Row(28, "output is somebody's folder", foreign, 2, "is not empty and is not a distbench run"),
    Row(
        29,
        "resumed with a changed suite",
        finished(reseeded),
        2,
        ("made from another suite", "seed 0 → 7, gate.retained 0.5 → 0.6", "--new-run to begin another in run-2"),
        loads=True,
    ),
    Row(
        30,
        "a run of a future schema",
        edited("manifest.json", manifest_schema=2),
        6,
        ("manifest.json", "2", "1"),
        argv=("compare", "run"),
    ),
    Row(
        30,
        "a record of a future schema",
        edited("cells/student-t/record.json", record_schema=2),
        6,
        ("student-t/record.json", "2"),
        argv=("compare", "run"),
    ),
    Row(
        30,
        "a result of a future schema",
        document(result_schema=2),
        6,
        ("result.json", "2"),
        argv=("compare", "result.json"),
    ),
    Row(
        30,
        "a flipped byte in a finished cell",
        finished(flip),
        6,
        ("samples.parquet does not match its SHA-256", "cells/"),
        loads=True,
    ),
    Row(
        30,
        "NaN in a result document",
        document(alpha=float("nan")),
        6,
        ("result.json", "alpha"),
        argv=("report", "result.json"),
    ),
    Row(
        32,
        "energy asked, no meter",
        unmetered,
        0,
        ("no RAPL counters", "name an outside meter"),
        argv=("show", "run", "--student", "student"),
        refused=False,
    ),
    Row(32, "a gate on energy, no meter", unmetered, 3, ("INCONCLUSIVE", "no RAPL counters"), argv=GATE, refused=False),
    Row(
        33,
        "Ray is not installed",
        without_ray,
        5,
        ("'ray'", "pip install 'distbench[ray]'"),
        argv=(*RUN, "--engine", "ray"),
    ),
    Row(34, "API key absent", addressed("http://127.0.0.1:9/v1"), 5, f"the environment variable {KEY} is not set"),
    Row(
        34,
        "API key refused",
        served(key="another"),
        5,
        ("refuses access (401", KEY),
        refused=False,
        loads=True,
        environment={KEY: "canary-acceptance"},
    ),
    Row(
        34,
        "HTML in place of JSON",
        served(mode="page"),
        5,
        ("text/html", "/v1"),
        refused=False,
        loads=True,
        environment={KEY: "canary-acceptance"},
    ),
    Row(
        34,
        "a file:// URL of a server",
        addressed("file:///etc/passwd"),
        6,
        "http:// or https://",
        environment={KEY: "canary-acceptance"},
    ),
    Row(
        34,
        "a file:// URL of a checkpoint",
        lambda p: p.write("suite.yaml", SUITE.replace("./model", "file:///tmp/model")),
        6,
        "URLs are not loaded",
    ),
    Row(
        35,
        "another task version",
        unlike({'"task_version":"1"': '"task_version":"2"'}),
        2,
        ("another version of t (2 there, 1 here)", "never mixed"),
        argv=(*GATE, "--baseline", "before"),
    ),
    Row(
        35,
        "other data",
        unlike({'"data_digest":"d"': '"data_digest":"e"'}),
        2,
        ("another data of t (e there, d here)", "never mixed"),
        argv=(*GATE, "--baseline", "before"),
    ),
    Row(36, "report of a run without a finished cell", planned, 4, "nothing to report", argv=("report", "run")),
    Row(36, "comparison of a run without a finished cell", planned, 4, "nothing to report", argv=("compare", "run")),
    Row(36, "gate of a run without a finished cell", planned, 4, "nothing to report", argv=GATE),
]
