"""A model that two processes hold together answers as it does whole; what it cannot be asked is said in the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.models.hf_causal import HFCausal, HFCausalOptions
from distbench.models.hf_divided import check_divisible
from distbench.plan.expand import Plan, expand
from distbench.plan.resources import resources_of
from distbench.schema.suite import Suite
from distbench.store.run_dir import RunDir
from distbench.training.processes import processes_of
from tests.command import here
from tests.conftest import CPU

ROOT = Path(__file__).parents[2]


def suite(model: Path, **changed: Any) -> dict[str, Any]:
    return {
        "version": 1, "name": "divided", "device": "cpu", "threads": 2,
        "teachers": {"big": {"use": "hf-causal", "source": str(model), "tensor_parallel": 2}},
        "students": [{"name": "whole", "of": "big", "options": {}}],
        "tasks": [{"use": "lm-eval", "name": "distbench_facts", "samples": 8}],
    } | changed  # fmt: skip


def planned(model: Path, **changed: Any) -> Plan:
    return expand(Suite.model_validate(suite(model, **changed)), model)


def test_two_processes_say_what_one_says(tmp_path: Path, tiny_lm: Path) -> None:
    (tmp_path / "suite.yaml").write_text(json.dumps(suite(tiny_lm)))
    here(tmp_path, "plan", "suite.yaml", "--out", "run", "--format", "json", check=0)
    run = RunDir(tmp_path / "run")
    cells = {cell.title.split()[0]: run.cell(cell.id) for cell in run.manifest().cells}
    assert {name: processes_of(cell) for name, cell in cells.items()} == {"big": 2, "whole": 1}
    known = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for name in ("whole", "big"):  # what two processes hold, two processes of torchrun answer
        here(tmp_path, "cell", "run", "--id", cells[name].id, check=0, **known)
    big, whole = (pd.read_parquet(run.cells / cells[name].id / "samples.parquet") for name in ("big", "whole"))
    assert list(big["sample_id"]) == list(whole["sample_id"])
    assert list(big["prediction"]) == list(whole["prediction"])
    assert (big["loglikelihood"] - whole["loglikelihood"]).abs().max() < 1e-4
    assert list(big["loglikelihood"]) != [0.0] * 8
    assert not [file for file in run.cells.iterdir() if file.name.startswith(".")]


def test_a_student_is_opened_whole_unless_it_says_otherwise(tiny_lm: Path, other_lm: Path) -> None:
    options = {"attention": "eager", "tensor_parallel": 2}
    teachers = {"big": {"use": "hf-causal", "source": str(tiny_lm)} | options}
    plan = planned(tiny_lm, teachers=teachers, students=[{"name": "small", "of": "big", "source": str(other_lm)}])
    assert [model.ref.options for model in plan.models] == [options, {"attention": "eager"}]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"measure": {"latency": {}}}, "let a server hold it"),
        ({"students": [{"name": "int8", "of": "big", "quantise": {"use": "int8-dynamic"}}]}, "let a server hold it"),
        ({"students": [{"name": "s", "of": "big", "options": {"tensor_parallel": 3}}]}, "cannot share 4 heads"),
        (
            {"students": [{"name": "s", "of": "big", "options": {"tensor_parallel": 2, "compile": True}}]},
            "do not go together",
        ),
        (
            {"students": [{"name": "s", "of": "big", "init": {"use": "layer-drop", "keep": 2},
                           "options": {"tensor_parallel": 2}}]},
            "only a checkpoint that exists",
        ),
    ],
)  # fmt: skip
def test_what_divided_models_cannot_be_asked_is_refused_in_the_plan(
    tiny_lm: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        planned(tiny_lm, **changed)


def test_a_gpu_is_reserved_for_each_process(tiny_lm: Path) -> None:
    asked = Suite.model_validate(suite(tiny_lm, device="cuda"))
    plan = expand(asked, tiny_lm, elsewhere=True)
    gpus = {cell.title: resources_of(plan)(cell).gpus for cell in plan.cells}
    assert gpus == {"big on distbench_facts": 2.0, "whole on distbench_facts": 1.0}


def test_heads_are_never_divided(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"text_config": {"num_attention_heads": 8, "num_key_value_heads": 2}}')
    check_divisible(tmp_path, 2)
    with pytest.raises(UsageError, match="2 heads evenly"):
        check_divisible(tmp_path, 4)


def test_alone_it_is_not_opened_whole(tiny_lm: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"2 processes .* here is 1"):
        HFCausal.open(tiny_lm, CPU, HFCausalOptions(tensor_parallel=2))


def test_an_architecture_without_a_plan_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

    from distbench.training.processes import Processes

    GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    monkeypatch.setattr(Processes, "here", classmethod(lambda cls: cls(0, 2, 0)))
    whole = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: whole)
    with pytest.raises(RefusedError, match="loaded it whole"):
        HFCausal.open(tmp_path, CPU, HFCausalOptions(tensor_parallel=2))
