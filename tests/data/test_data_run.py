"""Text and answers in suites, as a user writes them: what planning refuses, what a run leaves, where a key may be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import EnvironmentFault, UsageError
from distbench.plan.expand import Plan, expand
from distbench.schema.cell import MakeCell
from distbench.suite.load import load_suite
from tests.data.texts import lines
from tests.endpoint.server import Behaviour, serving

KEY = "canary-51e0-key"
SUITE = """\
version: 1
name: data
device: cpu
teachers:
  big: {{use: hf-causal, source: "{model}"}}
  api: {{use: openai, source: "{url}", model: tiny, api_key_env: DATA_TEST_CREDENTIAL}}
students:
  - name: small
    of: big
    init: {{use: layer-drop, keep: 2}}
    distil:
      use: {method}
      teachers: [{teacher}]
      steps: 1
      batch_size: 2
      data: {data}
measure: {{load: {{}}}}
"""


@pytest.fixture
def suite(tmp_path: Path, tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.setenv("DATA_TEST_CREDENTIAL", KEY)
    lines(tmp_path / "corpus.jsonl", [{"text": f"the cats {i} were on the mat"} for i in range(20)])
    lines(tmp_path / "prompts.jsonl", [{"prompt": f"the doctor {i}"} for i in range(20)])

    def of(data: str, method: str = "hard-labels", teacher: str = "big", url: str = "http://127.0.0.1:9/v1") -> Path:
        path = tmp_path / "suite.yaml"
        text = SUITE.format(model=tiny_lm, url=url, method=method, teacher=teacher, data=data)
        path.write_text(text, encoding="utf-8")
        return path

    return of


def plan(path: Path) -> Plan:
    return expand(load_suite(path).suite, path.parent)


def made(path: Path) -> dict[str, str]:
    return {cell.title: cell.id for cell in plan(path).cells if isinstance(cell, MakeCell)}


TEXT = "{use: text, files: corpus.jsonl, length: 32, heldout: 2}"
ANSWERS = "{use: answers, prompts: prompts.jsonl, length: 32, heldout: 2, max_new_tokens: 4}"


def test_files_start_at_the_suites_folder_and_count_by_their_content(
    suite: Callable[..., Path], tmp_path: Path
) -> None:
    before = made(suite(TEXT))
    assert list(before) == ["make small"]
    (tmp_path / "corpus.jsonl").rename(tmp_path / "renamed.jsonl")
    assert made(suite(TEXT.replace("corpus", "renamed"))) == before
    with (tmp_path / "renamed.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "one more"}\n')
    assert made(suite(TEXT.replace("corpus", "renamed"))) != before
    with pytest.raises(UsageError, match=r"corpus\.jsonl does not exist"):
        plan(suite(TEXT))


def test_a_teacher_that_only_answers_is_refused_where_more_is_asked_of_it(suite: Callable[..., Path]) -> None:
    api = {"teacher": "api"}
    assert "make small" in made(suite(ANSWERS, **api))
    assert "make small" in made(suite(TEXT, **api))
    with pytest.raises(UsageError, match="'soft-labels' on data 'text' needs causal-lm, which 'openai' does not"):
        plan(suite(TEXT, "soft-labels", **api))
    with pytest.raises(UsageError, match="method 'soft-labels' on data 'answers' needs causal-lm"):
        plan(suite(ANSWERS, "soft-labels", **api))
    told = ANSWERS.replace("}", ", top_logprobs: 5}")
    assert "make small" in made(suite(told, "soft-labels", **api))
    with pytest.raises(UsageError, match="needs served, which 'hf-causal' does not offer"):
        plan(suite(told, "soft-labels"))


def test_a_missing_key_is_told_before_anything_runs(
    suite: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATA_TEST_CREDENTIAL")
    with pytest.raises(EnvironmentFault, match="environment variable DATA_TEST_CREDENTIAL is not set") as failed:
        plan(suite(ANSWERS, teacher="api"))
    assert failed.value.exit_code == 5


def distil(path: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DISTBENCH_CACHE": str(cache)}
    command = [sys.executable, "-m", "distbench", "distil", str(path), "--out", str(path.parent / "run")]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_an_empty_corpus_fails_with_its_number_of_examples(suite: Callable[..., Path], tmp_path: Path) -> None:
    path = suite(TEXT)
    (tmp_path / "corpus.jsonl").write_text("\n", encoding="utf-8")
    done = distil(path, tmp_path / "cache")
    assert done.returncode == 4
    assert "0 examples" in done.stdout + done.stderr


def test_a_student_of_a_paid_teacher_and_no_key_anywhere(suite: Callable[..., Path], tmp_path: Path) -> None:
    def says(body: dict[str, Any]) -> list[tuple[str, None]]:
        return [(" the", None), (f" cats {body['prompt'].split()[2]}", None)]

    with serving(Behaviour(says=says, key=KEY)) as server:
        done = distil(suite(ANSWERS, teacher="api", url=server.url), tmp_path / "cache")
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        asked = [body["prompt"] for body in server.asked if body.get("max_tokens") == 4]
        assert sorted(asked) == sorted(f"the doctor {i}" for i in range(20))
        assert f"Bearer {KEY}" in [headers["Authorization"] for headers in server.headers]
    (record,) = (json.loads(p.read_text(encoding="utf-8")) for p in (tmp_path / "run" / "cells").glob("*/record.json"))
    training = record["result"]["training"]
    assert (training["data"], training["examples"] > 0, training["heldout_kl_after"]) == ("answers", True, None)
    assert training["options"]["data"]["answers"] == 20
    assert KEY not in said
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
