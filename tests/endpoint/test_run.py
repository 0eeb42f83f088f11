"""A suite of served models, run as a user runs it: what fails stays where it is, and the key is nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distbench.execute.run import _keeps
from distbench.plan.expand import expand
from distbench.schema.cell import EvaluateCell, ModelRef
from distbench.schema.suite import TaskSpec
from distbench.suite.load import load_suite
from tests.command import Done, distbench, here
from tests.conftest import CPU
from tests.endpoint.server import Behaviour, serving

KEY = "canary-77aa01-key"
SUITE = """\
version: 1
name: served
device: cpu
teachers:
  good: {{use: openai, source: "{good}", model: tiny, api_key_env: ENDPOINT_TEST_CREDENTIAL}}
  bad: {{use: openai, source: "{bad}", model: tiny, api_key_env: ENDPOINT_TEST_CREDENTIAL}}
students:
  - {{name: small, of: good, source: "{small}", options: {{model: tiny, api_key_env: ENDPOINT_TEST_CREDENTIAL}}}}
  - {{name: other, of: bad, source: "{small}", options: {{model: tiny, api_key_env: ENDPOINT_TEST_CREDENTIAL}}}}
measure:
  latency: {{prompt_tokens: 4, output_tokens: 5, batch_sizes: [1], rounds: 2, launches: 1, control: false}}
  throughput: {{prompt_tokens: 4, output_tokens: 5, max_batch: 2, rounds: 2, launches: 1}}
  memory:
"""


def run(suite: Path, out: Path, start: Callable[..., Done] = distbench) -> Done:
    return start(suite.parent, "run", str(suite), "--out", str(out), ENDPOINT_TEST_CREDENTIAL=KEY)


def measured(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in (out / "cells").glob("*/record.json")]


def test_one_dead_server_leaves_the_others_whole_and_the_key_is_nowhere(tmp_path: Path) -> None:
    quick = Behaviour(ttft=0.02, itl=0.004, key=KEY)
    dying = Behaviour(key=KEY, mode="dies", mode_from=1)
    with serving(quick) as good, serving(dying) as bad, serving(quick) as small:
        suite = tmp_path / "suite.yaml"
        suite.write_text(SUITE.format(good=good.url, bad=bad.url, small=small.url), encoding="utf-8")
        done = run(suite, tmp_path / "run")
        (record,) = measured(tmp_path / "run")
        assert "canary" in "".join(str(headers) for headers in good.headers)  # it did reach the server
    said = done.stdout + done.stderr
    assert done.returncode == 4, said
    assert record["title"] == "measure good, small"
    series = {(s["model"], s["meter"], s["metric"], s["workload"]): s for s in record["result"]["series"]}
    assert min(series["good", "latency", "ttft_ms", "batch 1"]["values"]) >= 20
    assert len(series["good", "latency", "itl_ms", "batch 1"]["values"]) == 2 * 4
    assert series["small", "throughput", "tokens_per_s", "offline"]["status"] == "measured"
    assert series["small", "throughput", "saturated_batch", "search"]["facts"]["ended"].startswith("max_batch 2")
    unseen = series["good", "memory", "peak_bytes", "process"]
    assert (unseen["status"], unseen["values"]) == ("not_measurable", [])
    assert "served by another process" in unseen["reason"]
    attempts = list((tmp_path / "run" / "attempts").rglob("*.json"))
    assert len(attempts) == 1
    assert f"the endpoint {bad.url} broke off after 2 pieces of text" in attempts[0].read_text(encoding="utf-8")
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in said


def test_a_key_is_never_sent_to_a_server_for_which_nobody_named_it(tmp_path: Path) -> None:
    """A student on another server: its options, and with them the key, are not the teacher's."""
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "version: 1\nname: served\ndevice: cpu\n"
        'teachers: {big: {use: openai, source: "http://127.0.0.1:9/v1", model: tiny}}\n'
        'students: [{name: small, of: big, source: "http://127.0.0.1:10/v1"}]\nmeasure: {latency: {}}\n',
        encoding="utf-8",
    )
    done = run(suite, tmp_path / "run", here)
    assert done.returncode == 2
    assert "model 'openai': model: " in done.stderr
    text = suite.read_text(encoding="utf-8").replace(', source: "http://127.0.0.1:10/v1"', "")
    suite.write_text(text.replace("of: big}", "of: big, options: {model: smaller}}"), encoding="utf-8")
    models = expand(load_suite(suite).suite, tmp_path).models  # the same server has another model
    assert [model.ref.options for model in models] == [{"model": "tiny"}, {"model": "smaller"}]
    assert models[0].ref.identity != models[1].ref.identity


def test_a_missing_key_is_told_before_anything_runs(tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE.format(**dict.fromkeys(("good", "bad", "small"), "http://127.0.0.1:9/v1")), encoding="utf-8")
    done = here(tmp_path, "run", str(suite), "--out", "run")
    assert done.returncode == 5
    assert "model 'good': the environment variable ENDPOINT_TEST_CREDENTIAL is not set" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("address", [None, "http://localhost/v1"])
def test_results_of_a_served_model_are_not_reused_by_another_run(address: str | None) -> None:
    ref = ModelRef(name="m", role="teacher", use="openai", identity="x", address=address)
    cell = EvaluateCell(id="e", title="e", needs=[], model=ref, task=TaskSpec(use="lm-eval"), settings=CPU)
    assert _keeps(cell) is (address is None)
