"""`distbench distil`: students from the command line, killed and made again, with what went into them written down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.command import distbench, here
from tests.conftest import save_tiny_lm

SUITE = """\
version: 1
name: made
device: cpu
threads: 1
teachers:
  big: {use: hf-causal, source: ./teacher}
students:
  - {name: there, of: big, source: ./teacher}
  - name: kd
    of: big
    init: {use: layer-drop, keep: 2}
    distil:
      use: soft-labels
      temperature: 2.0
      data: {use: teacher-sampled, sequences: 16, length: 16, heldout: 4}
      steps: 12
      batch_size: 2
      learning_rate: 0.001
      checkpoint_every: 2
      look_every: 4
  - name: again
    of: big
    init: {use: layer-drop, keep: 2}
    distil: {use: soft-labels, teachers: [kd], data: {use: teacher-sampled, sequences: 8, length: 8, heldout: 2}}
tasks:
  - {use: lm-eval, name: distbench_facts, samples: 4}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distil")
    save_tiny_lm(folder / "teacher", seed=3)
    (folder / "suite.yaml").write_text(SUITE)
    return folder


@pytest.fixture(scope="module")
def made(place: Path) -> dict[str, Any]:
    command = ("distil", "suite.yaml", "--student", "kd", "--out", "run", "--to", "models", "--json", "-q")
    rows: dict[str, Any] = json.loads(distbench(place, *command, check=0).stdout)
    return {row["name"]: row for row in rows["models"]}


def test_only_the_named_student_and_its_control_are_made(place: Path, made: dict[str, Any]) -> None:
    assert set(made) == {"kd", "kd-no-teacher"}
    assert made["kd"]["objective"] == "forward-kl (temperature 2.0)"
    assert made["kd-no-teacher"]["objective"] == "labels"
    assert made["kd"]["units"] == made["kd-no-teacher"]["units"] == 12 * 2 * 16
    kinds = {json.loads(file.read_text())["kind"] for file in (place / "run").glob("cells/*/cell.json")}
    assert kinds == {"make"}


def test_the_result_is_an_ordinary_checkpoint(place: Path, made: dict[str, Any]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = place / "models" / "kd"
    assert made["kd"]["checkpoint"] == str(folder.resolve())
    module = AutoModelForCausalLM.from_pretrained(folder)
    assert module.config.num_hidden_layers == 2
    assert AutoTokenizer.from_pretrained(folder).get_vocab()


def test_the_card_says_what_went_in(place: Path, made: dict[str, Any]) -> None:
    facts = json.loads((place / "models" / "kd" / "provenance.json").read_text())
    assert [teacher["name"] for teacher in facts["teachers"]] == ["big"]
    assert facts["init"] == {"use": "layer-drop", "keep": 2}
    assert facts["training"]["heldout_kl_after"] == made["kd"]["heldout_kl_after"]
    assert len(facts["training"]["heldout"]) == 3
    card = (place / "models" / "kd" / "README.md").read_text()
    assert 'tags: ["distbench", "knowledge-distillation"]' in card
    assert "forward-kl (temperature 2.0)" in card
    assert str(place) not in card + json.dumps(facts)  # a card says what, never where


def test_a_student_can_teach_the_next(place: Path, made: dict[str, Any]) -> None:
    done = here(
        place, "distil", "suite.yaml", "--student", "again", "--no-control", "--out", "run", "--json", "-q", check=0
    )
    (row,) = json.loads(done.stdout)["models"]
    facts = json.loads((Path(row["checkpoint"]) / "provenance.json").read_text())
    assert [teacher["name"] for teacher in facts["teachers"]] == ["kd"]
    assert facts["start"]["name"] == "big"


def test_what_cannot_be_made_is_said_before_anything_runs(place: Path, made: dict[str, Any]) -> None:
    from_source = here(place, "distil", "suite.yaml", "--student", "there", check=2)
    assert "is loaded from its source: there is nothing to make" in from_source.stderr
    unknown = here(place, "distil", "suite.yaml", "--student", "kdd", check=2)
    assert "did you mean 'kd'?" in unknown.stderr
    occupied = here(place, "distil", "suite.yaml", "--student", "kd", "--to", "models", check=2)
    assert "exists already" in occupied.stderr
    assert not (place / "runs").exists()


def test_a_teacher_with_other_tokens_is_refused_before_anything_runs(place: Path) -> None:
    save_tiny_lm(place / "foreign", seed=4)
    tokens = json.loads((place / "foreign" / "tokenizer.json").read_text())
    vocabulary = tokens["model"]["vocab"]
    first, second = sorted(vocabulary, key=vocabulary.get)[40:42]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (place / "foreign" / "tokenizer.json").write_text(json.dumps(tokens))
    text = SUITE.replace(
        "  - name: kd\n    of: big\n    init: {use: layer-drop, keep: 2}\n",
        "  - name: kd\n    of: big\n    source: ./foreign\n",
    )
    (place / "foreign.yaml").write_text(text)
    done = here(place, "distil", "foreign.yaml", "--student", "kd", "--out", "other", check=2)
    assert "the tokenizers differ" in done.stderr
    assert "first at id 40" in done.stderr
    assert not (place / "other").exists()


def test_a_killed_distillation_goes_on_and_ends_with_the_same_weights(place: Path, made: dict[str, Any]) -> None:
    wish = ("distil", "suite.yaml", "--student", "kd", "--no-control", "--out", "cut")
    environment = os.environ | {"DISTBENCH_CACHE": str(place / "cut-cache")}
    process = subprocess.Popen(
        [sys.executable, "-m", "distbench", *wish],
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while not list((place / "cut").glob("scratch/*/checkpoint-*/complete.json")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list((place / "cut").glob("cells/*/record.json"))
    done = distbench(place, *wish, "--json", "-q", check=0, DISTBENCH_CACHE=str(place / "cut-cache"))
    (row,) = json.loads(done.stdout)["models"]
    record = json.loads((Path(row["checkpoint"]) / "provenance.json").read_text())["training"]
    assert record["resumed_from"] >= 2
    whole, again = (Path(folder) / "model.safetensors" for folder in (made["kd"]["checkpoint"], row["checkpoint"]))
    assert whole.read_bytes() == again.read_bytes()
    assert not list((place / "cut").glob("scratch/*"))
