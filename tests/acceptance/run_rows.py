"""Rows about whole runs: what is asked of them, where they go, and what a reader does with one that is odd."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

from tests.acceptance.row import RUN, Make, Place, Row
from tests.acceptance.suite_rows import SUITE
from tests.command import here
from tests.compare.records import ACC, rows
from tests.compare.runs import TEACHER, flipped, simple, task, write
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


# -- runs written by hand ----------------------------------------------------------------------------------------------


def judged(student: Any, teacher: Any = TEACHER, **gate: Any) -> Make:
    """Write a finished run; a student of None crashed."""
    models = {"teacher": {"t": task(teacher)}, "student": {"t": None if student is None else task(student)}}
    return lambda place: write(place.folder / "run", models, gate={"retained": 0.9, **gate})


def not_numbers(place: Place) -> None:
    """Write a run whose student has NaN for every score."""
    nan = rows([float("nan")] * len(TEACHER)), [ACC]
    write(place.folder / "run", {"teacher": {"t": task(TEACHER)}, "student": {"t": nan}}, gate={"retained": 0.9})


def edited(name: str, **changes: object) -> Make:
    """Write a finished run and change keys of one of its JSON files."""

    def make(place: Place) -> None:
        folder = write(place.folder / "run", simple())
        (path,) = folder.glob(name)
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(content | changes), encoding="utf-8")

    return make


def document(**changes: object) -> Make:
    """Write a result document with keys changed."""

    def make(place: Place) -> None:
        from distbench.compare.run import compare
        from distbench.store.run_dir import RunDir

        content = json.loads(compare(RunDir(write(place.folder / "made", simple()))).model_dump_json())
        shutil.rmtree(place.folder / "made")
        place.write("result.json", json.dumps(content | changes))

    return make


def unlike(change: dict[str, str]) -> Make:
    """Write two runs that differ in what a task was."""

    def make(place: Place) -> None:
        write(place.folder / "run", simple(), gate={"retained": 0.9})
        write(place.folder / "before", simple(), gate={"retained": 0.9}, record=change)

    return make


def with_policy(place: Place) -> None:
    """Write a finished run and a policy about a metric that it does not have."""
    judged(TEACHER)(place)
    place.write("p.yaml", "version: 1\ntasks: {t: {metrics: {accc: {floor: 0.9}}}}\n")


def unmetered(place: Place) -> None:
    """Write a run whose energy could not be read, and a gate on it."""
    from distbench.schema.record import Series
    from distbench.store.run_dir import RunDir
    from tests.compare.measured import add_measurement

    run = write(place.folder / "run", simple(flipped(TEACHER, lost=1)), gate={"retained": 0.5, "energy": 1.1})
    series = [
        Series(
            model=name, meter="energy", metric="gross_joules_per_1000_samples", unit="J", higher_is_better=False,
            workload="batch 64", values=[], status="not_measurable", reason="no RAPL counters: powercap is not there",
            remedy="name an outside meter",
        )
        for name in ("teacher", "student")
    ]  # fmt: skip
    add_measurement(RunDir(run), ("teacher", "student"), series)


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
    Row(16, "gated metric NaN", not_numbers, 3, ("INVALID", "no number"), argv=GATE, refused=False),
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
        ("made from another suite", "seed, gate changed", "--out"),
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
