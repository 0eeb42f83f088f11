"""Language models on OpenVINO."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distbench import plugins
from distbench.cell.agreement import agreement_of, listen, prompts_for
from distbench.errors import EnvironmentFault, RefusedError
from distbench.models.hf_causal import HFCausal
from distbench.models.openvino_export import OpenVINODeployment, _quietly
from distbench.models.openvino_runtime import OpenVINOLM
from tests.conftest import CPU

IDS = [0, 5, 17, 33, 60, 7]


def exported(source: HFCausal, folder: Path, **options: Any) -> OpenVINOLM:
    deployment = OpenVINODeployment(OpenVINODeployment.Options(**options))
    deployment.export(source, folder)
    return OpenVINOLM.open(folder, CPU, OpenVINOLM.Options(**deployment.opens()))


@pytest.fixture(scope="module")
def source(sure_lm: Path) -> HFCausal:
    pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
    pytest.importorskip("nncf", reason="the extra 'openvino' is not installed")
    return HFCausal.open(sure_lm, CPU)


@pytest.fixture(scope="module")
def model(source: HFCausal, tmp_path_factory: pytest.TempPathFactory) -> OpenVINOLM:
    return exported(source, tmp_path_factory.mktemp("openvino"))


def test_float32_says_what_its_source_says(model: OpenVINOLM, source: HFCausal) -> None:
    prompts = prompts_for(source, 0)
    found = agreement_of(prompts, listen(source, prompts.ids), model, exact=True)
    assert found.greedy_equal == found.greedy_total
    assert found.top1 == 1.0
    assert found.kl < 1e-6


def test_a_batch_of_any_size_and_length_decodes_as_its_source_does(model: OpenVINOLM, source: HFCausal) -> None:
    for batch, length in ((1, 1), (3, 7), (1, 12)):
        prompts = model.prompts(batch, length, seed=3)
        found = model.decode(prompts, 9)
        assert found.tokens.tolist() == source.decode(torch.from_numpy(prompts), 9).tokens.tolist()
        assert len(found.marks_ns) == 9
        assert list(found.marks_ns) == sorted(found.marks_ns)


def test_scores_survive_other_texts_between_them(model: OpenVINOLM, source: HFCausal) -> None:
    asked = [([0, 5, 17], [33]), ([0, 5, 17], [60, 7, 9]), ([0, 5, 17], [60, 8]), ([4], [4, 4]), ([0, 5, 17], [33])]
    for context, continuation in asked:
        assert model.score(context, continuation) == pytest.approx(source.score(context, continuation), abs=1e-3)
    model.continue_greedily([1, 2, 3, 4, 5], 3)  # the session forgets the context that was kept
    assert model.score([0, 5, 17], [60, 7]) == pytest.approx(source.score([0, 5, 17], [60, 7]), abs=1e-3)


def test_the_cache_grows_with_the_text(model: OpenVINOLM) -> None:
    per_token = 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, size of a head, bytes
    assert model.cache_bytes(model.prompts(1, 10, 0)) == 10 * per_token
    assert model.cache_bytes(model.prompts(3, 6, 0)) == 18 * per_token


def test_the_source_stays_as_it_is(source: HFCausal, tmp_path: Path) -> None:
    before, implementation = source.logits(IDS), source.module.config._attn_implementation
    exported(source, tmp_path)
    np.testing.assert_array_equal(source.logits(IDS), before)
    assert source.module.config._attn_implementation == implementation


def test_int8_is_smaller_and_near(source: HFCausal, model: OpenVINOLM, tmp_path: Path) -> None:
    small = exported(source, tmp_path, precision="int8", activations="float32")
    expected, found = source.logits(IDS), small.logits(IDS)
    assert not np.array_equal(expected, found)
    assert float(np.abs(expected - found).max()) < 0.1 * float(np.abs(expected).max())
    assert (small.footprint().bytes_on_disk or 0) < (model.footprint().bytes_on_disk or 0)
    assert small.footprint().dtype == "int8"
    assert small.footprint().params_unique == source.footprint().params_unique


def test_only_float32_is_held_to_agree() -> None:
    kind = OpenVINODeployment.Options
    assert OpenVINODeployment(kind()).exact(CPU.model_copy(update={"dtype": "bfloat16"}))
    assert not OpenVINODeployment(kind(precision="int8")).exact(CPU)
    assert OpenVINODeployment(kind()).opens() == {}
    assert OpenVINODeployment(kind(precision="int8", activations="float32")).opens() == {"activations": "float32"}


def test_a_quantised_source_is_refused(source: HFCausal, sure_lm: Path, tmp_path: Path) -> None:
    other = HFCausal.open(sure_lm, CPU)
    other.quantise_int8(())
    with pytest.raises(RefusedError, match="a quantised model cannot be exported"):
        OpenVINODeployment(OpenVINODeployment.Options()).export(other, tmp_path)


def test_a_damaged_graph_is_refused(source: HFCausal, tmp_path: Path) -> None:
    exported(source, tmp_path)
    (tmp_path / "openvino_model.xml").write_text("<net/>", encoding="utf-8")
    with pytest.raises(RefusedError, match=r"OpenVINO .* cannot open it"):
        OpenVINOLM.open(tmp_path, CPU)


def test_converters_send_no_reports_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "no")
    monkeypatch.delenv("NNCF_CI", raising=False)
    with _quietly():
        assert os.environ["CI"] == "true"
        assert os.environ["NNCF_CI"] == "1"
    assert os.environ["CI"] == "no"
    assert "NNCF_CI" not in os.environ


@pytest.mark.parametrize(("group", "module"), [("models", "openvino"), ("deployments", "nncf")])
def test_what_is_missing_is_named_with_its_extra(group: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("openvino", "nncf"):
        monkeypatch.setitem(sys.modules, each, None if each == module else pytest)  # anything that is there
    with pytest.raises(EnvironmentFault, match=rf"needs '{module}', which is not installed; .*distbench\[openvino\]"):
        plugins.check_installed(group, "openvino")
