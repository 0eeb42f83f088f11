"""llama.cpp: the bookkeeping of its sessions on a stand-in, and the real one where it is installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distbench import plugins
from distbench.cell.agreement import agreement_of, listen, prompts_for
from distbench.errors import EnvironmentFault, RefusedError, RunError
from distbench.models import llama_cpp_session
from distbench.models.hf_causal import HFCausal
from distbench.models.llama_cpp import LlamaCppLM
from distbench.models.llama_cpp_export import LlamaCppDeployment
from tests.conftest import CPU
from tests.models import fake_llama_cpp

IDS = [0, 5, 17, 33, 60, 7]
REAL = pytest.param(
    "real",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("llama_cpp") is None, reason="the extra 'llama-cpp' is not installed"
    ),
)


@pytest.fixture(params=["fake", REAL])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module that a session computes with."""
    pytest.importorskip("gguf")
    llama_cpp_session._silence.cache_clear()
    if request.param == "fake":
        monkeypatch.setitem(sys.modules, "llama_cpp", fake_llama_cpp.module())
    import llama_cpp

    yield llama_cpp
    llama_cpp_session._silence.cache_clear()


@pytest.fixture(scope="module")
def source(sure_lm: Path) -> HFCausal:
    return HFCausal.open(sure_lm, CPU)


def exported(source: HFCausal, folder: Path, **options: Any) -> LlamaCppLM:
    deployment = LlamaCppDeployment(LlamaCppDeployment.Options(**options))
    deployment.export(source, folder)
    return LlamaCppLM.open(folder, CPU, LlamaCppLM.Options(**deployment.opens()))


@pytest.fixture
def model(library: Any, source: HFCausal, tmp_path: Path) -> LlamaCppLM:
    return exported(source, tmp_path)


def test_float32_says_what_its_source_says(model: LlamaCppLM, source: HFCausal) -> None:
    prompts = prompts_for(source, 0)
    found = agreement_of(prompts, listen(source, prompts.ids), model, exact=True)
    assert found.greedy_equal == found.greedy_total
    assert found.top1 == 1.0
    assert found.kl < 1e-5


def test_a_batch_of_any_size_and_length_decodes_as_its_source_does(model: LlamaCppLM, source: HFCausal) -> None:
    for batch, length in ((1, 1), (3, 7), (1, 12)):
        prompts = model.prompts(batch, length, seed=3)
        found = model.decode(prompts, 9)
        assert found.tokens.tolist() == source.decode(torch.from_numpy(prompts), 9).tokens.tolist()
        assert list(found.marks_ns) == sorted(found.marks_ns)


def test_a_text_longer_than_the_room_is_computed_again_in_a_larger_one(
    model: LlamaCppLM, source: HFCausal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distbench.models.llama_cpp.STEP", 4)
    context = IDS[:4]  # fills the room exactly
    for continuation in ([9], [9, 8, 7, 6, 5], [9, 8]):
        assert model.score(context, continuation) == pytest.approx(source.score(context, continuation), abs=1e-2)


def test_scores_survive_other_texts_between_them(model: LlamaCppLM, source: HFCausal) -> None:
    asked = [([0, 5, 17], [33]), ([0, 5, 17], [60, 7, 9]), ([0, 5, 17], [60, 8]), ([4], [4, 4]), ([0, 5, 17], [33])]
    for context, continuation in asked:
        assert model.score(context, continuation) == pytest.approx(source.score(context, continuation), abs=1e-2)
    model.continue_greedily([1, 2, 3, 4, 5], 3)  # the session forgets the context that was kept
    assert model.score([0, 5, 17], [60, 7]) == pytest.approx(source.score([0, 5, 17], [60, 7]), abs=1e-2)


def test_the_cache_grows_with_the_text(model: LlamaCppLM) -> None:
    per_token = 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, size of a head, bytes
    for batch, length in ((1, 10), (1, 40), (3, 20)):
        least = batch * length * per_token
        assert least <= model.cache_bytes(model.prompts(batch, length, 0)) < 1.1 * least


def test_a_bare_file_is_opened_with_the_tokenizer_inside(library: Any, source: HFCausal, tmp_path: Path) -> None:
    exported(source, tmp_path, precision="q8_0")
    found = LlamaCppLM.resolve("model.gguf", tmp_path)
    assert found.path == tmp_path / "model.gguf"
    assert not found.converts
    opened = LlamaCppLM.open(found.path, CPU)
    assert opened.tokenizer("the cats").input_ids == source.tokenizer("the cats").input_ids
    assert opened.context_length == source.context_length
    size, expected = opened.footprint(), source.footprint()
    assert size.params_unique == expected.params_unique
    assert size.params_non_embedding == expected.params_non_embedding
    assert size.bytes_on_disk == found.path.stat().st_size
    assert size.dtype == "F32+Q8_0"
    assert opened.ends == {source.tokenizer.eos_token_id}
    assert opened.continue_greedily(IDS, 3) == exported(source, tmp_path).continue_greedily(IDS, 3)


def test_an_exported_folder_is_found_again(library: Any, source: HFCausal, tmp_path: Path) -> None:
    exported(source, tmp_path)
    assert LlamaCppLM.resolve(str(tmp_path), Path("/")).path == tmp_path


def test_a_checkpoint_folder_is_refused(sure_lm: Path) -> None:
    with pytest.raises(RefusedError, match=r"llama-cpp opens \.gguf files; deploy"):
        LlamaCppLM.resolve(str(sure_lm), Path("/"))


def test_a_damaged_file_is_refused(model: LlamaCppLM) -> None:
    data = model.file.read_bytes()
    model.file.write_bytes(b"GG" + data[:100])
    with pytest.raises(RefusedError, match=r"llama\.cpp cannot load it"):
        LlamaCppLM.open(model.folder, CPU)
    with pytest.raises(RefusedError, match=r"llama\.cpp cannot load it"):
        LlamaCppLM.open(model.file, CPU)


def test_a_call_that_fails_is_no_answer(model: LlamaCppLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model._session._c, "llama_decode", lambda context, batch: 1)
    with pytest.raises(RunError, match="llama_decode returned 1 for 1 × 6 tokens"):
        model.logits(IDS)


def test_only_float32_is_held_to_agree() -> None:
    kind = LlamaCppDeployment.Options
    assert LlamaCppDeployment(kind()).exact(CPU)
    assert LlamaCppDeployment(kind()).opens() == {"cache": "float32"}
    assert not LlamaCppDeployment(kind(precision="float16")).exact(CPU)
    assert LlamaCppDeployment(kind(precision="q8_0")).opens() == {}


@pytest.mark.parametrize(("group", "module"), [("models", "llama_cpp"), ("models", "gguf"), ("deployments", "gguf")])
def test_what_is_missing_is_named_with_its_extra(group: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("llama_cpp", "gguf"):
        monkeypatch.setitem(sys.modules, each, None if each == module else pytest)  # anything that is there
    with pytest.raises(EnvironmentFault, match=rf"needs '{module}', which is not installed; pip install 'distbench\["):
        plugins.check_installed(group, "llama-cpp")
