"""ONNX Runtime: the export says what its source says, and what cannot be exported or opened is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")

from distbench.cell.agreement import agreement_of, listen, prompts_for, refuse_disagreement
from distbench.errors import RefusedError, RunError
from distbench.methods.int8_dynamic import Int8Dynamic, Int8DynamicOptions
from distbench.models.hf_causal import HFCausal
from distbench.models.onnx_export import OnnxRuntimeDeployment, OnnxRuntimeDeploymentOptions
from distbench.models.onnx_runtime import OnnxRuntimeLM
from distbench.schema.record import Agreement
from tests.conftest import CPU
from tests.tasks.harness import quiet, scores, task

IDS = [0, 5, 17, 33, 60, 7]


@pytest.fixture(scope="module")
def source(sure_lm: Path) -> HFCausal:
    return HFCausal.open(sure_lm, CPU)


@pytest.fixture(scope="module")
def folders(source: HFCausal, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The source in float32 (four query heads share two key-value heads) and in the lower precisions."""
    found = {}
    for precision in ("float32", "int8", "int8-blockwise"):
        found[precision] = tmp_path_factory.mktemp(precision)
        options = OnnxRuntimeDeploymentOptions.model_validate({"precision": precision})
        OnnxRuntimeDeployment(options).export(source, found[precision])
    return found


@pytest.fixture(scope="module")
def exact(folders: dict[str, Path]) -> OnnxRuntimeLM:
    return OnnxRuntimeLM.open(folders["float32"], CPU)


def agreement(source: HFCausal, export: OnnxRuntimeLM, *, exact: bool = True) -> Agreement:
    prompts = prompts_for(source, 0)
    return agreement_of(prompts, listen(source, prompts.ids), export, exact=exact)


def test_the_float32_export_says_the_same(source: HFCausal, exact: OnnxRuntimeLM) -> None:
    found = agreement(source, exact)
    refuse_disagreement(found, "export x")
    assert (found.greedy_equal, found.top1) == (found.greedy_total, 1.0)
    assert found.kl < 1e-6
    assert len({token for ids in prompts_for(source, 0).ids for token in source.continue_greedily(ids, 32)}) > 5


def test_a_source_read_with_another_rotary_base_is_told_apart(
    sure_lm: Path, exact: OnnxRuntimeLM, tmp_path: Path
) -> None:
    # what an exporter writes that takes 10,000 because it looks for the base where transformers 5 has none
    wrong = Path(shutil.copytree(sure_lm, tmp_path / "wrong"))
    text = (wrong / "config.json").read_text()
    assert text.count("100000.0") == 1
    (wrong / "config.json").write_text(text.replace("100000.0", "10000.0"))
    found = agreement(HFCausal.open(wrong, CPU), exact)
    assert found.greedy_equal < found.greedy_total
    with pytest.raises(RunError, match="the export says something else"):
        refuse_disagreement(found, "export x")


@pytest.mark.parametrize(("batch", "length", "tokens"), [(1, 1, 1), (1, 1, 6), (2, 1, 6), (1, 9, 6), (3, 40, 12)])
def test_decoding_is_the_source_s_for_any_size(
    source: HFCausal, exact: OnnxRuntimeLM, batch: int, length: int, tokens: int
) -> None:
    prompts = exact.prompts(batch, length, seed=5)
    found = exact.decode(prompts, tokens)
    assert found.tokens.tolist() == source.decode(torch.from_numpy(prompts), tokens).tokens.tolist()
    assert len(found.marks_ns) == tokens


def test_scores_are_the_source_s(source: HFCausal, exact: OnnxRuntimeLM) -> None:
    np.testing.assert_allclose(exact.logits(IDS), source.logits(IDS), atol=1e-3)
    for context, continuation in (([0, 5], [17]), ([0, 5], [33, 60, 7]), ([0], IDS), ([0, 5], [33])):
        assert exact.score(context, continuation) == pytest.approx(source.score(context, continuation), abs=1e-3)


def test_a_task_through_the_runtime_gives_the_same_decisions(source: HFCausal, exact: OnnxRuntimeLM) -> None:
    asked = task("distbench_subject_verb", samples=60)
    expected, found = asked.run(source, CPU, quiet), asked.run(exact, CPU, quiet)
    assert scores(found) == scores(expected)
    assert len({sample.score for sample in found.samples}) == 2
    assert "through onnxruntime " in found.engine


def test_the_cache_costs_what_its_tensors_take(exact: OnnxRuntimeLM, source: HFCausal) -> None:
    for length in (3, 11):
        prompts = exact.prompts(2, length, 0)
        assert exact.cache_bytes(prompts) == source.cache_bytes(torch.from_numpy(prompts))


def test_threads_are_those_of_the_settings(folders: dict[str, Path]) -> None:
    model = OnnxRuntimeLM.open(folders["float32"], CPU.model_copy(update={"threads": 2}))
    assert model._session.get_session_options().intra_op_num_threads == 2


@pytest.mark.parametrize("precision", ["int8", "int8-blockwise"])
def test_fewer_bits_are_smaller_and_lossy(source: HFCausal, folders: dict[str, Path], precision: str) -> None:
    options = OnnxRuntimeDeploymentOptions.model_validate({"precision": precision})
    assert not OnnxRuntimeDeployment(options).exact(CPU)
    model = OnnxRuntimeLM.open(folders[precision], CPU)
    weights = {name: (folders[name] / "model.onnx.data").stat().st_size for name in ("float32", precision)}
    assert weights[precision] < 0.75 * weights["float32"]
    found = agreement(source, model, exact=False)
    assert found.largest_difference > 0
    assert found.kl < 1.0
    assert model.footprint().dtype == precision
    assert not list(folders[precision].glob("float32*"))


def test_scales_for_blocks_lose_less(source: HFCausal, folders: dict[str, Path]) -> None:
    kl = {p: agreement(source, OnnxRuntimeLM.open(folders[p], CPU), exact=False).kl for p in ("int8", "int8-blockwise")}
    assert kl["int8-blockwise"] < kl["int8"]


def test_an_int8_module_is_not_exported(sure_lm: Path, tmp_path: Path) -> None:
    model = Int8Dynamic(Int8DynamicOptions()).quantise(HFCausal.open(sure_lm, CPU))
    with pytest.raises(RefusedError, match="export the float one with precision: int8"):
        OnnxRuntimeDeployment(OnnxRuntimeDeploymentOptions()).export(model, tmp_path)


def test_a_damaged_graph_is_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["float32"], tmp_path / "model"))
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:1000])
    with pytest.raises(RefusedError, match=r"model.onnx: ONNX Runtime .* cannot open it") as caught:
        OnnxRuntimeLM.open(folder, CPU)
    assert "\n" not in str(caught.value)
