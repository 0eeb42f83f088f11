"""What every exported language model shares, on a runtime that is torch in disguise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from distbench.errors import EnvironmentFault, RefusedError
from distbench.models.cached_decoder import CachedDecoder, cache_shape
from distbench.models.exported import FACTS, ExportedLM, Logits, Tokens, write_facts
from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU

IDS = [0, 5, 17, 33, 60, 7]


class Disguised(ExportedLM):
    """Runs the checkpoint in `inside/` through `CachedDecoder`, as an exported graph would run."""

    use: ClassVar[str] = "disguised"
    weights: ClassVar[tuple[str, ...]] = ("*.weights",)
    requires: ClassVar[tuple[str, ...]] = ("torch",)
    calls = 0

    def _load(self) -> None:
        source = HFCausal.open(self.folder / "inside", self.settings)
        self._decoder, self._shape = CachedDecoder(source.module), cache_shape(source.module)

    def forward(self, tokens: Tokens, past: Any, *, every: bool) -> tuple[Logits, Any]:
        self.calls += 1
        layers, heads, size = self._shape
        past = past or [torch.zeros(len(tokens), heads, 0, size)] * (2 * layers)
        rows = torch.arange(tokens.shape[1]) if every else torch.tensor([tokens.shape[1] - 1])
        with torch.inference_mode():
            logits, *cache = self._decoder(torch.from_numpy(tokens), rows, *past)
        return logits.numpy(), cache


class Keeping(Disguised):
    keeps_past: ClassVar[bool] = True


@pytest.fixture(scope="module")
def source(sure_lm: Path) -> HFCausal:
    return HFCausal.open(sure_lm, CPU)


@pytest.fixture
def folder(source: HFCausal, tmp_path: Path) -> Path:
    source.save(tmp_path / "inside")
    (tmp_path / "model.weights").write_bytes(bytes(100))
    write_facts(tmp_path, source, "disguised", "float32", layers=2)
    return tmp_path


@pytest.fixture(params=[Disguised, Keeping])
def model(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ExportedLM:
    opened: ExportedLM = request.param.open(folder, CPU)
    return opened


def test_logits_and_greedy_tokens_are_the_source_s(model: ExportedLM, source: HFCausal) -> None:
    np.testing.assert_allclose(model.logits(IDS), source.logits(IDS), atol=1e-4)
    assert model.continue_greedily(IDS, 20) == source.continue_greedily(IDS, 20)


@pytest.mark.parametrize("prompt", [(1, 1), (3, 7)])
def test_decoding_is_the_source_s_for_any_batch(model: ExportedLM, source: HFCausal, prompt: tuple[int, int]) -> None:
    prompts = model.prompts(*prompt, seed=3)
    found = model.decode(prompts, 9)
    assert found.tokens.tolist() == source.decode(torch.from_numpy(prompts), 9).tokens.tolist()
    assert found.tokens.shape == (prompt[0], 9)
    assert len(found.marks_ns) == 9
    assert list(found.marks_ns) == sorted(found.marks_ns)


def test_greedy_tokens_end_where_they_are_told_to(model: ExportedLM) -> None:
    whole = model.continue_greedily(IDS, 10)
    assert model.continue_greedily(IDS, 10, lambda tokens: len(tokens) == 4) == whole[:4]


def test_scores_are_the_source_s_also_after_a_context_that_is_kept(model: ExportedLM, source: HFCausal) -> None:
    asked = [([0, 5, 17], [33]), ([0, 5, 17], [60, 7, 9]), ([0, 5], [17]), ([0, 5, 17], [33]), ([4], [4, 4])]
    for context, continuation in asked:
        assert model.score(context, continuation) == pytest.approx(source.score(context, continuation), abs=1e-3)
    greedy = source.continue_greedily([0, 5, 17], 3)
    assert model.score([0, 5, 17], greedy)[1]
    assert not model.score([0, 5, 17], [*greedy[:2], (greedy[2] + 1) % 200])[1]


def test_a_kept_context_is_computed_once(folder: Path) -> None:
    model = Keeping.open(folder, CPU)
    for continuation in ([33], [60], [61], [62]):
        model.score([0, 5, 17], continuation)
    assert model.calls == 1


def test_the_footprint_is_the_files_and_the_source_s_parameters(model: ExportedLM, source: HFCausal) -> None:
    found, expected = model.footprint(), source.footprint()
    assert found.bytes_on_disk == 100
    assert found.params_unique == expected.params_unique
    assert found.params_non_embedding == expected.params_non_embedding
    assert found.dtype == "float32"


def test_prompts_are_seeded_and_in_the_vocabulary(model: ExportedLM) -> None:
    one = model.prompts(2, 500, seed=1)
    assert one.tolist() == model.prompts(2, 500, seed=1).tolist() != model.prompts(2, 500, seed=2).tolist()
    assert one.min() >= 0
    assert one.max() < model.facts.vocabulary


def test_a_source_is_found_by_its_content(folder: Path) -> None:
    found = Disguised.resolve(str(folder), Path("/"))
    assert found.path == folder
    (folder / "model.weights").write_bytes(bytes(101))
    assert Disguised.resolve(folder.name, folder.parent).identity != found.identity


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (lambda f: (f / FACTS).unlink(), EnvironmentFault, "is no exported model"),
        (lambda f: (f / FACTS).write_text("{}"), RefusedError, "not what an export writes"),
        (lambda f: (f / "model.weights").unlink(), EnvironmentFault, r"\*.weights is missing"),
        (
            lambda f: (f / FACTS).write_text(json.dumps(json.loads((f / FACTS).read_text()) | {"use": "other"})),
            RefusedError,
            "was exported for 'other'; it cannot be opened as 'disguised'",
        ),
    ],
)
def test_a_folder_of_something_else_is_refused(folder: Path, damage: Any, kind: type, message: str) -> None:
    damage(folder)
    with pytest.raises(kind, match=message):
        Disguised.resolve(str(folder), Path("/"))


def test_another_device_is_refused_not_replaced(folder: Path) -> None:
    with pytest.raises(EnvironmentFault, match="'disguised' runs on cpu only, not cuda:0"):
        Disguised.open(folder, CPU.model_copy(update={"device": "cuda:0"}))


def test_a_decoder_with_a_window_is_refused() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=8,
    )  # fmt: skip
    with pytest.raises(RefusedError, match="keeps its cache in DynamicSlidingWindowLayer; only full attention"):
        cache_shape(MistralForCausalLM(config).eval())
